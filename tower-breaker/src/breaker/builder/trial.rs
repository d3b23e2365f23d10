//! When half-open ends.

use super::check;
use crate::{
    Problem,
    breaker::{policy::TrialRule, word::MAX_TRIALS},
};

/// Decides about recovery by the share of trials that fail, so that one failure among many does not open the circuit again.
///
/// An episode admits no more trials than are decided over; one that is ignored gives its place back. The circuit opens again as soon as
/// enough have failed, and closes as soon as that can no longer happen: of 10 at 0.5, at the fifth failure or the sixth success.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrialRate {
    trials: u32,
    threshold: f64,
}

impl TrialRate {
    /// Decides over this many trials: 1 to 255. How many of them may be in flight at once is
    /// [`half_open_trials`](super::CircuitBreakerBuilder::half_open_trials).
    pub fn of_trials(trials: u32) -> Self {
        Self {
            trials,
            threshold: 0.5,
        }
    }

    /// Opens again at this share of failures or above: more than 0, up to 1. The default is 0.5.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    fn check(&self, problems: &mut Vec<Problem>) -> TrialRule {
        check::count(
            problems,
            "trial_rate.of_trials",
            self.trials,
            1..=MAX_TRIALS,
        );
        check::share(problems, "trial_rate.threshold", self.threshold);
        // Bounded, because it is tried out trial by trial.
        TrialRule::rate(self.trials.min(MAX_TRIALS), self.threshold)
    }
}

/// What the builder was told about when half-open ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trials {
    /// Not set by the user, so a `trial_rate` may replace it.
    preset: u32,
    pub(super) successes: Option<u32>,
    pub(super) rate: Option<TrialRate>,
}

impl Trials {
    pub(super) fn preset(successes: u32) -> Self {
        Self {
            preset: successes,
            successes: None,
            rate: None,
        }
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) -> TrialRule {
        let successes = self.successes.unwrap_or(self.preset);
        check::count(problems, "success_threshold", successes, 1..=MAX_TRIALS);
        let Some(rate) = self.rate else {
            return TrialRule::Successes(successes);
        };
        if let Some(successes) = self.successes {
            problems.push(Problem::new(
                "success_threshold",
                successes,
                "not set: with `trial_rate` the rate decides",
            ));
        }
        rate.check(problems)
    }
}
