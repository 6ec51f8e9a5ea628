use std::io::Write as _;
use std::path::Path;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    Float64Array, Int32Array, Int64Array, LargeStringArray, ListArray, NullArray, StringArray, StringViewArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt8Array, UInt64Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Decimal64Type, Int32Type, Int64Type, TimeUnit, UInt64Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, GzipLevel};
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::{WriterProperties, WriterVersion};

use super::*;
use crate::io::{Disk, MemoryDisk, OpenMode};
use crate::model::FieldType;
use crate::testing;

fn file_of(bytes: &[u8]) -> Arc<dyn File> {
    let disk = MemoryDisk::default();
    let file = disk.open(Path::new("x"), OpenMode::CreateNew).unwrap();
    file.write_all_at(0, bytes).unwrap();
    file
}

fn written(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn read_all(bytes: &[u8], batch_rows: usize) -> Result<RecordBatch> {
    let reader = ParquetReader::open(file_of(bytes), batch_rows)?;
    let schema = Arc::clone(&reader.schema);
    let batches = reader.collect::<Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

fn kinds(bytes: &[u8]) -> Vec<ForeignType> {
    ParquetReader::open(file_of(bytes), 10).unwrap().columns().iter().map(|column| column.kind).collect()
}

#[test]
fn columns_become_ours() {
    let dictionary: DictionaryArray<Int32Type> = vec![Some("x"), None, Some("x")].into_iter().collect();
    let bytes = written(
        vec![
            ("i", Arc::new(Int32Array::from(vec![Some(-1), None, Some(3)]))),
            ("u", Arc::new(UInt8Array::from(vec![1, 2, 255]))),
            ("d", Arc::new(Decimal128Array::from(vec![Some(125), None, Some(-7)]).with_precision_and_scale(20, 2).unwrap())),
            ("s", Arc::new(dictionary)),
            ("l", Arc::new(LargeStringArray::from(vec!["a", "", "c"]))),
            ("v", Arc::new(StringViewArray::from(vec!["a", "a text longer than twelve bytes", "c"]))),
            ("f", Arc::new(FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4], [5, 6]].into_iter()).unwrap())),
            ("t", Arc::new(TimestampNanosecondArray::from(vec![1, 2, 3]).with_timezone("Europe/Berlin"))),
            ("day", Arc::new(Date32Array::from(vec![0, 1, 2]))),
            ("none", Arc::new(NullArray::new(3))),
        ],
        WriterProperties::default(),
    );
    let field = ForeignType::Field;
    assert_eq!(
        kinds(&bytes),
        [
            field(FieldType::Int64),
            field(FieldType::UInt64),
            field(FieldType::Decimal { scale: 2 }),
            field(FieldType::Utf8),
            field(FieldType::Utf8),
            field(FieldType::Utf8),
            field(FieldType::Binary),
            ForeignType::Timestamp(TimeUnit::Nanosecond),
            ForeignType::Date,
            ForeignType::Nothing,
        ]
    );
    let batch = read_all(&bytes, 2).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(-1), None, Some(3)]));
    assert_eq!(batch.column(1).as_primitive::<UInt64Type>(), &UInt64Array::from(vec![1, 2, 255]));
    assert_eq!(batch.column(2).as_primitive::<Decimal64Type>().iter().collect::<Vec<_>>(), [Some(125), None, Some(-7)]);
    assert_eq!(batch.column(3).as_string::<i32>(), &StringArray::from(vec![Some("x"), None, Some("x")]));
    assert_eq!(batch.column(4).as_string::<i32>(), &StringArray::from(vec!["a", "", "c"]));
    assert_eq!(batch.column(5).as_string::<i32>().value(1), "a text longer than twelve bytes");
    assert_eq!(batch.column(6).as_binary::<i32>(), &BinaryArray::from(vec![&[1, 2][..], &[3, 4], &[5, 6]]));
    assert_eq!(batch.column(7).as_ref(), &TimestampNanosecondArray::from(vec![1, 2, 3]) as &dyn Array);
}

