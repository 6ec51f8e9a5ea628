//! How far everything is at its targets.

use std::io::{self, Write};

use crate::commands::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::terminal;
use crate::remote;
use crate::sync::{self, Links, Target};

pub(super) fn run(context: &Context) -> Outcome {
    let targets: Vec<Target> = match context.place()? {
        Place::Here(database) => {
            let targets = sync::of_all(&database, &Links::default()).map_err(Failure::failed)?;
            database.close()?;
            targets
        }
        Place::There(remote) => remote.list("targets", &remote::get(&["sync"]))?,
    };
    if context.json {
        return targets.iter().try_for_each(|target| context.print_json(target));
    }
    let mut out = io::stdout().lock();
    if targets.is_empty() {
        writeln!(out, "nothing is carried anywhere: `alluvium sync run --once --to FOLDER` does so")?;
        return Ok(out.flush()?);
    }
    let mut table = Table::new([
        ("target", Align::Left),
        ("state", Align::Left),
        ("cuts", Align::Right),
        ("announced", Align::Right),
        ("delivered through", Align::Left),
        ("units left", Align::Right),
        ("sent", Align::Right),
    ]);
    targets.iter().for_each(|target| table.push(row(target)));
    table.write(&mut out)?;
    for target in &targets {
        write_trouble(&mut out, target)?;
    }
    Ok(out.flush()?)
}

fn row(target: &Target) -> [String; 7] {
    let delivered =
        target.delivered.as_ref().map_or_else(|| "nothing yet".to_owned(), |to| format!("cut {} of {}", to.cut, to.at));
    let sent = target.totals.as_ref().map_or_else(String::new, |totals| terminal::bytes(totals.bytes_sent));
    [
        target.name.clone(),
        state(target).to_owned(),
        target.cuts.to_string(),
        target.announced.to_string(),
        delivered,
        terminal::count(target.units_left),
        sent,
    ]
}

fn state(target: &Target) -> &'static str {
    match target {
        Target { paused: true, .. } => "paused",
        Target { circuit: Some(_), .. } => "waits",
        Target { totals: Some(totals), .. } if totals.sending > 0 => "sends",
        Target { cuts_left: 0, .. } => "all there",
        _ => "behind",
    }
}

fn write_trouble(out: &mut impl Write, target: &Target) -> io::Result<()> {
    if let Some(circuit) = &target.circuit {
        let (failures, retry) = (circuit.failures, circuit.retry_seconds);
        writeln!(out, "{}: failed {failures} times, is asked again in {retry:.0} s: {}", target.name, circuit.why)?;
    }
    for aside in &target.aside {
        writeln!(out, "{}: set aside after {} tries: {}", target.name, aside.tries, aside.why)?;
    }
    Ok(())
}
