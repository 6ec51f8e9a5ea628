//! The real binary, driven as its users do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The `alluvium` binary that `tests/run` built beside these tests, or the one that ALLUVIUM_BINARY names.
pub fn path() -> PathBuf {
    if let Some(named) = std::env::var_os("ALLUVIUM_BINARY") {
        return named.into();
    }
    let here = std::env::current_exe().expect("the path of this test");
    // A test lies in target/PROFILE/deps, a benchmark beside the binary.
    let beside = here.parent().expect("a directory").join("alluvium");
    let profile = here.ancestors().nth(2).expect("a test lies in target/PROFILE/deps");
    let binary = if beside.exists() { beside } else { profile.join("alluvium") };
    assert!(binary.exists(), "{} is missing: run `cargo build -p alluvium-server` first, as tests/run does", binary.display());
    binary
}

/// A command on the database in `data`.
pub fn command<I: AsRef<OsStr>>(data: &Path, arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(path());
    command.arg("--data").arg(data).args(arguments).env_remove("ALLUVIUM_DATA");
    command
}

/// Runs a command to its end.
pub fn run<I: AsRef<OsStr>>(data: &Path, arguments: impl IntoIterator<Item = I>) -> Output {
    command(data, arguments).output().expect("the binary starts")
}

/// Standard output of a command that must succeed.
pub fn succeed<I: AsRef<OsStr>>(data: &Path, arguments: impl IntoIterator<Item = I>) -> String {
    let output = run(data, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "exit {:?}: {stderr}", output.status.code());
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The complaint of a command that must fail with this exit code: one line.
pub fn fail<I: AsRef<OsStr>>(code: i32, data: &Path, arguments: impl IntoIterator<Item = I>) -> String {
    let output = run(data, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}
