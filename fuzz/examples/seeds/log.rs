//! Histories as logs.

use alluvium::record::{Record, RecordKind};
use alluvium_fuzz::log::{CHANGE, CLOSE, CONTEXT, CUT, FILE, FRAME, GROUP, STRICT, WITH_CATALOG};

use crate::{Seeds, samples};

fn frame(step: u8, record: &Record) -> Vec<u8> {
    let payload = record.encode().expect("a small record");
    let length = u16::try_from(payload.len()).expect("a small record").to_le_bytes();
    [&[step | record.kind().code()], &length[..], &payload].concat()
}

/// The records of a history, each a group of its own, all durable.
fn groups(records: &[Record]) -> Vec<u8> {
    let group = |(before, record): (u8, &Record)| [vec![GROUP, before], frame(FRAME, record)].concat();
    (0..).zip(records).flat_map(group).collect()
}

pub fn seeds() -> Seeds {
    let records = samples::records();
    let history: Vec<Record> = records
        .iter()
        .filter(|record| !matches!(record, Record::Sealed(_) | Record::Compacted(_) | Record::Evicted(_)))
        .cloned()
        .collect();
    let one_group: Vec<u8> = history.iter().flat_map(|record| frame(FRAME, record)).collect();
    let definitions: Vec<u8> = history
        .iter()
        .filter(|record| matches!(record.kind(), RecordKind::AlterTable | RecordKind::CreateSeries))
        .flat_map(|record| frame(CONTEXT, record))
        .collect();
    let start = &groups(&history[..3]);
    vec![
        ("history", [&[WITH_CATALOG][..], &groups(&history), &[CLOSE]].concat()),
        ("one-group", [&[0][..], &one_group].concat()),
        ("strict", [&[STRICT | WITH_CATALOG][..], &groups(&history[..6]), &[CLOSE]].concat()),
        ("all-records", [&[0][..], &groups(&records)].concat()),
        ("two-files", [&[WITH_CATALOG][..], start, &[FILE, 0], &definitions, &frame(FRAME, &history[2])].concat()),
        ("gap", [&[0][..], start, &[FILE, 2], &definitions, &frame(FRAME, &history[5]), &[CLOSE]].concat()),
        ("changed", [&[0][..], &groups(&history), &[CHANGE, 0, 0x50, 0x20, 1]].concat()),
        ("cut", [&[WITH_CATALOG][..], &groups(&history), &[CUT, 0, 0x10, 0x50]].concat()),
    ]
}
