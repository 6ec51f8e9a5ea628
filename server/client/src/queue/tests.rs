//! Queue files: what is in them after whatever happened.

use std::path::Path;
use std::sync::Arc;

use alluvium_protocol::message::{DescribeTable, Field};
use alluvium_protocol::rows::{Layout, Row, Value, Writer};
use fastrand::Rng;

use super::format::RECORDS;
use super::*;
use crate::{Error, Result};

const ID: [u8; 16] = [7; 16];

fn table(slot: u16) -> Arc<DescribeTable> {
    let fields = vec![Field { name: "n".to_owned(), kind: 2, scale: 0 }];
    Arc::new(DescribeTable { slot, table: format!("t{slot}"), tags: Vec::new(), fields, time_unit: 0, create: false })
}

/// A batch whose rows say which it is.
fn new(value: i64, rows: usize) -> New {
    let table = table(value as u16 % 3);
    let layout = Layout::of(&table).unwrap();
    let mut writer = Writer::new(&layout, 1, table.slot);
    (0..rows).for_each(|_| writer.row(value, &[], &[Some(Value::Int64(value))]).unwrap());
    let mut frame = Vec::new();
    writer.finish().write(&mut frame).unwrap();
    New { frame, table }
}

/// The value and the number of a frame.
fn value(frame: &[u8]) -> (u64, i64) {
    let layout = Layout::of(&table(0)).unwrap();
    let mut reader = alluvium_protocol::rows::Reader::new(&layout, 0x8100, &frame[8..]).unwrap();
    let mut row = Row::default();
    assert!(reader.read(&mut row).unwrap());
    (reader.head().number, row.time)
}

fn append(queue: &mut Queue, values: impl IntoIterator<Item = i64>) {
    let mut news: Vec<New> = values.into_iter().map(|value| new(value, 2)).collect();
    queue.append(&mut news).unwrap();
}

/// Opens it and reads all: the last acknowledged, and the values behind it.
fn contents(path: &Path) -> Result<(u64, Vec<i64>)> {
    let (mut queue, restored) = Queue::open(path, [0; 16])?;
    assert_eq!(restored.writer, ID);
    let numbers = restored.acknowledged + 1..;
    let values = numbers.zip(&restored.waiting).map(|(number, (length, described))| {
        let frame = queue.read(number).unwrap();
        let (found, value) = value(&frame);
        assert_eq!((found, frame.len(), described), (number, *length, &table(value as u16 % 3)));
        value
    });
    let values = values.collect();
    Ok((restored.acknowledged, values))
}

fn random() -> Rng {
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    println!("ALLUVIUM_SEED={seed}");
    Rng::with_seed(seed)
}

#[test]
fn a_queue_is_what_it_was_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue");
    let mut random = random();
    let (mut acknowledged, mut made, mut sent, mut rewritten) = (0, 0, false, false);
    for _ in 0..60 {
        let (mut queue, restored) = Queue::open(&path, ID).unwrap();
        assert_eq!((restored.writer, restored.acknowledged, restored.sent_before), (ID, acknowledged, sent));
        assert_eq!(restored.waiting.len() as u64, made as u64 - acknowledged);
        assert!(matches!(Queue::open(&path, ID), Err(Error::QueueBusy { .. })));
        for _ in 0..random.usize(..8) {
            match random.u8(..4) {
                0 | 1 => {
                    let count = random.i64(1..5);
                    let mut news: Vec<New> = (made + 1..=made + count).map(|value| new(value, 2_000)).collect();
                    queue.append(&mut news).unwrap();
                    made += count;
                }
                2 if made as u64 > acknowledged => {
                    let before = path.metadata().unwrap().len();
                    acknowledged = random.u64(acknowledged + 1..=made as u64);
                    queue.acknowledge(acknowledged).unwrap();
                    rewritten |= path.metadata().unwrap().len() < before;
                }
                3 => {
                    queue.note().unwrap();
                    sent = true;
                }
                _ => {}
            }
        }
        drop(queue);
        assert_eq!(contents(&path).unwrap(), (acknowledged, (acknowledged as i64 + 1..=made).collect()));
    }
    assert!(rewritten && sent);
    // Half of it may be acknowledged, and a little more.
    let kept = (made as u64 - acknowledged) * 40_000;
    assert!(path.metadata().unwrap().len() <= RECORDS + 2 * kept + (512 << 10), "space is given back");
}

