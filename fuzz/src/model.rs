//! A life of a database against the model: the input says what happens, three bytes for each thing. Writers, deleters, schema
//! changes, queries, seals, compactions, openings, faults of the disk and power cuts, in whatever order finds something.

use alluvium_tests::campaign::world::World;

/// Things that happen in one input, at most: enough to get anywhere, few enough for many inputs.
const MOST: usize = 60;

/// One input.
pub fn run(data: &[u8]) {
    let mut world = World::new(1).unwrap_or_else(|violation| panic!("{violation}"));
    let played = world.play(&data[..data.len().min(3 * MOST)]);
    played.unwrap_or_else(|violation| panic!("{violation}, after{}", world.subject().events()));
}
