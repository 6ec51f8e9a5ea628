//! I/O that fails costs nothing that was acknowledged, wherever it fails.

use alluvium::{Database, FieldType, Query, RowBuilder, Settings, TableSpec};
use alluvium_tests::answers;
use alluvium_tests::campaign::faults;
use alluvium_tests::campaign::workload::{self, Recording};
use alluvium_tests::seed;
use alluvium_tests::sim::{Fault, Injection, Machine, small_settings};

#[test]
fn every_fault_somewhere() {
    let seed = seed(1);
    let recording =
        Recording::make(seed, workload::steps(seed, workload::STEPS), None).unwrap_or_else(|violation| panic!("{violation}"));
    let all = faults::all(&recording);
    let chosen: Vec<_> = all.iter().copied().skip(3).step_by(all.len() / alluvium_tests::cases(60) as usize).collect();
    let runs = faults::run(&recording, seed, &chosen, &|_| ()).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{runs} runs of {}", all.len());
}

/// The disk is full in the middle of a group, and the sync fails that was to make its undoing durable. What an opening then
/// shows is what a power cut after it leaves, whichever of both that is.
#[test]
fn a_group_that_was_undone_in_vain_does_not_come_back() {
    let seed = seed(1);
    let rows = |db: &Database| answers::rows(db, &Query::table("t")).expect("an answer").len();
    for survival in 0..40 {
        let machine = Machine::new(2);
        let db = machine.open(Settings { ballast_bytes: 0, ..small_settings() }).expect("opens");
        db.create_table(TableSpec::new("t").field("v", FieldType::Int64)).expect("a table");
        append(&db, 0).expect("there is room");
        let disk = &machine.disk;
        disk.inject(Some(Injection { at: disk.operations(), fault: Fault::Sync, for_good: false }));
        // Enough for the frames of the group, not for its padding.
        disk.set_quota(Some(disk.used() + 2_048));
        let error = append(&db, 1).expect_err("neither room nor a sync");
        assert!(disk.has_struck(), "{error}");
        assert!(!matches!(error, alluvium::Error::DiskFull { .. }), "whether it counts is not known: {error}");
        drop(db);
        disk.inject(None);
        let seen = rows(&machine.open(small_settings()).expect("opens"));
        let image = disk.after_power_cut(&mut fastrand::Rng::with_seed(seed + survival));
        let db = Machine::from_image(&image, 3).open(small_settings()).expect("opens after a power cut");
        assert_eq!(rows(&db), seen, "survival {survival}");
    }
}

fn append(db: &Database, n: i64) -> alluvium::Result<()> {
    let mut rows = RowBuilder::new(db.table("t")?);
    rows.row(n).value("v", n)?;
    db.append("t", &rows.finish()?).map(drop)
}
