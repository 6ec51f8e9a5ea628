//! `alluvium config`: what a server would do.

use std::io::{self, Write};

use clap::Subcommand;
use serde_json::json;

use super::Context;
use super::values::say;
use crate::config::ConfigFile;
use crate::failure::Outcome;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Reads settings as `alluvium serve` would, and says what is wrong with them
    Check(ConfigFile),
    /// Prints all settings in TOML, with what the file and the environment say
    Show(ConfigFile),
}

pub(crate) fn run(context: &Context, command: &Command) -> Outcome {
    match command {
        Command::Check(file) => {
            file.load()?;
            match context.json {
                true => context.print_json(&json!({ "sound": true })),
                false => say("the settings are sound"),
            }
        }
        Command::Show(file) => {
            let config = file.load()?;
            if context.json {
                return context.print_json(&serde_json::to_value(&config).unwrap_or_default());
            }
            let mut out = io::stdout().lock();
            out.write_all(config.to_toml()?.as_bytes())?;
            Ok(out.flush()?)
        }
    }
}
