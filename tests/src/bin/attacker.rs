//! Attacks a server until it is killed: a process of its own, so that it can be kept to a core of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use alluvium_tests::attacks::{Attacker, all};
use alluvium_tests::wire::Identity;
use clap::Parser;

#[derive(Debug, Parser)]
struct Arguments {
    /// The server.
    at: SocketAddr,
    /// Where the certificate is of the device that was taken over.
    directory: PathBuf,
    /// The device.
    name: String,
    /// What chance has it do.
    seed: u64,
}

fn main() {
    let Arguments { at, directory, name, seed } = Arguments::parse();
    let identity = Identity::read(&directory, &name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(all(Attacker { at, name, identity }, seed));
}
