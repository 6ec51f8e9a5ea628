//! Lines of text from a stream, in bounded memory however long a line is.

use std::io::{self, Read};
use std::ops::Range;

/// Bytes in one line, or in one CSV record of several lines.
pub(crate) const LINE_LIMIT: usize = 1 << 20;

const FIRST_BUFFER: usize = 256 << 10;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A line, or a record of several, without its line end.
    Text(&'a [u8]),
    /// More than [`LINE_LIMIT`] bytes without an end. They are skipped.
    TooLong,
    /// Nothing more.
    End,
}

enum Found {
    Text(Range<usize>),
    TooLong,
    End,
}

/// Reads lines and counts them.
pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    line: u64,
    next_line: u64,
    terminated: bool,
    /// Where the line after the first of the last record starts, as a distance back from `start`.
    after_first: usize,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Lines {
            input,
            buffer: vec![0; FIRST_BUFFER],
            start: 0,
            end: 0,
            ended: false,
            line: 0,
            next_line: 1,
            terminated: true,
            after_first: 0,
        }
    }

    /// The number of the line, from 1, at which what [`next`](Self::next) returned last begins.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Where the bytes come from.
    pub(crate) fn input(&self) -> &R {
        &self.input
    }

    /// Whether the line returned last had a line end, rather than the input ending there.
    pub(crate) fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// The input again.
    pub(crate) fn into_input(self) -> R {
        self.input
    }

    /// Passes over a byte order mark at the start of the input.
    pub(crate) fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        while self.end < 3 && !self.ended {
            self.fill()?;
        }
        if self.pending().starts_with(b"\xEF\xBB\xBF") {
            self.start += 3;
        }
        Ok(())
    }

    /// The next line. Where `quotes` is set a line goes on behind its end while a double quote is open, as in CSV.
    pub(crate) fn next(&mut self, quotes: bool) -> io::Result<Next<'_>> {
        self.line = self.next_line;
        self.terminated = true;
        let found = self.find(quotes)?;
        Ok(match found {
            Found::Text(range) => Next::Text(trim_return(self.buffer.get(range).unwrap_or_default())),
            Found::TooLong => Next::TooLong,
            Found::End => Next::End,
        })
    }

    /// Goes back to the end of the first line of the record returned last: what follows an unclosed quote may be sound.
    pub(crate) fn back_to_second_line(&mut self) {
        self.start -= self.after_first;
        self.after_first = 0;
        self.next_line = self.line + 1;
    }

    fn find(&mut self, quotes: bool) -> io::Result<Found> {
        let (mut scanned, mut lines, mut first_end, mut open) = (0, 0, None, false);
        loop {
            while let Some(length) = memchr::memchr(b'\n', self.pending().get(scanned..).unwrap_or_default()) {
                let line = self.pending().get(scanned..scanned + length).unwrap_or_default();
                open ^= quotes && memchr::memchr_iter(b'"', line).count() % 2 == 1;
                scanned += length + 1;
                lines += 1;
                let first = *first_end.get_or_insert(scanned);
                if !open {
                    return Ok(self.take(scanned - 1, scanned, first, lines));
                }
            }
            if self.pending().len() > LINE_LIMIT {
                return self.skip_too_long(first_end);
            }
            if self.ended {
                let rest = self.pending().len();
                if rest == 0 {
                    return Ok(Found::End);
                }
                self.terminated = scanned == rest;
                // The last line may lack its end; a record whose quote is never closed may not.
                let text = if scanned == rest { rest - 1 } else { rest };
                let lines = lines + u64::from(scanned < rest);
                return Ok(self.take(text, rest, first_end.unwrap_or(rest), lines));
            }
            self.fill()?;
        }
    }

    /// Consumes a record of `text` bytes, `consumed` with its line end, of which `first` are its first line.
    fn take(&mut self, text: usize, consumed: usize, first: usize, lines: u64) -> Found {
        let range = self.start..self.start + text;
        self.start += consumed;
        self.after_first = consumed - first;
        self.next_line += lines;
        if text > LINE_LIMIT { Found::TooLong } else { Found::Text(range) }
    }

    /// Skips the first line of a record that is too long, in constant memory.
    fn skip_too_long(&mut self, first_end: Option<usize>) -> io::Result<Found> {
        self.next_line += 1;
        self.after_first = 0;
        if let Some(first) = first_end {
            self.start += first;
            return Ok(Found::TooLong);
        }
        loop {
            match memchr::memchr(b'\n', self.pending()) {
                Some(length) => {
                    self.start += length + 1;
                    return Ok(Found::TooLong);
                }
                None if self.ended => {
                    self.start = self.end;
                    return Ok(Found::TooLong);
                }
                None => {
                    self.start = self.end;
                    self.fill()?;
                }
            }
        }
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads more, making room first.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.after_first = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match self.input.read(room) {
            Ok(0) => self.ended = true,
            Ok(read) => self.end += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// `\r\n` ends a line as `\n` does.
fn trim_return(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\r").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (head, tail) = self.0.split_at(count);
            buffer[..count].copy_from_slice(head);
            self.0 = tail;
            Ok(count)
        }
    }

    fn all(text: &[u8], step: usize, quotes: bool) -> Vec<(u64, Vec<u8>)> {
        let mut lines = Lines::new(Trickle(text, step));
        lines.skip_byte_order_mark().unwrap();
        let mut found = Vec::new();
        loop {
            let text = match lines.next(quotes).unwrap() {
                Next::Text(text) => text.to_vec(),
                Next::TooLong => b"TOO LONG".to_vec(),
                Next::End => return found,
            };
            found.push((lines.line(), text));
        }
    }

    #[test]
    fn lines_are_counted_from_one() {
        for step in [1, 2, 3, 100] {
            let found = all(b"\xEF\xBB\xBFa\r\n\nb\nlast", step, false);
            assert_eq!(found, [(1, b"a".to_vec()), (2, vec![]), (3, b"b".to_vec()), (4, b"last".to_vec())], "step {step}");
        }
        assert_eq!(all(b"", 1, false), []);
        assert_eq!(all(b"\xEF\xBB\xBF", 1, false), []);
        assert_eq!(all(b"a\n", 1, false), [(1, b"a".to_vec())]);
    }

    #[test]
    fn a_record_goes_on_while_a_quote_is_open() {
        for step in [1, 5, 100] {
            let found = all(b"a,\"b\nc\"\"\n\"\nd\n", step, true);
            assert_eq!(found, [(1, b"a,\"b\nc\"\"\n\"".to_vec()), (4, b"d".to_vec())], "step {step}");
        }
    }

    #[test]
    fn an_unclosed_quote_can_be_left_behind() {
        let mut lines = Lines::new(&b"a,\"b\nc\nd"[..]);
        assert_eq!(lines.next(true).unwrap(), Next::Text(b"a,\"b\nc\nd"));
        lines.back_to_second_line();
        assert_eq!(lines.next(true).unwrap(), Next::Text(b"c"));
        assert_eq!(lines.line(), 2);
        lines.back_to_second_line();
        assert_eq!(lines.next(true).unwrap(), Next::Text(b"d"));
        assert_eq!(lines.line(), 3);
        assert_eq!(lines.next(true).unwrap(), Next::End);
    }

    #[test]
    fn a_line_of_100_mb_takes_no_memory() {
        let input = io::repeat(b'x').take(100_000_000).chain(&b"\nshort\n"[..]);
        let mut lines = Lines::new(input);
        assert_eq!(lines.next(false).unwrap(), Next::TooLong);
        assert_eq!(lines.line(), 1);
        assert_eq!(lines.next(false).unwrap(), Next::Text(b"short"));
        assert_eq!(lines.line(), 2);
        assert!(lines.buffer.len() <= 4 * LINE_LIMIT, "{} bytes", lines.buffer.len());
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit() {
        let mut text = vec![b'x'; LINE_LIMIT];
        text.push(b'\n');
        text.extend(vec![b'y'; LINE_LIMIT + 1]);
        text.extend(b"\nz");
        let found = all(&text, 1 << 16, false);
        assert_eq!(found.iter().map(|(line, text)| (*line, text.len())).collect::<Vec<_>>(), [(1, LINE_LIMIT), (2, 8), (3, 1)]);
    }

    #[test]
    fn a_quote_that_swallows_the_file_loses_one_line() {
        let mut text = b"a,\"b\n".to_vec();
        text.extend(b"c,d\n".repeat(LINE_LIMIT));
        let mut lines = Lines::new(&text[..]);
        assert_eq!(lines.next(true).unwrap(), Next::TooLong);
        assert_eq!(lines.next(true).unwrap(), Next::Text(b"c,d"));
        assert_eq!(lines.line(), 2);
    }
}
