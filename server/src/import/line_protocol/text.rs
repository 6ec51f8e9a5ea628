//! Names and text of line protocol, as they are written.

/// The characters that lose their meaning behind a backslash. Other backslashes are themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// Of a measurement.
    Measurement,
    /// Of the keys of tags and fields, and the values of tags.
    Name,
    /// Of text in quotes.
    Quoted,
}

impl Escapes {
    /// Whether a backslash takes this byte's meaning away.
    pub(super) fn hold(self, byte: u8) -> bool {
        match self {
            Escapes::Measurement => matches!(byte, b',' | b' '),
            Escapes::Name => matches!(byte, b',' | b' ' | b'='),
            Escapes::Quoted => matches!(byte, b'"' | b'\\'),
        }
    }
}

/// Text as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Text<'a> {
    pub(super) written: &'a str,
    /// What there is to be unescaped, if anything is.
    pub(super) escapes: Option<Escapes>,
}

impl<'a> Text<'a> {
    /// What it says. It is put into `scratch` only if there is anything to be unescaped.
    pub(crate) fn read<'s>(&self, scratch: &'s mut String) -> &'s str
    where
        'a: 's,
    {
        let Some(escapes) = self.escapes else { return self.written };
        scratch.clear();
        let mut rest = self.written;
        while let Some((before, behind)) = rest.split_once('\\') {
            scratch.push_str(before);
            match behind.as_bytes().first() {
                // One byte of ASCII, so that what is behind it begins with a character.
                Some(byte) if escapes.hold(*byte) => {
                    scratch.push(char::from(*byte));
                    rest = behind.get(1..).unwrap_or_default();
                }
                _ => {
                    scratch.push('\\');
                    rest = behind;
                }
            }
        }
        scratch.push_str(rest);
        scratch
    }
}

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.read(&mut String::new()))
    }
}

#[cfg(test)]
impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}
