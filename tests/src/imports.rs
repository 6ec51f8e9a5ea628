//! An import by the real binary that ends badly somewhere, and what must be there afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use crate::binary::{command, run, succeed};

/// Rows that are made durable at a time.
pub const BATCH: u64 = 100;

/// A file of rows whose values count from 0, and the database it goes to.
#[derive(Debug)]
pub struct Import {
    file: PathBuf,
    rows: u64,
    /// Where the database lies.
    pub data: PathBuf,
}

impl Import {
    /// Writes the file.
    pub fn new(dir: &Path, rows: u64) -> Self {
        let mut text = String::from("time,device,v\n");
        (0..rows).for_each(|n| text.push_str(&format!("{},d{},{n}\n", 1_700_000_000_000 + n, n % 7)));
        let file = dir.join("rows.csv");
        fs::write(&file, text).expect("writes");
        Import { file, rows, data: dir.join("data") }
    }

    /// The same file into another database.
    pub fn beside(&self, name: &str) -> Self {
        Import { file: self.file.clone(), rows: self.rows, data: self.data.with_file_name(name) }
    }

    /// The command, which prints a line each time that a batch is durable.
    pub fn command(&self) -> std::process::Command {
        let batch = BATCH.to_string();
        let mut command = command(&self.data, ["import", "--table", "t", "--tag", "device", "--acks", "--batch-rows", &batch]);
        command.arg(&self.file);
        command
    }

    /// Checks what a run that printed this has left: everything acknowledged, whole batches, the first of the file, nothing
    /// damaged. Then imports again, after which everything is there once. Answers how many rows had been there.
    pub fn check(&self, stdout: &str) -> u64 {
        let acknowledged = acknowledged(stdout);
        let kept = self.kept();
        assert!(kept.len() as u64 >= acknowledged, "{} rows of {acknowledged} acknowledged", kept.len());
        assert!(kept.iter().copied().eq(0..kept.len() as u64), "exactly the first rows of the file");
        let whole = kept.len() as u64 == self.rows || (kept.len() as u64).is_multiple_of(BATCH);
        assert!(whole, "{} rows: batches are whole", kept.len());
        if self.data.join("alluvium.id").exists() {
            succeed(&self.data, ["verify"]);
        }
        let again = self.command().output().expect("starts");
        assert!(again.status.success(), "importing again: {}", String::from_utf8_lossy(&again.stderr));
        assert!(self.kept().into_iter().eq(0..self.rows), "importing again completes it");
        succeed(&self.data, ["verify"]);
        kept.len() as u64
    }

    /// The values there are, sorted.
    fn kept(&self) -> Vec<u64> {
        let output = run(&self.data, ["query", "--table", "t", "--format", "csv", "--field", "v"]);
        if !output.status.success() {
            // It ended before it had made the table, or even the database.
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let none = ["there is no table", "is not an Alluvium database (it has no identity file)", "No such file"];
            assert!(none.iter().any(|reason| told.contains(reason)), "{told}");
            return Vec::new();
        }
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let value = |line: &str| line.rsplit(',').next().and_then(|value| value.parse().ok()).expect("a number");
        let mut values: Vec<u64> = text.lines().skip(1).map(value).collect();
        values.sort_unstable();
        values
    }
}

/// The last number of rows that was said to be durable. A line cut short by the end of the process says nothing.
pub fn acknowledged(stdout: &str) -> u64 {
    let whole = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
    whole
        .lines()
        .map(|line| line.strip_prefix("durable ").and_then(|rows| rows.parse().ok()).expect("durable ROWS"))
        .max()
        .unwrap_or(0)
}
