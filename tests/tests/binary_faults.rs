//! The real binary while the operating system refuses: `strace` makes chosen system calls fail, or kills at them.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use alluvium_tests::imports::{Import, acknowledged};
use alluvium_tests::{cases, seed};
use fastrand::Rng;

const ROWS: u64 = 12_000;
const SIGKILL: i32 = 9;

/// What a full disk is called. Where even room written before is refused, it is not known whether the last group counts.
const FULL: [&str; 2] = ["free some room, writing then resumes by itself", "No space left on device"];

/// Keeps calls that are not traced at full speed. Signals are not injected with it.
const FAST: &str = "--seccomp-bpf";

/// Runs an import under `strace`.
fn traced(import: &Import, calls: &str, options: &[&str]) -> Output {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", &format!("trace={calls}")]).args(options);
    let command = import.command();
    strace.arg(command.get_program()).args(command.get_args()).env_remove("ALLUVIUM_DATA");
    strace.output().expect("strace starts: tests/run installs it")
}

/// Makes calls fail. Also answers whether any did.
fn inject(import: &Import, calls: &str, fault: &str) -> (Output, bool) {
    let trace = import.data.with_extension("trace");
    let path = trace.to_str().expect("UTF-8");
    let output = traced(import, calls, &[FAST, "-o", path, "-e", &format!("inject={calls}:{fault}")]);
    (output, fs::read_to_string(&trace).expect("a trace").contains("(INJECTED)"))
}

/// How often a call is made by the thread that makes most of them, since each thread is counted for itself.
fn calls(import: &Import, call: &str) -> u64 {
    let trace = import.data.with_file_name(format!("{call}.trace"));
    let output = traced(import, call, &[FAST, "-o", trace.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&trace).expect("a trace");
    let mut by_thread = std::collections::BTreeMap::<&str, u64>::new();
    let begun = text.lines().filter(|line| line.contains(&format!("{call}(")));
    begun.for_each(|line| *by_thread.entry(line.split(' ').next().unwrap_or("")).or_default() += 1);
    by_thread.into_values().max().unwrap_or(0)
}

/// What a run did that could not do everything: it either succeeded after all, or complained as documented.
fn check_ending(output: &Output, what: &str, reasons: &[&str]) -> String {
    let stdout = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let rows = acknowledged(&stdout);
    if output.status.success() {
        assert_eq!(rows, ROWS, "{what}");
        return stdout;
    }
    let told = complaint(output, what);
    assert!(reasons.iter().any(|reason| told.contains(reason)), "{what}: {told}");
    // Where it failed later, all rows are there.
    let counted = told.ends_with(&format!("; {rows} rows were imported before that"));
    assert!(counted || rows == 0 || rows == ROWS, "{what}: {rows} rows: {told}");
    stdout
}

/// The complaint of a run that must have failed as documented: exit code 1, and a last line that says why.
fn complaint(output: &Output, what: &str) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{what}: {stderr}");
    assert!(!stderr.contains("panicked"), "{what}: {stderr}");
    let said: Vec<&str> = stderr.lines().filter(|line| line.starts_with("alluvium: ")).collect();
    assert_eq!(said.len(), 1, "{what}: {stderr}");
    assert_eq!(stderr.lines().last(), said.first().copied(), "{what}");
    said[0].to_owned()
}

/// Moments spread over a run, first and last among them.
fn moments(rng: &mut Rng, calls: u64, count: u64) -> Vec<u64> {
    assert!(calls > 0, "the call is made");
    let spread = (0..count).map(|part| rng.u64(part * calls / count..(part + 1) * calls / count + 1).clamp(1, calls));
    [1, calls].into_iter().chain(spread).collect()
}

/// Runs a case for each moment, and says which one fails.
fn campaign(name: &str, call: &str, first_seed: u64, check: impl Fn(&Import, u64, &str)) {
    let mut rng = Rng::with_seed(seed(first_seed));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let import = Import::new(dir.path(), ROWS);
    let calls = calls(&import.beside("counted"), call);
    for (case, moment) in moments(&mut rng, calls, cases(6)).into_iter().enumerate() {
        let what = format!("{name} at {call} {moment} of {calls}");
        println!("{what}");
        check(&import.beside(&format!("data{case}")), moment, &what);
    }
}

#[test]
fn a_failed_sync_ends_the_import_and_loses_nothing() {
    let check = |call: &'static str| {
        move |import: &Import, moment: u64, what: &str| {
            let (output, failed) = inject(import, call, &format!("error=EIO:when={moment}"));
            // Where the run made fewer calls than the one that was counted, none failed.
            assert_eq!(output.status.success(), !failed, "{what}");
            import.check(&check_ending(&output, what, &["Input/output error"]));
        }
    };
    campaign("EIO", "fdatasync", 21, check("fdatasync"));
    campaign("EIO", "fsync", 22, check("fsync"));
}

#[test]
fn a_full_disk_ends_the_import_with_a_clear_error_and_loses_nothing() {
    campaign("ENOSPC", "pwrite64", 23, |import, moment, what| {
        let (output, _) = inject(import, "pwrite64,fallocate,ftruncate", &format!("error=ENOSPC:when={moment}+"));
        import.check(&check_ending(&output, what, &FULL));
    });
}

#[test]
fn a_kill_at_any_call_loses_nothing() {
    for (call, seed) in [("pwrite64", 24), ("fdatasync", 25), ("rename", 26)] {
        campaign("SIGKILL", call, seed, |import, moment, what| {
            let kill = format!("inject={call}:signal=KILL:when={moment}");
            let output = traced(import, call, &["-o", "/dev/null", "-e", &kill]);
            // strace ends as what it traces ended.
            assert_eq!(output.status.signal(), Some(SIGKILL), "{what}");
            import.check(&String::from_utf8(output.stdout).expect("UTF-8"));
        });
    }
}
