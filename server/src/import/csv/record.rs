//! One CSV record into cells (RFC 4180). By hand because it matters here whether an empty cell stood in quotes, which is text
//! without letters, or not, which is a missing value; the `csv` crate does not tell.

use crate::import::column::Cell;

/// Why a record is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// A quote is opened and never closed.
    Unclosed,
    /// Something other than a delimiter follows a closing quote.
    AfterQuote,
    /// A quote stands within a cell that did not begin with one.
    WithinCell,
}

impl Malformed {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Malformed::Unclosed => "a quote is opened and never closed",
            Malformed::AfterQuote => "there is text after a closing quote: a quote within quotes is written twice",
            Malformed::WithinCell => {
                "there is a quote within a cell without quotes: put the whole cell into quotes and write that one twice"
            }
        }
    }
}

/// Where a cell's text lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    quoted: bool,
    /// Whether in `unescaped` rather than in the record.
    apart: bool,
}

/// Splits records, keeping its buffers.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    delimiter: u8,
    places: Vec<Place>,
    unescaped: String,
}

impl Splitter {
    pub(crate) fn new(delimiter: u8) -> Self {
        Splitter { delimiter, ..Splitter::default() }
    }

    /// Splits a record; the cells are then at [`cell`](Self::cell). Says how many there are.
    pub(crate) fn split(&mut self, record: &str) -> Result<usize, Malformed> {
        self.places.clear();
        self.unescaped.clear();
        let bytes = record.as_bytes();
        if memchr::memchr(b'"', bytes).is_none() {
            let mut start = 0;
            for end in memchr::memchr_iter(self.delimiter, bytes) {
                self.places.push(Place { start, end, quoted: false, apart: false });
                start = end + 1;
            }
            self.places.push(Place { start, end: bytes.len(), quoted: false, apart: false });
            return Ok(self.places.len());
        }
        let mut start = 0;
        loop {
            let end = if bytes.get(start) == Some(&b'"') { self.quoted(record, start + 1)? } else { self.plain(bytes, start)? };
            if end >= bytes.len() {
                return Ok(self.places.len());
            }
            start = end + 1;
        }
    }

    /// A cell of the record that was split last.
    pub(crate) fn cell<'a>(&'a self, record: &'a str, index: usize) -> Cell<'a> {
        let Some(place) = self.places.get(index) else { return Cell { text: "", quoted: false } };
        let source = if place.apart { &self.unescaped } else { record };
        Cell { text: source.get(place.start..place.end).unwrap_or_default(), quoted: place.quoted }
    }

    /// A cell without quotes from `start`; its end.
    fn plain(&mut self, bytes: &[u8], start: usize) -> Result<usize, Malformed> {
        let rest = bytes.get(start..).unwrap_or_default();
        let end = start + memchr::memchr(self.delimiter, rest).unwrap_or(rest.len());
        if bytes.get(start..end).unwrap_or_default().contains(&b'"') {
            return Err(Malformed::WithinCell);
        }
        self.places.push(Place { start, end, quoted: false, apart: false });
        Ok(end)
    }

    /// A cell in quotes whose text starts at `start`; the position behind its closing quote.
    fn quoted(&mut self, record: &str, start: usize) -> Result<usize, Malformed> {
        let bytes = record.as_bytes();
        let (mut from, apart_from) = (start, self.unescaped.len());
        let mut apart = false;
        loop {
            let rest = bytes.get(from..).unwrap_or_default();
            let quote = from + memchr::memchr(b'"', rest).ok_or(Malformed::Unclosed)?;
            let escaped = bytes.get(quote + 1) == Some(&b'"');
            if escaped || apart {
                apart = true;
                let keep = if escaped { quote + 1 } else { quote };
                self.unescaped.push_str(record.get(from..keep).unwrap_or_default());
            }
            if escaped {
                from = quote + 2;
                continue;
            }
            let place = if apart {
                Place { start: apart_from, end: self.unescaped.len(), quoted: true, apart: true }
            } else {
                Place { start, end: quote, quoted: true, apart: false }
            };
            self.places.push(place);
            let end = quote + 1;
            return match bytes.get(end) {
                Some(byte) if *byte != self.delimiter => Err(Malformed::AfterQuote),
                _ => Ok(end),
            };
        }
    }
}

