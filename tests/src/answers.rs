//! Record batches as rows of the model, and rows as record batches.

use std::sync::Arc;

use alluvium::{
    Collection, CollectionSpec, Database, DocumentQuery, Error, FieldType, Item, Query, QueueSizes, Result, Scan, TableSchema,
    Where,
};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal64Type, Decimal128Type, Float32Type, Float64Type, Int64Type, TimeUnit, UInt64Type};

use crate::documents::{self, CollectionView};
use crate::model::{Cell, CellRef, Columns, Digest, Row};
use crate::queues::{QueueItem, QueueView};

/// Documents of a page.
const PAGE: usize = 7;

/// The columns of a table, as the model has them.
pub fn columns(schema: &TableSchema) -> Columns {
    Columns {
        tags: schema.tags.iter().map(|tag| tag.name.clone()).collect(),
        fields: schema.fields.iter().map(|field| (field.name.clone(), field.kind)).collect(),
    }
}

/// Rows as a batch for a table; rows made for an older schema lack the columns added since.
pub fn batch(schema: &TableSchema, rows: &[Row]) -> RecordBatch {
    let arrow = schema.arrow();
    let mut arrays = vec![times(arrow.field(0).data_type(), rows)];
    for tag in 0..schema.tags.len() {
        let values = rows.iter().map(|row| row.key.get(tag).and_then(Option::as_deref));
        arrays.push(Arc::new(values.collect::<StringArray>()));
    }
    for (position, field) in schema.fields.iter().enumerate() {
        let cells: Vec<_> = rows.iter().map(|row| row.cells.get(position).and_then(Option::as_ref)).collect();
        arrays.push(column(field.kind, &cells));
    }
    RecordBatch::try_new(arrow, arrays).expect("columns of one length")
}

fn times(kind: &DataType, rows: &[Row]) -> ArrayRef {
    let times = rows.iter().map(|row| row.time);
    match kind {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        _ => Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
    }
}

/// Collects the values of one kind of cell.
macro_rules! collect {
    ($cells:expr, $array:ty, $variant:ident => $value:expr) => {
        Arc::new(
            $cells
                .iter()
                .map(|cell| match cell {
                    Some(Cell::$variant(value)) => Some($value(value)),
                    Some(other) => panic!("a cell of another type: {other:?}"),
                    None => None,
                })
                .collect::<$array>(),
        )
    };
}

fn column(kind: FieldType, cells: &[Option<&Cell>]) -> ArrayRef {
    match kind {
        FieldType::Float64 => collect!(cells, Float64Array, Float => |bits: &u64| f64::from_bits(*bits)),
        FieldType::Float32 => collect!(cells, Float32Array, Single => |bits: &u32| f32::from_bits(*bits)),
        FieldType::Int64 => collect!(cells, Int64Array, Integer => |value: &i64| *value),
        FieldType::UInt64 => collect!(cells, UInt64Array, Unsigned => |value: &u64| *value),
        FieldType::Bool => collect!(cells, BooleanArray, Flag => |value: &bool| *value),
        FieldType::Utf8 => collect!(cells, StringArray, Text => String::as_str),
        FieldType::Binary => collect!(cells, BinaryArray, Bytes => Vec::as_slice),
        FieldType::Decimal { .. } => {
            let array: Arc<Decimal64Array> = collect!(cells, Decimal64Array, Decimal => |value: &i64| *value);
            Arc::new((*array).clone().with_data_type(kind.arrow()))
        }
    }
}

/// All rows that a query answers.
pub fn rows(db: &Database, query: &Query) -> Result<Vec<Row>> {
    let tags = db.table(&query.table)?.tags.len();
    let mut rows = Vec::new();
    for batch in db.query(query)? {
        read(&batch?, tags, &mut rows);
    }
    Ok(rows)
}

/// The rows of a batch of time, so many tags, and values. Where there is no time column, time is 0.
pub fn read(batch: &RecordBatch, tags: usize, rows: &mut Vec<Row>) {
    let timed = batch.num_columns() > 0 && batch.schema().field(0).name() == "time";
    let times = timed.then(|| cast(batch.column(0), &DataType::Int64).expect("times are integers"));
    let (tags, values) = batch.columns()[usize::from(timed)..].split_at(tags);
    for row in 0..batch.num_rows() {
        let key = tags.iter().map(|tag| {
            let tag = tag.as_string::<i32>();
            tag.is_valid(row).then(|| tag.value(row).to_owned())
        });
        let time = times.as_ref().map_or(0, |times| times.as_primitive::<Int64Type>().value(row));
        rows.push(Row {
            key: key.collect(),
            time,
            cells: values.iter().map(|column| cell(column, row).map(CellRef::owned)).collect(),
        });
    }
}