#[test]
fn what_no_field_can_hold_is_refused_by_name() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    let bytes =
        written(vec![("ok", Arc::new(Int32Array::from(vec![1]))), ("bad one", Arc::new(list))], WriterProperties::default());
    let error = ParquetReader::open(file_of(&bytes), 10).unwrap_err().to_string();
    assert!(error.contains("column \"bad one\"") && error.contains("leave it out or convert it"), "{error}");
    let large = Decimal128Array::from(vec![10_i128.pow(18)]).with_precision_and_scale(38, 0).unwrap();
    let error = read_all(&written(vec![("big", Arc::new(large))], WriterProperties::default()), 10).unwrap_err().to_string();
    assert!(error.contains("column \"big\""), "{error}");
}

#[test]
fn what_we_write_we_read() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC"))),
        ("f", Arc::new(Float64Array::from(vec![Some(f64::from_bits(0x7ff8_0000_dead_beef)), None]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        (
            "d",
            Arc::new(
                arrow::array::Decimal64Array::from(vec![Some(-5), None])
                    .with_precision_and_scale(FieldType::DECIMAL_PRECISION, 3)
                    .unwrap(),
            ),
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut writer = ParquetWriter::new(Vec::new(), batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.finish().unwrap();
    let read = read_all(&bytes, 3).unwrap();
    assert_eq!(read.num_rows(), 4);
    let floats = read.column(1).as_primitive::<arrow::datatypes::Float64Type>();
    assert_eq!((floats.value(0).to_bits(), floats.is_null(1)), (0x7ff8_0000_dead_beef, true));
    assert_eq!(read.slice(2, 2).column(3), batch.column(3));
    assert_eq!(read.column(0).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
}

/// A page of a dictionary's long value, repeated, is far larger than the file.
#[test]
fn repeated_text_is_given_in_pieces() {
    let long = "x".repeat(1 << 20);
    let dictionary: DictionaryArray<Int32Type> = std::iter::repeat_n(Some(long.as_str()), 40).collect();
    let bytes = written(vec![("s", Arc::new(dictionary))], WriterProperties::default());
    assert!(bytes.len() < 4 << 20);
    let sizes: Vec<_> = ParquetReader::open(file_of(&bytes), 1000).unwrap().map(|batch| batch.unwrap().num_rows()).collect();
    assert_eq!(sizes, [8, 8, 8, 8, 8]);
}

#[test]
fn codecs_and_page_versions() {
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for codec in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::LZ4_RAW,
            Compression::LZ4,
            Compression::ZSTD(parquet::basic::ZstdLevel::default()),
            Compression::GZIP(GzipLevel::default()),
        ] {
            let properties = WriterProperties::builder().set_writer_version(version).set_compression(codec).build();
            let values: Vec<_> = (0..5000).map(|row| (row % 7 != 0).then_some(row % 100)).collect();
            let bytes = written(vec![("i", Arc::new(Int64Array::from(values.clone())))], properties);
            let batch = read_all(&bytes, 1000).unwrap_or_else(|error| panic!("{version:?} {codec:?}: {error}"));
            assert_eq!(batch.column(0).as_primitive::<Int64Type>(), &Int64Array::from(values), "{version:?} {codec:?}");
        }
    }
}

fn refusal(bytes: &[u8]) -> String {
    let error = read_all(bytes, 1000).expect_err("must be refused");
    assert_eq!(error.kind(), crate::ErrorKind::Input);
    error.to_string()
}

#[test]
fn what_is_no_parquet() {
    assert!(refusal(b"").contains("too short"));
    assert!(refusal(b"PAR1PAR1").contains("too short"));
    assert!(refusal(b"time,a\n2024-01-01,5\n").contains("does not end in PAR1"));
    assert!(refusal(b"PAR1\x00\x00\x00\xffPAR1").contains("footer claims"));
    // A footer whose first list claims 2^31 - 1 elements.
    assert!(refusal(b"PAR1\x19\xfc\xff\xff\xff\xff\x07\x07\x00\x00\x00PAR1").contains("impossible lengths"));
    let bytes = written(vec![("i", Arc::new(Int64Array::from(vec![1, 2, 3])))], WriterProperties::default());
    for cut in [bytes.len() - 1, bytes.len() / 2] {
        refusal(&bytes[..cut]);
    }
}

/// A gzip page may expand a thousandfold whatever it declares.
#[test]
fn a_page_that_expands_to_more_than_it_declares() {
    let properties = WriterProperties::builder()
        .set_compression(Compression::GZIP(GzipLevel::default()))
        .set_dictionary_enabled(false)
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .build();
    let mut bytes = written(vec![("i", Arc::new(Int64Array::from(vec![5; 100])))], properties);
    let start = bytes.windows(2).position(|pair| pair == [0x1f, 0x8b]).unwrap();
    // A second member of 1 MiB of zeroes, overwriting what follows; the decoder reads members until they end.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![0; 1 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let declared = Page3::compressed_of(&bytes[4..start]);
    assert!(bomb.len() > declared);
    bytes[start..start + declared].copy_from_slice(&bomb[..declared]);
    let reason = refusal(&bytes);
    assert!(reason.contains("expands to more") || reason.contains("cannot be decompressed"), "{reason}");
}

/// The compressed size in a page header, by the rules of the compact protocol.
struct Page3;

impl Page3 {
    fn compressed_of(header: &[u8]) -> usize {
        // Field 1 (type, one byte), field 2 and field 3 (varints).
        let mut at = 2;
        let mut number = 0;
        for _ in 0..2 {
            at += 1;
            (number, at) = varint(header, at);
        }
        number >> 1
    }
}

fn varint(bytes: &[u8], mut at: usize) -> (usize, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        value |= usize::from(bytes[at] & 0x7f) << shift;
        shift += 7;
        at += 1;
        if bytes[at - 1] & 0x80 == 0 {
            return (value, at);
        }
    }
}

/// Any byte may be anything: an error or wrong values, never a panic or an allocation beyond bounds.
#[test]
fn flipped_bits_do_not_take_the_process_down() {
    let mut random = testing::random(std::process::id().into());
    let texts: Vec<_> = (0..200).map(|row| format!("text {}", row % 9)).collect();
    let sound = written(
        vec![
            ("i", Arc::new(Int64Array::from((0..200).collect::<Vec<_>>())) as ArrayRef),
            ("s", Arc::new(StringArray::from(texts))),
        ],
        WriterProperties::default(),
    );
    for _ in 0..1500 {
        let mut bytes = sound.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u8(..8);
        }
        let _ = read_all(&bytes, 64);
    }
}

/// A file of one column of text with one of the encodings of delta-encoded lengths.
fn delta_text(values: &[Option<&str>], encoding: Encoding, version: WriterVersion, codec: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_dictionary_enabled(false)
        .set_encoding(encoding)
        .set_writer_version(version)
        .build();
    written(vec![("s", Arc::new(StringArray::from(values.to_vec())) as ArrayRef)], properties)
}

const DELTA_TEXT: [Encoding; 2] = [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY];

#[test]
fn delta_encoded_text() {
    let texts: Vec<_> = (0..3000).map(|row| format!("{}{}", "x".repeat(row % 90), row % 13)).collect();
    let values: Vec<_> = texts.iter().enumerate().map(|(row, text)| (row % 7 != 0).then_some(text.as_str())).collect();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for (encoding, codec) in DELTA_TEXT.into_iter().zip([Compression::SNAPPY, Compression::LZ4_RAW]) {
            for values in [&values[..], &values[..1], &values[1..2], &values[..0]] {
                let read = read_all(&delta_text(values, encoding, version, codec), 1000).unwrap();
                assert_eq!(read.column(0).as_string::<i32>(), &StringArray::from(values.to_vec()), "{version:?} {encoding}");
            }
        }
    }
}

