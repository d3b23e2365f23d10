//! How the results of concurrent calls reach the algorithm.
//!
//! A call adds its latency to a counter of its own thread's, and looks at one word that is written once a window: no lock, no
//! allocation, and nothing that another thread is writing to at the same time. The first call that ends after the window's time
//! tries the lock; whoever gets it sums up, asks the algorithm and sets the limit. Nobody ever waits for it: who finds the lock
//! taken goes on, since somebody is at it.
//!
//! Nothing is set back between two windows. The counters only ever grow, and a window is the difference between two sums, so no
//! result is lost or counted twice however the closing of a window falls among them. `loom_tests` checks that.

use std::{fmt, sync::TryLockError, time::Duration};

use super::{Algorithm, Sample, Window};
use crate::{
    striped::Striped,
    sync::{AtomicU64, Mutex, Ordering},
};

// The counters.
const RESULTS: usize = 0;
const DROPS: usize = 1;
const MOST_IN_FLIGHT: usize = 2;

/// `latencies: 40 | results: 24` in one word, so that both are added by one store and always belong together. A minute is the longest
/// latency that is told apart.
#[derive(Clone, Copy)]
struct Packed(u64);

/// In what latencies are counted: 2 to this many nanoseconds.
#[derive(Clone, Copy)]
struct Unit(u32);

impl Unit {
    const FINEST: u32 = 8;

    /// Such that whatever so many calls may take fits into a window: 256 ns up to 2,345 calls, 33 µs for 250,000. Where the limit is as
    /// large as that, and matters, calls are not as short as that.
    fn for_calls(max: usize) -> Self {
        // What is in flight when the window begins may have taken the longest already, and what is in flight during it goes on.
        let most = max as u64 * (Packed::LONGEST + Window::LONGEST.as_nanos() as u64);
        let bits = (u64::BITS - most.leading_zeros()).saturating_sub(Packed::LATENCY_BITS);
        Self(bits.max(Self::FINEST))
    }
}

impl Packed {
    const COUNT_BITS: u32 = 24;
    const LATENCY_BITS: u32 = 64 - Self::COUNT_BITS;
    const LONGEST: u64 = 60_000_000_000;

    #[inline]
    fn result(nanos: u64, Unit(bits): Unit) -> u64 {
        let units = (nanos.min(Self::LONGEST) + (1 << (bits - 1))) >> bits;
        (units << Self::COUNT_BITS) + 1
    }

    fn results(self) -> u64 {
        self.0 & ((1 << Self::COUNT_BITS) - 1)
    }

    fn mean(self, Unit(bits): Unit) -> Option<Duration> {
        // As a float: in nanoseconds the sum may not fit.
        let units = (self.0 >> Self::COUNT_BITS) as f64;
        let mean = units * f64::from(1_u32 << bits) / self.results() as f64;
        (self.results() > 0).then(|| Duration::from_nanos(mean as u64))
    }
}

/// Between the calls and the algorithm. Times are in nanoseconds of the bulkhead's clock.
pub(in crate::bulkhead) struct Sampler {
    // These two are read by every call, and written once a window.
    closes_at: AtomicU64,
    // Drops of calls that began before this are old news.
    hears_since: AtomicU64,
    unit: Unit,
    counters: Striped<3>,
    window: Window,
    bounds: (usize, usize),
    // For those who look. Not under the lock, which may be held while a waker runs that looks.
    figures: Published,
    controller: Mutex<Controller>,
}

struct Controller {
    algorithm: Box<dyn Algorithm>,
    limit: usize,
    bounds: (usize, usize),
    // The sums at the end of the last window.
    results: u64,
    drops: u64,
}

#[derive(Default)]
struct Published {
    windows: Cell,
    windows_with_drops: Cell,
    rtt: Cell,
    baseline: Cell,
    probing: Cell,
}

// Written under the controller's lock only.
struct Cell(AtomicU64);

impl Default for Cell {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Cell {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn nanos(&self) -> Option<Duration> {
        let nanos = self.get();
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }
}

/// How an adaptive bulkhead came to its present limit. The figures may be a window apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// The least limit.
    pub min: usize,
    /// The greatest limit.
    pub max: usize,
    /// Samples that the algorithm has seen.
    pub windows: u64,
    /// Those of them in which a call was dropped.
    pub windows_with_drops: u64,
    /// Drops so far. Those that came of calls from before an earlier drop was acted on are left out.
    pub drops: u64,
    /// How long calls took on average in the last window that had a result. `None` before the first.
    pub rtt: Option<Duration>,
    /// How long the algorithm believes that a call takes when nothing queues. `None` if it does not know, or needs not know.
    pub baseline: Option<Duration>,
    /// Whether the limit is low at this moment so that this can be measured.
    pub probing: bool,
}