/// One value of an answer.
pub fn cell(column: &ArrayRef, row: usize) -> Option<CellRef<'_>> {
    column.is_valid(row).then(|| match column.data_type() {
        DataType::Float64 => CellRef::Word(0, column.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Float32 => CellRef::Word(1, u64::from(column.as_primitive::<Float32Type>().value(row).to_bits())),
        DataType::Int64 => CellRef::Word(2, column.as_primitive::<Int64Type>().value(row).cast_unsigned()),
        DataType::UInt64 => CellRef::Word(3, column.as_primitive::<UInt64Type>().value(row)),
        DataType::Boolean => CellRef::Word(4, u64::from(column.as_boolean().value(row))),
        DataType::Decimal64(..) => CellRef::Word(5, column.as_primitive::<Decimal64Type>().value(row).cast_unsigned()),
        DataType::Utf8 => CellRef::Bytes(6, column.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => CellRef::Bytes(7, column.as_binary::<i32>().value(row)),
        DataType::Decimal128(..) => CellRef::Wide(column.as_primitive::<Decimal128Type>().value(row)),
        other => panic!("a column of {other}"),
    })
}

/// A number that all that can be read from a database determines: that of [`crate::model::Model::digest`] if they hold the same.
pub fn digest(db: &Database) -> Result<u64> {
    digest_without(db, "")
}

/// The same, but for one table.
pub fn digest_without(db: &Database, table: &str) -> Result<u64> {
    let mut digest = Digest::default();
    for schema in db.tables().into_iter().filter(|schema| schema.name != table) {
        digest.table(&schema.name, &columns(&schema));
        for batch in db.query(&Query::table(&schema.name))? {
            add(&mut digest, &batch?, schema.tags.len());
        }
    }
    db.kv().scan(&Scan::of(""))?.iter().for_each(|(key, pair)| digest.pair(key, &pair.value));
    for spec in db.queues()? {
        digest.queue(&spec.name, &queue(db, &spec.name)?);
    }
    for spec in db.collections().list()? {
        digest.collection(&spec.name, &collection(db, &spec)?);
    }
    Ok(digest.finish())
}

/// What can be read from a queue.
pub fn queue(db: &Database, name: &str) -> Result<QueueView> {
    let item = |Item { id, priority, tries, payload, .. }: Item| QueueItem { id, priority, tries, payload };
    let queue = db.queue(name);
    let waiting: Vec<_> = queue.peek(usize::MAX)?.into_iter().map(item).collect();
    let dead: Vec<_> = queue.dead(0, usize::MAX)?.into_iter().map(item).collect();
    let QueueSizes { ready, scheduled, leased, delayed, dead: dead_count } = queue.sizes()?;
    let counted = (ready, dead_count) == (waiting.len() as u64, dead.len() as u64);
    counted.then_some(()).ok_or_else(|| Error::Internal(format!("queue {name} counts otherwise than it lists")))?;
    Ok(QueueView { waiting, dead, others: [scheduled, leased, delayed] })
}

/// What can be read from a collection.
pub fn collection(db: &Database, spec: &CollectionSpec) -> Result<CollectionView> {
    let (documents, name) = (db.collection(&spec.name), &spec.name);
    let indexed = spec.indexes.iter().any(|index| index.name == documents::INDEX);
    let mut view = CollectionView { indexed, ..CollectionView::default() };
    for id in documents::ids() {
        if let Some(document) = documents.get_deleted(&id)? {
            let of = if document.deleted_at.is_some() { &mut view.deleted } else { &mut view.documents };
            of.insert(id.clone(), document.content.to_string());
        }
        let before = documents.history(&id)?;
        if !before.is_empty() {
            view.before.insert(id, before.iter().map(|document| document.content.to_string()).collect());
        }
    }
    view.by_n = listed(&documents, DocumentQuery::new().ascending("n")?)?;
    let mut by_id = listed(&documents, DocumentQuery::new())?;
    by_id.sort_unstable();
    let same = by_id.iter().eq(view.documents.keys()) && documents.count(Where::all())? == by_id.len() as u64;
    same.then_some(view).ok_or_else(|| Error::Internal(format!("collection {name} lists others than it has: {by_id:?}")))
}

/// The ids that a query answers, page by page.
fn listed(documents: &Collection<&Database>, query: DocumentQuery) -> Result<Vec<String>> {
    let query = query.limit(PAGE);
    let mut page = documents.query(&query)?;
    let mut ids = Vec::new();
    loop {
        ids.extend(page.documents.into_iter().map(|document| document.id));
        let Some(cursor) = page.cursor else { return Ok(ids) };
        page = documents.query(&query.clone().after(&cursor))?;
    }
}

fn add(digest: &mut Digest, batch: &RecordBatch, tags: usize) {
    let times = cast(batch.column(0), &DataType::Int64).expect("times are integers");
    let times = times.as_primitive::<Int64Type>().values();
    let (tags, fields) = batch.columns()[1..].split_at(tags);
    let tags: Vec<_> = tags.iter().map(|tag| tag.as_string::<i32>()).collect();
    for (row, &time) in times.iter().enumerate() {
        digest.time(time);
        tags.iter().for_each(|tag| digest.tag(tag.is_valid(row).then(|| tag.value(row))));
        fields.iter().for_each(|field| digest.cell(cell(field, row)));
    }
}
