//! Whatever fails while a gateway is synced, in the end bucket and gateway agree.

use alluvium_tests::campaign::sync;
use alluvium_tests::{cases, seed};

#[test]
fn some_faults_somewhere() {
    let seed = seed(1);
    let runs = sync::some(seed, cases(150) as usize).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{runs} runs");
}

#[test]
fn a_fault_is_read_as_it_is_written() {
    for text in ["target:12:lost", "target:0:cut-after", "disk:40:cut", "target:3:time-out"] {
        assert_eq!(text.parse::<sync::Strike>().unwrap().to_string(), text);
    }
    for text in ["", "target", "target:12", "target:x:lost", "target:12:gone", "disk:40:lost", "moon:1:cut"] {
        text.parse::<sync::Strike>().unwrap_err();
    }
}
