//! Whatever fails while a gateway is synced, in the end bucket and gateway agree.

use alluvium_tests::campaign::sync;
use alluvium_tests::{cases, seed};

#[test]
fn some_faults_somewhere() {
    // Among three lives there are both those with a centre and those without.
    let seed = seed(1);
    for seed in seed..seed + 3 {
        let counts = sync::some(seed, cases(50) as usize).unwrap_or_else(|violation| panic!("{violation}"));
        println!("seed {seed}, with a centre: {}\n{counts}", sync::has_centre(seed));
        let most = counts.combinations - counts.combinations / 10;
        assert!(counts.evicting >= most && counts.evicted.waited > 0, "hardly anything was let go of: {counts}");
    }
}

#[test]
fn what_was_let_go_of_and_then_forgotten_is_stated() {
    // Of some seeds no answer that is wrong twice is the same twice, and then nobody is misled.
    let seed = seed(1);
    let mut lost = (seed..seed + 12).map(|seed| {
        let counts = sync::misled(seed).unwrap_or_else(|violation| panic!("{violation}"));
        println!("seed {seed}: {}", counts.evicted);
        counts.evicted.lost
    });
    assert!(lost.any(|lost| lost > 0), "no bucket forgot anything of what was let go of");
}

#[test]
fn of_three_lives_one_has_a_centre_and_one_has_none() {
    for seed in 0..12 {
        let with_centre = (seed..seed + 3).filter(|seed| sync::has_centre(*seed)).count();
        assert!((1..3).contains(&with_centre), "{seed}: {with_centre}");
    }
}

#[test]
fn a_fault_is_read_as_it_is_written() {
    for text in ["target:12:lost", "target:0:cut-after", "centre:7:wrong", "disk:40:cut", "target:3:time-out"] {
        assert_eq!(text.parse::<sync::Strike>().unwrap().to_string(), text);
    }
    for text in ["", "target", "target:12", "target:x:lost", "target:12:gone", "disk:40:lost", "moon:1:cut", "centre:7"] {
        text.parse::<sync::Strike>().unwrap_err();
    }
}
