//! One file per command, and what they share.

pub(crate) mod access;
pub(crate) mod bounds;
pub(crate) mod central;
pub(crate) mod changes;
mod compact;
pub(crate) mod config;
pub(crate) mod cursors;
pub(crate) mod delete;
pub(crate) mod demo;
pub(crate) mod doc;
pub(crate) mod evict;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod kv;
pub(crate) mod query;
pub(crate) mod queue;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod status;
mod supervisor;
pub(crate) mod sync;
pub(crate) mod tables;
pub(crate) mod values;
pub(crate) mod verify;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use alluvium::{Database, Error, Settings};
use serde::Serialize;

use crate::cli::{Cli, Command};
use crate::failure::{Failure, Outcome};
use crate::remote::{Credentials, Remote, Request, ServerAt};

/// Where the database is when neither `--data` nor `ALLUVIUM_DATA` says so.
const DEFAULT_DATA: &str = "./alluvium-data";

/// What every command knows.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    data: Option<PathBuf>,
    server: Option<ServerAt>,
    credentials: Credentials,
    /// Whether to write for programs.
    pub(crate) json: bool,
}

/// Where a command does what it does.
pub(crate) enum Place {
    /// Here, to the database of a directory.
    Here(Database),
    /// At a server.
    There(Remote),
}

impl Place {
    /// Does something to the database, or has the server do it, and ends there.
    pub(crate) fn order(self, here: impl FnOnce(&Database) -> alluvium::Result<()>, there: &Request) -> Outcome {
        match self {
            Place::Here(database) => {
                here(&database).map_err(Failure::of_request)?;
                Ok(database.close()?)
            }
            Place::There(remote) => remote.order(there),
        }
    }

    /// Ends it well.
    pub(crate) fn close(self) -> Outcome {
        match self {
            Place::Here(database) => Ok(database.close()?),
            Place::There(_) => Ok(()),
        }
    }
}

impl Context {
    /// The database that is there, or the server: that which was named, or that which has the directory open.
    pub(crate) fn place(&self) -> Outcome<Place> {
        self.place_of(Context::open_quiet)
    }

    /// The same, where a database is made if there is none.
    pub(crate) fn place_or_make(&self) -> Outcome<Place> {
        self.place_of(Context::open_or_make)
    }

    /// The same, opened in some way.
    pub(crate) fn place_of(&self, open: impl FnOnce(&Self) -> Outcome<Database>) -> Outcome<Place> {
        if let Some(server) = &self.server {
            return Ok(Place::There(Remote::named(server, &self.credentials)?));
        }
        match open(self) {
            Ok(database) => Ok(Place::Here(database)),
            Err(Failure::Engine(Error::Locked { holder, .. })) => Remote::holding(self.data(), &holder).map(Place::There),
            Err(failure) => Err(failure),
        }
    }

    /// Refuses to go on with a server where the files themselves are needed.
    pub(crate) fn need_files(&self, why: &str) -> Outcome {
        match (&self.server, &self.data) {
            (Some(server), None) => Err(Failure::usage(format_args!(
                "{why}, which a server does not hand out: run this on the machine of {server}, with --data, while the server is stopped"
            ))),
            _ => Ok(()),
        }
    }

    /// The database directory.
    pub(crate) fn data(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new(DEFAULT_DATA))
    }

    /// The database directory, if somebody chose one.
    pub(crate) fn chosen_data(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// The same for another directory.
    pub(crate) fn clone_in(&self, data: &Path) -> Self {
        Context { data: Some(data.to_owned()), ..self.clone() }
    }

    /// The same for another directory, unless somebody chose one.
    pub(crate) fn or_in(self, data: Option<PathBuf>) -> Self {
        Context { data: self.data.or(data), ..self }
    }

    /// Opens the database that is there; never makes one.
    pub(crate) fn open_existing(&self, settings: Settings) -> Outcome<Database> {
        self.need_files("this command opens the database itself")?;
        let path = self.data();
        match std::fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
            Ok(false) => {}
            Ok(true) => return Err(absent(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absent(path)),
            Err(error) => return Err(Failure::io("open", path.display(), &error)),
        }
        Ok(Database::builder().settings(settings).existing_only().open(path)?)
    }

    /// Opens the database, and makes one where there is none. Nothing happens in the background.
    pub(crate) fn open_or_make(&self) -> Outcome<Database> {
        self.need_files("this command opens the database itself")?;
        Ok(Database::builder().settings(Settings { background: false, ..Settings::default() }).open(self.data())?)
    }

    /// Opens the database that is there, to read and step through by hand: nothing happens in the background.
    pub(crate) fn open_quiet(&self) -> Outcome<Database> {
        self.open_existing(Settings { background: false, ..Settings::default() })
    }

    /// Writes one JSON object on stdout.
    pub(crate) fn print_json(&self, object: &impl Serialize) -> Outcome {
        let text = serde_json::to_string(object).map_err(Failure::failed)?;
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }
}

fn absent(path: &Path) -> Failure {
    Failure::failed(format_args!(
        "there is no database in {}: make one with `alluvium import FILE --table NAME`, or name another directory with --data",
        path.display()
    ))
}

/// Runs the command.
pub(crate) fn run(cli: Cli) -> Outcome {
    if !matches!(cli.command, Command::Serve(_)) {
        start_log();
    }
    let context = Context { data: cli.data, server: cli.server, credentials: cli.credentials, json: cli.json };
    match cli.command {
        Command::Import(arguments) => import::run(&context, arguments),
        Command::Query(arguments) => query::run(&context, &arguments),
        Command::Inspect => context.need_files("inspect reads the files themselves").and_then(|()| inspect::run(&context)),
        Command::Verify => context.need_files("verify reads the files themselves").and_then(|()| verify::run(&context)),
        Command::Compact => context.need_files("compact rewrites the files themselves").and_then(|()| compact::run(&context)),
        Command::Evict(arguments) => evict::run(&context, &arguments),
        Command::Delete(arguments) => delete::run(&context, &arguments),
        Command::Tables { command } => tables::run(&context, command.as_ref()),
        Command::Doc(command) => doc::run(&context, command),
        Command::Kv(command) => kv::run(&context, command),
        Command::Queue(command) => queue::run(&context, command),
        Command::Changes(arguments) => changes::run(&context, &arguments),
        Command::Cursors { command } => cursors::run(&context, command.as_ref()),
        Command::User(command) => access::user::run(&context, command),
        Command::Role(command) => access::role::run(&context, command),
        Command::Grant(command) => access::grant::run(&context, command),
        Command::Token(command) => access::token::run(&context, command),
        Command::Cert(command) => access::cert::run(&context, command),
        Command::Audit(command) => access::audit::run(&context, command),
        Command::Serve(arguments) => serve::run(context, &arguments),
        Command::Config(command) => config::run(&context, &command),
        Command::Status(arguments) => status::run(&context, &arguments),
        Command::Sync(command) => sync::run(&context, &command),
        Command::Restore(arguments) => restore::run(&context, &arguments),
        Command::Central(command) => central::run(&context, &command),
        Command::Demo(arguments) => demo::run(&context, &arguments),
    }
}

/// The engine's own messages go to stderr where `ALLUVIUM_LOG` asks for them (`info`, `alluvium=debug`, …).
fn start_log() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("ALLUVIUM_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    }
}