impl Sampler {
    /// `min` to `max` must be a range of limits that the gate can have.
    pub(in crate::bulkhead) fn new(
        algorithm: Box<dyn Algorithm>,
        (initial, min, max): (usize, usize, usize),
        window: Window,
        now: u64,
    ) -> Self {
        Self {
            closes_at: AtomicU64::new(now.saturating_add(window.lasts(Duration::ZERO))),
            hears_since: AtomicU64::new(0),
            unit: Unit::for_calls(max),
            counters: Striped::new(),
            window,
            bounds: (min, max),
            figures: Published::default(),
            controller: Mutex::new(Controller {
                algorithm,
                limit: initial,
                bounds: (min, max),
                results: 0,
                drops: 0,
            }),
        }
    }

    /// A call has come to a result. `in_flight` counts it too. Sets the limit if that has changed.
    #[inline]
    pub(in crate::bulkhead) fn success(
        &self,
        started: u64,
        now: u64,
        in_flight: usize,
        set_limit: impl FnOnce(usize),
    ) {
        let result = Packed::result(now.saturating_sub(started), self.unit);
        self.counters.add_amount(RESULTS, result);
        self.in_flight(now, in_flight, set_limit);
    }

    /// A call has timed out, or has been told that there is too much to do.
    pub(in crate::bulkhead) fn drop(
        &self,
        started: u64,
        now: u64,
        in_flight: usize,
        set_limit: impl FnOnce(usize),
    ) {
        if started >= self.hears_since.load(Ordering::Relaxed) {
            self.counters.add(DROPS);
        }
        self.in_flight(now, in_flight, set_limit);
    }

    #[inline]
    fn in_flight(&self, now: u64, in_flight: usize, set_limit: impl FnOnce(usize)) {
        self.counters.raise(MOST_IN_FLIGHT, in_flight as u64);
        if now >= self.closes_at.load(Ordering::Relaxed) {
            self.close(now, set_limit);
        }
    }

    #[cold]
    fn close(&self, now: u64, set_limit: impl FnOnce(usize)) {
        let mut controller = match self.controller.try_lock() {
            Ok(controller) => controller,
            // The algorithm has panicked once. Its next answer is taken as it is, within the bounds.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        // Another may have closed it in the meantime.
        if now < self.closes_at.load(Ordering::Relaxed) {
            return;
        }
        let (results, drops) = (self.counters.sum(RESULTS), self.counters.sum(DROPS));
        let window = Packed(results.wrapping_sub(controller.results));
        let dropped = drops != controller.drops;
        if !dropped && window.results() < u64::from(self.window.minimum_calls) {
            return;
        }
        controller.results = results;
        controller.drops = drops;
        let rtt = window.mean(self.unit);
        let sample = Sample {
            rtt: rtt.unwrap_or(Duration::ZERO),
            in_flight: self.counters.take_max(MOST_IN_FLIGHT) as usize,
            dropped,
        };
        let last = self.figures.rtt.nanos().unwrap_or(Duration::ZERO);
        let lasts = self.window.lasts(rtt.unwrap_or(last));
        self.closes_at
            .store(now.saturating_add(lasts), Ordering::Relaxed);
        if dropped {
            self.hears_since.store(now, Ordering::Relaxed);
        }
        controller.ask(&sample, &self.figures, set_limit);
    }

    pub(in crate::bulkhead) fn figures(&self) -> Figures {
        let figures = &self.figures;
        let (min, max) = self.bounds;
        Figures {
            min,
            max,
            windows: figures.windows.get(),
            windows_with_drops: figures.windows_with_drops.get(),
            drops: self.counters.sum(DROPS),
            rtt: figures.rtt.nanos(),
            baseline: figures.baseline.nanos(),
            probing: figures.probing.get() > 0,
        }
    }
}

impl Controller {
    fn ask(&mut self, sample: &Sample, figures: &Published, set_limit: impl FnOnce(usize)) {
        let (min, max) = self.bounds;
        let limit = self.algorithm.update(sample).clamp(min, max);
        figures.windows.set(figures.windows.get() + 1);
        if sample.dropped {
            figures
                .windows_with_drops
                .set(figures.windows_with_drops.get() + 1);
        }
        if !sample.rtt.is_zero() {
            figures.rtt.set(sample.rtt.as_nanos() as u64);
        }
        let baseline = self.algorithm.baseline().unwrap_or(Duration::ZERO);
        figures.baseline.set(baseline.as_nanos() as u64);
        figures.probing.set(u64::from(self.algorithm.is_probing()));
        if limit != self.limit {
            self.limit = limit;
            // Still under the lock, so that limits are set in the order in which they were found.
            set_limit(limit);
        }
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use std::{ops::RangeInclusive, thread};

    use super::*;

    struct Still;

    impl Algorithm for Still {
        fn initial(&self) -> usize {
            5
        }

        fn bounds(&self) -> RangeInclusive<usize> {
            5..=5
        }

        fn update(&mut self, _: &Sample) -> usize {
            5
        }
    }

    #[test]
    fn a_mean_is_right_up_to_the_unit_and_a_minute_is_the_longest() {
        let unit = Unit::for_calls(1);
        let mean = |latencies: &[u64]| {
            let sum = latencies.iter().map(|&nanos| Packed::result(nanos, unit));
            Packed(sum.fold(0, u64::wrapping_add)).mean(unit)
        };
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[0]), Some(Duration::ZERO));
        for nanos in [1_u64, 1_000, 20_000_000, 3_000_000_000, 59_000_000_000] {
            let found = mean(&[nanos, nanos, nanos]).unwrap().as_nanos() as u64;
            assert!(found.abs_diff(nanos) <= 128, "{nanos} {found}");
        }
        let minute = Packed::LONGEST;
        let longest = mean(&[minute * 60, u64::MAX]).unwrap();
        assert!(longest.as_nanos().abs_diff(u128::from(minute)) <= 128);
    }

