//! A sink in memory, and imports into it, for the tests of all formats.

use std::io::Write;
use std::sync::Arc;

use alluvium::model::TableId;
use alluvium::{FieldType, TableSchema, TableSpec};
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use fastrand::Rng;

use super::Failure;
use super::run::{OnError, Report, Sink, run};
use super::schema::Wishes;
use super::source::{Format, Source};

/// One table, in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) schema: Option<Arc<TableSchema>>,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) acknowledged: Vec<u64>,
    pub(crate) notes: Vec<String>,
    /// Refuses to append after so many batches.
    pub(crate) full_after: Option<usize>,
}

impl Sink for Memory {
    fn table(&self, _name: &str) -> Result<Option<Arc<TableSchema>>, Failure> {
        Ok(self.schema.clone())
    }

    fn create_table(&mut self, spec: TableSpec) -> Result<(), Failure> {
        assert!(self.schema.is_none());
        let empty = TableSchema {
            id: TableId(0),
            name: spec.name,
            version: 0,
            time_unit: spec.time_unit,
            partitioning: spec.partitioning,
            tags: Vec::new(),
            fields: Vec::new(),
        };
        self.schema = Some(Arc::new(empty.extended(&spec.tags, &spec.fields)?));
        Ok(())
    }

    fn add_columns(&mut self, _table: &str, tags: &[String], fields: &[(String, FieldType)]) -> Result<(), Failure> {
        let schema = self.schema.as_ref().expect("the table exists");
        self.schema = Some(Arc::new(schema.extended(tags, fields)?));
        Ok(())
    }

    /// Holds every batch against the schema, as the engine does.
    fn append(&mut self, _table: &str, rows: &RecordBatch) -> Result<(), Failure> {
        if self.full_after == Some(self.batches.len()) {
            return Err(Failure::Engine(alluvium::Error::DiskFull { path: "x".into() }));
        }
        let schema = self.schema.as_ref().expect("the table exists").arrow();
        for field in rows.schema_ref().fields() {
            assert_eq!(schema.field_with_name(field.name()).expect("a column of the table").data_type(), field.data_type());
        }
        rows.column(0).to_data().validate_full().expect("sound data");
        self.batches.push(rows.clone());
        Ok(())
    }

    fn durable(&mut self, rows: u64) -> Result<(), Failure> {
        self.acknowledged.push(rows);
        Ok(())
    }

    fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }
}

impl Memory {
    /// A sink in which a table exists.
    pub(crate) fn with_table(spec: TableSpec) -> Memory {
        let mut memory = Memory::default();
        memory.create_table(spec).expect("a sound table");
        memory
    }

    /// `name type` of every column, tags first.
    pub(crate) fn columns(&self) -> String {
        let Some(schema) = &self.schema else { return "no table".to_owned() };
        let tags = schema.tags.iter().map(|tag| format!("{} tag", tag.name));
        let fields = schema.fields.iter().map(|field| format!("{} {}", field.name, field.kind));
        tags.chain(fields).collect::<Vec<_>>().join(", ")
    }

    /// The values of all rows, time first, then the table's columns; missing ones are `-`, text is in quotes.
    pub(crate) fn rows(&self) -> Vec<String> {
        let Some(schema) = &self.schema else { return Vec::new() };
        let arrow = schema.arrow();
        let options = FormatOptions::default().with_null("-");
        let mut rows = Vec::new();
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                let cells = arrow.fields().iter().map(|field| {
                    let Some(column) = batch.column_by_name(field.name()) else { return "-".to_owned() };
                    let text = cell(column, row, &options);
                    let quoted = matches!(field.data_type(), DataType::Utf8) && column.is_valid(row);
                    if quoted { format!("{text:?}") } else { text }
                });
                rows.push(cells.collect::<Vec<_>>().join(" "));
            }
        }
        rows
    }

    /// Imports into it.
    pub(crate) fn import(
        &mut self,
        format: Format,
        input: &[u8],
        wishes: &Wishes,
        on_error: OnError,
    ) -> (Report, Result<(), Failure>) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(input).expect("room for it");
        let source = Source::new(file.path(), Some(format)).expect("a format");
        run(&source, wishes, on_error, self)
    }
}

fn cell(column: &ArrayRef, row: usize, options: &FormatOptions<'_>) -> String {
    if let DataType::Timestamp(unit, _) = column.data_type() {
        let data = column.to_data().into_builder().data_type(DataType::Timestamp(*unit, None));
        let plain = arrow::array::make_array(data.build().unwrap());
        return format!("{}Z", ArrayFormatter::try_new(&plain, options).unwrap().value(row));
    }
    ArrayFormatter::try_new(column, options).unwrap().value(row).to_string()
}

/// The rows of a batch, `NAME=VALUE` of what is there, time first.
pub(crate) fn shown(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default();
    let columns = || batch.schema_ref().fields().iter().zip(batch.columns());
    let row = |row: usize| {
        let there = columns().filter(|(_, column)| column.is_valid(row));
        there.map(|(field, column)| format!("{}={}", field.name(), cell(column, row, &options))).collect::<Vec<_>>().join(" ")
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Wishes for nothing in particular.
pub(crate) fn wishes() -> Wishes {
    Wishes { table: "t".to_owned(), batch_rows: 1000, ..Wishes::default() }
}

/// A first import of sound input.
pub(crate) fn imported(format: Format, input: &str, wishes: &Wishes) -> Memory {
    let mut memory = Memory::default();
    let (report, outcome) = memory.import(format, input.as_bytes(), wishes, OnError::Abort);
    outcome.expect("sound input");
    assert_eq!(report.rows, memory.batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    memory
}

/// The reason why nothing could be imported at all.
pub(crate) fn refused(format: Format, input: &[u8], wishes: &Wishes) -> String {
    let mut memory = Memory::default();
    let (report, outcome) = memory.import(format, input, wishes, OnError::Abort);
    assert_eq!(report, Report::default());
    assert!(memory.schema.is_none(), "a table was made");
    match outcome {
        Err(Failure::Input(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// The bad rows of an import that skips them: `LINE: REASON`.
pub(crate) fn rejected(format: Format, input: &[u8], wishes: &Wishes) -> (Memory, Vec<String>) {
    let mut memory = Memory::default();
    let (report, outcome) = memory.import(format, input, wishes, OnError::Skip);
    outcome.expect("bad rows are skipped");
    let named = report.first_rejected.iter().map(|row| format!("{}: {}", row.line, row.reason)).collect();
    (memory, named)
}

/// Randomness that begins with `ALLUVIUM_SEED`, or else with the moment, and says so.
pub(crate) fn random() -> Rng {
    let named = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok());
    let seed = named.unwrap_or_else(|| fastrand::u64(..));
    println!("ALLUVIUM_SEED={seed}");
    Rng::with_seed(seed)
}

/// Up to `longest` letters of an alphabet.
pub(crate) fn random_text(random: &mut Rng, alphabet: &str, longest: usize) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    (0..random.usize(..=longest)).filter_map(|_| random.choice(&letters)).collect()
}