/// 873 bytes that declared so made the decoder take a gigabyte.
#[test]
fn a_page_that_declares_more_lengths_than_it_has_values() {
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for encoding in DELTA_TEXT {
            let mut bytes = delta_text(&[Some("a"); 100], encoding, version, Compression::UNCOMPRESSED);
            // Blocks of 128 in 4 miniblocks; 100 lengths, the first of which is 1, or shares nothing and is 0.
            let runs: Vec<_> = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(&[0x80, 0x01, 0x04, 0x64])).collect();
            assert_eq!(runs.len(), if encoding == Encoding::DELTA_BYTE_ARRAY { 2 } else { 1 });
            for run in runs {
                bytes[run + 3] = 0x65;
                assert!(refusal(&bytes).contains("lengths in a page of its text"));
                bytes[run + 3] = 0x64;
            }
            assert_eq!(read_all(&bytes, 10).unwrap().num_rows(), 100);
        }
    }
}

/// Texts that share beginnings are far larger than their page.
#[test]
fn text_that_expands_to_more_than_a_page_may_take() {
    let long = "x".repeat(1 << 20);
    let mut bytes =
        delta_text(&[Some(long.as_str()); 70], Encoding::DELTA_BYTE_ARRAY, WriterVersion::PARQUET_2_0, Compression::UNCOMPRESSED);
    assert!(bytes.len() < 2 << 20);
    assert!(refusal(&bytes).contains("lengths in a page of its text"));
    bytes =
        delta_text(&[Some(long.as_str()); 40], Encoding::DELTA_BYTE_ARRAY, WriterVersion::PARQUET_2_0, Compression::UNCOMPRESSED);
    assert_eq!(read_all(&bytes, 1000).unwrap().num_rows(), 40);
}

