//! The server end to end: the real binary, and a client that sends whatever it is told to.

use std::time::Duration;

use alluvium_protocol::code::Code;
use alluvium_protocol::frame::{ARROW, Frame};
use alluvium_protocol::message::{
    Applied, BatchRefused, DescribeTable, Failed, Field, Message, OpenWriter, Opened, Query, QueryDone, Skip,
};
use alluvium_protocol::mutation::{Condition, Mutation, MutationBatch};
use alluvium_protocol::rows::{ARROW_BATCH, Head, Layout, Value, Writer, head};
use alluvium_tests::binary::succeed;
use alluvium_tests::served::Served;
use alluvium_tests::wire::{Talk, Wire};
use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Float64Type;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::time::timeout;

/// How long anything may take on a busy machine before it counts as hanging.
const SOON: Duration = Duration::from_secs(60);

fn air() -> DescribeTable {
    let field = Field { name: "kw".to_owned(), kind: 0, scale: 0 };
    DescribeTable {
        slot: 3,
        table: "air".to_owned(),
        tags: vec!["room".to_owned()],
        fields: vec![field],
        time_unit: 0,
        create: true,
    }
}

/// A batch of one row for each value, at times of the batch's number.
fn batch(number: u64, values: &[f64]) -> Frame {
    let layout = Layout::of(&air()).unwrap();
    let mut rows = Writer::new(&layout, number, 3);
    for (row, value) in values.iter().enumerate() {
        rows.row((number * 1_000 + row as u64) as i64, &[Some("A")], &[Some(Value::Float64(*value))]).unwrap();
    }
    rows.finish()
}

fn new_writer(byte: u8) -> OpenWriter {
    OpenWriter { writer: [byte; 16], acknowledged: None }
}

/// A writer stream that was opened and told of the table.
async fn writing(wire: &Wire, open: &OpenWriter) -> (Talk, Opened) {
    let mut talk = wire.begin(open).await;
    let opened = talk.hear_a().await;
    talk.say(&air()).await;
    (talk, opened)
}

/// Hears acknowledgements up to this one.
async fn acknowledged(talk: &mut Talk, through: u64) {
    while talk.hear_a::<Applied>().await.through < through {}
}

/// The batches of an answer, and how many rows the server says there were.
async fn answer(wire: &Wire, query: &Query) -> Result<(Vec<RecordBatch>, u64), Failed> {
    let mut talk = wire.begin(query).await;
    let mut bytes = Vec::new();
    loop {
        let frame = talk.hear().await.expect("an end of the answer");
        match frame.kind {
            ARROW => bytes.extend(frame.payload),
            QueryDone::KIND => {
                let batches = StreamReader::try_new(bytes.as_slice(), None).unwrap().map(|batch| batch.unwrap());
                return Ok((batches.collect(), QueryDone::read(&frame).unwrap().rows));
            }
            _ => return Err(Failed::read(&frame).expect("a failure")),
        }
    }
}

/// All values of the table, in the order of time.
async fn values(wire: &Wire) -> Vec<f64> {
    let query = Query { table: "air".to_owned(), order: 1, ..Query::default() };
    let (batches, rows) = answer(wire, &query).await.unwrap();
    let column = |batch: &RecordBatch| batch.column(2).as_primitive::<Float64Type>().values().to_vec();
    let values: Vec<f64> = batches.iter().flat_map(column).collect();
    assert_eq!(values.len() as u64, rows);
    values
}

/// Runs a test against a server without certificates; it has to end, the server soundly.
fn with_server<T>(test: impl AsyncFnOnce(&Served, Wire) -> T) -> (TempDir, T) {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path(), &["--dev"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let (wire, _greeting, welcome) = Wire::connect(served.at, None).await.unwrap();
        assert_eq!((welcome.principal.as_str(), welcome.minor), ("dev", 0));
        timeout(SOON, test(&served, wire)).await.expect("it hangs")
    });
    assert!(served.end().success());
    succeed(dir.path(), ["verify"]);
    (dir, outcome)
}

