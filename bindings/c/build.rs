//! Gives the shared library the name that programs ask for: one for each ABI, so that a program finds no other.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        // As ALLUVIUM_ABI_VERSION has it.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,liballuvium.so.1");
    }
}
