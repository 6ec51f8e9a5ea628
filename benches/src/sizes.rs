//! Bytes per value of every CSV file in a folder, for both profiles: the whole segment, times included, over the field values
//! present.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium::{Database, FieldType, Inspection, Profile, Settings, TableSpec};
use anyhow::{Context, Result, bail, ensure};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// Rows appended at a time.
const BATCH_ROWS: usize = 10_000;

/// Options of `sizes`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder of CSV files, their first column the time
    folder: PathBuf,
    /// A column that is a tag, as FILE:COLUMN; every other column is a field
    #[arg(long = "tag", value_name = "FILE:COL")]
    tags: Vec<String>,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Directory for the data [default: bench-data in cargo's target directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// A file as columns of text.
struct Csv {
    name: String,
    times: Vec<i64>,
    columns: Vec<TextColumn>,
}

struct TextColumn {
    name: String,
    is_tag: bool,
    kind: FieldType,
    cells: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    files: Vec<FileReport>,
    values: u64,
    bytes_per_value: BTreeMap<&'static str, f64>,
}

#[derive(Serialize)]
struct FileReport {
    file: String,
    rows: u64,
    values: u64,
    bytes: BTreeMap<&'static str, u64>,
    bytes_per_value: BTreeMap<&'static str, f64>,
    columns: Vec<ColumnReport>,
}

#[derive(Serialize)]
struct ColumnReport {
    column: String,
    values: u64,
    encoding: BTreeMap<&'static str, String>,
    bytes: BTreeMap<&'static str, u64>,
}

/// Imports every file twice, once per profile, and prints what it takes.
pub(crate) fn run(options: &Options) -> Result<()> {
    let directory = crate::data_directory(options.dir.as_deref())?;
    let files = read_folder(&options.folder, &options.tags)?;
    let mut inspections = Vec::new();
    for (name, profile) in [("open", Profile::Open), ("compact", Profile::Compact)] {
        inspections.push((name, import(&files, profile, &directory)?));
    }
    let report = report(&files, &inspections)?;
    println!("{}", table(&report));
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

fn read_folder(folder: &Path, tags: &[String]) -> Result<Vec<Csv>> {
    let listing = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let paths = listing.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut paths: Vec<_> = paths.into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "csv")).collect();
    paths.sort();
    ensure!(!paths.is_empty(), "{} has no .csv files", folder.display());
    let mut files = Vec::new();
    let mut unused: Vec<&String> = tags.iter().collect();
    for path in &paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_tag = |column: &str| {
            let full = [format!("{name}:{column}"), format!("{name}.csv:{column}")];
            let before = unused.len();
            unused.retain(|tag| !full.contains(tag));
            unused.len() < before
        };
        files.push(read(path, name.clone(), is_tag).with_context(|| path.display().to_string())?);
    }
    if let Some(tag) = unused.first() {
        bail!("--tag {tag}: there is no such file and column; write FILE:COLUMN as in air.csv:room");
    }
    Ok(files)
}

fn read(path: &Path, name: String, mut is_tag: impl FnMut(&str) -> bool) -> Result<Csv> {
    let mut reader = csv::Reader::from_path(path)?;
    let headers = reader.headers()?.clone();
    let mut columns: Vec<_> = (headers.iter().skip(1))
        .map(|header| TextColumn { name: header.to_owned(), is_tag: is_tag(header), kind: FieldType::Utf8, cells: Vec::new() })
        .collect();
    let mut times = Vec::new();
    for record in reader.records() {
        let record = record?;
        let mut cells = record.iter();
        times.push(time(cells.next().unwrap_or_default())?);
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.cells.push(cell.to_owned());
        }
    }
    for column in columns.iter_mut().filter(|column| !column.is_tag) {
        column.kind = kind(&column.cells);
    }
    Ok(Csv { name, times, columns })
}