#[test]
fn batches_of_a_writer_count_once() {
    let (dir, ()) = with_server(async |_, wire| {
        let (mut talk, opened) = writing(&wire, &new_writer(1)).await;
        assert_eq!(opened.applied_through, 0);
        for (number, values) in [(1, &[1.0, 2.0][..]), (2, &[3.0]), (2, &[3.0]), (1, &[1.0, 2.0]), (3, &[])] {
            talk.say_frame(&batch(number, values)).await;
        }
        acknowledged(&mut talk, 3).await;
        assert_eq!(values(&wire).await, [1.0, 2.0, 3.0]);
        // Again, as after a lost connection.
        let (mut again, opened) = writing(&wire, &OpenWriter { acknowledged: Some(2), ..new_writer(1) }).await;
        assert_eq!((opened.applied_through, talk.failure().await.code()), (3, Code::Superseded));
        again.say_frame(&batch(3, &[99.0])).await;
        again.say_frame(&batch(4, &[4.0])).await;
        acknowledged(&mut again, 4).await;
        again.send.finish().unwrap();
        assert_eq!(again.hear().await, None, "it ends as it was ended");
        assert_eq!(values(&wire).await, [1.0, 2.0, 3.0, 4.0]);
    });
    let rows = succeed(dir.path(), ["query", "--table", "air", "--agg", "count,sum", "--format", "csv"]);
    assert_eq!(rows, "count(kw),sum(kw)\n4,10.0\n");
}

#[test]
fn a_writer_that_was_forgotten_or_runs_ahead_is_told_so() {
    with_server(async |_, wire| {
        let mut talk = wire.begin(&OpenWriter { acknowledged: Some(5), ..new_writer(1) }).await;
        assert_eq!(talk.failure().await.code(), Code::WriterExpired);
        let (mut talk, _) = writing(&wire, &new_writer(1)).await;
        talk.say_frame(&batch(1, &[1.0])).await;
        acknowledged(&mut talk, 1).await;
        talk.say_frame(&batch(3, &[3.0])).await;
        assert_eq!(talk.failure().await.code(), Code::WriterGap);
        let mut talk = wire.begin(&OpenWriter { acknowledged: Some(2), ..new_writer(1) }).await;
        assert_eq!(talk.failure().await.code(), Code::WriterBehind);
        let mut talk = wire.begin(&new_writer(1)).await;
        assert_eq!(talk.failure().await.code(), Code::Invalid, "it calls itself new");
        assert_eq!(values(&wire).await, [1.0]);
    });
}

#[test]
fn a_refused_batch_holds_up_those_behind_it_until_it_is_mended_or_given_up() {
    with_server(async |_, wire| {
        let (mut talk, _) = writing(&wire, &new_writer(1)).await;
        let push = |number, queue: &str| {
            let (queue, deduplication) = (queue.to_owned(), String::new());
            let push = Mutation::Push { queue, payload: b"x".to_vec(), priority: 0, due: None, deduplication };
            let pair = Mutation::Increment { key: "pushed".to_owned(), by: 1 };
            MutationBatch { number, mutations: vec![pair, push] }
        };
        // There is no queue: nothing of the batch is done, and what is behind it waits.
        talk.say_frame(&batch(1, &[1.0])).await;
        talk.say(&push(2, "none")).await;
        talk.say_frame(&batch(3, &[3.0])).await;
        talk.say_frame(&batch(4, &[4.0])).await;
        acknowledged(&mut talk, 1).await;
        let refused: BatchRefused = talk.hear_a().await;
        assert_eq!((refused.number, refused.failed.code()), (2, Code::Missing));
        assert_eq!(values(&wire).await, [1.0]);
        talk.say(&Skip { number: 2 }).await;
        talk.say_frame(&batch(3, &[3.0])).await;
        acknowledged(&mut talk, 3).await;
        // A number that is no number in the eyes of the table: infinite decimals do not exist, but a document without JSON does.
        let put = |number, json: &str| MutationBatch {
            number,
            mutations: vec![Mutation::PutPair {
                key: "k".to_owned(),
                value: json.into(),
                condition: Condition::Absent,
                time_to_live: None,
            }],
        };
        talk.say(&put(4, "1")).await;
        acknowledged(&mut talk, 4).await;
        talk.say(&put(5, "2")).await;
        let refused: BatchRefused = talk.hear_a().await;
        assert_eq!((refused.number, refused.failed.code(), refused.failed.may_retry), (5, Code::Conflict, true));
        talk.say_frame(&batch(5, &[5.0])).await;
        acknowledged(&mut talk, 5).await;
        assert_eq!(values(&wire).await, [1.0, 3.0, 5.0]);
    });
}

