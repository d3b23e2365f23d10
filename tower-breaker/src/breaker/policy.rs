//! The rules in the form in which the state machine applies them. Checked by the builder. All times are in nanoseconds.

use std::{fmt, sync::Arc, time::Duration};

use super::word::MAX_ATTEMPT;

#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) consecutive_failures: Option<u32>,
    /// In the order in which they were given.
    pub(super) rates: Vec<RateRule>,
    /// A call that takes longer than this is slow. Present if, and only if, there is a rule about slow calls.
    pub(super) slow_call: Option<u64>,
    pub(super) open_wait: Wait,
    /// How long the circuit must have been closed for the open wait to start small again.
    pub(super) stable_after: u64,
    /// How far a `Retry-After` may lengthen the open wait. `None`: it is not asked for.
    pub(super) retry_after_cap: Option<u64>,
    /// In flight at once.
    pub(super) half_open_trials: u32,
    pub(super) trial_rule: TrialRule,
    pub(super) lease: Option<Lease>,
    pub(super) ramp: Option<RampRule>,
}

/// Opens the circuit at too large a share of hits. A hit is a failure or a slow call, as the kind says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RateRule {
    pub(super) kind: Kind,
    pub(super) over: Over,
    pub(super) minimum_calls: u32,
    pub(super) minimum_hits: u32,
    pub(super) threshold: f64,
}

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Failures,
    Slow,
}

/// What a rate is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The last so many calls.
    Calls(u32),
    /// The last `window` of time, forgotten one slice at a time.
    Time { window: u64, slices: u32 },
}

impl RateRule {
    pub(super) fn trips(&self, calls: u32, hits: u32) -> bool {
        // The first test is for speed: without a hit there is nothing to divide.
        hits > 0
            && hits >= self.minimum_hits
            && calls >= self.minimum_calls
            && share(hits, calls) >= self.threshold
    }

    /// The share of hits. Undefined below the minimum of calls.
    pub(super) fn rate(&self, calls: u32, hits: u32) -> Option<f64> {
        (calls > 0 && calls >= self.minimum_calls).then(|| share(hits, calls))
    }
}

// Divided, not multiplied out: 55 of 100 is then exactly the number that the literal 0.55 stands for.
fn share(hits: u32, calls: u32) -> f64 {
    f64::from(hits) / f64::from(calls)
}

/// How long the circuit stays open.
#[derive(Clone)]
pub(super) enum Wait {
    Fixed(u64),
    Exponential {
        initial: u64,
        factor: f64,
        max: u64,
        jitter: f64,
    },
    Function(Arc<dyn Fn(u32) -> Duration + Send + Sync>),
}

impl Wait {
    /// The wait after so many failed recoveries in a row. `random` gives 64 even bits, and is asked only if there is jitter.
    ///
    /// Runs the user's function, if there is one: a panic in it comes out here.
    pub(super) fn after(&self, attempt: u32, random: impl FnOnce() -> u64) -> u64 {
        let attempt = attempt.min(MAX_ATTEMPT);
        match self {
            Self::Fixed(wait) => *wait,
            Self::Function(wait) => nanos(wait(attempt)),
            Self::Exponential {
                initial,
                factor,
                max,
                jitter,
            } => {
                let grown = *initial as f64 * factor.powi(attempt as i32);
                // Too large, infinite and (if it could be) not a number: all are the longest wait. A cast saturates.
                let wait = grown.min(*max as f64).round();
                if *jitter > 0.0 {
                    (wait - wait * jitter * fraction(random())).round() as u64
                } else {
                    wait as u64
                }
            }
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(wait) => f.debug_tuple("Fixed").field(wait).finish(),
            Self::Exponential {
                initial,
                factor,
                max,
                jitter,
            } => f
                .debug_struct("Exponential")
                .field("initial", initial)
                .field("factor", factor)
                .field("max", max)
                .field("jitter", jitter)
                .finish(),
            Self::Function(_) => f.debug_tuple("Function").finish_non_exhaustive(),
        }
    }
}

/// In nanoseconds; what does not fit is the most that does, 584 years.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

// From 0 to 1, both included. 53 bits are what an `f64` holds exactly.
fn fraction(random: u64) -> f64 {
    const LARGEST: u64 = (1 << 53) - 1;
    (random >> 11) as f64 / LARGEST as f64
}

