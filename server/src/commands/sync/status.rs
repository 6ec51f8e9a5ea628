//! How far everything is at its targets.

use std::io::{self, Write};

use crate::commands::{Context, Place};
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::terminal::{self, things};
use crate::remote;
use crate::sync::{self, Circuit, Ledger, Links, Target};

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
        if let Some(ledger) = &target.ledger {
            write_ledger(&mut out, &target.name, ledger)?;
        }
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

fn write_ledger(out: &mut impl Write, name: &str, ledger: &Ledger) -> io::Result<()> {
    let through = ledger.cut.map_or_else(|| "no cut yet".to_owned(), |cut| format!("cut {cut}"));
    let metadata = format!("metadata of {}", things(ledger.metadata_left, "cut"));
    let (cuts, segments) = (things(ledger.cuts_left, "cut"), things(ledger.segments_left, "segment"));
    let left = [(ledger.cuts_left, cuts), (ledger.metadata_left, metadata), (ledger.segments_left, segments)];
    let left: Vec<_> = left.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words).collect();
    let left = if left.is_empty() { String::new() } else { format!("; to be told: {}", left.join(", ")) };
    writeln!(out, "{name}: the centre was told through {through}{left}")?;
    if ledger.refused > 0 {
        let refused = things(ledger.refused, "segment");
        writeln!(out, "{name}: the centre does not take {refused}: see the log, and `alluvium sync verify`")?;
    }
    if ledger.aside > 0 {
        let aside = ledger.aside;
        writeln!(out, "{name}: the centre was not told the metadata of {aside} of the cuts, which are tried again: see the log")?;
    }
    if let Some(Circuit { failures, retry_seconds, why }) = &ledger.circuit {
        writeln!(out, "{name}: the centre failed {failures} times, is asked again in {retry_seconds:.0} s: {why}")?;
    }
    Ok(())
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
