//! Segment files and Parquet files. The first byte chooses what the others are:
//!
//! - a layout (preceded by its length in two bytes) and the file that it speaks of;
//! - a segment file, as it is found when catalog and log are lost;
//! - a Parquet file of somebody else.
//!
//! Checksums are made right, so that the decoders behind them are reached. Every page then has the rows that the layout says, or
//! is refused as damaged.

use std::path::Path;
use std::sync::Arc;

use alluvium::internals::{adopt, read_as_told};
use alluvium::io::{Disk, File, MemoryDisk, OpenMode};
use alluvium::model::TableId;
use alluvium::record::SegmentId;
use alluvium::{Error, ParquetReader};

use crate::input::Input;

/// The first byte of an input with a layout of its own.
pub const TOLD: u8 = 0;
/// The first byte of an input that is a segment file.
pub const OURS: u8 = 1;
/// The first byte of an input that is a Parquet file.
pub const FOREIGN: u8 = 2;
/// Rows asked for at a time of a foreign file.
const BATCH_ROWS: usize = 1_000;

/// One input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 3 {
        TOLD => {
            let layout = input.sized();
            refused_as_damaged(read_as_told(layout, input.0).map(drop));
        }
        OURS => refused_as_damaged(adopt(TableId(0), SegmentId(1), input.0).map(drop)),
        _ => foreign(input.0),
    }
}

fn refused_as_damaged(outcome: alluvium::Result<()>) {
    if let Err(error) = outcome {
        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    }
}

fn foreign(bytes: &[u8]) {
    let reader = ParquetReader::open(file(bytes), BATCH_ROWS);
    let Ok(reader) = reader.map_err(|error| assert!(is_refusal(&error), "{error:?}")) else { return };
    let (declared, columns) = (reader.rows(), reader.columns().to_vec());
    let (mut rows, mut whole) = (0, true);
    for batch in reader {
        match batch {
            Ok(batch) => {
                assert!((1..=BATCH_ROWS).contains(&batch.num_rows()), "{} rows in a batch", batch.num_rows());
                assert_eq!(batch.num_columns(), columns.len());
                for (array, column) in batch.columns().iter().zip(&columns) {
                    assert_eq!(*array.data_type(), column.kind.arrow(), "{column:?}");
                }
                rows += batch.num_rows() as u64;
            }
            Err(error) => {
                assert!(is_refusal(&error), "{error:?}");
                whole = false;
            }
        }
    }
    assert!(!whole || columns.is_empty() || rows == declared, "{rows} rows of {declared}");
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Invalid(_) | Error::Arrow(_))
}

fn file(bytes: &[u8]) -> Arc<dyn File> {
    let disk = MemoryDisk::new();
    let file = disk.open(Path::new("foreign.parquet"), OpenMode::CreateNew).expect("a new file in memory");
    file.write_all_at(0, bytes).expect("room in memory");
    file
}
