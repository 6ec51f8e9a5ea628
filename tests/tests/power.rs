//! A power cut takes nothing that was acknowledged, wherever it comes.

use alluvium_tests::campaign::power::{self, Plan};
use alluvium_tests::campaign::workload::{self, Recording};
use alluvium_tests::seed;

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