/// Pages of zeroes compress ten thousandfold: no more of them are held at once than a batch may take.
#[test]
fn large_pages_are_read_few_at_a_time() {
    let long = "x".repeat(4 << 20);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(parquet::basic::ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(1)
        .set_write_batch_size(1)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
        .build();
    let bytes = written(vec![("s", Arc::new(StringArray::from(vec![long.as_str(); 64])) as ArrayRef)], properties);
    let mut reader = ParquetReader::open(file_of(&bytes), 1000).unwrap();
    let rows = check_row_group(&reader.chunks, reader.metadata.metadata().row_group(0), 1000).unwrap();
    assert_eq!(rows, 15, "pages of 4 MiB and a little, and 64 MiB in all");
    assert!(reader.all(|batch| batch.unwrap().num_rows() <= 2));
}

#[test]
fn values_of_a_fixed_width_take_room_even_if_missing() {
    let missing = arrow::array::FixedSizeBinaryBuilder::with_capacity(0, 1 << 30).finish();
    let bytes = written(vec![("f", Arc::new(missing) as ArrayRef)], WriterProperties::default());
    assert!(refusal(&bytes).contains("a row has more than 8 MiB"));
    let wide: Vec<_> = std::iter::repeat_n(vec![7_u8; 1 << 20], 20).collect();
    let wide = FixedSizeBinaryArray::try_from_iter(wide.into_iter()).unwrap();
    let bytes = written(vec![("f", Arc::new(wide) as ArrayRef)], WriterProperties::default());
    let sizes: Vec<_> = ParquetReader::open(file_of(&bytes), 1000).unwrap().map(|batch| batch.unwrap().num_rows()).collect();
    assert_eq!(sizes, [7, 7, 6]);
}

/// A file whose footer says so many rows everywhere, whatever its pages have.
fn claiming(bytes: &[u8], rows: i64) -> Vec<u8> {
    let footer = ParquetMetaDataReader::new().parse_and_finish(&Bytes::copy_from_slice(bytes)).unwrap();
    let of_file = footer.file_metadata();
    let (schema, orders) = (of_file.schema_descr_ptr(), of_file.column_orders().cloned());
    let of_file = FileMetaData::new(of_file.version(), rows, None, None, schema, orders);
    let group = footer.row_group(0).clone().into_builder().set_num_rows(rows).build().unwrap();
    let length = bytes[bytes.len() - 8..].first_chunk().map(|length| u32::from_le_bytes(*length)).unwrap();
    let mut claiming = bytes[..bytes.len() - 8 - length as usize].to_vec();
    ParquetMetaDataWriter::new(&mut claiming, &ParquetMetaData::new(of_file, vec![group])).finish().unwrap();
    claiming
}

#[test]
fn pages_have_as_many_rows_as_their_group_says() {
    let bytes = written(vec![("n", Arc::new(Int64Array::from_iter_values(0..24)) as ArrayRef)], WriterProperties::default());
    assert_eq!(read_all(&claiming(&bytes, 24), 10).unwrap().num_rows(), 24);
    for rows in [0, 23, 25] {
        assert!(refusal(&claiming(&bytes, rows)).contains(&format!("24 values for {rows} rows")));
    }
}
