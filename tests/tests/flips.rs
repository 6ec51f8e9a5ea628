//! Damage at rest is noticed, named, and costs no more than it must.

use alluvium_tests::campaign::sample::Sample;
use alluvium_tests::campaign::{flips, hostile};
use alluvium_tests::{cases, seed};

#[test]
fn any_bit_any_length() {
    let seed = seed(1);
    let sample = Sample::make().expect("a sample");
    for (path, content) in &sample.image.files {
        println!("{} {}", path.display(), content.len());
    }
    let all = flips::choose(&sample, seed, 3_000, 2_000);
    let chosen: Vec<_> = all.iter().step_by(all.len() / cases(3_000) as usize).cloned().collect();
    let begin = std::time::Instant::now();
    let trials = flips::run(&sample, &chosen, &|_| ()).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{trials} trials of {} in {:?}", all.len(), begin.elapsed());
}

#[test]
fn forgeries_are_survived() {
    let seed = seed(2);
    let sample = Sample::make().expect("a sample");
    let trials = hostile::run(&sample, seed, cases(3_000) as usize, &|_| ()).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{trials} forgeries");
}
