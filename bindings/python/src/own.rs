//! Rows of others in memory of our own.
//!
//! The memory of others may be changed behind our back, as that of NumPy can, and is theirs to free, for which some need Python; the engine keeps rows
//! for longer than the call that brought them. So nothing is believed of their memory before it is copied, and what was copied is checked.

use alluvium::Error;
use arrow::array::{Array, ArrayRef, AsArray, MutableArrayData, RecordBatch, RecordBatchOptions, make_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};

use crate::capsule::checked;
use crate::error::Outcome;

/// The same rows in memory of our own.
pub(crate) fn copy(batch: &RecordBatch) -> Outcome<RecordBatch> {
    let columns = batch.columns().iter().map(copy_column).collect::<Outcome<Vec<_>>>()?;
    let fields = batch.schema_ref().fields().iter().zip(&columns);
    let fields: Vec<_> = fields.map(|(field, column)| (**field).clone().with_data_type(column.data_type().clone())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Schema::new(fields).into(), columns, &options).map_err(Error::from)?)
}

fn copy_column(column: &ArrayRef) -> Outcome<ArrayRef> {
    match column.data_type() {
        // Copied as they are, these would still point to what others have.
        DataType::Utf8View => plain(column, &DataType::Utf8),
        DataType::BinaryView => plain(column, &DataType::Binary),
        DataType::Dictionary(_, values) => copy_column(&plain(column, values)?),
        _ => copy_buffers(column),
    }
}

fn plain(column: &ArrayRef, kind: &DataType) -> Outcome<ArrayRef> {
    Ok(cast(&checked(column.clone())?, kind).map_err(Error::from)?)
}

fn copy_buffers(column: &ArrayRef) -> Outcome<ArrayRef> {
    let data = column.to_data();
    let mut copy = MutableArrayData::new(vec![&data], false, data.len());
    copy.try_extend(0, 0, data.len()).map_err(Error::from)?;
    Ok(checked(make_array(copy.freeze()))?)
}

/// The first rows, as many as are within so many bytes, or a little less; one row at least.
pub(crate) fn first_rows(batch: &RecordBatch, most_bytes: usize) -> Outcome<RecordBatch> {
    let mut first = batch.clone();
    while first.num_rows() > 1 && size(&first)? > most_bytes {
        first = first.slice(0, first.num_rows().div_ceil(2));
    }
    Ok(first)
}

/// Bytes of some rows, without what slices of the same rows have in common.
pub(crate) fn size(batch: &RecordBatch) -> Outcome<usize> {
    batch.columns().iter().map(column_size).sum()
}

fn column_size(column: &ArrayRef) -> Outcome<usize> {
    let texts = |lengths: &mut dyn Iterator<Item = u32>| lengths.map(|length| length as usize + size_of::<u128>()).sum();
    Ok(match column.data_type() {
        DataType::Utf8View => texts(&mut column.as_string_view().lengths()),
        DataType::BinaryView => texts(&mut column.as_binary_view().lengths()),
        DataType::Dictionary(..) => column.as_any_dictionary().keys().to_data().get_slice_memory_size().map_err(Error::from)?,
        _ => column.to_data().get_slice_memory_size().map_err(Error::from)?,
    })
}