/// When half-open ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrialRule {
    /// Closes after so many successes; the first failure opens again.
    Successes(u32),
    /// Admits so many `trials` in an episode. So many `failures` open again; the circuit closes when they can no longer come.
    Rate { trials: u32, failures: u32 },
}

impl TrialRule {
    /// Opens again if at least this share of the trials fails.
    pub(super) fn rate(trials: u32, threshold: f64) -> Self {
        // Found by the same division as every rate. `ceil(threshold * trials)` would be 8 for 0.07 of 100.
        let failures = (1..trials)
            .find(|&failures| share(failures, trials) >= threshold)
            .unwrap_or(trials);
        Self::Rate { trials, failures }
    }
}

/// How long a trial may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) time: u64,
    pub(super) expired: LeaseExpired,
}

/// Admits a share of the calls that grows from `from` to 1 in the time `over`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RampRule {
    pub(super) over: u64,
    pub(super) from: f64,
}

/// What an abandoned call means: one whose caller dropped the future (or the [`Permit`](super::Permit)) before the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abandoned {
    /// Nothing. A trial's slot is returned.
    Ignore,
    /// A failure. The default without a rule about slow calls: a time-out outside the breaker shows itself only as an abandoned
    /// call, and must still be able to open the circuit.
    Failure,
    /// A failure if the call was given up after at least this long, up to 30 days, else nothing. For callers that often give up early for
    /// reasons of their own. The default with a rule about slow calls, with its limit. Makes a closed circuit read the clock for
    /// every admitted call.
    FailureAfter(Duration),
}

/// Who makes the trial calls that may close an open circuit again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Recovery {
    /// The first ordinary calls after the open wait. The default.
    #[default]
    Lazy,
    /// As `Lazy`, but the circuit is half-open as soon as the wait is over, not only when a call comes: for dashboards, and for
    /// callers who look at the state first. Needs
    /// [`half_open_on_time`](super::CircuitBreaker::half_open_on_time) spawned as a task; without it this is `Lazy`.
    Timed,
    /// Only [`CircuitBreaker::try_trial`](super::CircuitBreaker::try_trial), and so the background checks of
    /// [`probe_forever`](super::CircuitBreaker::probe_forever): no user's call is risked. Ordinary calls are refused until
    /// the circuit is closed, so a circuit that nobody probes stays open.
    Probed,
}

