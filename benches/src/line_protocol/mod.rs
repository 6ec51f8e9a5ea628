//! Line protocol over HTTP: Alluvium beside InfluxDB 1 and VictoriaMetrics, the server on one core and its clients on the other.
//!
//! Alluvium and InfluxDB have every request on disk before they answer, VictoriaMetrics in memory.

mod clients;
mod lines;
mod servers;

use std::path::PathBuf;

use anyhow::Result;

use crate::served::{CLIENT_CORE, SERVER_CORE, pin};
use clients::Outcome;
use lines::Stream;
use servers::Kind;

/// Clients at once.
const CLIENTS: [usize; 3] = [1, 4, 16];

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds for each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only these servers
    #[arg(long, value_enum)]
    only: Vec<Kind>,
    /// The `alluvium` binary [default: the one beside this program]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the data go
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let directory = crate::data_directory(options.dir.as_deref())?.join("line-protocol");
    println!(
        "servers on core {SERVER_CORE}, clients on core {CLIENT_CORE}; a request is {} lines, a point a field of one",
        lines::LINES
    );
    for stream in Stream::ALL {
        println!("{}:", stream.describe());
        for clients in CLIENTS {
            let mut first = None;
            for kind in Kind::ALL.into_iter().filter(|kind| options.only.is_empty() || options.only.contains(kind)) {
                let Some(program) = kind.program(options.binary.as_deref()) else {
                    println!("  {}: not installed, see benches/rivals", kind.name());
                    continue;
                };
                let data = crate::fresh_directory(&directory, kind.name())?;
                pin(SERVER_CORE)?;
                let server = kind.start(&program, &data)?;
                pin(CLIENT_CORE)?;
                let outcome = clients::write(&server, stream, clients, options.seconds)?;
                server.check(stream, outcome.lines)?;
                print(kind, clients, &outcome, *first.get_or_insert(outcome.rate));
                pin(SERVER_CORE)?;
            }
        }
    }
    Ok(())
}

fn print(kind: Kind, clients: usize, outcome: &Outcome, first: f64) {
    let Outcome { rate, busy, median, .. } = outcome;
    println!(
        "  {}, {clients} clients: {:.2} M points/s, {:.2} of the first; {:.2} M per second of its processor; a request takes {median:?}",
        kind.name(),
        rate / 1e6,
        rate / first,
        rate / busy / 1e6,
    );
}
