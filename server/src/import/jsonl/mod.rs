//! JSON lines: one object of plain values per line. What is absent or `null` is missing.

pub(super) mod object;
pub(super) mod request;

use std::collections::HashMap;
use std::io::Read;

use super::column::{Cell, Misfit, Role, shorten};
use super::infer::Guess;
use super::lines::{LINE_LIMIT, Lines, Next};
use super::rows::{Rows, TIME, check_name};
use super::schema::{Decision, Seen, SeenColumn, Wishes};
use super::source::Look;
use super::time::parse_time;
use super::{BadRow, EpochUnit, Failure, Outcome, RowReader};
use alluvium::format::limits;
use object::visit_object;

/// Looks at the first rows. Keys that only later rows have become columns when they come.
pub(crate) fn look(lines: &mut Lines<Look>, wishes: &Wishes) -> Result<Seen, Failure> {
    lines.skip_byte_order_mark()?;
    let mut columns: Vec<(String, Guess)> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut empty = true;
    loop {
        let text = match lines.next(false)? {
            Next::Text(text) => text.to_vec(),
            Next::TooLong => continue,
            Next::End => break,
        };
        empty &= text.trim_ascii().is_empty();
        if !lines.is_terminated() && lines.input().is_cut() {
            break;
        }
        let Ok(text) = std::str::from_utf8(&text) else { continue };
        // Bad rows are told when rows are read.
        let unwanted = || Misfit::new("", "");
        let _ = visit_object(text, &mut |key, cell| {
            let position = match positions.get(key) {
                Some(position) => *position,
                None if key != TIME && check_name(key).is_err() => return Err(unwanted()),
                None if columns.len() as u64 > limits::COLUMNS => return Err(unwanted()),
                None => {
                    positions.insert(key.to_owned(), columns.len());
                    columns.push((key.to_owned(), Guess::default()));
                    columns.len() - 1
                }
            };
            if let Some((_, guess)) = columns.get_mut(position) {
                guess.observe(cell, wishes.unit);
            }
            Ok(())
        });
    }
    if empty {
        return Err(Failure::Input("it is empty: each line should be a JSON object".to_owned()));
    }
    let columns = columns.into_iter().map(|(name, guess)| SeenColumn::new(name, &guess)).collect();
    Ok(Seen { columns, own_time: None })
}

/// Reads rows.
pub(crate) struct Reader<R> {
    lines: Lines<R>,
    time: String,
    unit: Option<EpochUnit>,
}

impl<R: Read + Send> Reader<R> {
    pub(crate) fn new(input: R, decision: &Decision, wishes: &Wishes) -> Result<Self, Failure> {
        let mut lines = Lines::new(input);
        lines.skip_byte_order_mark()?;
        Ok(Reader { lines, time: decision.time.clone().unwrap_or_default(), unit: wishes.unit })
    }
}

impl<R: Read + Send> RowReader for Reader<R> {
    fn read_row(&mut self, rows: &mut Rows) -> Result<Outcome, Failure> {
        loop {
            let reason = match self.lines.next(false)? {
                Next::Text(text) if text.trim_ascii().is_empty() => continue,
                Next::Text(text) => match std::str::from_utf8(text) {
                    Ok(line) => match take_object(line, &self.time, self.unit, rows) {
                        Ok(()) => return Ok(Outcome::Row),
                        Err(misfit) => misfit.into(),
                    },
                    Err(error) => format!("not UTF-8 text (at byte {})", error.valid_up_to() + 1),
                },
                Next::TooLong => format!("more than {} MiB", LINE_LIMIT >> 20),
                Next::End => return Ok(Outcome::End),
            };
            rows.abandon_row();
            return Ok(Outcome::Bad(BadRow { line: self.lines.line(), reason }));
        }
    }
}

fn take_object(line: &str, time: &str, unit: Option<EpochUnit>, rows: &mut Rows) -> Result<(), Misfit> {
    let mut guess = 0;
    visit_object(line, &mut |key, cell: Cell<'_>| {
        if key == time {
            let moment = parse_time(cell.text, unit);
            let moment = moment.map_err(|error| Misfit::new(TIME, format!("{} {error}", shorten(cell.text))))?;
            return rows.set_time(moment);
        }
        let column = rows.find_or_add(key, guess, Role::Undecided)?;
        guess = column + 1;
        rows.set(column, cell)
    })?;
    rows.end_row()
}

#[cfg(test)]
mod tests;