/// Microseconds of an ISO 8601 time; without an offset it is UTC.
fn time(text: &str) -> Result<i64> {
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(timestamp.as_microsecond());
    }
    let local: jiff::civil::DateTime = text.parse().with_context(|| format!("{text:?} is not a time"))?;
    Ok(local.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_microsecond())
}

/// The narrowest of int64, float64 and text that holds every cell that is not empty.
fn kind(cells: &[String]) -> FieldType {
    let mut present = cells.iter().filter(|cell| !cell.is_empty());
    if present.clone().all(|cell| cell.parse::<i64>().is_ok()) {
        FieldType::Int64
    } else if present.all(|cell| cell.parse::<f64>().is_ok()) {
        FieldType::Float64
    } else {
        FieldType::Utf8
    }
}

impl TextColumn {
    fn values(&self) -> u64 {
        self.cells.iter().filter(|cell| !cell.is_empty()).count() as u64
    }

    fn array(&self, rows: std::ops::Range<usize>) -> ArrayRef {
        let cells = self.cells[rows].iter().map(String::as_str).map(|cell| (!cell.is_empty()).then_some(cell));
        match self.kind {
            FieldType::Int64 => Arc::new(cells.map(|cell| cell.and_then(|cell| cell.parse().ok())).collect::<Int64Array>()),
            FieldType::Float64 => Arc::new(cells.map(|cell| cell.and_then(|cell| cell.parse().ok())).collect::<Float64Array>()),
            _ => Arc::new(cells.collect::<StringArray>()),
        }
    }
}

