//! The command line: what can be asked for.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{
    access, central, changes, config, cursors, delete, demo, doc, evict, import, kv, query, queue, restore, serve, status, sync,
    tables,
};
use crate::failure::{Failure, Outcome};
use crate::remote::{Credentials, ServerAt};

/// An embedded historian for IoT gateways.
#[derive(Debug, Parser)]
#[command(name = "alluvium", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The database directory [default: ./alluvium-data]
    #[arg(long, global = true, env = "ALLUVIUM_DATA", value_name = "DIR", hide_env_values = true, display_order = 1_000)]
    pub(crate) data: Option<PathBuf>,
    /// Asks this server, by its gateway's id and its address, and opens no directory
    #[arg(
        long,
        global = true,
        env = "ALLUVIUM_SERVER",
        value_name = "NAME@HOST:PORT",
        hide_env_values = true,
        display_order = 1_002
    )]
    pub(crate) server: Option<ServerAt>,
    #[command(flatten)]
    pub(crate) credentials: Credentials,
    /// Writes for programs: one JSON object, or one per line, on stdout
    #[arg(long, global = true, display_order = 1_001)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Imports CSV, JSON lines, line protocol or Parquet into a table
    Import(import::Arguments),
    /// Returns rows, aggregates or last values of a table
    Query(query::Arguments),
    /// Shows what the database holds and what it costs
    Inspect,
    /// Reads everything and checks every checksum and invariant
    Verify,
    /// Seals what is in memory and merges small segments
    Compact,
    /// Lets go of rows that need not be kept, as `[retention]` of the settings says
    Evict(evict::Arguments),
    /// Deletes rows by tags and time
    Delete(delete::Arguments),
    /// Lists tables with their columns, renames and drops them
    Tables {
        #[command(subcommand)]
        command: Option<tables::Command>,
    },
    /// Reads, writes and queries JSON documents in collections
    #[command(subcommand)]
    Doc(doc::Command),
    /// Reads and writes key-value pairs
    #[command(subcommand)]
    Kv(kv::Command),
    /// Pushes, pops and looks after queues
    #[command(subcommand)]
    Queue(queue::Command),
    /// Prints every change of everything, in order
    Changes(changes::Arguments),
    /// Lists and drops the named positions that `changes` was read to
    Cursors {
        #[command(subcommand)]
        command: Option<cursors::Command>,
    },
    /// Adds, changes and removes principals: devices, programs and people
    #[command(subcommand)]
    User(access::user::Command),
    /// Names grants that many principals have
    #[command(subcommand)]
    Role(access::role::Command),
    /// Says what a principal may do, and whether it may
    #[command(subcommand)]
    Grant(access::grant::Command),
    /// Issues and revokes the secrets by which principals are known
    #[command(subcommand)]
    Token(access::token::Command),
    /// Issues and revokes the certificates by which devices are known
    #[command(subcommand)]
    Cert(access::cert::Command),
    /// Shows who did what, and checks that nobody changed that
    #[command(subcommand)]
    Audit(access::audit::Command),
    /// Serves the database to devices over QUIC
    Serve(serve::Arguments),
    /// Checks and shows the settings of a server
    #[command(subcommand)]
    Config(config::Command),
    /// Shows how the database stands, and its server
    Status(status::Arguments),
    /// Carries everything to object stores, and shows and proves what is there
    #[command(subcommand)]
    Sync(sync::Command),
    /// Makes a database again of what a bucket holds of a gateway
    Restore(restore::Arguments),
    /// Looks after the PostgreSQL that knows what all gateways delivered
    #[command(subcommand)]
    Central(central::Command),
    /// Records this machine's own vitals, queries them and shows what that cost
    Demo(demo::Arguments),
}

/// Reads the command line. Help and version are printed here and end the process.
pub(crate) fn parse() -> Outcome<Cli> {
    let parsed = Cli::command().try_get_matches().and_then(|found| Ok((Cli::from_arg_matches(&found)?, found)));
    let (cli, found) = parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Failure::usage("no command given: `alluvium --help` lists them"),
        _ => Failure::Usage(condense(&error.to_string())),
    })?;
    choose(cli, &found)
}

/// A directory or a server, where both are named: the command line counts before the environment, and in that a server before a
/// directory.
fn choose(cli: Cli, found: &ArgMatches) -> Outcome<Cli> {
    if cli.data.is_none() || cli.server.is_none() {
        return Ok(cli);
    }
    let is_said = |name| found.value_source(name) == Some(ValueSource::CommandLine);
    match (is_said("data"), is_said("server")) {
        (true, true) => Err(Failure::usage("--data opens a directory and --server asks a server: leave out one of the two")),
        (true, false) => Ok(Cli { server: None, ..cli }),
        (false, true) => Ok(Cli { data: None, ..cli }),
        // What needs the files goes to those.
        (false, false) => Ok(cli),
    }
}

/// Makes one line of clap's page: what is wrong and its tips, without the usage.
fn condense(page: &str) -> String {
    let help = page.lines().find_map(|line| line.strip_prefix("Usage: ")).map(command_of);
    let said: Vec<_> = page
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        // That it could be a value is of no help where there is none such.
        .filter(|line| !line.is_empty() && !line.starts_with("tip: to pass"))
        .collect();
    let said = said.join(" ").replace(" tip: ", "; tip: ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    format!("{said} (see `{} --help`)", help.unwrap_or_else(|| "alluvium".to_owned()))
}

/// `alluvium query` of `alluvium query --table <NAME> …`.
fn command_of(usage: &str) -> String {
    usage.split(' ').take_while(|word| !word.starts_with(['-', '[', '<'])).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn complaint(words: &[&str]) -> String {
        condense(&Cli::try_parse_from(words).unwrap_err().to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn complaints_are_one_line_and_say_where_help_is() {
        assert_eq!(
            complaint(&["alluvium", "query"]),
            "the following required arguments were not provided: --table <NAME> (see `alluvium query --help`)"
        );
        assert_eq!(
            complaint(&["alluvium", "inspect", "--jsn"]),
            "unexpected argument '--jsn' found; tip: a similar argument exists: '--json' (see `alluvium inspect --help`)"
        );
        assert_eq!(
            complaint(&["alluvium", "doc", "create", "devices", "--schema", "{}"]),
            "unexpected argument '--schema' found (see `alluvium doc create --help`)"
        );
        assert_eq!(complaint(&["alluvium", "fly"]), "unrecognized subcommand 'fly' (see `alluvium --help`)");
    }

    #[test]
    fn a_server_or_a_directory() {
        let chosen = |words: &[&str]| {
            let found = Cli::command().try_get_matches_from(words).unwrap();
            choose(Cli::from_arg_matches(&found).unwrap(), &found)
        };
        let both = ["alluvium", "kv", "list", "--server", "a@b:1", "--data", "there"];
        assert!(matches!(chosen(&both), Err(Failure::Usage(_))));
        let server = chosen(&both[..5]).unwrap();
        assert!(server.server.is_some() && server.data.is_none());
        assert!(complaint(&["alluvium", "kv", "list", "--server", "b:1"]).contains("NAME@HOST:PORT"));
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = Cli::try_parse_from(["alluvium", "inspect", "--json", "--data", "there"]).unwrap();
        assert!(cli.json);
        assert_eq!(cli.data, Some(PathBuf::from("there")));
    }
}
