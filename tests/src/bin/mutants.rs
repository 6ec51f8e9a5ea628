//! Takes out one safeguard at a time, in a copy of the sources, and sees whether a test notices.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use alluvium_tests::mutants::Mutant;
use anyhow::{Context, Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// What may notice first: the own tests of protocol, engine and sync.
const OWN: [&[&str]; 4] = [
    &["-p", "alluvium-protocol", "--lib"],
    &["-p", "alluvium", "--lib"],
    &["-p", "alluvium-sync", "--lib"],
    &["-p", "alluvium-sync", "--test", "objects"],
];
/// What may notice after that, the quickest first.
const CAMPAIGNS: [&str; 8] = ["syncs", "transactions", "forgeries", "power", "faults", "flips", "synced", "world"];
/// A test that runs so long does not end, which is noticed as well.
const SECONDS: &str = "400";

/// Takes out one safeguard at a time and prints those that no test misses.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only mutants whose name contains one of these.
    names: Vec<String>,
    /// Only names them.
    #[arg(long)]
    list: bool,
    /// Where the copy of the sources and its build go.
    #[arg(long, default_value = "target/mutants")]
    dir: PathBuf,
}

enum Fate {
    Noticed,
    Survived,
    DoesNotBuild,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let wanted = |mutant: &Mutant| arguments.names.is_empty() || arguments.names.iter().any(|name| mutant.name.contains(name));
    let mutants: Vec<_> = Mutant::all().into_iter().filter(wanted).collect();
    if arguments.list {
        mutants.iter().for_each(|mutant| println!("{}", mutant.name));
        return Ok(ExitCode::SUCCESS);
    }
    let (copy, build) = (arguments.dir.join("sources"), std::path::absolute(arguments.dir.join("build"))?);
    copy_sources(&copy)?;
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")?;
    let bar = ProgressBar::new(mutants.len() as u64).with_style(style);
    say(&bar, "without a change, every test has to pass");
    ensure!(matches!(fate(&copy, &build, &mutants)?, Fate::Survived), "the tests fail without any change");
    let mut survivors = Vec::new();
    for mutant in &mutants {
        bar.set_message(mutant.name.clone());
        let begun = Instant::now();
        let before = mutant.apply(&copy).map_err(anyhow::Error::msg)?;
        let fate = fate(&copy, &build, std::slice::from_ref(mutant));
        fs::write(copy.join(&mutant.file), before)?;
        let told = match fate? {
            Fate::Noticed => "noticed",
            Fate::Survived => "SURVIVED",
            Fate::DoesNotBuild => "DOES NOT BUILD",
        };
        say(&bar, &format!("{told:9} {:4} s  {}", begun.elapsed().as_secs(), mutant.name));
        if told != "noticed" {
            survivors.push(&mutant.name);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("{} mutants, {} survivors", mutants.len(), survivors.len());
    survivors.iter().for_each(|name| println!("  {name}"));
    Ok(if survivors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says something above the bar, or all the same where there is none to see.
fn say(bar: &ProgressBar, what: &str) {
    bar.suspend(|| println!("{what}"));
}

/// Copies what git knows, and nothing else. Files that are the same stay, so that they are not built again.
fn copy_sources(to: &Path) -> Result<()> {
    let listed = Command::new("git").args(["ls-files", "-z"]).output().context("git lists the sources")?;
    let mut copies = HashSet::new();
    for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (bytes, target) = (fs::read(name).with_context(|| name.to_owned())?, to.join(name));
        if !fs::read(&target).is_ok_and(|there| there == bytes) {
            fs::create_dir_all(target.parent().context("a file lies in a directory")?)?;
            fs::write(&target, bytes)?;
        }
        copies.insert(target);
    }
    remove_others(to, &copies)
}

fn remove_others(dir: &Path, kept: &HashSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match path.is_dir() {
            true => remove_others(&path, kept)?,
            false if !kept.contains(&path) => fs::remove_file(&path)?,
            false => {}
        }
    }
    Ok(())
}

/// What notices these. Nothing that engine and protocol have for themselves asks sync.
fn suites(mutants: &[Mutant]) -> Vec<Vec<&'static str>> {
    let is_of_sync = |mutant: &Mutant| mutant.file.starts_with("sync");
    let may_notice = |suite: &&[&str]| match suite.contains(&"alluvium-sync") {
        true => mutants.iter().any(is_of_sync),
        false => !mutants.iter().all(is_of_sync),
    };
    let campaigns = ["-p", "alluvium-tests"].into_iter().chain(CAMPAIGNS.iter().flat_map(|name| ["--test", name]));
    OWN.into_iter().filter(may_notice).map(<[_]>::to_vec).chain([campaigns.collect()]).collect()
}

fn fate(copy: &Path, build: &Path, mutants: &[Mutant]) -> Result<Fate> {
    for suite in suites(mutants) {
        if !cargo(Command::new("cargo"), copy, build, &[&suite[..], &["--no-run"]].concat())? {
            return Ok(Fate::DoesNotBuild);
        }
        let mut limited = Command::new("timeout");
        limited.args([SECONDS, "cargo"]);
        if !cargo(limited, copy, build, &suite)? {
            return Ok(Fate::Noticed);
        }
    }
    Ok(Fate::Survived)
}

/// Runs `cargo test`. Answers whether it succeeded.
fn cargo(mut command: Command, copy: &Path, build: &Path, arguments: &[&str]) -> Result<bool> {
    command.args(["test", "--locked", "--quiet"]).args(arguments);
    command.current_dir(copy).env("CARGO_TARGET_DIR", build).env("RUST_BACKTRACE", "0");
    Ok(command.output().context("cargo runs")?.status.success())
}
