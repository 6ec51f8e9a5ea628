//! Random numbers for tests, repeatable by their seed.

/// Xorshift64* (Vigna 2016).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Begins with `ALLUVIUM_TEST_SEED`, or else with `default`, and prints it.
    pub(crate) fn new(default: u64) -> Self {
        let seed = std::env::var("ALLUVIUM_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
        println!("ALLUVIUM_TEST_SEED={seed}");
        Random(seed.max(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 up to, without, `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
