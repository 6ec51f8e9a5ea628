//! Files of credentials: sections of `name = value`.

use std::collections::BTreeMap;

/// The values of a section. What stands before the first section belongs to `default`.
pub(super) fn section(text: &str, wanted: &str) -> BTreeMap<String, String> {
    let mut within = "default";
    let mut values = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            within = name.trim();
        } else if within == wanted
            && let Some((name, value)) = line.split_once('=')
        {
            values.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_among_others() {
        let text =
            "account_key = a=\n# of the plant\n[default]\nAWS_Access_Key_Id=one\n[plant]\r\naws_access_key_id = two\nnonsense\n";
        assert_eq!(section(text, "plant"), BTreeMap::from([("aws_access_key_id".to_owned(), "two".to_owned())]));
        let default = section(text, "default");
        assert_eq!((default["account_key"].as_str(), default["aws_access_key_id"].as_str()), ("a=", "one"));
        assert!(section(text, "other").is_empty());
    }
}