/// What is sent at once is taken together, and what is wrong with one of it is found all the same.
#[test]
fn one_of_many_that_come_together_is_refused_by_itself() {
    with_server(async |_, wire| {
        let (mut talk, _) = writing(&wire, &new_writer(1)).await;
        let row = |number: u64, time: i64, room: &str| {
            let layout = Layout::of(&air()).unwrap();
            let mut rows = Writer::new(&layout, number, 3);
            rows.row(time, &[Some(room)], &[Some(Value::Float64(number as f64))]).unwrap();
            rows.finish()
        };
        let good = |number: u64| row(number, number as i64, "A");
        let bytes = |frames: &mut dyn Iterator<Item = Frame>| {
            let mut bytes = Vec::new();
            frames.for_each(|frame| frame.write(&mut bytes).unwrap());
            bytes
        };
        // A time that no table has, a value in the middle that no tag has, and a frame that is no batch.
        let late = |number: u64| if number == 40 { row(40, i64::MAX, "A") } else { good(number) };
        talk.say_bytes(&bytes(&mut (1..=100).map(late))).await;
        acknowledged(&mut talk, 39).await;
        let refused: BatchRefused = talk.hear_a().await;
        assert_eq!((refused.number, refused.failed.code()), (40, Code::BadRows));
        assert!(refused.failed.message.contains("row 0"), "{}", refused.failed.message);
        talk.say(&Skip { number: 40 }).await;
        let long = "A".repeat(5_000);
        let odd = |number: u64| if number == 60 { row(60, 60, &long) } else { good(number) };
        talk.say_bytes(&bytes(&mut (41..=100).map(odd))).await;
        acknowledged(&mut talk, 59).await;
        let refused: BatchRefused = talk.hear_a().await;
        assert_eq!((refused.number, refused.failed.code()), (60, Code::BadRows));
        // Mended, with some that were applied before, others of several rows and of none, and mutations in between.
        let several = |number: u64| match number {
            70 => batch(70, &[70.0, 70.5]),
            71 => batch(71, &[]),
            72 => MutationBatch { number, mutations: vec![Mutation::Increment { key: "n".to_owned(), by: 1 }] }.frame().unwrap(),
            _ => good(number),
        };
        talk.say_bytes(&bytes(&mut (60..=100).chain(1..=100).map(several))).await;
        acknowledged(&mut talk, 100).await;
        // Held until the end, so that what was sent again was taken by then.
        talk.say_frame(&good(101)).await;
        acknowledged(&mut talk, 101).await;
        let mut expected: Vec<f64> = (1..=101).map(f64::from).filter(|n| ![40.0, 71.0, 72.0].contains(n)).collect();
        expected.push(70.5);
        let mut found = values(&wire).await;
        expected.sort_by(f64::total_cmp);
        found.sort_by(f64::total_cmp);
        assert_eq!(found, expected);
        talk.say_bytes(&bytes(&mut (102..=110).chain(112..=120).map(good))).await;
        assert_eq!(talk_end(&mut talk).await, Code::WriterGap);
        assert_eq!(values(&wire).await.len(), expected.len() + 9, "those before the gap are there");
    });
}

/// The failure that ends a stream, behind acknowledgements.
async fn talk_end(talk: &mut Talk) -> Code {
    loop {
        let frame = talk.hear().await.expect("an end");
        match Applied::read(&frame) {
            Ok(_) => {}
            Err(_) => break Failed::read(&frame).expect("a failure").code(),
        }
    }
}

