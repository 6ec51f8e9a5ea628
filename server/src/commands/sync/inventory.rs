//! Of which objects in a bucket tables consist, and how others read exactly their rows.

use std::io::{self, Write};

use alluvium_sync::duckdb;
use alluvium_sync::objects::{Settings, Target};
use alluvium_sync::remote::{Incarnation, Key};
use alluvium_sync::restore::{self, Contents, Options, Segment, TableContents};
use clap::Args;
use serde::Serialize;

use super::bucket;
use super::run::beside;
use crate::commands::Context;
use crate::commands::restore::watched;
use crate::config::ConfigFile;
use crate::failure::{Failure, Outcome};
use crate::output::table::{Align, Table};
use crate::output::terminal;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// A target of the settings by its name, or a folder, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or an https:// URL of Azure [default: the
    /// only target of the settings, or else the folder beside the database]
    target: Option<String>,
    /// The endpoint of a store that is not Amazon's or Microsoft's own
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The gateway [default: the only one that is there]
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// The last incarnation of the gateway that counts [default: the only one that nothing follows]
    #[arg(long, value_name = "DIGITS")]
    incarnation: Option<Incarnation>,
    /// This table alone
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Prints a query for DuckDB of exactly the rows of the table: each once, the newest of it, and none that was deleted
    #[arg(long, conflicts_with = "format")]
    sql: bool,
    /// Lists what is there although some of what was announced is missing
    #[arg(long)]
    allow_missing: bool,
    /// How objects are listed [default: table]
    #[arg(long, value_enum)]
    format: Option<Form>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Columns for people
    Table,
    /// RFC 4180
    Csv,
    /// One JSON object per line
    Json,
}

/// An object, as it is told of.
#[derive(Debug, Serialize)]
struct Object {
    table: String,
    number: u32,
    period: String,
    first_record: u64,
    last_record: u64,
    bytes: u64,
    incarnation: Incarnation,
    object: String,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let form = arguments.form(context.json)?;
    let settings = arguments.settings(context)?;
    let target = Target::open(&settings).map_err(Failure::usage)?;
    let options = Options {
        gateway: arguments.gateway.clone(),
        incarnation: arguments.incarnation,
        allow_missing: arguments.allow_missing,
        ..Options::default()
    };
    let asked = watched(async |told| restore::contents(&target, &options, told).await)?;
    let mut contents = asked.map_err(Failure::failed)?;
    if let Some(name) = &arguments.table {
        only(&mut contents, name)?;
    }
    warn(&contents);
    if arguments.sql {
        return query(&contents, &root(&settings)?);
    }
    let objects = contents.tables.iter().flat_map(|table| table.segments.iter().map(|segment| object(table, segment)));
    list(form, objects)
}

impl Arguments {
    fn form(&self, json: bool) -> Outcome<Form> {
        match (json, self.format) {
            (true, Some(Form::Table | Form::Csv)) => Err(Failure::usage("--json is --format json: leave out one of the two")),
            (true, _) if self.sql => Err(Failure::usage("a query is no JSON: leave out --json")),
            (true, _) => Ok(Form::Json),
            (false, format) => Ok(format.unwrap_or(Form::Table)),
        }
    }

    /// How the bucket is reached.
    fn settings(&self, context: &Context) -> Outcome<Settings> {
        let mut config = self.file.load()?;
        let targets = &mut config.sync.targets;
        let name = match &self.target {
            Some(target) => Some(target.clone()),
            None if targets.len() > 1 => {
                let names: Vec<_> = targets.keys().map(String::as_str).collect();
                return Err(Failure::usage(format_args!("say which target is meant: {}", names.join(", "))));
            }
            None => targets.keys().next().cloned(),
        };
        if let Some(known) = name.as_ref().and_then(|name| targets.remove(name)) {
            return bucket::there(known);
        }
        let data = context.chosen_data().map(ToOwned::to_owned).or(config.data);
        let url = name.unwrap_or_else(|| beside(&data.unwrap_or_else(|| context.data().to_owned())));
        bucket::at(&url, self.endpoint.as_deref())
    }
}

