//! When a source is asked next. Pure: chance is passed in.

use std::time::Duration;

/// Never sooner, whatever a time to live or a configuration says: a loop without a pause helps nobody.
const FLOOR: Duration = Duration::from_millis(50);
/// A day: longer than any time to live that means anything, and far from overflowing a clock.
const CEILING: Duration = Duration::from_secs(24 * 60 * 60);

/// How long what was found holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// For good: there is nothing to ask again.
    ForEver,
    /// Nothing says; it is asked again after this.
    Polled(Duration),
    /// Its source says; it is asked again shortly before.
    Until(Duration),
}

/// The first and the longest wait after failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// After the first failure.
    pub first: Duration,
    /// Twice as long after each further one, up to this.
    pub longest: Duration,
}

impl Retry {
    /// The same wait after each failure.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self {
            first: interval,
            longest: interval,
        }
    }
}

/// How long to wait after a success; `None` for ever. `chance` is in `0..1`.
///
/// A time to live is used up by 80 to 90 %, so that the new answer is there before the old one has expired, even if the first attempt
/// fails; and gateways that were started together, or names that came with one answer, do not ask at the same moment.
#[must_use]
pub fn after_success(holds: Holds, chance: f64) -> Option<Duration> {
    let share = match holds {
        Holds::ForEver => return None,
        Holds::Polled(interval) => (interval, 0.95 + 0.1 * chance),
        Holds::Until(ttl) => (ttl, 0.8 + 0.1 * chance),
    };
    let (whole, share) = share;
    Some(whole.min(CEILING).mul_f64(share).max(FLOOR))
}

/// How long to wait after so many failures in a row, at least one. Half of it is random.
#[must_use]
pub fn after_failure(retry: Retry, failures: u32, chance: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(30));
    let wait = retry
        .first
        .saturating_mul(doubled)
        .min(retry.longest)
        .min(CEILING);
    wait.mul_f64(0.5 + 0.5 * chance).max(FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn what_holds_for_ever_is_not_asked_again() {
        assert_eq!(after_success(Holds::ForEver, 0.5), None);
    }

    #[test]
    fn a_time_to_live_is_refreshed_before_it_ends() {
        assert_eq!(after_success(Holds::Until(secs(100)), 0.0), Some(secs(80)));
        assert_eq!(after_success(Holds::Until(secs(100)), 1.0), Some(secs(90)));
    }

    #[test]
    fn waits_after_failures_double_up_to_the_longest() {
        let retry = Retry {
            first: secs(1),
            longest: secs(10),
        };
        let waits = [1, 2, 3, 4, 5, 99].map(|failures| after_failure(retry, failures, 1.0));
        assert_eq!(waits, [1, 2, 4, 8, 10, 10].map(secs));
        assert_eq!(after_failure(retry, 1, 0.0), Duration::from_millis(500));
    }

    proptest! {
        #[test]
        fn waits_are_never_nothing_and_never_beyond_a_clock(
            nanos in any::<u64>(), longest in any::<u64>(), failures in any::<u32>(), chance in 0.0..1.0_f64,
        ) {
            let of = Duration::from_secs(nanos);
            let retry = Retry { first: of, longest: Duration::from_secs(longest) };
            for wait in [
                after_failure(retry, failures, chance),
                after_success(Holds::Until(of), chance).unwrap(),
                after_success(Holds::Polled(of), chance).unwrap(),
            ] {
                prop_assert!((FLOOR..=CEILING.mul_f64(1.05)).contains(&wait));
            }
        }

        #[test]
        fn a_refresh_comes_before_the_end(seconds in 1..100_000_u64, chance in 0.0..1.0_f64) {
            prop_assert!(after_success(Holds::Until(secs(seconds)), chance).unwrap() < secs(seconds));
        }
    }
}
