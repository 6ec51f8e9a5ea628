//! I/O that fails costs nothing that was acknowledged, wherever it fails.

use alluvium_tests::campaign::faults;
use alluvium_tests::campaign::workload::{self, Recording};
use alluvium_tests::seed;

#[test]
fn every_fault_somewhere() {
    let seed = seed(1);
    let recording =
        Recording::make(seed, workload::steps(seed, workload::STEPS), None).unwrap_or_else(|violation| panic!("{violation}"));
    let all = faults::all(&recording);
    let chosen: Vec<_> = all.iter().copied().skip(3).step_by(all.len() / alluvium_tests::cases(300) as usize).collect();
    let begin = std::time::Instant::now();
    let runs = faults::run(&recording, seed, &chosen, &|_| ()).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{runs} runs of {} in {:?}", all.len(), begin.elapsed());
}
