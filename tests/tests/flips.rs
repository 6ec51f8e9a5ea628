//! Damage at rest is noticed, named, and costs no more than it must.

use alluvium_tests::campaign::flips;
use alluvium_tests::campaign::flips::Plan;
use alluvium_tests::campaign::sample::Sample;
use alluvium_tests::{cases, seed};

#[test]
fn any_bit_any_length() {
    let seed = seed(1);
    let sample = Sample::make().expect("a sample");
    let all = flips::choose(&sample, seed, Plan { all: true, others: 3_000, cuts: 2_000 });
    let chosen: Vec<_> = all.iter().step_by(all.len() / cases(1_000) as usize).cloned().collect();
    let trials = flips::run(&sample, &chosen, &|_| ()).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{trials} trials of {}", all.len());
}

/// What the sample does not hold, flips do not hit.
#[test]
fn every_kind_of_file_is_in_the_sample() {
    let sample = Sample::make().expect("a sample");
    for dir in ["log", "segments", "catalog", "history"] {
        assert!(!sample.files(dir).is_empty(), "no file in {dir}");
    }
}
