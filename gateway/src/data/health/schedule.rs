//! When an endpoint is checked. Pure: chance is passed in.

use std::time::Duration;

/// First checks of endpoints that come together are spread over this, or over an interval that is shorter.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Never sooner: what is configured as nothing is no reason for a loop without a pause.
const FLOOR: Duration = Duration::from_millis(10);
/// A day; longer than anybody waits, and far from overflowing a clock.
const CEILING: Duration = Duration::from_secs(24 * 60 * 60);

/// A place among the endpoints that came at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// From 0,
    pub number: usize,
    /// of so many, at least 1.
    pub of: usize,
}

/// How often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub interval: Duration,
    /// The share of the interval that is random.
    pub jitter: f64,
}

impl Pace {
    /// From now to the first check: as soon as can be without checking all at the same moment.
    pub(super) fn first(self, place: Place) -> Duration {
        self.interval().min(AT_ONCE).mul_f64(place.share())
    }

    /// From the first check to the second, which brings endpoints to their places in the interval: that of the last is a whole
    /// interval away, those of the others nearer.
    pub(super) fn second(self, place: Place) -> Duration {
        let step = 1.0 / place.of.max(1) as f64;
        let window = self.interval().min(AT_ONCE);
        let at = self.interval().mul_f64(place.share() + step);
        // As far as the first check was late, this one is early.
        at.saturating_sub(window.mul_f64(place.share())).max(FLOOR)
    }

    /// From one check to the next. On average the interval.
    pub(super) fn next(self, chance: f64) -> Duration {
        let jitter = if self.jitter.is_finite() {
            self.jitter.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let factor = 1.0 + jitter * (chance - 0.5);
        self.interval().mul_f64(factor).max(FLOOR)
    }

    fn interval(self) -> Duration {
        self.interval.clamp(FLOOR, CEILING)
    }
}

impl Place {
    fn share(self) -> f64 {
        self.number as f64 / self.of.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACE: Pace = Pace {
        interval: Duration::from_secs(10),
        jitter: 0.2,
    };

    #[test]
    fn first_checks_come_soon_and_second_ones_spread_over_the_interval() {
        let place = |number| Place { number, of: 4 };
        let first = [0, 1, 2, 3].map(|number| PACE.first(place(number)).as_millis());
        assert_eq!(first, [0, 250, 500, 750]);
        let second = [0, 1, 2, 3]
            .map(|number| (PACE.first(place(number)) + PACE.second(place(number))).as_millis());
        assert_eq!(second, [2500, 5000, 7500, 10_000]);
    }

    #[test]
    fn jitter_is_a_share_of_the_interval_around_it() {
        let at = |chance| PACE.next(chance).as_millis();
        assert_eq!([at(0.0), at(0.5), at(1.0)], [9000, 10_000, 11_000]);
    }

    proptest! {
        #[test]
        fn waits_are_never_nothing_and_never_beyond_a_clock(
            secs in any::<u64>(), jitter in any::<f64>(), chance in 0.0..1.0_f64, number in 0..100_usize, of in 0..100_usize,
        ) {
            let pace = Pace { interval: Duration::from_secs(secs), jitter };
            let place = Place { number: number.min(of.saturating_sub(1)), of };
            prop_assert!(pace.first(place) < AT_ONCE);
            for wait in [pace.second(place), pace.next(chance)] {
                prop_assert!((FLOOR..=CEILING * 3 / 2).contains(&wait), "{wait:?}");
            }
        }
    }
}
