//! A power cut takes nothing that was acknowledged, wherever it comes.

use alluvium::{FieldType, TableSpec};
use alluvium_tests::campaign::power::{self, Plan};
use alluvium_tests::campaign::workload::{self, Recording};
use alluvium_tests::seed;
use alluvium_tests::sim::{Change, Machine, small_settings};
use alluvium_tests::steps::Step;
use fastrand::Rng;

#[test]
fn power_cuts() {
    let seed = seed(1);
    let recording =
        Recording::make(seed, workload::steps(seed, workload::STEPS), None).unwrap_or_else(|violation| panic!("{violation}"));
    assert!(recording.journal.len() > 2_000, "only {} changes", recording.journal.len());
    let plan = Plan { survivals: 1, again_every: 8, stride: 9 };
    let trials = power::run(&recording, seed, plan, &|_| ()).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{trials} trials");
}

/// Whoever names a directory in one that is not there yet gets both, for good.
#[test]
fn directories_made_with_a_database_stay() {
    let seed = seed(1);
    let path = "/srv/plant/data";
    for survival in 0..40 {
        let machine = Machine::new(seed);
        let db = machine.builder(small_settings()).open(path).expect("opens");
        db.create_table(TableSpec::new("t").field("v", FieldType::Int64)).expect("a table");
        let image = machine.disk.after_power_cut(&mut Rng::with_seed(seed + survival));
        let db = Machine::from_image(&image, seed).builder(small_settings()).open(path).expect("opens again");
        assert!(db.table("t").is_ok(), "survival {survival}");
    }
}

/// What a trial does not touch it does not prove.
#[test]
fn the_life_touches_every_path() {
    let seed = seed(1);
    let recording =
        Recording::make(seed, workload::steps(seed, workload::STEPS), None).unwrap_or_else(|violation| panic!("{violation}"));
    let text = |step: &Step| format!("{step:?}");
    for kind in [
        "Write(Create",
        "Write(Extend",
        "Write(Rename",
        "Write(DropTable",
        "Write(Put",
        "Write(Delete",
        "Write(Transact",
        "Write(Queues",
        "Buffer(",
        "WriteMany(",
        "Flush",
        "Seal",
        "Compact",
        "Evict(",
        "Background(Consolidate)",
        "Background(Compact)",
        "Background(Seal)",
        "Pass(",
        "SetClock(",
        "Reopen",
        "LoseCatalog",
    ] {
        assert!(recording.steps.iter().any(|step| text(step).starts_with(kind)), "no step {kind}");
    }
    let ends = |path: &std::path::Path, end: &str| path.to_string_lossy().ends_with(end);
    let renamed = |from: &str, to: &str| {
        let fits = |change: &Change| matches!(change, Change::Rename(old, new) if ends(old, from) && ends(new, to));
        recording.journal.iter().any(fits)
    };
    assert!(renamed(".tmp", ".parquet"), "no segment");
    assert!(renamed(".log", ".spare"), "no log file is kept to be overwritten");
    assert!(renamed(".spare", ".log"), "no log file is overwritten");
    assert!(renamed("catalog.sums.new", "catalog.sums"), "no journal is begun afresh");
    let removed = |change: &Change| matches!(change, Change::Remove(path) if ends(path, ".parquet"));
    assert!(recording.journal.iter().any(removed), "no compaction");
}
