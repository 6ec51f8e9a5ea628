//! See `alluvium_fuzz::write`.
#![no_main]
libfuzzer_sys::fuzz_target!(init: alluvium_fuzz::keep_fenced_panics_quiet(), |data: &[u8]| alluvium_fuzz::write::run(data));
