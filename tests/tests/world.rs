//! Everything that may happen, in any order, against the model.

use alluvium_tests::campaign::world::{self, World};
use alluvium_tests::{cases, seed};

#[test]
fn a_world_agrees_with_the_model() {
    let seed = seed(1);
    let steps = world::run(seed, 2, cases(2_000) as usize, &|_| ()).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{steps} steps");
}

#[test]
fn one_seed_is_one_history() {
    let seed = seed(7);
    let trace = || {
        let mut world = World::new(seed).expect("begins");
        (0..600).for_each(|_| world.step().unwrap_or_else(|violation| panic!("{violation}")));
        world.trace()
    };
    assert_eq!(trace(), trace());
}
