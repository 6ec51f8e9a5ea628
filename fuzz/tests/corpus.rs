//! Every target over its corpus, and over mutations of it: what the fuzzer found once stays found, without the fuzzer.
//!
//! ALLUVIUM_SEED replays mutations, ALLUVIUM_CASES asks for more of each file.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use alluvium_fuzz::{TARGETS, Target, canary};
use alluvium_tests::{cases, seed};
use fastrand::Rng;

/// Where an input is left that a target fails on, to be copied into the corpus.
const LEFT: &str = env!("CARGO_TARGET_TMPDIR");
/// Inputs are small: what takes so long believes a size that it should not.
const LONG: Duration = Duration::from_secs(10);

/// The inputs of a target, by name.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty: run the example `seeds`", dir.display());
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a file that can be read"))).collect()
}

fn target(name: &str) -> Target {
    TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1
}

/// Runs a target and keeps what it fails on. Taking long is failing.
fn attempt(name: &str, what: &str, data: &[u8]) {
    static QUIET: Once = Once::new();
    QUIET.call_once(alluvium_fuzz::keep_fenced_panics_quiet);
    let run = || {
        let begun = Instant::now();
        target(name)(data);
        assert!(begun.elapsed() < LONG, "it took {:?}", begun.elapsed());
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        let left = Path::new(LEFT).join(format!("failed-{name}"));
        std::fs::write(&left, data).expect("room for what failed");
        println!("{name} fails on {what}; the input is in {}", left.display());
        resume_unwind(panic);
    }
}

/// Runs a target over its corpus, then over mutations of each file of it.
fn check(name: &str, mutations: u64) {
    let corpus = corpus(name);
    for (path, data) in &corpus {
        attempt(name, &path.display().to_string(), data);
    }
    let mut rng = Rng::with_seed(seed(1));
    for case in 0..cases(mutations) {
        for (path, data) in &corpus {
            let other = &corpus[rng.usize(..corpus.len())].1;
            attempt(name, &format!("mutation {case} of {}", path.display()), &mutated(data, other, &mut rng));
        }
    }
}

/// A few changes of the kinds that matter to parsers.
fn mutated(data: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(..=data.len());
        let end = (at + rng.usize(0..16)).min(data.len());
        match rng.u8(0..8) {
            0 => data.truncate(at),
            1 => drop(data.drain(at..end)),
            2 => data.insert(at, rng.u8(..)),
            3 => data.extend_from_within(at..end),
            4 => {
                let from = rng.usize(..=other.len());
                let to = (from + rng.usize(0..64)).min(other.len());
                drop(data.splice(at..end, other[from..to].iter().copied()));
            }
            5 => data[at..end].fill([0, 1, 0x7f, 0x80, 0xff][rng.usize(0..5)]),
            6 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add([1, 255][rng.usize(0..2)])),
            _ => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.u8(0..8)),
        }
    }
    data
}

#[test]
fn log() {
    check("log", 40);
}

#[test]
fn segment() {
    check("segment", 400);
}

#[test]
fn record() {
    check("record", 5_000);
}

#[test]
fn csv() {
    check("csv", 200);
}

#[test]
fn json_lines() {
    check("json_lines", 200);
}

#[test]
fn line_protocol() {
    check("line_protocol", 200);
}

#[test]
fn write() {
    check("write", 200);
}

#[test]
fn query() {
    check("query", 200);
}

#[test]
fn model() {
    check("model", 10);
}

#[test]
fn protocol() {
    check("protocol", 5_000);
}

#[test]
fn grant() {
    check("grant", 2_000);
}

#[test]
fn the_canary_dies_of_its_magic_and_of_nothing_else() {
    for (_, data) in corpus("canary") {
        canary::run(&data);
    }
    for len in 0..canary::MAGIC.len() {
        canary::run(&canary::MAGIC[..len]);
    }
    assert!(catch_unwind(|| canary::run(canary::MAGIC)).is_err());
}
