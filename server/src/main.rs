//! The `alluvium` binary: the engine from the command line.

mod cli;
mod commands;
mod failure;
mod import;
mod output;
mod parse;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse().and_then(commands::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
