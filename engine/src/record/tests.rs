use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, StringArray,
    UInt64Array,
};
use arrow::datatypes::{DataType, Decimal64Type, Float32Type, Float64Type, Int64Type, UInt64Type};

use fastrand::Rng;

use super::{
    Deletion, Effect, Evicted, Evictions, Moment, Receipt, ReceiptKind, Record, RecordKind, SegmentId, SeriesSelection,
    Transaction, encode_rows,
};
use crate::error::{Error, ErrorKind};
use crate::model::{Block, Column, SeriesId, SeriesKey, TableId, TimeRange};

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn block(series: Vec<u32>, times: Vec<i64>, columns: Vec<Column>) -> Block {
    Block { series: series.into(), times: times.into(), columns }
}

fn decode_rows(payload: &[u8]) -> Result<(TableId, Block), super::DecodeError> {
    match Record::decode(RecordKind::PutRows.code(), payload)? {
        Record::PutRows { table, block } => Ok((table, block)),
        other => panic!("{other:?}"),
    }
}

/// Every row's value as bytes, so that all bits count.
fn cells(column: Option<&ArrayRef>, rows: usize) -> Vec<Option<Vec<u8>>> {
    let Some(array) = column else { return vec![None; rows] };
    let cell = |row| match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_bits().to_le_bytes().to_vec(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).to_bits().to_le_bytes().to_vec(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_le_bytes().to_vec(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_le_bytes().to_vec(),
        DataType::Decimal64(..) => array.as_primitive::<Decimal64Type>().value(row).to_le_bytes().to_vec(),
        DataType::Boolean => vec![u8::from(array.as_boolean().value(row))],
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes().to_vec(),
        DataType::Binary => array.as_binary::<i32>().value(row).to_vec(),
        other => panic!("{other}"),
    };
    (0..rows).map(|row| array.is_valid(row).then(|| cell(row))).collect()
}

fn assert_same(left: &Block, right: &Block, note: &str) {
    assert_eq!(left.series, right.series, "{note}");
    assert_eq!(left.times, right.times, "{note}");
    assert_eq!(left.columns.len(), right.columns.len(), "{note}");
    for i in 0..left.columns.len() {
        let (a, b) = (left.column(i), right.column(i));
        assert_eq!(cells(a, left.rows()), cells(b, left.rows()), "{note}, column {i}");
        if let (Some(a), Some(b)) = (a, b) {
            assert_eq!(a.data_type(), b.data_type(), "{note}, column {i}");
        }
    }
}

fn assert_round_trip(block: &Block, note: &str) -> Vec<u8> {
    let payload = encode_rows(TableId(3), block).unwrap();
    let (table, back) = decode_rows(&payload).unwrap_or_else(|error| panic!("{note}: {error}"));
    assert_eq!(table, TableId(3), "{note}");
    assert_same(block, &back, note);
    payload
}

#[test]
fn golden_decimals() {
    let columns = vec![Some(Arc::new(Float64Array::from(vec![21.5, 21.75])) as ArrayRef)];
    let rows = block(vec![1, 2], vec![1000, 2000], columns);
    // Table, rows, columns; series; times; type, then 2150 and 2175 as two places, five bits, base 2150.
    let bytes = hex("07 02 01  00 01 02 02  00 0a d0 0f 00 a0 0f  01 03 05 cc 21 20 03");
    assert_eq!(encode_rows(TableId(7), &rows).unwrap(), bytes);
    assert_same(&decode_rows(&bytes).unwrap().1, &rows, "golden");
}

#[test]
fn golden_of_every_type() {
    let columns: Vec<Column> = vec![
        None,
        Some(Arc::new(Float32Array::from(vec![Some(1.5), None, Some(2.5)]))),
        Some(Arc::new(Int64Array::from(vec![Some(-1), None, Some(1)]))),
        Some(Arc::new(UInt64Array::from(vec![5, 5, 5]))),
        Some(Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        Some(Arc::new(StringArray::from(vec![Some("a"), None, Some("")]))),
        Some(Arc::new(BinaryArray::from(vec![&[0xff_u8][..]; 3]))),
        Some(Arc::new(Decimal64Array::from(vec![Some(100), None, Some(100)]).with_precision_and_scale(18, 2).unwrap())),
    ];
    let rows = block(vec![0; 3], vec![0; 3], columns);
    let bytes = hex("07 03 08  00 00 00  00 00 00  00  82 05 02 04 1e a0  83 05 00 02 01 08  04 00 00 0a  85 05 00 01 00 01 \
        86 05 00 00 01 00 01 61  07 01 01 00 00 02 ff 00 00 00  88 02 05 00 00 c8 01");
    assert_eq!(encode_rows(TableId(7), &rows).unwrap(), bytes);
    assert_same(&decode_rows(&bytes).unwrap().1, &rows, "golden");
}

#[test]
fn golden_differences_and_exceptions() {
    let nan = f64::from_bits(0x7ff8_0000_0000_0000);
    let columns = vec![Some(Arc::new(Float64Array::from(vec![1.0, nan, 2.0, 3.0, 4.0])) as ArrayRef)];
    let rows = block(vec![0; 5], (0..5).map(|i| i << 40).collect(), columns);
    // Times as differences of 2^40 without a remainder; NaN as an exception at position 1.
    let bytes = hex("07 05 01  00 00 00  10 00 80 80 80 80 80 40 00  01 21 02 02 90 03 01 01 00 00 00 00 00 00 00 f8 7f");
    assert_eq!(encode_rows(TableId(7), &rows).unwrap(), bytes);
    assert_same(&decode_rows(&bytes).unwrap().1, &rows, "golden");
}

fn random_float(random: &mut Rng, style: u64) -> f64 {
    const SPECIAL: [u64; 8] =
        [0x7ff8_0000_0000_0000, 0x7ff0_0000_0000_0001, 0xfff8_dead_beef_0001, 1 << 63, 0, 1, 0x7ff0 << 48, 0xfff0 << 48];
    let decimal = |random: &mut Rng, scale: f64| (random.u64(..200_000) as f64 - 100_000.0) / scale;
    match (style, random.u64(..16)) {
        (0, _) => f64::from_bits(random.u64(..)),
        (1, 0) | (2, _) => f64::from_bits(SPECIAL[random.usize(..8)]),
        (3, _) => 21.75,
        (4, _) => decimal(random, 1e9),
        (5, _) => 2f64.powi(random.u64(..80) as i32) - 0.5,
        _ => decimal(random, 100.0),
    }
}

fn random_column(random: &mut Rng, rows: usize) -> Column {
    let nulls = random.u64(..4);
    let style = random.u64(..8);
    let mut optional = |value: &mut dyn FnMut(&mut Rng)| {
        let missing = nulls == 3 || (nulls > 0 && random.u64(..1 << (2 * nulls)) == 0);
        if !missing {
            value(random);
        }
        !missing
    };
    macro_rules! build {
        ($array:ty, $value:expr) => {{
            let mut value: Box<dyn FnMut(&mut Rng) -> _> = Box::new($value);
            let mut all = Vec::new();
            for _ in 0..rows {
                let mut one = None;
                optional(&mut |random| one = Some(value(random)));
                all.push(one);
            }
            <$array>::from_iter(all)
        }};
    }
    let wide = |random: &mut Rng| if style < 2 { random.u64(..) } else { 1_000_000 + random.u64(..1 << (style * 4)) };
    let text = move |random: &mut Rng| match style {
        0..3 => ["idle", "", "running", "ü"][random.usize(..4)].to_string(),
        _ => "x".repeat(random.usize(..20)) + &random.u64(..).to_string(),
    };
    let kind = style.wrapping_mul(7) + rows as u64;
    Some(match kind % 9 {
        0 | 8 => Arc::new(build!(Float64Array, move |random| random_float(random, style))) as ArrayRef,
        1 => Arc::new(build!(Float32Array, move |random| match style {
            0 => f32::from_bits(random.u64(..) as u32),
            _ => random_float(random, style) as f32,
        })),
        2 => Arc::new(build!(Int64Array, move |random| wide(random).cast_signed())),
        3 => Arc::new(build!(UInt64Array, wide)),
        4 => Arc::new(build!(BooleanArray, |random| random.bool())),
        5 => Arc::new(build!(StringArray, text)),
        6 => Arc::new(build!(BinaryArray, move |random| text(random).into_bytes())),
        _ => {
            let array = build!(Decimal64Array, move |random| wide(random).cast_signed());
            Arc::new(array.with_precision_and_scale(18, 5).unwrap())
        }
    })
}

fn random_block(random: &mut Rng) -> Block {
    let rows = [0, 1, 2, 63, 200, 1023, 1024, 1025, 3000][random.usize(..9)];
    let sorted = random.bool();
    let series = (0..rows).map(|i| if sorted { i as u32 / 7 } else { random.u64(..) as u32 }).collect();
    let times = (0..rows).map(|i| if sorted { 1_700_000_000_000_000 + i as i64 * 1000 } else { random.u64(..) as i64 });
    let times = times.collect();
    let columns = (0..random.u64(..6)).map(|_| if random.u64(..8) == 0 { None } else { random_column(random, rows) }).collect();
    block(series, times, columns)
}

#[test]
fn random_blocks_come_back_bit_for_bit() {
    for seed in 1..=600 {
        let mut random = Rng::with_seed(seed);
        let whole = random_block(&mut random);
        assert_round_trip(&whole, &format!("seed {seed}"));
        let start = random.u64(..whole.rows() as u64 + 1) as usize;
        let len = random.u64(..(whole.rows() - start) as u64 + 1) as usize;
        assert_round_trip(&whole.slice(start, len), &format!("seed {seed}, rows {start} + {len}"));
    }
}

#[test]
fn extremes_come_back_bit_for_bit() {
    let longs = [i64::MIN, i64::MAX, 0, -1, 1, i64::MIN, i64::MAX];
    let columns: Vec<Column> = vec![
        Some(Arc::new(Int64Array::from(longs.to_vec()))),
        Some(Arc::new(UInt64Array::from(vec![0, u64::MAX, 1 << 63, 1, u64::MAX - 1, 0, 7]))),
        Some(Arc::new(Float64Array::from(vec![-0.0, 0.0, 0.1, -0.1, f64::MAX, f64::MIN_POSITIVE, 1e22]))),
        Some(Arc::new(Float64Array::from(vec![0.0, -0.0, 1.5, 2.5, 3.5, 4.5, 5.5]))),
        Some(Arc::new(Float32Array::from(vec![-0.0, 0.1, 0.2, 0.3, 16_777_216.0, f32::MAX, 1e-45]))),
    ];
    assert_round_trip(&block(vec![u32::MAX, 0, 1, 2, 3, 4, 5], longs.to_vec(), columns), "extremes");
}

#[test]
fn decimals_counters_and_even_times_take_few_bits() {
    let rows = 1000;
    let walk = |i: usize| ((i * 7919) % 1009) as f64;
    let columns: Vec<Column> = vec![
        // 1009 levels need ten bits: 1.25 bytes.
        Some(Arc::new(Float64Array::from_iter_values((0..rows).map(|i| (walk(i) + 2000.0) / 100.0)))),
        // The same with one row in fifty not a decimal: ten bytes for each of those.
        Some(Arc::new(Float64Array::from_iter_values(
            (0..rows).map(|i| if i % 50 == 7 { f64::NAN } else { (walk(i) + 2000.0) / 100.0 }),
        ))),
        Some(Arc::new(Int64Array::from_iter_values((0..rows).map(|i| 5_000_000 + 3 * i as i64)))),
        Some(Arc::new(StringArray::from_iter_values((0..rows).map(|i| if i % 3 == 0 { "running" } else { "standby" })))),
    ];
    let one = |column: &Column| {
        let times = (0..rows as i64).map(|i| i * 1_000_000).collect();
        assert_round_trip(&block(vec![9; rows], times, vec![column.clone()]), "sizes").len()
    };
    let none = one(&None);
    assert!(none < 32, "series and even times: {none} bytes");
    let sizes: Vec<_> = columns.iter().map(|column| one(column) - none).collect();
    assert!(sizes[0] < 1270, "{sizes:?}");
    assert!(sizes[1] < 1270 + 20 * 10 + 8, "{sizes:?}");
    assert!(sizes[2] < 16, "{sizes:?}");
    assert!(sizes[3] < 160, "{sizes:?}");
}

#[test]
fn no_bytes_make_decoding_panic() {
    for seed in 1..=40 {
        let mut random = Rng::with_seed(seed);
        let rows = random_block(&mut random);
        let rows = rows.slice(0, rows.rows().min(100));
        let payload = encode_rows(TableId(1), &rows).unwrap();
        for len in 0..payload.len() {
            assert!(decode_rows(&payload[..len]).is_err(), "seed {seed}, cut to {len}");
        }
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = decode_rows(&flipped);
        }
        let mut noise = vec![0; 200];
        for _ in 0..200 {
            noise.iter_mut().for_each(|byte| *byte = random.u64(..) as u8);
            for kind in 0..=9 {
                let _ = Record::decode(kind, &noise);
            }
        }
    }
}

#[test]
fn few_bytes_cannot_stand_for_more_memory_than_there_is() {
    // 2^24 rows in a payload of three bytes, then of as many constant chunks as it takes.
    assert!(decode_rows(&hex("00 80 80 80 08 00")).unwrap_err().detail.contains("16777216 values in 0 bytes"));
    let rows: usize = 1 << 24;
    let chunk = hex("00 00 00");
    let mut bomb = hex("00 80 80 80 08 80 20");
    for _ in 0..2 * rows / 1024 {
        bomb.extend_from_slice(&chunk);
    }
    // Two thousand columns of 128 MiB each, were they believed.
    let column: Vec<_> = [3].into_iter().chain(chunk.repeat(rows / 1024)).collect();
    bomb.extend(column.repeat(16));
    assert!(decode_rows(&bomb).unwrap_err().detail.contains("too many values"));
}

#[test]
fn rows_that_cannot_be_logged_are_refused() {
    let short = block(vec![0; 2], vec![0; 2], vec![Some(Arc::new(Int64Array::from(vec![1])))]);
    assert!(matches!(encode_rows(TableId(0), &short), Err(Error::Internal(_))));
    let odd = block(vec![0], vec![0], vec![Some(Arc::new(arrow::array::Int8Array::from(vec![1])))]);
    assert!(matches!(encode_rows(TableId(0), &odd), Err(Error::Internal(_))));
    let noise: String = (0..70 << 20).map(|i: u32| char::from(b'a' + (i % 23) as u8)).collect();
    let huge = block(vec![0], vec![0], vec![Some(Arc::new(StringArray::from(vec![noise.as_str()])))]);
    assert_eq!(encode_rows(TableId(0), &huge).unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn kinds_have_their_numbers_and_records_come_back() {
    let deletion = Deletion { table: TableId(1), series: SeriesSelection::All, range: TimeRange::ALL };
    let receipt = Receipt {
        at_micros: 5,
        kind: ReceiptKind::TornTail,
        file: "log/0000000001.log".into(),
        sequences: None,
        table: None,
        series: vec![],
        times: None,
        bytes: 0,
        detail: String::new(),
    };
    let total = Evictions { segments: 1, rows: 2, bytes: 3, unheld_rows: 2, times: (-4, 5), last_sequence: 6, at_micros: -7 };
    let keys = vec![SeriesKey(vec![None, Some(String::new())])];
    let schema = crate::TableSpec::new("t").tag("a").into_schema(TableId(3)).unwrap();
    let records = [
        (3, Record::CreateSeries { table: TableId(2), first: SeriesId(0), keys }),
        (4, Record::PutRows { table: TableId(2), block: Block::default() }),
        (5, Record::DeleteRows(deletion)),
        (8, Record::Receipt(receipt.clone())),
        (9, Record::Transaction(transaction())),
        (10, Record::DropTable(schema)),
        (11, Record::Evicted(Evicted { table: TableId(2), removed: vec![SegmentId(4)], total, receipt: Some(receipt) })),
    ];
    for (code, record) in records {
        assert_eq!(record.kind().code(), code);
        let back = Record::decode(code, &record.encode().unwrap()).unwrap();
        assert_eq!(format!("{back:?}"), format!("{record:?}"));
    }
    for code in 0..=u8::MAX {
        assert_eq!(RecordKind::from_code(code).map(RecordKind::code), (1..=11).contains(&code).then_some(code));
    }
}

fn effect(key: &[u8], value: Option<&[u8]>) -> Effect {
    Effect { key: key.into(), value: value.map(Arc::from) }
}

fn transaction() -> Transaction {
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    Transaction {
        at: Moment { engine_micros: 300, wall_micros: -2 },
        cells: vec![effect(b"\x10pump/7", Some(b"on")), effect(b"\x10pump/8", None), effect(b"\x90x", Some(b""))],
        rows: vec![(TableId(2), block(vec![0], vec![5], vec![Some(ints)]))],
        deletions: Vec::new(),
    }
}

#[test]
fn the_bytes_of_a_transaction_are_frozen() {
    let bytes = Record::Transaction(transaction()).encode().unwrap();
    let rows = encode_rows(TableId(2), &transaction().rows[0].1).unwrap();
    let mut golden = hex("ac 02 03 03 00 07 10 70 75 6d 70 2f 37 03 6f 6e 06 01 38 00 00 02 90 78 01 01");
    golden.push(rows.len() as u8);
    golden.extend(rows);
    assert_eq!(bytes, golden);
    for len in 0..bytes.len() {
        assert!(Record::decode(9, &bytes[..len]).is_err(), "cut to {len} bytes");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = Record::decode(9, &flipped);
    }
    let only = SeriesSelection::Only(vec![SeriesId(1), SeriesId(200)]);
    let deletions = vec![
        Deletion { table: TableId(7), series: only, range: TimeRange::new(-1, 1_000) },
        Deletion { table: TableId(8), series: SeriesSelection::All, range: TimeRange::new(0, 1) },
    ];
    let with_deletions = Record::Transaction(Transaction { deletions: deletions.clone(), ..transaction() }).encode().unwrap();
    golden.extend(hex("07 01 02 01 c8 01 01 d0 0f 08 00 00 02"));
    assert_eq!(with_deletions, golden);
    let Record::Transaction(back) = Record::decode(9, &golden).unwrap() else { panic!("it is a transaction") };
    assert_eq!(back.deletions, deletions);
    assert!(Record::decode(9, &golden[..golden.len() - 1]).is_err());
}

#[test]
fn transactions_that_contradict_themselves_are_refused() {
    let encode = |cells: Vec<Effect>, rows| {
        Record::Transaction(Transaction { at: Moment::default(), cells, rows, deletions: vec![] }).encode().unwrap()
    };
    let (a, b) = (effect(b"a", None), effect(b"b", None));
    let refused = |payload: &[u8], words: &str| {
        let error = Record::decode(9, payload).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(&encode(vec![b.clone(), a.clone()], vec![]), "out of order");
    refused(&encode(vec![a.clone(), a.clone()], vec![]), "out of order");
    refused(&encode(vec![effect(b"", None)], vec![]), "an empty key");
    refused(&encode(vec![effect(&[1; 5_000], None)], vec![]), "a key of 5000 bytes");
    let rows = || (TableId(3), Block::default());
    refused(&encode(vec![], vec![rows(), rows()]), "two blocks of table 3");
    refused(&[0, 0, 1, 1, 0, 0, 0], "shares more than there is");
    refused(&[&encode(vec![a], vec![])[..], &[0]].concat(), "deletion");
    // A long key, and many that share all of it but a byte: far more bytes of keys than there are.
    let mut long = vec![0, 0, 0xe1, 0xd4, 0x03, 0, 0x80, 0x20];
    long.extend([1; 4_096]);
    long.push(0);
    for last in 0..60_000_u32 {
        long.extend([0xfe, 0x1f, 2]);
        long.extend([(last / 240) as u8 + 2, (last % 240) as u8, 0]);
    }
    refused(&long, "too many long keys");
}
