//! `alluvium verify`: reads everything and checks every checksum and invariant.

use std::io::{self, Write};

use alluvium::{Database, Error, OnDamage, Problem, Settings, VerifyReport};
use serde_json::json;

use super::Context;
use crate::failure::{Failure, Outcome};
use crate::output::terminal;

pub(crate) fn run(context: &Context) -> Outcome {
    // Opening must not mend what is to be found, so damage refuses to open here and is reported as such.
    let settings = Settings { background: false, on_damage: OnDamage::Refuse, ..Settings::default() };
    let report = match context.open_existing(settings) {
        Ok(database) => check(database)?,
        Err(Failure::Engine(Error::Damaged { path, detail })) => {
            let file = path.strip_prefix(context.data()).unwrap_or(&path).display().to_string();
            VerifyReport { files: 0, bytes: 0, problems: vec![Problem { file, detail }] }
        }
        Err(other) => return Err(other),
    };
    print(context, &report)?;
    match report.problems.as_slice() {
        [] => Ok(()),
        [only] => Err(Failure::failed(format_args!("{} is damaged: {}; {ADVICE}", only.file, only.detail))),
        [first, ..] => {
            let count = report.problems.len();
            Err(Failure::failed(format_args!("{count} problems, the first in {}: {}; {ADVICE}", first.file, first.detail)))
        }
    }
}

const ADVICE: &str = "any other command opens what is readable and leaves a receipt (`alluvium inspect`)";

fn check(database: Database) -> Outcome<VerifyReport> {
    let bar = terminal::progress(0, "{bar:30} {bytes}/{total_bytes}");
    let report = database.verify(&mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report?;
    database.close()?;
    Ok(report)
}

fn print(context: &Context, report: &VerifyReport) -> Outcome {
    if context.json {
        let problems: Vec<_> =
            report.problems.iter().map(|problem| json!({ "file": problem.file, "detail": problem.detail })).collect();
        return context.print_json(&json!({
            "ok": problems.is_empty(),
            "files": report.files,
            "bytes": report.bytes,
            "problems": problems,
        }));
    }
    let mut out = io::stdout().lock();
    for problem in &report.problems {
        writeln!(out, "{}: {}", problem.file, problem.detail)?;
    }
    if report.problems.is_empty() {
        writeln!(out, "all is well: {} files, {}", terminal::count(report.files), terminal::bytes(report.bytes))?;
    }
    Ok(out.flush()?)
}
