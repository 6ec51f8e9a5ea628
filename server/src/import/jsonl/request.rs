//! Rows as JSON objects that come in a request, for one table: all of them are sound, or none is taken.

use alluvium::{BadRow, Error, TableSchema, TimeUnit};

use super::object::visit_object;
use crate::import::EpochUnit;
use crate::import::column::{Misfit, Role, shorten};
use crate::import::request::{MOST_BYTES, Part, too_many};
use crate::import::rows::{Rows, TIME};
use crate::import::time::parse_time;

/// Bad rows that are named one by one.
const NAMED: usize = 100;

/// Reads rows of a table.
pub(crate) struct Objects<'t> {
    table: &'t str,
    /// The unit of integer times.
    unit: EpochUnit,
    /// Which columns that the table lacks are tags; none is made where there is nothing.
    made: Option<&'t [String]>,
    rows: Rows,
    /// Rows so far, bad ones too.
    count: usize,
    bad: Vec<BadRow>,
}

impl<'t> Objects<'t> {
    /// For a table that is there, or is to be made.
    pub(crate) fn new(table: &'t str, schema: Option<&TableSchema>, unit: EpochUnit, made: Option<&'t [String]>) -> Self {
        let new = || Rows::of_new_table(TimeUnit::default(), MOST_BYTES);
        let rows = schema.map_or_else(new, |schema| Rows::of_table(schema, MOST_BYTES));
        Objects { table, unit, made, rows, count: 0, bad: Vec::new() }
    }

    /// Takes a row, or notes what is wrong with it.
    pub(crate) fn take(&mut self, object: &str) -> Result<(), Error> {
        let taken = self.take_object(object);
        if self.rows.is_over() {
            return Err(too_many(self.rows.bytes()));
        }
        self.note(taken);
        Ok(())
    }

    /// Bytes that the rows take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.bytes()
    }

    fn note(&mut self, taken: Result<(), Misfit>) {
        if let Err(Misfit { column, reason, .. }) = taken {
            self.rows.abandon_row();
            if self.bad.len() < NAMED {
                self.bad.push(BadRow { row: self.count, column, reason });
            }
        }
        self.count += 1;
    }

    fn take_object(&mut self, object: &str) -> Result<(), Misfit> {
        let (rows, unit, made, mut guess) = (&mut self.rows, self.unit, self.made, 0);
        visit_object(object, &mut |key, cell| {
            if key == TIME {
                let moment = parse_time(cell.text, Some(unit));
                return rows.set_time(moment.map_err(|error| Misfit::new(TIME, format!("{} {error}", shorten(cell.text))))?);
            }
            let column = match (rows.find(key, guess), made) {
                (Some(column), _) => column,
                (None, None) => return Err(Misfit::new(key, "the table has no such column: add it, or write with \"create\"")),
                (None, Some(tags)) if tags.iter().any(|tag| tag == key) => rows.find_or_add(key, guess, Role::Tag)?,
                (None, Some(_)) => rows.find_or_add(key, guess, Role::Undecided)?,
            };
            guess = column + 1;
            if rows.spec(column).is_some_and(|spec| spec.role == Role::Tag) && !cell.quoted {
                return Err(Misfit::new(key, format!("{} is no text, and a tag is", shorten(cell.text))));
            }
            rows.set(column, cell)
        })?;
        if rows.is_finer() {
            return Err(Misfit::new(TIME, "the time is finer than the table's unit of time"));
        }
        rows.end_row()
    }

    /// The rows, if all are sound.
    pub(crate) fn finish(mut self) -> Result<Part, Error> {
        if !self.bad.is_empty() {
            return Err(Error::BadRows { table: self.table.to_owned(), rows: self.bad });
        }
        let tags = self.rows.tags();
        Ok(Part { table: self.table.to_owned(), batch: self.rows.take()?, tags })
    }
}

#[cfg(test)]
mod tests;
