//! CSV with a header. Empty cells are missing; a cell `""` is empty text in a column of text.

mod record;

use std::io::Read;

use super::column::Cell;
use super::infer::Guess;
use super::lines::{LINE_LIMIT, Lines, Next};
use super::rows::Rows;
use super::schema::{Decision, Seen, SeenColumn, Wishes};
use super::source::Look;
use super::time::parse_time;
use super::{BadRow, EpochUnit, Failure, Outcome, RowReader};
use record::{Splitter, delimiter_of};

/// Looks at the header and the first rows.
pub(crate) fn look(lines: &mut Lines<Look>, wishes: &Wishes) -> Result<Seen, Failure> {
    let header = Header::read(lines)?;
    let mut guesses = vec![Guess::default(); header.names.len()];
    let mut splitter = Splitter::new(header.delimiter);
    loop {
        let text = match lines.next(true)? {
            Next::Text(text) => std::str::from_utf8(text).map(str::to_owned),
            Next::TooLong => continue,
            Next::End => break,
        };
        if !lines.is_terminated() && lines.input().is_cut() {
            break;
        }
        // Bad rows are told when rows are read.
        let Ok(text) = text else { continue };
        match splitter.split(&text) {
            Ok(cells) if cells == guesses.len() => {
                for (index, guess) in guesses.iter_mut().enumerate() {
                    guess.observe(Cell { text: splitter.cell(&text, index).text, quoted: false }, wishes.unit);
                }
            }
            Ok(_) => {}
            Err(_) => lines.back_to_second_line(),
        }
    }
    let columns = header.names.into_iter().zip(&guesses).map(|(name, guess)| SeenColumn::new(name, guess)).collect();
    Ok(Seen { columns, own_time: None })
}

struct Header {
    names: Vec<String>,
    delimiter: u8,
}

impl Header {
    fn read<R: Read>(lines: &mut Lines<R>) -> Result<Header, Failure> {
        lines.skip_byte_order_mark()?;
        let text = loop {
            match lines.next(true)? {
                Next::Text(text) if text.trim_ascii().is_empty() => {}
                Next::Text(text) => break text.to_vec(),
                Next::TooLong => return Err(Failure::Input(too_long(lines.line()))),
                Next::End => return Err(Failure::Input("it is empty: the first line names the columns".to_owned())),
            }
        };
        let line = lines.line();
        let text = String::from_utf8(text).map_err(|_| Failure::Input(format!("line {line}: the header is not UTF-8 text")))?;
        let delimiter = delimiter_of(&text);
        let mut splitter = Splitter::new(delimiter);
        let cells = splitter.split(&text).map_err(|error| Failure::Input(format!("line {line}: {}", error.reason())))?;
        let names: Vec<_> = (0..cells).map(|index| name_of(splitter.cell(&text, index))).collect();
        match names.iter().position(String::is_empty) {
            Some(index) => Err(Failure::Input(format!("line {line}: column {} has no name: give it one", index + 1))),
            None => Ok(Header { names, delimiter }),
        }
    }
}

/// Spaces around a name are no part of it, unless in quotes.
fn name_of(cell: Cell<'_>) -> String {
    if cell.quoted { cell.text } else { cell.text.trim() }.to_owned()
}

fn too_long(line: u64) -> String {
    format!("line {line} has more than {} MiB; is a quote never closed?", LINE_LIMIT >> 20)
}

/// Where the cells of a column go.
#[derive(Debug, Clone, Copy)]
enum Target {
    Time,
    Column(usize),
}

/// Reads rows.
pub(crate) struct Reader<R> {
    lines: Lines<R>,
    splitter: Splitter,
    targets: Vec<Target>,
    unit: Option<EpochUnit>,
}

impl<R: Read + Send> Reader<R> {
    /// Reads the header anew, which has to be as it was.
    pub(crate) fn new(input: R, decision: &Decision, wishes: &Wishes) -> Result<Self, Failure> {
        let mut lines = Lines::new(input);
        let header = Header::read(&mut lines)?;
        let target = |name: &String| {
            if decision.time.as_ref() == Some(name) {
                return Some(Target::Time);
            }
            decision.columns.iter().position(|column| column.name == *name).map(Target::Column)
        };
        let targets = header.names.iter().map(target).collect::<Option<_>>();
        let targets = targets.ok_or_else(|| Failure::Input("its header changed while it was read".to_owned()))?;
        Ok(Reader { lines, splitter: Splitter::new(header.delimiter), targets, unit: wishes.unit })
    }
}

impl<R: Read + Send> RowReader for Reader<R> {
    fn read_row(&mut self, rows: &mut Rows) -> Result<Outcome, Failure> {
        loop {
            let reason = match self.lines.next(true)? {
                Next::Text([]) => continue,
                Next::Text(text) => {
                    let taken = match std::str::from_utf8(text) {
                        Ok(record) => take_record(record, &mut self.splitter, &self.targets, self.unit, rows),
                        Err(error) => Err((format!("not UTF-8 text (at byte {})", error.valid_up_to() + 1), true)),
                    };
                    match taken {
                        Ok(()) => return Ok(Outcome::Row),
                        Err((reason, false)) => reason,
                        Err((reason, true)) => {
                            self.lines.back_to_second_line();
                            reason
                        }
                    }
                }
                Next::TooLong => format!("more than {} MiB; is a quote never closed?", LINE_LIMIT >> 20),
                Next::End => return Ok(Outcome::End),
            };
            rows.abandon_row();
            return Ok(Outcome::Bad(BadRow { line: self.lines.line(), reason }));
        }
    }
}

/// Puts a record into `rows`. An error says why not, and whether the record's extent is in doubt.
fn take_record(
    record: &str,
    splitter: &mut Splitter,
    targets: &[Target],
    unit: Option<EpochUnit>,
    rows: &mut Rows,
) -> Result<(), (String, bool)> {
    let cells = splitter.split(record).map_err(|malformed| (malformed.reason().to_owned(), true))?;
    if cells != targets.len() {
        return Err((format!("{cells} cells, but the header names {}", targets.len()), false));
    }
    for (index, target) in targets.iter().enumerate() {
        let cell = splitter.cell(record, index);
        let taken = match *target {
            Target::Time if cell.text.is_empty() => Ok(()),
            Target::Time => match parse_time(cell.text, unit) {
                Ok(moment) => rows.set_time(moment).map_err(String::from),
                Err(error) => Err(format!("{} {error}", super::column::shorten(cell.text))),
            },
            Target::Column(column) => {
                let quoted = cell.quoted && cell.text.is_empty();
                rows.set(column, Cell { quoted, ..cell }).map_err(String::from)
            }
        };
        taken.map_err(|reason| (reason, false))?;
    }
    rows.end_row().map_err(|misfit| (misfit.into(), false))
}

#[cfg(test)]
mod tests;
