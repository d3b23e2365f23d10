//! The rules in the form in which the state machine applies them. Checked by the builder.

use std::time::Duration;

use super::window::Tally;

#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) consecutive_failures: Option<u32>,
    pub(super) failure_rate: Option<RateRule>,
    /// In nanoseconds.
    pub(super) open_for: u64,
    pub(super) half_open_trials: u32,
    pub(super) success_threshold: u32,
}

/// A failure rate over the last calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct RateRule {
    pub(super) calls: u32,
    pub(super) minimum_calls: u32,
    pub(super) threshold: f64,
}

impl RateRule {
    pub(super) fn trips(&self, tally: Tally) -> bool {
        // The first test is for speed: without a failure there is nothing to divide.
        tally.failures > 0 && tally.calls >= self.minimum_calls && rate(tally) >= self.threshold
    }

    /// Undefined below the minimum of calls.
    pub(super) fn rate(&self, tally: Tally) -> Option<f64> {
        (tally.calls > 0 && tally.calls >= self.minimum_calls).then(|| rate(tally))
    }
}

// Divided, not multiplied out: 55 of 100 is then exactly the number that the literal 0.55 stands for.
fn rate(tally: Tally) -> f64 {
    f64::from(tally.failures) / f64::from(tally.calls)
}

/// What an abandoned call means: one whose caller dropped the future (or the [`Permit`](super::Permit)) before the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abandoned {
    /// Nothing. A trial's slot is returned.
    Ignore,
    /// A failure. The default: a time-out outside the breaker shows itself only as an abandoned call, and must still be able
    /// to open the circuit.
    Failure,
    /// A failure if the call was given up after at least this long, else nothing. For callers that often give up early for
    /// reasons of their own. The only setting that makes a closed circuit read the clock, once per admitted call.
    FailureAfter(Duration),
}

/// Who makes the trial calls that may close an open circuit again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Recovery {
    /// The first ordinary calls after the open wait. The default.
    Lazy,
    /// Only [`CircuitBreaker::try_trial`](super::CircuitBreaker::try_trial), and so the background checks of
    /// [`probe_forever`](super::CircuitBreaker::probe_forever): no user's call is risked. Ordinary calls are refused until
    /// the circuit is closed, so a circuit that nobody probes stays open.
    Probed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_trips_at_exactly_its_threshold_as_written() {
        for percent in 1..=100_u32 {
            let threshold = format!("{}.{:02}", percent / 100, percent % 100)
                .parse()
                .unwrap();
            let rule = RateRule {
                calls: 100,
                minimum_calls: 100,
                threshold,
            };
            let tally = |failures| Tally {
                calls: 100,
                failures,
            };
            assert!(
                rule.trips(tally(percent)),
                "{percent} of 100 at {threshold}"
            );
            assert!(
                !rule.trips(tally(percent - 1)),
                "{} of 100 at {threshold}",
                percent - 1
            );
        }
    }
}
