//! An endpoint's latency as the balancer sees it: a peak EWMA.
//!
//! As Finagle's `PeakEwma`, with what comes of asking that at every request: a latency above the average replaces it at once;
//! otherwise it decays towards zero with a time constant of 10 s, but not below the last latency. So trouble is seen with the first slow
//! answer, and forgotten as time passes, whether there are answers or not: an endpoint that is left alone gets another chance. How
//! often it is asked or told makes no difference.
//!
//! Average and time stamp are one word, so that no reader ever sees one without the other.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::moment::Moment;

/// After this long a latency counts 1/e.
pub const TIME_CONSTANT: Duration = Duration::from_secs(10);

// In nanoseconds. What an average that has decayed to less is worth: nothing is known any more.
const UNKNOWN_BELOW: f64 = 1_000.0;

// A failure counts as at least this, twice what it was before, and by itself at most that: however fast an endpoint fails, failing
// never makes it look good.
const FAILURE_AT_LEAST: f64 = 1e6;
const FAILURE_AT_MOST: f64 = 1e10;

// Time stamps are counted in 2^16 ns, 66 us, of which 32 bits are 78 hours.
const TICK_SHIFT: u32 = 16;
const TICK: f64 = (1_u64 << TICK_SHIFT) as f64;
const TAU: f64 = TIME_CONSTANT.as_nanos() as f64;

/// Time stamp in ticks (32 bits), average in nanoseconds as an `f32` (32 bits).
#[derive(Debug, Default)]
pub struct PeakEwma(AtomicU64);

impl PeakEwma {
    /// In nanoseconds, as it is by now. `None` if nothing is known, or nothing any more.
    #[inline]
    pub fn get(&self, now: Moment) -> Option<f64> {
        let average = decayed(self.0.load(Ordering::Relaxed), tick(now));
        (average >= UNKNOWN_BELOW).then_some(average)
    }

    /// There is an answer to a request of `since`.
    #[inline]
    pub fn observe(&self, since: Moment, now: Moment) {
        let latency = nanos(since, now);
        self.update(now, |average| average.max(latency));
    }

    /// A request of `since` has failed.
    #[cold]
    pub fn penalize(&self, since: Moment, now: Moment) {
        let latency = nanos(since, now);
        self.update(now, |average| {
            let doubled = (average * 2.0).clamp(FAILURE_AT_LEAST, FAILURE_AT_MOST);
            doubled.max(latency)
        });
    }

    // `next` is given the average as it is by now.
    #[inline]
    fn update(&self, now: Moment, next: impl Fn(f64) -> f64) {
        let now = tick(now);
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let new = (next(decayed(word, now)) as f32).max(UNKNOWN_BELOW as f32);
            let new = (u64::from(latest(word, now)) << 32) | u64::from(new.to_bits());
            match self
                .0
                .compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(actual) => word = actual,
            }
        }
    }
}

// Signed numbers are quicker to convert, and 292 years are enough.
#[inline]
fn nanos(since: Moment, now: Moment) -> f64 {
    now.nanos_since(since) as i64 as f64
}

#[inline]
fn tick(moment: Moment) -> u32 {
    // Wraps: distances are what counts.
    (moment.as_nanos() >> TICK_SHIFT) as u32
}

#[inline]
fn average(word: u64) -> f64 {
    f64::from(f32::from_bits(word as u32))
}

#[inline]
fn stamp(word: u64) -> u32 {
    (word >> 32) as u32
}

// Threads read the clock for themselves: one may come with a time a little before the last stamp, which is no time at all.
#[inline]
fn ticks_since(word: u64, now: u32) -> u32 {
    let ticks = now.wrapping_sub(stamp(word));
    if ticks > u32::MAX - (1 << 20) {
        0
    } else {
        ticks
    }
}

#[inline]
fn latest(word: u64, now: u32) -> u32 {
    stamp(word).wrapping_add(ticks_since(word, now))
}

#[inline]
fn decayed(word: u64, now: u32) -> f64 {
    average(word) * weight(word, now)
}

