//! The words of a grant: parts between spaces, in which double quotes make any character an ordinary one.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// A word, as characters of which some were quoted.
#[derive(Debug, Default)]
pub(super) struct Word(Vec<(char, bool)>);

impl Word {
    /// Its text.
    pub(super) fn plain(&self) -> String {
        text(&self.0)
    }

    /// A tag and its values: `TAG=VALUE|VALUE`.
    pub(super) fn tag(&self) -> Result<(String, Vec<String>)> {
        let wrong = || Error::invalid(format!("{:?} is no condition on a tag: it says TAG=VALUE", self.plain()));
        let at = self.0.iter().position(|part| *part == ('=', false)).ok_or_else(wrong)?;
        let (tag, values) = (text(&self.0[..at]), &self.0[at + 1..]);
        if tag.is_empty() { Err(wrong()) } else { Ok((tag, values.split(|part| *part == ('|', false)).map(text).collect())) }
    }
}

fn text(characters: &[(char, bool)]) -> String {
    characters.iter().map(|(c, _)| c).collect()
}

/// The words of a text. `\"` and `\\` are a quote and a backslash within quotes.
pub(super) fn split(text: &str) -> Result<Vec<Word>> {
    let (mut words, mut word, mut within) = (Vec::new(), None::<Word>, false);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            c if c.is_control() => return Err(Error::invalid(format!("{text:?} holds the control character {c:?}"))),
            '"' => {
                within = !within;
                word.get_or_insert_default();
            }
            '\\' if within => match characters.next() {
                Some(c @ ('"' | '\\')) => word.get_or_insert_default().0.push((c, true)),
                _ => return Err(Error::invalid(format!("within quotes \\ stands before \" or \\, in {text:?}"))),
            },
            ' ' if !within => words.extend(word.take()),
            c => word.get_or_insert_default().0.push((c, within)),
        }
    }
    if within {
        return Err(Error::invalid(format!("a quote does not end in {text:?}")));
    }
    words.extend(word);
    Ok(words)
}

/// A text as part of a word.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    let odd = |c: char| !(c.is_alphanumeric() || "_-./*${}:@+%,".contains(c));
    if !text.is_empty() && !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