#[test]
fn a_batch_is_replaced_and_a_writer_renamed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue");
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    append(&mut queue, 1..=5);
    queue.acknowledge(2).unwrap();
    queue.note().unwrap();
    queue.replace(4, &mut new(40, 1)).unwrap();
    assert_eq!(value(&queue.read(4).unwrap()), (4, 40));
    drop(queue);
    assert_eq!(contents(&path).unwrap(), (2, vec![3, 40, 5]));
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    queue.renew([8; 16]).unwrap();
    append(&mut queue, [6]);
    assert_eq!((1..=4).map(|number| value(&queue.read(number).unwrap())).collect::<Vec<_>>(), [(1, 3), (2, 40), (3, 5), (4, 6)]);
    drop(queue);
    let (_, restored) = Queue::open(&path, ID).unwrap();
    assert_eq!((restored.writer, restored.sent_before, restored.acknowledged, restored.waiting.len()), ([8; 16], false, 0, 4));
}

#[test]
fn a_file_that_is_written_anew_says_of_each_batch_which_table_it_is_of() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue");
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    // As when a slot was free again after a restart.
    let tables = ["a", "b", "a"].map(|name| Arc::new(DescribeTable { table: name.to_owned(), ..(*table(0)).clone() }));
    for (table, value) in tables.iter().zip([3, 6, 9]) {
        queue.append(&mut [New { table: table.clone(), ..new(value, 1) }]).unwrap();
    }
    queue.renew(ID).unwrap();
    queue.append(&mut [New { table: tables[1].clone(), ..new(12, 1) }]).unwrap();
    drop(queue);
    let (mut queue, restored) = Queue::open(&path, ID).unwrap();
    let names: Vec<&str> = restored.waiting.iter().map(|(_, table)| table.table.as_str()).collect();
    assert_eq!(names, ["a", "b", "a", "b"]);
    assert_eq!((1..=4).map(|number| value(&queue.read(number).unwrap())).collect::<Vec<_>>(), [(1, 3), (2, 6), (3, 9), (4, 12)]);
}

#[test]
fn what_a_rewriting_left_behind_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue");
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    append(&mut queue, 1..=3);
    drop(queue);
    let left = directory.path().join("queue.new");
    std::fs::write(&left, b"half of it").unwrap();
    assert_eq!(contents(&path).unwrap(), (0, vec![1, 2, 3]));
    assert!(!left.exists());
    // One that fails leaves nothing, and the queue as it was.
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    std::fs::create_dir(path.with_extension("kept")).unwrap();
    std::fs::rename(&path, path.with_extension("kept").join("queue")).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(queue.renew([8; 16]), Err(Error::QueueIo { .. })), "a directory is in its place");
    assert!(!left.exists());
    assert_eq!(value(&queue.read(3).unwrap()), (3, 3));
}

/// Whatever a power cut does to what was written since the last sync, one mark is whole and says enough.
#[test]
fn only_one_mark_is_not_synced_at_any_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue");
    let marks = || {
        let bytes = std::fs::read(&path).unwrap();
        [4_096, 8_192].map(|at| bytes[at..at + 32].to_vec())
    };
    let changed = |before: &[Vec<u8>; 2]| (0..2).filter(|place| marks()[*place] != before[*place]).collect::<Vec<_>>();
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    append(&mut queue, 1..=9);
    queue.note().unwrap();
    let mut synced = marks();
    for through in [1, 2, 3] {
        queue.acknowledge(through).unwrap();
    }
    let place = changed(&synced);
    assert_eq!(place.len(), 1);
    // The next sync makes it durable, and what is said after that goes to the other place.
    synced = marks();
    append(&mut queue, [10]);
    queue.acknowledge(4).unwrap();
    assert_eq!(changed(&synced), [1 - place[0]]);
    drop(queue);
    // A process that opens it does not know what was synced before.
    let (mut queue, restored) = Queue::open(&path, ID).unwrap();
    synced = marks();
    queue.acknowledge(restored.acknowledged + 1).unwrap();
    queue.acknowledge(restored.acknowledged + 2).unwrap();
    assert_eq!(changed(&synced), place, "the one that held stays");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = 4_096 * (place[0] + 1);
    bytes[at..at + 32].fill(0x55);
    drop(queue);
    std::fs::write(&path, &bytes).unwrap();
    let (_, restored) = Queue::open(&path, ID).unwrap();
    assert_eq!((restored.acknowledged, restored.sent_before, restored.waiting.len()), (4, true, 6));
}

