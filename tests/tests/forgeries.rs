//! Damage under right checksums is survived, within bounds. Beside nothing else, since memory is counted by process.

use std::path::Path;

use alluvium_tests::campaign::hostile;
use alluvium_tests::campaign::sample::Sample;
use alluvium_tests::{cases, seed};

#[test]
fn forgeries_are_survived() {
    let seed = seed(2);
    let sample = Sample::make().expect("a sample");
    let (program, trials) = (Path::new(env!("CARGO_BIN_EXE_campaign")), cases(1_000) as usize);
    let trials = hostile::run(&sample, program, seed, trials, &|_| ()).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{trials} forgeries");
}