#[test]
fn mutations_are_done_all_together() {
    let (dir, ()) = with_server(async |_, wire| {
        let (mut talk, _) = writing(&wire, &new_writer(1)).await;
        let put = Mutation::PutPair {
            key: "pump/state".to_owned(),
            value: b"on".to_vec(),
            condition: Condition::Any,
            time_to_live: None,
        };
        let increments = [3, 4].map(|by| Mutation::Increment { key: "pump/starts".to_owned(), by });
        let mutations = increments.into_iter().chain([put]).collect();
        talk.say(&MutationBatch { number: 1, mutations }).await;
        acknowledged(&mut talk, 1).await;
    });
    assert_eq!(succeed(dir.path(), ["kv", "get", "pump/starts"]).trim(), "7");
    assert_eq!(succeed(dir.path(), ["kv", "get", "pump/state"]).trim(), "on");
}

fn arrow_batch(number: u64, rows: u32, columns: Vec<(&str, Arc<dyn Array>)>) -> Frame {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut out = StreamWriter::try_new(head(Head { number, slot: 3, rows }).to_vec(), &batch.schema()).unwrap();
    out.write(&batch).unwrap();
    out.finish().unwrap();
    Frame { kind: ARROW_BATCH, payload: out.into_inner().unwrap() }
}

