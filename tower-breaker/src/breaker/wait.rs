//! How long the next open wait is.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::policy::Policy;
use crate::sync::{AtomicU64, Ordering};

/// Chooses open waits. Holds the state of the dice for those with jitter.
pub(super) struct Waits {
    dice: AtomicU64,
}

/// For a function of the user's that panics: the builder's default.
const INSTEAD: u64 = 30_000_000_000;

/// The wait that has been chosen for a transition that is being made, and for which attempt.
pub(super) type Chosen = Option<(u32, u64)>;

impl Waits {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: AtomicU64::new(seed),
        }
    }

    /// In nanoseconds. `hint` is how long the server asks to be left alone: it can only lengthen the wait, so that a server
    /// that says "at once" does not switch its own protection off.
    pub(super) fn choose(&self, policy: &Policy, attempt: u32, hint: Option<u64>) -> u64 {
        // The circuit is about to open, and must, whatever becomes of the user's function. The panic hook has reported it.
        let own = catch_unwind(AssertUnwindSafe(|| {
            policy.open_wait.after(attempt, || self.roll())
        }))
        .unwrap_or(INSTEAD);
        match (hint, policy.retry_after_cap) {
            (Some(hint), Some(cap)) => own.max(hint.min(cap)),
            _ => own,
        }
    }

    /// As [`choose`](Self::choose), but asks only once for an attempt: a swap that lost its race is tried again with the same
    /// wait, or a function that takes long might lose for ever.
    pub(super) fn choose_once(
        &self,
        chosen: &mut Chosen,
        policy: &Policy,
        attempt: u32,
        hint: Option<u64>,
    ) -> u64 {
        match *chosen {
            Some((of, wait)) if of == attempt => wait,
            _ => {
                let wait = self.choose(policy, attempt, hint);
                *chosen = Some((attempt, wait));
                wait
            }
        }
    }

    // SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): a counter, and a function
    // that hides that it is one.
    fn roll(&self) -> u64 {
        const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut bits = self
            .dice
            .fetch_add(GAMMA, Ordering::Relaxed)
            .wrapping_add(GAMMA);
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ bits >> 31
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_dice_are_split_mix_64() {
        // The first numbers for the seed 1234567, as everybody's implementation gives them.
        let waits = Waits::new(1_234_567);
        let rolled: Vec<u64> = (0..5).map(|_| waits.roll()).collect();
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
}
