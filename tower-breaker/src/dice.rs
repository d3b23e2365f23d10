//! Chance, without a lock: for jitter, and for what is refused with a probability.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

use crate::sync::{AtomicU64, Ordering};

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): a counter, and a function
/// that hides that it is one. Threads that share it never get the same number twice. Not for secrets.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Differently seeded each time, by the standard library's only source of chance.
    #[cfg_attr(breaker_loom, allow(dead_code))]
    pub(crate) fn any() -> Self {
        Self::new(RandomState::new().build_hasher().finish())
    }

    pub(crate) fn roll(&self) -> u64 {
        const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut bits = self
            .0
            .fetch_add(GAMMA, Ordering::Relaxed)
            .wrapping_add(GAMMA);
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ bits >> 31
    }

    /// From 0 up to, but without, 1; as evenly as an `f64` can be.
    pub(crate) fn share(&self) -> f64 {
        (self.roll() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_rolls_the_published_numbers() {
        // The first of the generator with the seed 1234567, as its authors' reference gives them.
        let dice = Dice::new(1_234_567);
        let rolled: Vec<u64> = (0..5).map(|_| dice.roll()).collect();
        assert_eq!(
            rolled,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn shares_are_spread_evenly_over_their_range() {
        let dice = Dice::new(7);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            let share = dice.share();
            assert!((0.0..1.0).contains(&share));
            tenths[(share * 10.0) as usize] += 1;
        }
        // Four standard deviations of a binomial count: 4 * sqrt(100,000 * 0.1 * 0.9).
        for count in tenths {
            assert!(count.abs_diff(10_000) < 380, "{tenths:?}");
        }
    }
}
