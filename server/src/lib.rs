//! The command line of Alluvium: the engine for people and scripts. A library only so that its parsers can be reached by what
//! tries to break them; the program is [`run`].

mod api;
mod certificates;
mod cli;
mod commands;
mod config;
mod eviction;
mod failure;
mod import;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod local;
mod output;
mod parse;
mod remote;
mod serve;
mod status;
mod sync;
mod told;

use std::process::ExitCode;

/// The whole program: reads the command line, does what it says, and answers how that ended.
pub fn run() -> ExitCode {
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
