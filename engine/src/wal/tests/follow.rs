//! Reading a log that others go on writing.

use super::*;
use crate::wal::{Follow, Step};

/// The same log on several disks: record 1, then record 2 in a later group after one that came to nothing.
fn log_with(second: Option<(u64, &[u8])>) -> Rig {
    let rig = Rig::new(1 << 20);
    let mut log = Log::start(&rig.components, &dir(), 1 << 20, 1, &ScanReport::default()).unwrap();
    let mut commit = |sequence, bytes: &[u8]| {
        log.begin_group(64).unwrap();
        log.push(KIND, 0, sequence, &Payload::new(bytes.to_vec()).unwrap());
        log.commit_group(true).unwrap();
    };
    commit(1, b"first");
    if let Some((undone, bytes)) = second {
        (0..undone).for_each(|_| log.begin_group(64).unwrap());
        log.begin_group(64).unwrap();
        log.push(KIND, 0, 2, &Payload::new(bytes.to_vec()).unwrap());
        log.commit_group(true).unwrap();
    }
    rig
}

#[test]
fn what_was_read_before_it_was_durable_is_read_again() {
    // A group that a full disk undoes later, and the one that takes its place.
    let (undone, rig) = (log_with(Some((0, b"undone"))), log_with(Some((1, b"second"))));
    let listed = Log::start(&rig.components, &dir(), 1 << 20, 3, &rig.scan().report).unwrap().listed();
    let place = listed.locate(1).unwrap();
    let mut follow = Follow::open(&undone.disk, &dir(), &place).unwrap().unwrap();
    let next = |follow: &mut Follow, through| match follow.step(through) {
        Step::Record(frame) => (frame.sequence, follow.payload(&frame).to_vec()),
        Step::Bad => panic!("nothing good"),
    };
    assert_eq!(next(&mut follow, 1), (1, b"first".to_vec()));
    undone.disk.corrupt(&log_path(&dir(), 1), |bytes| *bytes = rig.bytes(1)).unwrap();
    assert_eq!(next(&mut follow, 2), (2, b"second".to_vec()));
}

#[test]
fn a_file_of_another_life_is_not_read() {
    let rig = log_with(None);
    let mut log = Log::start(&rig.components, &dir(), 1 << 20, 2, &rig.scan().report).unwrap();
    let place = log.listed().locate(1).unwrap();
    let mut follow = Follow::open(&rig.disk, &dir(), &place).unwrap().unwrap();
    log.begin_group(64).unwrap();
    log.push(KIND, 0, 2, &Payload::new(b"second".to_vec()).unwrap());
    log.commit_group(true).unwrap();
    assert_eq!(log.listed().again(&place).unwrap().limit, Some(2));
    let held = rig.disk.open(&log_path(&dir(), 1), OpenMode::Write).unwrap();
    log.trim(2).unwrap();
    // Overwritten under its reader by the next file, as recycling does.
    let next = rig.bytes(2);
    held.write_all_at(0, &next).unwrap();
    assert_eq!(follow.step(2), Step::Bad);
    assert_eq!((log.listed().again(&place), log.listed().locate(1)), (None, None));
    assert_eq!(log.listed().first(), Some(2));
    assert!(Follow::open(&rig.disk, &dir(), &place).unwrap().is_none());
}
