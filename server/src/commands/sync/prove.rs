//! What a bucket proves by itself, for who has nothing else.

use std::io::{self, Write};

use alluvium_sync::objects::Target;
use alluvium_sync::objects::bucket::{Depth, Findings, Progress, prove};
use alluvium_sync::prove::{Branch, Missing, Proof};
use clap::Args;
use serde_json::{Value as Json, json};

use super::bucket;
use crate::commands::Context;
use crate::failure::{Failure, Outcome};
use crate::output::terminal;

/// Things that are named; of more it is said how many there are.
const NAMED: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A folder, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or an https:// URL of Azure
    url: String,
    /// The endpoint of a store that is not Amazon's or Microsoft's own
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Proves this gateway alone
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// Believes the names of objects other than manifests instead of reading all of them
    #[arg(long)]
    names: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let settings = bucket::at(&arguments.url, arguments.endpoint.as_deref())?;
    let target = Target::open(&settings).map_err(Failure::usage)?;
    let depth = if arguments.names { Depth::Names } else { Depth::Contents };
    let mut findings = crate::serve::runtime()?.block_on(find(&target, depth))?;
    if let Some(gateway) = &arguments.gateway {
        findings.gateways.retain(|name, _| name == gateway);
    }
    if findings.gateways.is_empty() {
        return Err(Failure::failed(format_args!("nothing at {} is of {}", arguments.url, whose(arguments))));
    }
    match context.json {
        true => context.print_json(&described(&findings))?,
        false => print(&findings)?,
    }
    match findings.hold() {
        true => Ok(()),
        false => Err(Failure::failed("not everything that was announced is there, or something was changed: see above")),
    }
}

fn whose(arguments: &Arguments) -> String {
    arguments.gateway.as_ref().map_or_else(|| "any gateway".to_owned(), |gateway| format!("gateway {gateway:?}"))
}

/// Asks the store, and shows how far it is.
pub(super) async fn find(target: &Target, depth: Depth) -> Outcome<Findings> {
    let bar = terminal::progress(0, "{spinner} {msg}");
    let (store, prefix) = target.store();
    let mut told = |Progress { objects, bytes }: Progress| {
        bar.tick();
        bar.set_message(format!("{} objects, {} read", terminal::count(objects), terminal::bytes(bytes)));
    };
    let findings = prove(store, prefix, depth, &mut told).await;
    bar.finish_and_clear();
    findings.map_err(Failure::failed)
}

fn print(findings: &Findings) -> Outcome {
    let mut out = io::stdout().lock();
    for (gateway, proof) in &findings.gateways {
        for branch in &proof.branches {
            writeln!(out, "{gateway}: {}", words(branch))?;
            let missing: Vec<_> = branch.missing.iter().filter(|unit| !unit.stated).collect();
            for Missing { cut, table, period, records, .. } in missing.iter().take(NAMED) {
                writeln!(out, "  missing: table {table}, {period}, records {} to {}, of cut {cut}", records.0, records.1)?;
            }
            write_more(&mut out, missing.len())?;
        }
        for problem in proof.problems.iter().take(NAMED) {
            writeln!(out, "  wrong: {problem}")?;
        }
        write_more(&mut out, proof.problems.len())?;
    }
    let (objects, foreign) = (terminal::things(findings.objects, "object"), terminal::count(findings.foreign));
    writeln!(out, "{objects}, {foreign} of them none of Alluvium's; {} read", terminal::bytes(findings.bytes))?;
    Ok(out.flush()?)
}

fn write_more(out: &mut impl Write, all: usize) -> io::Result<()> {
    if all > NAMED { writeln!(out, "  and {} more", all - NAMED) } else { Ok(()) }
}

fn words(branch: &Branch) -> String {
    let (cuts, units) = (terminal::things(branch.cuts, "cut"), terminal::things(branch.units, "unit"));
    let through = match branch.delivered_through {
        Some(to) if to.cut == branch.last => "all of it delivered".to_owned(),
        Some(to) => format!("delivered through cut {} of {}", to.cut, to.sealed_at),
        None => "not delivered from the first cut on".to_owned(),
    };
    let lost = branch.missing.iter().filter(|unit| unit.stated).count();
    let stated = terminal::things(lost as u64, "unit");
    let lost = if lost > 0 { format!("; {stated} stated to be gone") } else { String::new() };
    format!("{cuts}, {units}, {through}{lost} (incarnation {})", branch.incarnation)
}

fn described(findings: &Findings) -> Json {
    let gateways = findings.gateways.iter().map(|(name, proof)| proof_described(name, proof));
    json!({
        "holds": findings.hold(),
        "objects": findings.objects,
        "foreign": findings.foreign,
        "bytes_read": findings.bytes,
        "gateways": gateways.collect::<Vec<_>>(),
    })
}

fn proof_described(name: &str, proof: &Proof) -> Json {
    let missing = |unit: &Missing| {
        json!({
            "cut": unit.cut,
            "table": unit.table,
            "period": unit.period.to_string(),
            "records": unit.records,
            "stated": unit.stated,
        })
    };
    let branch = |branch: &Branch| {
        let delivered =
            branch.delivered_through.map(|to| json!({ "cut": to.cut, "record": to.record, "sealed_at": to.sealed_at }));
        json!({
            "incarnation": branch.incarnation,
            "cuts": branch.cuts,
            "last": branch.last,
            "units": branch.units,
            "delivered_through": delivered,
            "missing": branch.missing.iter().map(missing).collect::<Vec<_>>(),
        })
    };
    json!({
        "gateway": name,
        "holds": proof.holds(),
        "branches": proof.branches.iter().map(branch).collect::<Vec<_>>(),
        "problems": proof.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
