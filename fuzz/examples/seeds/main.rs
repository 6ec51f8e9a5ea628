//! Writes the first inputs of every target into `corpus/`: real, valid ones, from which the fuzzer sets out. Inputs that are there
//! beside them stay.
//!
//!     cargo run -p alluvium-fuzz --example seeds

mod log;
mod protocol;
mod record;
mod samples;
mod segment;
mod text;

use std::path::Path;

/// Inputs by name.
type Seeds = Vec<(&'static str, Vec<u8>)>;

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let targets: [(&str, Seeds); 11] = [
        ("log", log::seeds()),
        ("segment", segment::seeds()),
        ("record", record::seeds()),
        ("csv", text::csv()),
        ("json_lines", text::json_lines()),
        ("line_protocol", text::line_protocol()),
        ("write", text::write()),
        ("query", text::query()),
        ("protocol", protocol::seeds()),
        ("grant", text::grant()),
        ("canary", vec![("empty", b"-".to_vec())]),
    ];
    for (target, seeds) in targets {
        let dir = corpus.join(target);
        std::fs::create_dir_all(&dir).expect("a directory");
        for (name, bytes) in seeds {
            println!("{target}/seed-{name}: {} bytes", bytes.len());
            std::fs::write(dir.join(format!("seed-{name}")), bytes).expect("room");
        }
    }
}
