//! The `alluvium` binary: the engine from the command line.

mod cli;
mod commands;
mod failure;
mod import;
mod output;
mod parse;

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_refusals_quiet();
    match cli::parse().and_then(commands::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// What a decoder panics over becomes an error of one line; the panic itself is not for people.
fn keep_refusals_quiet() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !alluvium::is_fenced() {
            tell(panic);
        }
    }));
}
