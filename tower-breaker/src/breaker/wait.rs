//! How long the next open wait is.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::policy::Policy;
use crate::dice::Dice;

/// Chooses open waits. Holds the state of the dice for those with jitter.
pub(super) struct Waits {
    dice: Dice,
}

/// For a function of the user's that panics: the builder's default.
const INSTEAD: u64 = 30_000_000_000;

/// The wait that has been chosen for a transition that is being made, and for which attempt.
pub(super) type Chosen = Option<(u32, u64)>;

impl Waits {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
        }
    }

    /// In nanoseconds. `hint` is how long the server asks to be left alone: it can only lengthen the wait, so that a server
    /// that says "at once" does not switch its own protection off.
    pub(super) fn choose(&self, policy: &Policy, attempt: u32, hint: Option<u64>) -> u64 {
        // The circuit is about to open, and must, whatever becomes of the user's function. The panic hook has reported it.
        let own = catch_unwind(AssertUnwindSafe(|| {
            policy.open_wait.after(attempt, || self.dice.roll())
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
}
