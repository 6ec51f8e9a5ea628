//! Fuzz targets. Each is a plain function over bytes, `NAME::run`; `fuzz_targets/NAME.rs` hands it to libFuzzer, and
//! `tests/corpus.rs` runs it as an ordinary test over `corpus/NAME` and mutations of it.

pub mod canary;
pub mod csv;
pub mod grant;
mod imports;
pub mod input;
pub mod json_lines;
pub mod line_protocol;
pub mod log;
pub mod model;
pub mod protocol;
pub mod query;
pub mod record;
pub mod segment;
mod world;
pub mod write;

/// A target: what its input does.
pub type Target = fn(&[u8]);

/// Every target that must not fail, by name.
pub const TARGETS: [(&str, Target); 11] = [
    ("log", log::run),
    ("segment", segment::run),
    ("record", record::run),
    ("csv", csv::run),
    ("json_lines", json_lines::run),
    ("line_protocol", line_protocol::run),
    ("write", write::run),
    ("query", query::run),
    ("model", model::run),
    ("protocol", protocol::run),
    ("grant", grant::run),
];

/// A decoder's panic that ends in an error of the engine is no finding. libFuzzer's own hook would abort over it.
pub fn keep_fenced_panics_quiet() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !alluvium::is_fenced() {
            tell(panic);
        }
    }));
}