#[test]
fn batches_of_arrow_are_rows_too() {
    with_server(async |_, wire| {
        let (mut talk, _) = writing(&wire, &new_writer(1)).await;
        let times: Arc<dyn Array> = Arc::new(TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC"));
        let rooms: Arc<dyn Array> = Arc::new(StringArray::from(vec!["A", "B"]));
        let kw: Arc<dyn Array> = Arc::new(Float64Array::from(vec![1.5, 2.5]));
        // In any order, and without what is missing everywhere.
        talk.say_frame(&arrow_batch(1, 2, vec![("kw", kw.clone()), ("room", rooms), ("time", times.clone())])).await;
        acknowledged(&mut talk, 1).await;
        talk.say_frame(&arrow_batch(2, 2, vec![("time", times.clone()), ("kw", kw.clone())])).await;
        acknowledged(&mut talk, 2).await;
        assert_eq!(values(&wire).await.len(), 4);
        for (wrong, what) in [
            (arrow_batch(3, 3, vec![("time", times.clone()), ("kw", kw.clone())]), "announces 3 rows"),
            (arrow_batch(3, 2, vec![("time", times.clone()), ("other", kw.clone())]), "is none of those described"),
            (arrow_batch(3, 2, vec![("time", kw.clone()), ("kw", kw.clone())]), "described as"),
            (arrow_batch(3, 2, vec![("kw", kw.clone())]), "is missing"),
        ] {
            let open = OpenWriter { acknowledged: Some(2), ..new_writer(1) };
            let (mut talk, _) = writing(&wire, &open).await;
            talk.say_frame(&wrong).await;
            let failed = talk.failure().await;
            assert!(failed.code() == Code::Protocol && failed.message.contains(what), "{failed:?}");
        }
        // Every cut of it, and what the decoder panics over, ends the stream and nothing else.
        let sound = arrow_batch(3, 2, vec![("time", times.clone()), ("kw", kw.clone())]);
        for cut in [16, 17, 40, sound.payload.len() / 2, sound.payload.len() - 9] {
            let (mut talk, _) = writing(&wire, &OpenWriter { acknowledged: Some(2), ..new_writer(1) }).await;
            talk.say_frame(&Frame { payload: sound.payload[..cut].to_vec(), ..sound.clone() }).await;
            assert_eq!(talk.failure().await.code(), Code::Protocol, "{cut} bytes");
        }
        assert_eq!(values(&wire).await.len(), 4);
    });
}

#[test]
fn garbage_ends_its_stream_and_nothing_else() {
    with_server(async |served, wire| {
        for bytes in
            [&b"\xff\xff\xff\xff\0\x81\0\0"[..], b"\0\0\0\0\xff\xff\0\0", b"\x01\0\0\0\0\x01\0\0\x07", b"\0\0\0\0\x02\0\0\0"]
        {
            let mut talk = wire.talk().await.unwrap();
            talk.say_bytes(bytes).await;
            assert_eq!(talk.failure().await.code(), Code::Protocol, "{bytes:?}");
        }
        let mut talk = wire.talk().await.unwrap();
        talk.say_bytes(b"\x05\0\0\0").await;
        talk.send.finish().unwrap();
        assert_eq!(talk.failure().await.code(), Code::Protocol, "cut within a frame");
        let (mut talk, _) = writing(&wire, &new_writer(1)).await;
        talk.say_frame(&batch(1, &[1.0])).await;
        talk.say_frame(&Frame { kind: 0x8100, payload: vec![0xff; 100] }).await;
        acknowledged(&mut talk, 1).await;
        assert_eq!(talk.failure().await.code(), Code::Protocol);
        assert_eq!(values(&wire).await, [1.0]);
        // One that does not greet, or not first.
        let other = Wire::dial(served.at, None).await.unwrap();
        other.begin(&new_writer(2)).await;
        assert_eq!(other.closed_with().await, u64::from(Code::Protocol.number()));
        let silent = Wire::dial(served.at, None).await.unwrap();
        assert_eq!(silent.closed_with().await, u64::from(Code::Timeout.number()));
    });
}

#[test]
fn queries_are_answered_and_wrong_ones_refused() {
    with_server(async |_, wire| {
        let (mut talk, _) = writing(&wire, &new_writer(1)).await;
        for number in 1..=50 {
            talk.say_frame(&batch(number, &vec![number as f64; 900])).await;
        }
        acknowledged(&mut talk, 50).await;
        let query = Query { table: "air".to_owned(), ..Query::default() };
        assert_eq!(answer(&wire, &query).await.unwrap().1, 45_000);
        let few = Query { conditions: vec!["kw>=49".to_owned()], limit: Some(1_000), ..query.clone() };
        assert_eq!(answer(&wire, &few).await.unwrap().1, 1_000);
        let functions = vec!["max".to_owned(), "count".to_owned()];
        let maximum = Query { functions, by: vec!["room".to_owned()], ..query.clone() };
        let (batches, rows) = answer(&wire, &maximum).await.unwrap();
        let column = batches[0].column_by_name("max(kw)").unwrap();
        assert_eq!((rows, column.as_primitive::<Float64Type>().value(0)), (1, 50.0));
        let last = Query { last: true, ..query.clone() };
        assert_eq!(answer(&wire, &last).await.unwrap().1, 1);
        for (wrong, code) in [
            (Query { table: "none".to_owned(), ..query.clone() }, Code::Missing),
            (Query { conditions: vec!["kw".to_owned()], ..query.clone() }, Code::Invalid),
            (Query { order: 9, ..query.clone() }, Code::Invalid),
            (Query { fields: vec!["none".to_owned()], ..query.clone() }, Code::Missing),
            (Query { every: "soon".to_owned(), ..query.clone() }, Code::Invalid),
        ] {
            assert_eq!(answer(&wire, &wrong).await.unwrap_err().code(), code, "{wrong:?}");
        }
        // One that is not wanted any more.
        let mut given_up = wire.begin(&query).await;
        assert_eq!(given_up.hear().await.unwrap().kind, ARROW);
        drop(given_up);
        assert_eq!(answer(&wire, &query).await.unwrap().1, 45_000);
    });
}

/// What was acknowledged is there after a kill, and what is sent again counts once.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut acknowledged_through, mut sent) = (None, 0_u64);
    for round in 0..3_u64 {
        let served = Served::start(dir.path(), &["--dev"]);
        runtime.block_on(async {
            let (wire, _greeting, _) = Wire::connect(served.at, None).await.unwrap();
            let (mut talk, opened) = writing(&wire, &OpenWriter { acknowledged: acknowledged_through, ..new_writer(1) }).await;
            assert!(opened.applied_through >= acknowledged_through.unwrap_or(0) && opened.applied_through <= sent);
            let there: Vec<f64> = if round == 0 { Vec::new() } else { values(&wire).await };
            assert_eq!(there, (1..=opened.applied_through).map(|number| number as f64).collect::<Vec<_>>());
            let until = opened.applied_through + 200;
            for number in opened.applied_through + 1..=until {
                talk.say_frame(&batch(number, &[number as f64])).await;
            }
            sent = until;
            while acknowledged_through.unwrap_or(0) < until - 150 {
                acknowledged_through = Some(talk.hear_a::<Applied>().await.through);
            }
        });
        served.kill();
    }
    succeed(dir.path(), ["verify"]);
}
