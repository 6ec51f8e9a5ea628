//! The statements that clients begin with before they write.

use serde_json::{Value, json};

/// The name under which the one database is listed.
const DATABASE: &str = "alluvium";

/// Answers statements, which semicolons part. An error says what is not known.
pub(super) fn run(statements: &str) -> Result<Value, String> {
    let statements: Vec<&str> = parted(statements).map(str::trim).filter(|statement| !statement.is_empty()).collect();
    let results = statements.iter().enumerate().map(|(number, statement)| {
        let mut result = one(statement)?;
        result["statement_id"] = json!(number);
        Ok(result)
    });
    Ok(json!({ "results": results.collect::<Result<Vec<Value>, String>>()? }))
}

fn one(statement: &str) -> Result<Value, String> {
    let mut words = statement.split_ascii_whitespace();
    let mut word = || words.next().map(str::to_ascii_uppercase).unwrap_or_default();
    match (word().as_str(), word().as_str(), word().as_str()) {
        ("CREATE", "DATABASE", name) if !name.is_empty() => Ok(json!({})),
        ("SHOW", "DATABASES", "") => {
            Ok(json!({ "series": [{ "name": "databases", "columns": ["name"], "values": [[DATABASE]] }] }))
        }
        _ => {
            let shown: String = statement.chars().take(100).collect();
            Err(format!("error parsing query: {shown:?} is not known here: ask /api/v1/query, see PROTOCOL.md"))
        }
    }
}

/// Pieces between semicolons that do not stand in quotes.
fn parted(statements: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    statements.split(move |letter| {
        let ends = letter == ';' && !is_quoted;
        is_quoted ^= letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_telegraf_begins_with() {
        let made = json!({ "results": [{ "statement_id": 0 }] });
        assert_eq!(run(r#"CREATE DATABASE "telegraf""#), Ok(made.clone()));
        assert_eq!(run(r#"create database "a;b \" ; c" WITH DURATION 7d"#), Ok(made));
        let databases = json!({ "name": "databases", "columns": ["name"], "values": [["alluvium"]] });
        assert_eq!(
            run("CREATE DATABASE x; SHOW DATABASES;"),
            Ok(json!({ "results": [{ "statement_id": 0 }, { "statement_id": 1, "series": [databases] }] }))
        );
        assert_eq!(run(""), Ok(json!({ "results": [] })));
    }

    #[test]
    fn what_is_not_known() {
        for wrong in ["SELECT * FROM cpu", "CREATE DATABASE", "SHOW DATABASES ON x", "DROP DATABASE x", "SHOW DATABASES; x"] {
            assert!(run(wrong).unwrap_err().starts_with("error parsing query: "), "{wrong}");
        }
    }
}
