//! Transactions of many threads over pairs, documents and rows: what they read and wrote is what they would have, one after the
//! other in the order of their records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::ScopedJoinHandle;

use alluvium::{
    BackgroundStep, CollectionSpec, Database, DocumentQuery, Error, FieldType, Filter, IfRevision, Put, PutDocument, Query,
    QueryStream, Result, RowBuilder, Scan, TableSchema, TableSpec, TimeRange, Transaction, Where,
};
use alluvium_tests::{cases, seed};
use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use fastrand::Rng;
use serde_json::json;

const THREADS: u64 = 6;
/// Transactions of each thread.
const TRANSACTIONS: u64 = 250;
/// Pairs, documents and rooms there are: few, so that transactions meet.
const KEYS: u8 = 6;
const DOCUMENTS: u8 = 8;
const ROOMS: u8 = 3;
const COLLECTION: &str = "devices";
const TABLE: &str = "readings";
/// Times and devices that rows are of.
const TIMES: i64 = 5;
const DEVICES: u8 = 3;

/// One thing that a transaction did, with what it saw.
#[derive(Debug, Clone)]
enum Act {
    ReadPair(String, Option<String>),
    WritePair(String, Option<String>),
    ScanPairs(Vec<(String, String)>),
    ReadDocument(String, Option<u8>),
    WriteDocument(String, Option<u8>),
    /// The ids of the documents of a room, found by the index.
    InRoom(u8, Vec<String>),
    ReadRows(Span, Vec<Reading>),
    WriteRow(Reading),
    DeleteRows(Span),
}

/// A row: device, time, value.
type Reading = (String, i64, i64);

/// Rows of a device, or of all, from a time on and before another.
#[derive(Debug, Clone)]
struct Span {
    device: Option<String>,
    start: i64,
    end: i64,
}

impl Span {
    fn holds(&self, (device, time): &(String, i64)) -> bool {
        self.device.as_ref().is_none_or(|wanted| wanted == device) && (self.start..self.end).contains(time)
    }

    fn filters(&self) -> Vec<Filter> {
        self.device.iter().map(|device| Filter::equal("device", device.as_str())).collect()
    }

    fn range(&self) -> TimeRange {
        TimeRange::new(self.start, self.end)
    }
}

/// A transaction that was committed.
#[derive(Debug)]
struct Committed {
    /// 0 if it wrote nothing.
    sequence: u64,
    /// A record that had been committed before it began.
    after: u64,
    acts: Vec<Act>,
}

/// What there is between two transactions.
#[derive(Debug, Default, Clone)]
struct State {
    pairs: BTreeMap<String, String>,
    rooms: BTreeMap<String, u8>,
    rows: BTreeMap<(String, i64), i64>,
}

impl State {
    /// Does what a transaction did. Answers the first act that would have seen something else.
    fn apply<'a>(&mut self, acts: &'a [Act]) -> Option<&'a Act> {
        acts.iter().find(|act| !self.agrees(act))
    }

    fn agrees(&mut self, act: &Act) -> bool {
        match act {
            Act::ReadPair(key, seen) => self.pairs.get(key) == seen.as_ref(),
            Act::ReadDocument(id, seen) => self.rooms.get(id) == seen.as_ref(),
            Act::ScanPairs(seen) => self.pairs.iter().map(|(key, value)| (key.clone(), value.clone())).eq(seen.iter().cloned()),
            Act::InRoom(room, seen) => self.rooms.iter().filter(|(_, of)| *of == room).map(|(id, _)| id).eq(seen),
            Act::ReadRows(span, seen) => {
                let rows = self.rows.iter().filter(|(place, _)| span.holds(place));
                rows.map(|((device, time), value)| (device.clone(), *time, *value)).eq(seen.iter().cloned())
            }
            Act::WriteRow((device, time, value)) => {
                self.rows.insert((device.clone(), *time), *value);
                true
            }
            Act::DeleteRows(span) => {
                self.rows.retain(|place, _| !span.holds(place));
                true
            }
            Act::WritePair(key, value) => {
                change(&mut self.pairs, key, value.clone());
                true
            }
            Act::WriteDocument(id, room) => {
                change(&mut self.rooms, id, *room);
                true
            }
        }
    }
}

fn change<V>(map: &mut BTreeMap<String, V>, key: &str, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key.to_owned(), value)),
        None => drop(map.remove(key)),
    }
}

fn span(rng: &mut Rng) -> Span {
    let start = rng.i64(0..TIMES);
    let device = rng.bool().then(|| format!("dev-{}", rng.u8(..DEVICES)));
    Span { device, start, end: start + rng.i64(1..TIMES) }
}

fn rows(answer: QueryStream) -> Result<Vec<Reading>> {
    let mut rows = Vec::new();
    for batch in answer {
        let batch = batch?;
        let (times, values) =
            (batch.column(0).as_primitive::<TimestampMicrosecondType>(), batch.column(2).as_primitive::<Int64Type>());
        let devices = arrow::compute::cast(batch.column(1), &arrow::datatypes::DataType::Utf8).unwrap();
        let devices = devices.as_string::<i32>();
        rows.extend((0..batch.num_rows()).map(|row| (devices.value(row).to_owned(), times.value(row), values.value(row))));
    }
    Ok(rows)
}