    #[test]
    fn as_many_long_calls_as_there_may_be_fit_into_a_window() {
        for max in [1, 2_345, 2_346, 250_000] {
            let unit = Unit::for_calls(max);
            // All that was running when the window began, and as many that ran all through it.
            let minute = Packed::result(Packed::LONGEST, unit);
            let calls = 2 * max as u64;
            let sum = (0..calls).fold(u64::MAX / 3, |sum, _| sum.wrapping_add(minute));
            let window = Packed(sum.wrapping_sub(u64::MAX / 3));
            assert_eq!(window.results(), calls);
            let off = window
                .mean(unit)
                .unwrap()
                .as_nanos()
                .abs_diff(60_000_000_000);
            assert!(off <= 1 << unit.0, "{max}: {off}");
        }
        let bits = [1, 2_345, 2_346, 250_000].map(|max| Unit::for_calls(max).0);
        assert_eq!(bits, [8, 8, 9, 15]);
    }

    struct Probing;

    impl Algorithm for Probing {
        fn initial(&self) -> usize {
            5
        }

        fn bounds(&self) -> RangeInclusive<usize> {
            5..=5
        }

        fn update(&mut self, _: &Sample) -> usize {
            5
        }

        fn baseline(&self) -> Option<Duration> {
            Some(Duration::from_millis(3))
        }

        fn is_probing(&self) -> bool {
            true
        }
    }

    #[test]
    fn figures_tell_what_the_algorithm_believes_and_nothing_before_there_is_a_result() {
        let window = Window::new().minimum_calls(1);
        let figures = |algorithm: Box<dyn Algorithm>| {
            let sampler = Sampler::new(algorithm, (5, 5, 5), window, 0);
            let figures = sampler.figures();
            assert_eq!((figures.rtt, figures.baseline), (None, None));
            assert!(!figures.probing);
            sampler.success(0, 1_000_000_000, 1, |_| {});
            let figures = sampler.figures();
            (figures.baseline, figures.probing)
        };
        assert_eq!(figures(Box::new(Still)), (None, false));
        let three = Some(Duration::from_millis(3));
        assert_eq!(figures(Box::new(Probing)), (three, true));
    }

    #[test]
    fn no_result_is_lost_or_counted_twice_by_threads_while_windows_close() {
        let window = Window::new()
            .at_least(Duration::from_millis(1))
            .minimum_calls(1);
        let sampler = Sampler::new(Box::new(Still), (5, 5, 5), window, 0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for call in 1..=20_000_u64 {
                        let now = call * 10_000;
                        sampler.success(now - 1_024, now, 3, |_| {});
                    }
                });
            }
        });
        sampler.success(0, 1_024, 3, |_| {});
        let all = Packed(sampler.counters.sum(RESULTS));
        assert_eq!(all.results(), 160_001);
        assert_eq!(all.mean(sampler.unit), Some(Duration::from_nanos(1_024)));
        let figures = sampler.figures();
        assert_eq!(figures.rtt, Some(Duration::from_nanos(1_024)));
        assert!((2..=200).contains(&figures.windows), "{figures:?}");
    }
}