/// Where the objects are for others.
fn root(settings: &Settings) -> Outcome<String> {
    let Some(folder) = settings.folder() else { return Ok(settings.url.clone()) };
    let path = folder.canonicalize().map_err(|error| Failure::io("find", folder.display(), &error))?;
    let unreadable = || Failure::failed(format_args!("{} is no text, which queries are", path.display()));
    path.to_str().map(str::to_owned).ok_or_else(unreadable)
}

/// Leaves out all tables but one.
fn only(contents: &mut Contents, name: &str) -> Outcome {
    let names = names(contents);
    contents.tables.retain(|table| table.schema.name == name);
    match contents.tables.is_empty() {
        true => Err(Failure::failed(format_args!("the bucket has no table {name:?}; it has {names}"))),
        false => Ok(()),
    }
}

fn names(contents: &Contents) -> String {
    let names: Vec<_> = contents.tables.iter().map(|table| format!("{:?}", table.schema.name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Says what is not as it should be, and was allowed.
fn warn(contents: &Contents) {
    for unit in &contents.missing {
        let (first, last) = unit.records;
        eprintln!("missing: table {}, {}, records {first} to {last}, of cut {}", unit.table, unit.period, unit.cut);
    }
    for problem in &contents.problems {
        eprintln!("wrong: {problem}");
    }
}

fn query(contents: &Contents, root: &str) -> Outcome {
    let [table] = &contents.tables[..] else {
        return Err(Failure::usage(format_args!("say by --table which table is to be read: {}", names(contents))));
    };
    let text = duckdb::query(table, root).map_err(Failure::failed)?;
    let mut out = io::stdout().lock();
    let Contents { gateway, incarnation, cut, sealed_at, missing, .. } = contents;
    // As Rust writes them, names have no line feeds, which would end the remark.
    writeln!(out, "-- {:?} of gateway {gateway:?}: cut {cut} of {sealed_at}, incarnation {incarnation}", table.schema.name)?;
    let lacking = missing.iter().filter(|unit| unit.table == table.schema.id.0).count();
    if lacking > 0 {
        writeln!(out, "-- {} missing", terminal::things(lacking as u64, "unit"))?;
    }
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn object(table: &TableContents, segment: &Segment) -> Object {
    let key = &segment.key;
    Object {
        table: table.schema.name.clone(),
        number: key.table,
        period: key.period.to_string(),
        first_record: key.records.0,
        last_record: key.records.1,
        bytes: segment.bytes,
        incarnation: key.incarnation,
        object: Key::Segment(key.clone()).to_string(),
    }
}

fn list(form: Form, objects: impl Iterator<Item = Object>) -> Outcome {
    let mut out = io::stdout().lock();
    match form {
        Form::Table => people(objects, &mut out)?,
        Form::Csv => {
            let mut csv = csv::Writer::from_writer(&mut out);
            for object in objects {
                csv.serialize(object).map_err(Failure::failed)?;
            }
            csv.flush()?;
        }
        Form::Json => {
            for object in objects {
                serde_json::to_writer(&mut out, &object).map_err(Failure::failed)?;
                writeln!(out)?;
            }
        }
    }
    Ok(out.flush()?)
}

fn people(objects: impl Iterator<Item = Object>, out: &mut impl Write) -> Outcome {
    let mut table = Table::new([
        ("table", Align::Left),
        ("period", Align::Left),
        ("records", Align::Left),
        ("bytes", Align::Right),
        ("object", Align::Left),
    ]);
    for object in objects {
        let records = format!("{} to {}", object.first_record, object.last_record);
        table.push([object.table, object.period, records, terminal::bytes(object.bytes), object.object]);
    }
    table.write(out)
}
