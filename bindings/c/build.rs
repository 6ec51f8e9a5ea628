//! Gives the shared library the name that programs ask for: one for each ABI, so that a program finds no other.

use std::error::Error;

const HEADER: &str = "include/alluvium.h";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={HEADER}");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        let header = std::fs::read_to_string(HEADER)?;
        let abi = header.lines().find_map(|line| line.strip_prefix("#define ALLUVIUM_ABI_VERSION "));
        let abi = abi.ok_or_else(|| format!("{HEADER} has no ALLUVIUM_ABI_VERSION: make it with bindings/c/header"))?;
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,liballuvium.so.{abi}");
    }
    Ok(())
}
