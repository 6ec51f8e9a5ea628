//! Grants as people write them. Nothing panics; what is read is written as the same, and read again as that.

use alluvium::{Grant, Pattern};

/// One input: lines, of which each is a grant, and a pattern with what it is held against.
pub fn run(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        if let Ok(grant) = line.parse::<Grant>() {
            let text = grant.to_string();
            assert_eq!(text.parse::<Grant>().ok().as_ref(), Some(&grant), "{text}");
        }
        if let Some((pattern, name)) = line.split_once('|') {
            let matches = Pattern::new(pattern).matches(name, "p");
            if !pattern.contains(['*', '$']) {
                assert_eq!(matches, pattern == name);
            }
            assert!(Pattern::new("*").matches(name, pattern));
        }
    }
}
