//! The `alluvium` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    alluvium_server::run()
}
