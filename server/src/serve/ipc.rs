//! Rows that come as Arrow IPC streams, from anybody.

use std::sync::Arc;

use alluvium::fence;
use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, SchemaRef};
use arrow::ipc::reader::StreamDecoder;

/// The rows of a stream, in the columns of a schema. Says why where it is none, or is of others.
pub(crate) fn decode(bytes: &[u8], schema: &SchemaRef) -> Result<RecordBatch, String> {
    fence(|| read(bytes, schema)).unwrap_or_else(|_| Err("the decoder gave up on it".to_owned()))
}

fn read(bytes: &[u8], schema: &SchemaRef) -> Result<RecordBatch, String> {
    // It takes memory for what is there, not for what is announced.
    let (mut decoder, mut bytes, mut batches) = (StreamDecoder::new(), Buffer::from(bytes), Vec::new());
    while let Some(batch) = decoder.decode(&mut bytes).map_err(|error| error.to_string())? {
        batches.push(arranged(&batch, schema)?);
    }
    decoder.finish().map_err(|error| error.to_string())?;
    concat_batches(schema, &batches).map_err(|error| error.to_string())
}

/// The columns as they are in the schema, whatever their order. Those that are not there are missing in every row.
fn arranged(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let given = batch.schema();
    if let Some(other) = given.fields().iter().find(|field| schema.field_with_name(field.name()).is_err()) {
        return Err(format!("column {:?} is none of those described", other.name()));
    }
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
        Some(column) => Err(format!("column {:?} is {}, described as {}", field.name(), column.data_type(), field.data_type())),
        None if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
        None => Err(format!("column {:?} is missing", field.name())),
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|error| error.to_string())
}