fn act(transaction: &mut Transaction<'_>, schema: &Arc<TableSchema>, rng: &mut Rng) -> Result<Act> {
    let (key, id, room) = (format!("key/{}", rng.u8(..KEYS)), format!("id/{}", rng.u8(..DOCUMENTS)), rng.u8(..ROOMS));
    Ok(match rng.u8(0..18) {
        0..=2 => {
            let pair = transaction.kv().get(&key)?;
            Act::ReadPair(key, pair.map(|pair| String::from_utf8_lossy(&pair.value).into_owned()))
        }
        3..=4 => {
            let value = rng.u64(..).to_string();
            transaction.kv().put(&key, value.as_bytes(), Put::default())?;
            Act::WritePair(key, Some(value))
        }
        5 => {
            transaction.kv().delete(&key, IfRevision::Any)?;
            Act::WritePair(key, None)
        }
        6 => {
            let pairs = transaction.kv().scan(&Scan::of("key/"))?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Act::ScanPairs(pairs.into_iter().map(|(key, pair)| (key, text(&pair.value))).collect())
        }
        7 => {
            let document = transaction.collection(COLLECTION).get(&id)?;
            let room = document.and_then(|document| document.content["room"].as_u64()).and_then(|room| u8::try_from(room).ok());
            Act::ReadDocument(id, room)
        }
        8..=9 => {
            transaction.collection(COLLECTION).put(&id, &json!({ "room": room }), PutDocument::default())?;
            Act::WriteDocument(id, Some(room))
        }
        10..=12 => {
            let span = span(rng);
            let mut query = Query::table(TABLE).range(span.range());
            query.filters = span.filters();
            Act::ReadRows(span, rows(transaction.query(&query)?)?)
        }
        13..=14 => {
            let row = (format!("dev-{}", rng.u8(..DEVICES)), rng.i64(0..TIMES), rng.i64(..));
            let mut rows = RowBuilder::new(schema.clone());
            rows.row(row.1).tag("device", &row.0)?.value("v", row.2)?;
            transaction.append(TABLE, &rows.finish()?)?;
            Act::WriteRow(row)
        }
        15 => {
            let span = span(rng);
            transaction.delete(TABLE, &span.filters(), span.range())?;
            Act::DeleteRows(span)
        }
        16 => {
            transaction.collection(COLLECTION).delete(&id, IfRevision::Any)?;
            Act::WriteDocument(id, None)
        }
        _ => {
            let query = DocumentQuery::new().filter(Where::equal("room", room)?);
            let mut ids: Vec<_> =
                transaction.collection(COLLECTION).query(&query)?.documents.into_iter().map(|document| document.id).collect();
            ids.sort_unstable();
            Act::InRoom(room, ids)
        }
    })
}

/// The transactions of one thread that were committed, and how many conflicted.
fn live(db: &Database, seed: u64, last: &Mutex<u64>) -> (Vec<Committed>, u64) {
    let (mut rng, mut committed, mut conflicts) = (Rng::with_seed(seed), Vec::new(), 0);
    let schema = db.table(TABLE).unwrap();
    for _ in 0..TRANSACTIONS {
        let after = *last.lock().unwrap();
        let mut transaction = db.begin().unwrap();
        let acts: Result<Vec<Act>> = (0..rng.usize(1..6)).map(|_| act(&mut transaction, &schema, &mut rng)).collect();
        match transaction.commit() {
            Ok(sequence) => {
                let mut last = last.lock().unwrap();
                *last = sequence.max(*last);
                committed.push(Committed { sequence, after, acts: acts.unwrap() });
            }
            Err(Error::Conflict) => conflicts += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (committed, conflicts)
}

#[test]
fn transactions_happen_one_after_the_other() {
    let seed = seed(1);
    for case in 0..cases(4) {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path().join("data")).unwrap();
        db.collections().create(CollectionSpec::new(COLLECTION).index("by_room", &["room"]).unwrap()).unwrap();
        db.create_table(TableSpec::new(TABLE).tag("device").field("v", FieldType::Int64)).unwrap();
        let last = Mutex::new(0);
        let lives = std::thread::scope(|scope| {
            let (db, last) = (&db, &last);
            let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || live(db, seed + 1_000 * case + n, last))).collect();
            // Where rows lie makes no difference.
            while !threads.iter().all(ScopedJoinHandle::is_finished) {
                db.seal().unwrap();
                db.background_step(BackgroundStep::Compact).unwrap();
            }
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let conflicts: u64 = lives.iter().map(|(_, conflicts)| conflicts).sum();
        let (mut wrote, read): (Vec<_>, Vec<_>) =
            lives.into_iter().flat_map(|(committed, _)| committed).partition(|one| one.sequence > 0);
        wrote.sort_by_key(|one| one.sequence);
        assert!(conflicts > 10 && wrote.len() > 200 && read.len() > 20, "{conflicts} {} {}", wrote.len(), read.len());

        let (mut state, mut states) = (State::default(), vec![(0, State::default())]);
        for one in &wrote {
            let odd = state.apply(&one.acts);
            assert!(odd.is_none(), "case {case}: {odd:?} of {one:?} with {state:?}");
            states.push((one.sequence, state.clone()));
        }
        assert!(states.windows(2).all(|two| two[0].0 < two[1].0), "two transactions of one record");
        for one in &read {
            let known = states.iter().rposition(|(sequence, _)| *sequence <= one.after).unwrap();
            let agrees = states[known..].iter().any(|(_, state)| state.clone().apply(&one.acts).is_none());
            assert!(agrees, "case {case}: {one:?} saw no state there was since it began");
        }
        let found = db.kv().scan(&Scan::of("key/")).unwrap().len();
        assert_eq!(
            (found, db.collection(COLLECTION).count(Where::all()).unwrap()),
            (state.pairs.len(), state.rooms.len() as u64)
        );
        let rows = rows(db.query(&Query::table(TABLE)).unwrap()).unwrap();
        assert!(rows.into_iter().eq(state.rows.into_iter().map(|((device, time), value)| (device, time, value))));
        db.close().unwrap();
    }
}
