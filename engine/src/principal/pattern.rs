//! Names with wildcards.

use std::fmt;

/// Stands for the name of whoever asks.
const PRINCIPAL: &str = "${principal}";

/// A pattern of names: `*` stands for any characters, also none, and `${principal}` for the name of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Pattern(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name is among those it stands for, where `principal` asks.
    pub fn matches(&self, name: &str, principal: &str) -> bool {
        // The principal's own name is taken as it is, whatever is in it.
        let pieces: Vec<String> = self.0.split('*').map(|piece| piece.replace(PRINCIPAL, principal)).collect();
        match &pieces[..] {
            [all] => all == name,
            [first, middle @ .., last] => {
                let Some(rest) = name.strip_prefix(first.as_str()) else { return false };
                let Some(rest) = rest.strip_suffix(last.as_str()) else { return false };
                // The first place where each piece fits leaves the most for those behind it.
                middle.iter().try_fold(rest, |rest, piece| Some(rest.split_once(piece.as_str())?.1)).is_some()
            }
            [] => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
