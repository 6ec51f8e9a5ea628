//! Every sync is there for a reason: ignore one kind, and a power cut shows what it was for.

use std::path::Path;

use alluvium::io::SyncLabel;
use alluvium::{Database, FieldType, Result, RowBuilder, TableSpec};
use alluvium_tests::campaign::power::{self, Plan};
use alluvium_tests::campaign::workload::{self, Recording};
use alluvium_tests::seed;
use alluvium_tests::sim::{Machine, ROOT, small_settings};
use fastrand::Rng;

/// Lives in which a sync may be missed.
const LIVES: u64 = 4;

#[test]
fn ignoring_a_sync_loses_something() {
    let seed = seed(1);
    for label in SyncLabel::ALL.into_iter().filter(|label| *label != SyncLabel::Quarantine) {
        let plan = Plan { survivals: 1, again_every: usize::MAX, stride: 1 };
        // What follows the first snapshot, say, is not the same in every life.
        let found = (seed..seed + LIVES).find_map(|seed| {
            let recording = Recording::make(seed, workload::steps(seed, workload::STEPS), Some(label));
            recording.and_then(|recording| power::run(&recording, seed, plan, &|_| ())).err()
        });
        println!("{label:?}: {found:?}");
        assert!(found.is_some(), "nothing is the worse for ignoring {label:?}");
    }
}

/// Damaged bytes of the log outlive the log file they were in; power is cut when that has been given up.
fn kept_in_quarantine(ignored: Option<SyncLabel>, survival: u64) -> Result<bool> {
    let machine = Machine::new(3);
    let db = machine.open(small_settings())?;
    db.create_table(TableSpec::new("t").field("v", FieldType::Int64))?;
    (0..3).try_for_each(|n| append(&db, n))?;
    db.close()?;
    let mut image = machine.disk.after_shutdown();
    let log = Path::new(ROOT).join("log/0000000001.log");
    let content = image.files.get_mut(&log).expect("the log");
    // A record in the second group of rows.
    let at = 8_192 + 2 * 4_096 + 48 + 20;
    content.flip(at * 8);
    let damaged = content.to_vec();

    let machine = Machine::from_image(&image, 4);
    machine.disk.ignore_sync(ignored);
    let db = machine.open(small_settings())?;
    for n in 3..400 {
        append(&db, n)?;
        if n % 20 == 0 {
            db.seal()?;
        }
    }
    let image = machine.disk.after_power_cut(&mut Rng::with_seed(survival));
    assert!(!image.files.contains_key(&log), "the log file is given up by now");
    let mut aside = image.files.iter().filter(|(path, _)| path.starts_with(Path::new(ROOT).join("quarantine")));
    Ok(aside.any(|(_, content)| {
        let bytes = content.to_vec();
        bytes.len() > 8 && damaged.windows(bytes.len()).any(|window| window == bytes)
    }))
}

fn append(db: &Database, n: i64) -> Result<()> {
    let mut rows = RowBuilder::new(db.table("t")?);
    (0..50).try_for_each(|k| rows.row(n * 50 + k).value("v", n * 50 + k).map(drop))?;
    db.append("t", &rows.finish()?).map(drop)
}

#[test]
fn damaged_bytes_stay_in_quarantine() {
    let seed = seed(1);
    let mut kept = (0..8).map(|n| kept_in_quarantine(None, seed + n).expect("works"));
    assert!(kept.all(|kept| kept));
    let mut kept = (0..8).map(|n| kept_in_quarantine(Some(SyncLabel::Quarantine), seed + n).expect("works"));
    assert!(!kept.all(|kept| kept), "nothing is the worse for ignoring their sync");
}