/// The delimiter of a file with this header: comma, or else semicolon or tab where there is no comma.
pub(crate) fn delimiter_of(header: &str) -> u8 {
    [b',', b';', b'\t'].into_iter().find(|delimiter| header.as_bytes().contains(delimiter)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::testing::{random, random_text};

    fn split(record: &str) -> Result<Vec<(String, bool)>, Malformed> {
        let mut splitter = Splitter::new(b',');
        let cells = splitter.split(record)?;
        Ok((0..cells).map(|index| splitter.cell(record, index)).map(|cell| (cell.text.to_owned(), cell.quoted)).collect())
    }

    fn plain(texts: &[&str]) -> Result<Vec<(String, bool)>, Malformed> {
        Ok(texts.iter().map(|text| ((*text).to_owned(), false)).collect())
    }

    #[test]
    fn cells_without_quotes() {
        assert_eq!(split("a,b,c"), plain(&["a", "b", "c"]));
        assert_eq!(split(""), plain(&[""]));
        assert_eq!(split(","), plain(&["", ""]));
        assert_eq!(split("ä,,ö"), plain(&["ä", "", "ö"]));
    }

    #[test]
    fn cells_in_quotes() {
        let quoted = |text: &str| (text.to_owned(), true);
        let bare = |text: &str| (text.to_owned(), false);
        assert_eq!(split("\"\""), Ok(vec![quoted("")]));
        assert_eq!(split("\"\","), Ok(vec![quoted(""), bare("")]));
        assert_eq!(split(",\"\""), Ok(vec![bare(""), quoted("")]));
        assert_eq!(split("\"a,b\",c"), Ok(vec![quoted("a,b"), bare("c")]));
        assert_eq!(split("\"a\nb\",\"\"\"\""), Ok(vec![quoted("a\nb"), quoted("\"")]));
        assert_eq!(split("\"say \"\"hi\"\" twice\",\"ü\"\"\",z"), Ok(vec![quoted("say \"hi\" twice"), quoted("ü\""), bare("z")]));
    }

    #[test]
    fn malformed_records() {
        assert_eq!(split("a,\"b"), Err(Malformed::Unclosed));
        assert_eq!(split("\""), Err(Malformed::Unclosed));
        assert_eq!(split("\"a\"\""), Err(Malformed::Unclosed));
        assert_eq!(split("\"a\"b,c"), Err(Malformed::AfterQuote));
        assert_eq!(split("5\" pipe,c"), Err(Malformed::WithinCell));
    }

    #[test]
    fn delimiters() {
        assert_eq!(delimiter_of("time,a;b"), b',');
        assert_eq!(delimiter_of("time;a"), b';');
        assert_eq!(delimiter_of("time\ta"), b'\t');
        assert_eq!(delimiter_of("time"), b',');
    }

    /// Whatever is written by the csv crate is read back, and no text at all makes the splitter panic.
    #[test]
    fn agrees_with_the_csv_crate() {
        let mut random = random();
        for _ in 0..2_000 {
            let cells: Vec<String> = (0..1 + random.u64(..5)).map(|_| random_text(&mut random, "ab\",\n\rü;", 6)).collect();
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            writer.write_record(&cells).unwrap();
            let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read = split(written.strip_suffix('\n').unwrap()).unwrap();
            assert_eq!(read.into_iter().map(|(text, _)| text).collect::<Vec<_>>(), cells);
            let _ = split(&random_text(&mut random, "ab\",\nü", 12));
        }
    }
}