/// What it means that a trial did not finish within its lease. Its result, should it still come, is stale: it is counted, and
/// decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum LeaseExpired {
    /// A failure. The default: whatever hangs that long is not well.
    #[default]
    Failure,
    /// Nothing. The trial's slot is returned, so that another call may try.
    Ignore,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_RANDOM: fn() -> u64 = || panic!("asked for randomness");

    fn rule(threshold: f64) -> RateRule {
        RateRule {
            kind: Kind::Failures,
            over: Over::Calls(100),
            minimum_calls: 100,
            minimum_hits: 1,
            threshold,
        }
    }

    // As a user would write it.
    fn literal(percent: u32) -> f64 {
        format!("{}.{:02}", percent / 100, percent % 100)
            .parse()
            .unwrap()
    }

    fn doubling(jitter: f64) -> Wait {
        Wait::Exponential {
            initial: 1_000,
            factor: 2.0,
            max: 10_000,
            jitter,
        }
    }

    #[test]
    fn a_rate_trips_at_exactly_its_threshold_as_written() {
        for percent in 1..=100 {
            let rule = rule(literal(percent));
            assert!(rule.trips(100, percent), "{percent} of 100 at {rule:?}");
            assert!(
                !rule.trips(100, percent - 1),
                "{} of 100 at {rule:?}",
                percent - 1
            );
        }
    }

    #[test]
    fn a_rate_needs_its_minimum_of_calls_and_of_hits() {
        let rule = RateRule {
            minimum_calls: 10,
            minimum_hits: 6,
            ..rule(0.5)
        };
        assert!(!rule.trips(9, 9));
        assert!(!rule.trips(10, 5));
        assert!(rule.trips(10, 6));
        assert_eq!(rule.rate(9, 9), None);
        assert_eq!(rule.rate(10, 5), Some(0.5));
    }

    #[test]
    fn no_call_is_no_rate_and_no_hit_trips_nothing() {
        let rule = RateRule {
            minimum_calls: 0,
            minimum_hits: 0,
            ..rule(f64::MIN_POSITIVE)
        };
        assert_eq!(rule.rate(0, 0), None);
        assert!(!rule.trips(0, 0));
        assert!(!rule.trips(100, 0));
        assert_eq!(rule.rate(100, 0), Some(0.0));
    }

    #[test]
    fn a_trial_rate_opens_at_exactly_its_threshold_as_written() {
        for percent in 1..=100 {
            assert_eq!(
                TrialRule::rate(100, literal(percent)),
                TrialRule::Rate {
                    trials: 100,
                    failures: percent
                }
            );
        }
        let failures_of = |trials, threshold| match TrialRule::rate(trials, threshold) {
            TrialRule::Rate { failures, .. } => failures,
            TrialRule::Successes(_) => unreachable!(),
        };
        assert_eq!(failures_of(1, 0.5), 1);
        assert_eq!(failures_of(3, 0.5), 2);
        assert_eq!(failures_of(4, 0.5), 2);
        assert_eq!(failures_of(255, f64::MIN_POSITIVE), 1);
        assert_eq!(failures_of(255, 1.0), 255);
    }

    #[test]
    fn an_exponential_wait_grows_up_to_its_maximum() {
        let waits: Vec<u64> = (0..6)
            .map(|attempt| doubling(0.0).after(attempt, NO_RANDOM))
            .collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn no_attempt_is_too_late_for_an_exponential_wait() {
        const MONTH: u64 = 30 * 24 * 3_600 * 1_000_000_000;
        for factor in [1.0, 1.5, 2.0, 10.0, f64::MAX, f64::INFINITY] {
            for max in [1, MONTH, u64::MAX] {
                let wait = Wait::Exponential {
                    initial: 1,
                    factor,
                    max,
                    jitter: 0.0,
                };
                for attempt in [0, 1, 63, 64, u32::MAX] {
                    let wait = wait.after(attempt, NO_RANDOM);
                    assert!((1..=max).contains(&wait), "{factor} {max} {attempt}");
                }
            }
        }
    }

    #[test]
    fn jitter_draws_from_the_range_below_the_wait_both_ends_included() {
        let wait = doubling(0.2);
        assert_eq!(wait.after(1, || 0), 2_000);
        assert_eq!(wait.after(1, || u64::MAX), 1_600);
        assert_eq!(wait.after(1, || u64::MAX / 2), 1_800);
        assert_eq!(wait.after(9, || u64::MAX), 8_000);
        assert_eq!(doubling(1.0).after(0, || u64::MAX), 0);
        assert_eq!(doubling(1.0).after(0, || 0), 1_000);
    }

    #[test]
    fn jitter_draws_evenly() {
        // Even steps through the random numbers must be even steps through the waits.
        let wait = Wait::Exponential {
            initial: 1_000_000,
            factor: 1.0,
            max: 1_000_000,
            jitter: 0.5,
        };
        for step in 0..=1_000_u64 {
            let drawn = wait.after(0, || u64::MAX / 1_000 * step);
            assert!(
                drawn.abs_diff(1_000_000 - 500 * step) <= 1,
                "{step}: {drawn}"
            );
        }
    }

    #[test]
    fn a_function_is_asked_with_the_attempt_and_its_answer_is_used_as_it_is() {
        let wait = Wait::Function(Arc::new(|attempt| Duration::from_nanos(attempt.into())));
        assert_eq!(wait.after(0, NO_RANDOM), 0);
        assert_eq!(wait.after(7, NO_RANDOM), 7);
        assert_eq!(wait.after(1_000, NO_RANDOM), 63);
        let wait = Wait::Function(Arc::new(|_| Duration::MAX));
        assert_eq!(wait.after(0, NO_RANDOM), u64::MAX);
    }

    #[test]
    fn a_fixed_wait_is_always_the_same() {
        assert_eq!(Wait::Fixed(5).after(0, NO_RANDOM), 5);
        assert_eq!(Wait::Fixed(5).after(63, NO_RANDOM), 5);
    }
}