#[test]
fn a_torn_tail_is_cut_off_and_nothing_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue");
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    append(&mut queue, [1, 2]);
    let before = path.metadata().unwrap().len() as usize;
    drop(queue);
    let synced = std::fs::read(&path).unwrap();
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    append(&mut queue, [3]);
    append(&mut queue, [4]);
    drop(queue);
    let all = std::fs::read(&path).unwrap();
    // As if the power had gone before the mark was written, and with any part of what was written then.
    let mut random = random();
    let mut length = before;
    loop {
        let mut torn = all[..length].to_vec();
        torn[..before].copy_from_slice(&synced[..before]);
        if length < all.len() {
            let rest = random.usize(..30);
            torn.extend(std::iter::repeat_with(|| random.u8(..)).take(rest));
        }
        std::fs::write(&path, &torn).unwrap();
        let (acknowledged, values) = contents(&path).unwrap();
        let whole: Vec<i64> = (1..=4).take(values.len()).collect();
        assert!(acknowledged == 0 && values == whole && values.len() >= 2, "{length}: {values:?}");
        assert!(length < all.len() || values.len() == 4);
        // What comes next goes behind it.
        let (mut queue, _) = Queue::open(&path, ID).unwrap();
        append(&mut queue, [9]);
        drop(queue);
        assert_eq!(contents(&path).unwrap().1.last(), Some(&9));
        if length == all.len() {
            break;
        }
        length = all.len().min(length + random.usize(1..16));
    }
    // What was synced is no tail.
    for length in 0..all.len() {
        std::fs::write(&path, &all[..length]).unwrap();
        assert!(matches!(contents(&path), Err(Error::QueueDamaged { .. })), "{length} bytes");
    }
}

#[test]
fn a_flipped_bit_is_told_and_costs_nothing_in_silence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue");
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    append(&mut queue, 1..=3);
    queue.note().unwrap();
    append(&mut queue, 4..=6);
    queue.acknowledge(1).unwrap();
    drop(queue);
    let good = std::fs::read(&path).unwrap();
    let flip = |at: usize, bit: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, &bytes).unwrap();
    };
    let mut random = random();
    for at in (0..36).chain(RECORDS as usize..good.len()) {
        flip(at, random.u8(..8));
        assert!(matches!(contents(&path), Err(Error::QueueDamaged { .. })), "byte {at}");
    }
    // Of marks the other holds, which knows of everything that was sent.
    for at in (4_096..4_128).chain(8_192..8_224) {
        flip(at, random.u8(..8));
        let (_queue, restored) = Queue::open(&path, ID).unwrap();
        assert!(restored.sent_before && restored.acknowledged <= 1 && restored.waiting.len() >= 5, "byte {at}");
    }
    for _ in 0..3_000 {
        let mut bytes = good.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        bytes.truncate(random.usize(..=bytes.len()));
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(contents(&path), Ok(_) | Err(Error::QueueDamaged { .. })));
    }
    // One that is found only when it is to be sent.
    std::fs::write(&path, &good).unwrap();
    let (mut queue, _) = Queue::open(&path, ID).unwrap();
    flip(good.len() - 1, 0);
    assert!(matches!(queue.read(6), Err(Error::QueueDamaged { .. })));
    assert_eq!(value(&queue.read(5).unwrap()), (5, 5));
}

#[test]
fn what_cannot_be_opened_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere").join("queue");
    assert!(matches!(Queue::open(&nowhere, ID), Err(Error::QueueIo { .. })));
    let path = directory.path().join("queue");
    std::fs::write(&path, b"something else").unwrap();
    let error = Queue::open(&path, ID).unwrap_err();
    assert!(matches!(error, Error::QueueDamaged { .. }) && error.to_string().contains("move it away"), "{error}");
}