// exp(-t / tau). Under load `t` is tiny, and two terms of the series are exact to the last digits that an `f32` has.
#[inline]
fn weight(word: u64, now: u32) -> f64 {
    let x = f64::from(ticks_since(word, now)) * (TICK / TAU);
    if x < 1.0 / 256.0 {
        1.0 - x + x * x * 0.5
    } else {
        (-x).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: f64 = 1e6;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(3_600_000_000_000 + millis * 1_000_000)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn since(latency: Duration, now: Moment) -> Moment {
        Moment::from_nanos(now.as_nanos() - latency.as_nanos() as u64)
    }

    fn observe(ewma: &PeakEwma, latency: Duration, now: Moment) {
        ewma.observe(since(latency, now), now);
    }

    fn penalize(ewma: &PeakEwma, latency: Duration, now: Moment) {
        ewma.penalize(since(latency, now), now);
    }

    fn close(actual: f64, expected: f64) -> bool {
        (actual / expected - 1.0).abs() < 1e-3
    }

    #[test]
    fn nothing_is_known_at_first() {
        assert_eq!(PeakEwma::default().get(at(0)), None);
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_by_the_time_constant() {
        let ewma = PeakEwma::default();
        observe(&ewma, ms(2), at(0));
        assert!(close(ewma.get(at(0)).unwrap(), 2.0 * MS));
        observe(&ewma, ms(300), at(1));
        assert!(close(ewma.get(at(1)).unwrap(), 300.0 * MS));
        let later = ewma.get(at(10_001)).unwrap();
        assert!(close(later, 300.0 * MS / std::f64::consts::E), "{later}");
    }

    #[test]
    fn lower_latencies_let_it_fall_with_time_whatever_their_number_but_not_below_them() {
        let (often, seldom) = (PeakEwma::default(), PeakEwma::default());
        for ewma in [&often, &seldom] {
            observe(ewma, ms(100), at(0));
        }
        for step in 1..=10_000 {
            observe(&often, ms(10), at(step));
        }
        for step in 1..=10 {
            observe(&seldom, ms(10), at(step * 1_000));
        }
        for ewma in [&often, &seldom] {
            let average = ewma.get(at(10_000)).unwrap();
            assert!(
                close(average, 100.0 * MS / std::f64::consts::E),
                "{average}"
            );
        }
        for step in 10_001..=40_000 {
            observe(&often, ms(10), at(step));
        }
        let average = often.get(at(40_000)).unwrap();
        assert!(close(average, 10.0 * MS), "{average}");
    }

    #[test]
    fn what_is_long_ago_is_unknown() {
        let ewma = PeakEwma::default();
        observe(&ewma, ms(1), at(0));
        assert!(ewma.get(at(60_000)).is_some());
        assert_eq!(ewma.get(at(80_000)), None);
    }

    #[test]
    fn however_fast_it_fails_failing_makes_it_worse() {
        let ewma = PeakEwma::default();
        observe(&ewma, ms(20), at(0));
        let mut before = ewma.get(at(0)).unwrap();
        for step in 1..=5 {
            penalize(&ewma, Duration::from_micros(50), at(step));
            let after = ewma.get(at(step)).unwrap();
            assert!(close(after, before * 2.0), "{before} {after}");
            before = after;
        }
        for step in 6..100 {
            penalize(&ewma, Duration::from_micros(50), at(step));
        }
        assert!(close(ewma.get(at(99)).unwrap(), FAILURE_AT_MOST));
        let unknown = PeakEwma::default();
        penalize(&unknown, Duration::ZERO, at(0));
        assert!(close(unknown.get(at(0)).unwrap(), FAILURE_AT_LEAST));
    }

    #[test]
    fn no_answer_is_a_lower_bound() {
        let ewma = PeakEwma::default();
        observe(&ewma, ms(20), at(0));
        observe(&ewma, ms(5), at(0));
        assert!(close(ewma.get(at(0)).unwrap(), 20.0 * MS));
        observe(&ewma, ms(500), at(0));
        assert!(close(ewma.get(at(0)).unwrap(), 500.0 * MS));
    }

    #[test]
    fn a_clock_that_is_a_little_behind_takes_no_time_away() {
        let ewma = PeakEwma::default();
        observe(&ewma, ms(20), at(1_000));
        observe(&ewma, ms(10), at(990));
        assert!(close(ewma.get(at(990)).unwrap(), 20.0 * MS));
        assert!(close(ewma.get(at(1_000)).unwrap(), 20.0 * MS));
    }

    #[test]
    fn it_goes_on_when_the_stamp_wraps() {
        let ewma = PeakEwma::default();
        let wrap = (u64::from(u32::MAX) + 1) << TICK_SHIFT;
        observe(&ewma, ms(50), Moment::from_nanos(wrap - 1));
        let later = ewma.get(Moment::from_nanos(wrap + 10_000_000_000)).unwrap();
        assert!(close(later, 50.0 * MS / std::f64::consts::E), "{later}");
    }

    #[test]
    fn the_short_way_to_a_weight_agrees_with_the_long_one() {
        for ticks in 0..2_000 {
            let x = f64::from(ticks) * (TICK / TAU);
            let quick = weight(0, ticks);
            assert!((quick - (-x).exp()).abs() < 2e-8, "{ticks}");
        }
    }
}
