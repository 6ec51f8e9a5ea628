//! ALP (Afroozeh, Kuffo, Boncz: "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2023), as the parquet crate has it.
//!
//! The crate offers its encodings only through whole columns, so one page of a column without nulls is written to memory, and
//! read back from there.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use parquet::basic::{Compression, Encoding, Type as ParquetType};
use parquet::column::page::{CompressedPage, Page, PageMetadata, PageReader, PageWriteSpec, PageWriter};
use parquet::column::reader::ColumnReaderImpl;
use parquet::column::writer::{ColumnWriterImpl, get_column_writer, get_typed_column_writer};
use parquet::data_type::{DataType, DoubleType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, ColumnPath, Type};

use super::Malformed;
use super::values::Values;
use crate::error::{Error, Result};

/// Values looked at before the writer sees whether a page is full: more than a page has, so that it never cuts one in two.
const BATCH_VALUES: usize = 1 << 20;

static PROPERTIES: LazyLock<WriterPropertiesPtr> = LazyLock::new(|| {
    let builder = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::ALP)
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_write_batch_size(BATCH_VALUES)
        // With any rows at all a page is full: each batch makes one.
        .set_data_page_row_count_limit(1);
    Arc::new(builder.build())
});

fn describe(physical: ParquetType) -> Result<ColumnDescPtr, ParquetError> {
    let column = Type::primitive_type_builder("v", physical).with_repetition(parquet::basic::Repetition::REQUIRED).build()?;
    Ok(Arc::new(ColumnDescriptor::new(Arc::new(column), 0, 0, ColumnPath::from("v"))))
}

/// Keeps the pages that a column writer makes.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

impl PageWriter for Kept {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec, ParquetError> {
        self.0.lock().push(page.data().to_vec());
        let mut spec = PageWriteSpec::new();
        spec.page_type = page.page_type();
        spec.num_values = page.num_values();
        spec.uncompressed_size = page.uncompressed_size();
        spec.compressed_size = page.compressed_size();
        Ok(spec)
    }

    fn close(&mut self) -> Result<(), ParquetError> {
        Ok(())
    }
}

/// A writer whose every batch becomes a page. It looks for ALP's exponents in its first page and keeps to them.
struct Typed<T: DataType> {
    writer: ColumnWriterImpl<'static, T>,
    kept: Kept,
}

impl<T: DataType> Typed<T> {
    fn new(physical: ParquetType) -> Result<Self, ParquetError> {
        let kept = Kept::default();
        let writer = get_column_writer(describe(physical)?, PROPERTIES.clone(), Box::new(kept.clone()));
        Ok(Typed { writer: get_typed_column_writer(writer), kept })
    }

    fn encode(&mut self, values: &[T::T]) -> Result<Vec<u8>, ParquetError> {
        self.writer.write_batch(values, None, None)?;
        let mut pages = self.kept.0.lock();
        match (pages.pop(), pages.is_empty()) {
            (Some(page), true) => Ok(page),
            _ => Err(ParquetError::General("values did not make one page".into())),
        }
    }
}

/// A page of no values: plain mode, frame of reference with bit packing, vectors of 2^10, none of them.
const EMPTY_PAGE: [u8; 7] = [0, 0, 10, 0, 0, 0, 0];

/// Encodes the pages of one column.
#[derive(Default)]
pub(super) struct Encoder {
    doubles: Option<Typed<DoubleType>>,
    singles: Option<Typed<FloatType>>,
}

impl Encoder {
    /// Appends the ALP form of floating-point values.
    pub(super) fn encode(&mut self, values: &Values, out: &mut Vec<u8>) -> Result<()> {
        let refused = |error| Error::Internal(format!("ALP: {error}"));
        let page = match values {
            // The column writer makes no page of nothing.
            _ if values.len() == 0 => EMPTY_PAGE.to_vec(),
            Values::Words(words) => {
                let floats: Vec<f64> = words.iter().map(|bits| f64::from_bits(*bits)).collect();
                let typed = match &mut self.doubles {
                    Some(typed) => typed,
                    none => none.insert(Typed::new(ParquetType::DOUBLE).map_err(refused)?),
                };
                typed.encode(&floats).map_err(refused)?
            }
            Values::Halves(halves) => {
                let floats: Vec<f32> = halves.iter().map(|bits| f32::from_bits(*bits)).collect();
                let typed = match &mut self.singles {
                    Some(typed) => typed,
                    none => none.insert(Typed::new(ParquetType::FLOAT).map_err(refused)?),
                };
                typed.encode(&floats).map_err(refused)?
            }
            _ => return Err(Error::Internal("ALP is for floating-point values".into())),
        };
        out.extend_from_slice(&page);
        Ok(())
    }
}

/// Serves one data page.
struct Single(Option<Page>);

impl Iterator for Single {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageReader for Single {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        Ok(self.0.take())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        let describe =
            |page: &Page| PageMetadata { num_rows: None, num_levels: Some(page.num_values() as usize), is_dict: false };
        Ok(self.0.as_ref().map(describe))
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.0 = None;
        Ok(())
    }
}

fn decode_typed<T: DataType>(physical: ParquetType, bytes: &[u8], count: usize) -> Result<Vec<T::T>, Malformed> {
    const REFUSED: Malformed = Malformed("an ALP page does not decode");
    let page = Page::DataPage {
        buf: bytes.to_vec().into(),
        num_values: u32::try_from(count).map_err(|_| REFUSED)?,
        encoding: Encoding::ALP,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };
    let mut reader = ColumnReaderImpl::<T>::new(describe(physical).map_err(|_| REFUSED)?, Box::new(Single(Some(page))));
    let mut values = Vec::with_capacity(count);
    let (_, found, _) = reader.read_records(count, None, None, &mut values).map_err(|_| REFUSED)?;
    if found == count && values.len() == count { Ok(values) } else { Err(REFUSED) }
}

/// The bits of `count` doubles.
pub(super) fn decode_doubles(bytes: &[u8], count: usize) -> Result<Vec<u64>, Malformed> {
    Ok(decode_typed::<DoubleType>(ParquetType::DOUBLE, bytes, count)?.into_iter().map(f64::to_bits).collect())
}

/// The bits of `count` singles.
pub(super) fn decode_singles(bytes: &[u8], count: usize) -> Result<Vec<u32>, Malformed> {
    Ok(decode_typed::<FloatType>(ParquetType::FLOAT, bytes, count)?.into_iter().map(f32::to_bits).collect())
}
