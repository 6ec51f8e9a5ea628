//! `alluvium restore`: a database again, of what a bucket holds of a gateway.

use std::io::{self, Write};

use alluvium_sync::objects::Target;
use alluvium_sync::remote::Incarnation;
use alluvium_sync::restore::{self, Options, Progress, Restored};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Context, sync};
use crate::failure::{Failure, Outcome};
use crate::output::terminal;
use crate::parse::time;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What to restore from: a folder, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or an https:// URL of Azure
    #[arg(long, value_name = "URL")]
    from: String,
    /// The endpoint of a store that is not Amazon's or Microsoft's own
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The gateway [default: the only one that is there]
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// The last incarnation of the gateway that counts [default: the only one that nothing follows]
    #[arg(long, value_name = "DIGITS")]
    incarnation: Option<Incarnation>,
    /// As it was then, by the gateway's clock: 2024-03-31T12:00:00Z, -1h, … [default: all there is]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Restores what is there although some of what was announced is missing, which a receipt tells of
    #[arg(long)]
    allow_missing: bool,
    /// With --until: lets rows of later come along where they were folded together with earlier ones
    #[arg(long)]
    allow_newer: bool,
    /// What the target is called by which it goes on, as the settings of the gateway name it
    #[arg(long, value_name = "NAME", default_value = sync::DEFAULT)]
    target: String,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    context.need_files("restore makes a database of its own")?;
    let settings = sync::at(&arguments.from, arguments.endpoint.as_deref())?;
    let target = Target::open(&settings).map_err(Failure::usage)?;
    let options = Options {
        gateway: arguments.gateway.clone(),
        incarnation: arguments.incarnation,
        until: arguments.until.as_deref().map(moment).transpose()?,
        allow_missing: arguments.allow_missing,
        allow_newer: arguments.allow_newer,
        delivery: Some(arguments.target.clone()),
        ..Options::default()
    };
    let restored = watched(async |told| restore::restore(&target, context.data(), &options, told).await)?;
    let restored = restored.map_err(Failure::failed)?;
    if context.json { context.print_json(&restored) } else { print(context, &restored) }
}

fn moment(text: &str) -> Outcome<Timestamp> {
    let nanos = time::moment(text, Timestamp::now(), &TimeZone::system()).map_err(Failure::Usage)?;
    Timestamp::from_nanosecond(nanos).map_err(Failure::usage)
}

/// Waits for the end of something, and shows how far it is.
pub(super) fn watched<T>(work: impl AsyncFnOnce(&mut (dyn FnMut(Progress) + Send)) -> T) -> Outcome<T> {
    let bar = terminal::progress(0, "{bar:30} {msg}");
    let mut told = |progress: Progress| {
        let (done, of, message) = words(progress);
        bar.set_length(of);
        bar.set_position(done);
        bar.set_message(message);
    };
    let ended = crate::serve::runtime()?.block_on(work(&mut told));
    bar.finish_and_clear();
    Ok(ended)
}

/// How far it is, of how much, and with what.
fn words(progress: Progress) -> (u64, u64, String) {
    match progress {
        Progress::Listed { objects } => (0, 0, format!("{} found", terminal::things(objects, "object"))),
        Progress::Manifests { read, of } => {
            (read, of, format!("manifests, {} of {}", terminal::count(read), terminal::count(of)))
        }
        Progress::Metadata { objects, of } => (objects, of, "metadata".to_owned()),
        Progress::Segments { objects, of, bytes, of_bytes } => {
            let segments = format!("{} of {}", terminal::count(objects), terminal::things(of, "segment"));
            (bytes, of_bytes, format!("{segments}, {} of {}", terminal::bytes(bytes), terminal::bytes(of_bytes)))
        }
        Progress::Checked { segments, of } => (segments, of, "segments are checked".to_owned()),
        Progress::Put { lines, of } => (lines, of, "documents and pairs are put".to_owned()),
        _ => (0, 0, String::new()),
    }
}

fn print(context: &Context, restored: &Restored) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{} is as of cut {}, of {}: {}, {} series, {} in {}",
        context.data().display(),
        restored.cut,
        restored.sealed_at,
        terminal::things(restored.tables, "table"),
        terminal::count(restored.series),
        terminal::things(restored.rows, "row"),
        terminal::things(restored.segments, "segment"),
    )?;
    if let Some(at) = restored.metadata_at {
        writeln!(out, "metadata are as of {at}")?;
    }
    if let Some(record) = restored.newer_through {
        writeln!(out, "rows behind that cut came along, up to record {record}")?;
    }
    for key in &restored.erased_later {
        writeln!(out, "later deletions may have taken rows of {key}")?;
    }
    for (count, what) in [(restored.missing.len(), "are not there"), (restored.gone.len(), "were stated to be gone")] {
        if count > 0 {
            writeln!(out, "{} {what}", terminal::things(count as u64, "unit"))?;
        }
    }
    for problem in &restored.problems {
        writeln!(out, "wrong with the bucket: {problem}")?;
    }
    for (kind, count) in &restored.left_out {
        writeln!(out, "{} of kind {kind} left out", terminal::things(*count, "line"))?;
    }
    Ok(out.flush()?)
}
