//! The canary: a crash that only guidance by coverage finds. It proves that the fuzzer works, and with it that the silence of the
//! other targets means something.

/// What it dies of, found byte by byte; at random, one of 2^48 inputs has it.
pub const MAGIC: &[u8; 6] = b"silted";

/// Panics where the input begins with [`MAGIC`].
pub fn run(data: &[u8]) {
    // Every byte is a branch of its own, which the optimiser must not join.
    for (place, expected) in MAGIC.iter().enumerate() {
        match data.get(place) {
            Some(byte) if std::hint::black_box(byte) == expected => reached(place),
            _ => return,
        }
    }
    panic!("the canary is dead: the fuzzer works");
}

/// New coverage for each byte found.
fn reached(place: usize) {
    match std::hint::black_box(place) {
        0 => std::hint::black_box("s"),
        1 => std::hint::black_box("si"),
        2 => std::hint::black_box("sil"),
        3 => std::hint::black_box("silt"),
        4 => std::hint::black_box("silte"),
        _ => std::hint::black_box("silted"),
    };
}