fn import(files: &[Csv], profile: Profile, directory: &Path) -> Result<Inspection> {
    let scratch = tempfile::Builder::new().prefix("sizes-").tempdir_in(directory)?;
    let settings = Settings { profile, ..Settings::default() };
    let database = Database::builder().settings(settings).open(scratch.path().join("data"))?;
    for file in files {
        let (tags, fields): (Vec<_>, Vec<_>) = file.columns.iter().partition(|column| column.is_tag);
        let spec = tags.iter().fold(TableSpec::new(&file.name), |spec, tag| spec.tag(&tag.name));
        let spec = fields.iter().fold(spec, |spec, field| spec.field(&field.name, field.kind));
        let schema = database.create_table(spec)?.arrow();
        for first in (0..file.times.len()).step_by(BATCH_ROWS) {
            let rows = first..(first + BATCH_ROWS).min(file.times.len());
            let times = TimestampMicrosecondArray::from(file.times[rows.clone()].to_vec()).with_timezone("UTC");
            let mut columns: Vec<ArrayRef> = vec![Arc::new(times)];
            columns.extend(tags.iter().chain(&fields).map(|column| column.array(rows.clone())));
            database.append(&file.name, &RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
        }
    }
    database.seal()?;
    database.compact()?;
    let inspection = database.inspect()?;
    database.close()?;
    Ok(inspection)
}

fn report(files: &[Csv], inspections: &[(&'static str, Inspection)]) -> Result<Report> {
    let files = files.iter().map(|file| file_report(file, inspections)).collect::<Result<Vec<_>>>()?;
    let values = files.iter().map(|file| file.values).sum();
    let total = |profile| files.iter().filter_map(|file| file.bytes.get(profile)).sum::<u64>() as f64 / values as f64;
    let bytes_per_value = inspections.iter().map(|(profile, _)| (*profile, total(profile))).collect();
    Ok(Report { files, values, bytes_per_value })
}

fn file_report(file: &Csv, inspections: &[(&'static str, Inspection)]) -> Result<FileReport> {
    let columns = file.columns.iter().map(|column| (column.name.clone(), if column.is_tag { 0 } else { column.values() }));
    let mut columns: Vec<_> = std::iter::once(("time".to_owned(), 0))
        .chain(columns)
        .map(|(column, values)| ColumnReport { column, values, encoding: BTreeMap::new(), bytes: BTreeMap::new() })
        .collect();
    let (mut rows, mut values, mut bytes) = (0, 0, BTreeMap::new());
    for (profile, inspection) in inspections {
        let table = inspection.tables.iter().find(|table| table.schema.name == file.name);
        let table = table.with_context(|| format!("table {} is not in the inspection", file.name))?;
        // What is stored, not what was read: rows of the same time and tags merge.
        (rows, values) = (table.rows, table.points);
        bytes.insert(*profile, table.bytes_on_disk);
        for found in &table.columns {
            if let Some(column) = columns.iter_mut().find(|column| column.column == found.name) {
                column.encoding.insert(profile, found.encoding.clone());
                column.bytes.insert(profile, found.bytes);
            }
        }
    }
    let bytes_per_value = bytes.iter().map(|(profile, bytes)| (*profile, *bytes as f64 / values as f64)).collect();
    Ok(FileReport { file: file.name.clone(), rows, values, bytes, bytes_per_value, columns })
}

fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["", "values", "open", "", "compact", ""]);
    for file in &report.files {
        let total = |profile: &str| format!("{:.3}", file.bytes_per_value.get(profile).unwrap_or(&f64::NAN));
        table.add_row([
            file.file.clone(),
            file.values.to_string(),
            total("open"),
            String::new(),
            total("compact"),
            String::new(),
        ]);
        for column in &file.columns {
            // The time and tags of a row are shared by its values.
            let share = if column.values == 0 { file.values } else { column.values };
            let size = |profile: &str| match column.bytes.get(profile) {
                Some(bytes) => format!("{:.3}", *bytes as f64 / share as f64),
                None => String::new(),
            };
            let encoding = |profile: &str| column.encoding.get(profile).cloned().unwrap_or_default();
            let values = if column.values == 0 { String::new() } else { column.values.to_string() };
            let name = format!("  {}", column.column);
            table.add_row([name, values, size("open"), encoding("open"), size("compact"), encoding("compact")]);
        }
    }
    let total = |profile: &str| format!("{:.3}", report.bytes_per_value.get(profile).unwrap_or(&f64::NAN));
    let last = ["all, bytes per value".to_owned(), report.values.to_string(), total("open"), String::new(), total("compact")];
    table.add_row(last);
    for column in table.column_iter_mut().skip(1).step_by(2).take(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_take_the_narrowest_type() {
        let kind = |cells: &[&str]| kind(&cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        assert_eq!(kind(&["1", "", "-20"]), FieldType::Int64);
        assert_eq!(kind(&["1", "2.5", ""]), FieldType::Float64);
        assert_eq!(kind(&["1", "NW"]), FieldType::Utf8);
    }

    #[test]
    fn times_with_and_without_offset() {
        assert_eq!(time("1970-01-01T00:00:01Z").unwrap(), 1_000_000);
        assert_eq!(time("1970-01-01T01:00:01.5+01:00").unwrap(), 1_500_000);
        assert_eq!(time("1970-01-02 00:00:00").unwrap(), 86_400_000_000);
        time("yesterday").unwrap_err();
    }

    #[test]
    fn files_are_read_with_their_tags_and_missing_cells() {
        let folder = tempfile::tempdir().unwrap();
        let text = "time,room,co2\n1970-01-01T00:00:00Z,A,5\n1970-01-01T00:00:01Z,B,\n";
        std::fs::write(folder.path().join("air.csv"), text).unwrap();
        let files = read_folder(folder.path(), &["air.csv:room".to_owned()]).unwrap();
        let [file] = files.as_slice() else { panic!("one file, not {}", files.len()) };
        assert_eq!((file.name.as_str(), file.times.as_slice()), ("air", [0, 1_000_000].as_slice()));
        assert!(file.columns[0].is_tag && !file.columns[1].is_tag);
        assert_eq!((file.columns[1].kind, file.columns[1].values()), (FieldType::Int64, 1));
        assert!(read_folder(folder.path(), &["air:roof".to_owned()]).is_err());
    }
}
