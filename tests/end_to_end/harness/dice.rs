//! Seeded random numbers (splitmix64), so that a failing run can be repeated.

use std::time::Duration;

/// A seeded source of numbers.
pub struct Dice(u64);

impl Dice {
    /// From `SPENDSTREAM_SEED` if set, else from `default`; the seed in use is printed.
    pub fn new(default: u64) -> Self {
        let seed = std::env::var("SPENDSTREAM_SEED").ok().map_or(default, |seed| seed.parse().expect("a whole number"));
        eprintln!("seed {seed} (SPENDSTREAM_SEED={seed} repeats it)");
        Self(seed)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    /// Up to `most`.
    pub fn time(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.below(u64::try_from(most.as_millis()).unwrap().max(1)))
    }
}

/// How many rounds: an environment variable, else what CI runs.
pub fn rounds(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |rounds| rounds.parse().expect("a whole number"))
}
