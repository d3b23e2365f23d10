use std::{ops::RangeInclusive, time::Duration};

use super::{
    Algorithm, Sample,
    options::{Bounds, Check},
    probe::{Probe, Step},
};
use crate::BuildError;

/// The latency without load is measured for the first time after so many windows.
const FIRST_PROBE: u32 = 10;
/// A latency within this of the one believed in differs by chance.
const SAME: f64 = 0.2;
/// So many windows in a row must be faster than was believed before that is given up.
const FASTER_WINDOWS: u32 = 3;

/// Estimates how many calls queue in the dependency, `limit × (1 - unburdened / present)` by latencies, and keeps that between
/// [`alpha`](VegasBuilder::alpha) and [`beta`](VegasBuilder::beta). Up to [`threshold`](VegasBuilder::threshold) it grows by
/// `beta`, below `alpha` by one, above `beta` it shrinks by one. All of these numbers are multiplied by the limit's number of
/// decimal digits less one (10 to 99: by 1, 100 to 999: by 2), so that larger limits move faster.
///
/// Sources: Brakmo, O'Malley and Peterson, *TCP Vegas: New Techniques for Congestion Detection and Avoidance*, 1994; Netflix's
/// concurrency-limits, `VegasLimit`, for its use on calls and for the numbers. What is different here, and why:
///
/// * The latency without load is measured about every [`probe_every`](VegasBuilder::probe_every) windows at half the limit, as
///   [`Gradient2`](super::Gradient2) does. There, the latency of one sample under load is taken for it, so that each time under
///   constant overload the queue that stands passes for none, and another is allowed on top.
/// * Between two measurements a shorter latency is believed only if three windows in a row were shorter by a fifth. The shortest of
///   many averages would be too short by chance, and the difference would pass for a queue.
/// * A drop takes a share of the limit ([`backoff`](VegasBuilder::backoff)), as loss does in TCP Vegas, not just one call.
///
/// ```
/// use std::time::Duration;
/// use tower_breaker::bulkhead::limit::{Algorithm, Sample, Vegas};
///
/// let mut limit = Vegas::builder().initial(20).build()?;
/// assert_eq!(limit.update(&Sample::new(Duration::from_millis(10), 20)), 20); // the first sets the latency without load
/// assert_eq!(limit.update(&Sample::new(Duration::from_millis(10), 20)), 26); // nothing queues
/// assert_eq!(limit.update(&Sample::new(Duration::from_millis(15), 26)), 25); // 9 do
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Vegas {
    options: VegasBuilder,
    limit: f64,
    // In nanoseconds. `None` until there is a sample.
    unburdened: Option<f64>,
    faster: Faster,
    probe: Probe,
}

/// Collects the options of [`Vegas`]; see [`Vegas::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct VegasBuilder {
    bounds: Bounds,
    alpha: f64,
    beta: f64,
    threshold: f64,
    smoothing: f64,
    backoff: f64,
    probe_every: u32,
}

impl Vegas {
    /// Starts with the defaults: a limit of 20, within 1 to 200.
    pub fn builder() -> VegasBuilder {
        VegasBuilder {
            bounds: Bounds::default(),
            alpha: 3.0,
            beta: 6.0,
            threshold: 1.0,
            smoothing: 1.0,
            backoff: 0.9,
            probe_every: 100,
        }
    }
}

impl VegasBuilder {
    /// The limit to begin with: [`min`](Self::min) to [`max`](Self::max). The default is 20.
    pub fn initial(mut self, calls: usize) -> Self {
        self.bounds.initial = calls;
        self
    }

    /// It never falls below this: 1, the default, to `max`. A limit that is at its least cannot be halved to find out how fast the
    /// dependency is without a queue, so it should be well below what the dependency can do.
    pub fn min(mut self, calls: usize) -> Self {
        self.bounds.min = calls;
        self
    }

    /// It never rises above this: 1 to 250,000. The default is 200.
    pub fn max(mut self, calls: usize) -> Self {
        self.bounds.max = calls;
        self
    }

    /// Fewer calls in the queue than this, and the limit grows by one: [`threshold`](Self::threshold) to [`beta`](Self::beta). The
    /// default is 3.
    pub fn alpha(mut self, calls: f64) -> Self {
        self.alpha = calls;
        self
    }

    /// More calls in the queue than this, and the limit shrinks by one; also by how much it grows while it is fast: `alpha` to
    /// 10,000. The default is 6.
    pub fn beta(mut self, calls: f64) -> Self {
        self.beta = calls;
        self
    }

    /// Up to so many calls in the queue the limit grows fast: 0 to `alpha`. The default is 1.
    pub fn threshold(mut self, calls: f64) -> Self {
        self.threshold = calls;
        self
    }

    /// How much of a step towards the new limit is made at once: 0.01 to 1, the default.
    pub fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// What share of the limit is left after a drop, if that is less than one step down: 0.1 to 1. The default is 0.9. TCP Vegas
    /// has 0.75; with 1 a drop is one step, as in Netflix's.
    pub fn backoff(mut self, share: f64) -> Self {
        self.backoff = share;
        self
    }

    /// The latency without load is measured afresh after so many windows, a quarter more or less: 10 to 100,000. The default is
    /// 100: with windows of 100 ms, ten seconds. See [`Gradient2Builder::probe_every`](super::Gradient2Builder::probe_every) for
    /// what it costs.
    pub fn probe_every(mut self, windows: u32) -> Self {
        self.probe_every = windows;
        self
    }

    /// Builds the algorithm.
    ///
    /// # Errors
    ///
    /// Names every option that is out of range, all at once.
    pub fn build(self) -> Result<Vegas, BuildError> {
        let mut check = Check::bounds("vegas", self.bounds);
        let (alpha, beta) = (self.alpha, self.beta);
        check.between("alpha", alpha, self.threshold..=beta);
        check.between("beta", beta, alpha..=10_000.0);
        check.between("threshold", self.threshold, 0.0..=alpha);
        check.between("smoothing", self.smoothing, 0.01..=1.0);
        check.between("backoff", self.backoff, 0.1..=1.0);
        check.between("probe_every", f64::from(self.probe_every), 10.0..=100_000.0);
        check.done()?;
        Ok(Vegas {
            limit: self.bounds.initial as f64,
            unburdened: None,
            faster: Faster::default(),
            probe: Probe::new(FIRST_PROBE, self.probe_every),
            options: self,
        })
    }
}

impl Vegas {
    fn set(&mut self, limit: f64) -> usize {
        self.limit = self.options.bounds.clamp(limit);
        self.limit as usize
    }

    // The size of a step.
    fn step(&self) -> f64 {
        // At least 1 by its bounds.
        f64::from((self.limit as usize).ilog10().max(1))
    }

    fn adapt(&mut self, sample: &Sample) -> usize {
        let present = sample.nanos();
        let Some(unburdened) = self.unburdened else {
            self.unburdened = Some(present);
            return self.limit as usize;
        };
        if let Some(lower) = self.faster.look(present, unburdened) {
            self.unburdened = Some(lower);
            return self.limit as usize;
        }
        if sample.is_app_limited(self.limit as usize) {
            return self.limit as usize;
        }
        let options = &self.options;
        let step = self.step();
        // Of those that ran, and the limit may just have been lowered or not be used up.
        let running = self.limit.min(sample.in_flight as f64);
        let queue = (running * (1.0 - unburdened / present)).ceil();
        let change = if queue <= options.threshold * step {
            options.beta * step
        } else if queue < options.alpha * step {
            step
        } else if queue > options.beta * step {
            -step
        } else {
            0.0
        };
        self.move_to(self.limit + change)
    }

    fn move_to(&mut self, limit: f64) -> usize {
        let smoothing = self.options.smoothing;
        let limit = self.options.bounds.clamp(limit);
        self.set(self.limit * (1.0 - smoothing) + limit * smoothing)
    }
}

impl Algorithm for Vegas {
    fn initial(&self) -> usize {
        self.options.bounds.initial
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        self.options.bounds.range()
    }

    fn update(&mut self, sample: &Sample) -> usize {
        if sample.dropped {
            self.limit = self.probe.break_off(self.limit);
            let less = (self.limit - self.step()).min(self.limit * self.options.backoff);
            return self.set(less);
        }
        let min = self.options.bounds.min as f64;
        match self.probe.step(self.limit, min, sample) {
            Step::Adapt => self.adapt(sample),
            Step::Probe(limit) => self.set(limit),
            Step::Measured { rtt, limit } => {
                self.unburdened = Some(rtt);
                self.faster = Faster::default();
                self.set(limit)
            }
        }
    }

    fn baseline(&self) -> Option<Duration> {
        self.unburdened
            .map(|nanos| Duration::from_nanos(nanos as u64))
    }

    fn is_probing(&self) -> bool {
        self.probe.is_running()
    }
}

/// Windows in a row in which calls were clearly faster than was believed possible.
#[derive(Debug, Clone, Default)]
struct Faster {
    windows: u32,
    slowest: f64,
}

impl Faster {
    // Gives the latency to believe in from now on, once there is no doubt.
    fn look(&mut self, present: f64, unburdened: f64) -> Option<f64> {
        if present > unburdened * (1.0 - SAME) {
            *self = Self::default();
            return None;
        }
        self.windows += 1;
        self.slowest = self.slowest.max(present);
        let lower = (self.windows >= FASTER_WINDOWS).then_some(self.slowest);
        if lower.is_some() {
            *self = Self::default();
        }
        lower
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    // Where a limit of 100, all in use, goes when so many of the calls queue. One step is 2 then.
    #[allow(clippy::unwrap_used)]
    fn with_queue(calls: f64, smoothing: f64) -> usize {
        let mut algorithm = Vegas::builder()
            .initial(100)
            .max(1_000)
            .smoothing(smoothing)
            .build()
            .unwrap();
        let unburdened = Duration::from_millis(10);
        assert_eq!(algorithm.update(&Sample::new(unburdened, 100)), 100);
        // What queues is rounded up.
        let present = unburdened.div_f64(1.0 - (calls - 0.5) / 100.0);
        algorithm.update(&Sample::new(present, 100))
    }

    #[test]
    fn a_step_is_what_the_size_of_the_queue_says() {
        let limits =
            [1.0, 2.0, 3.0, 5.0, 6.0, 12.0, 13.0, 40.0].map(|calls| with_queue(calls, 1.0));
        assert_eq!(limits, [112, 112, 102, 102, 100, 100, 98, 98]);
        assert_eq!(with_queue(2.0, 0.5), 106);
        assert_eq!(with_queue(13.0, 0.5), 99);
    }

    #[test]
    fn three_windows_in_a_row_that_were_clearly_faster_are_believed_at_the_slowest_of_them() {
        let mut algorithm = Vegas::builder().build().unwrap();
        assert_eq!((algorithm.initial(), algorithm.baseline()), (20, None));
        let mut believes = |millis: u64| {
            algorithm.update(&Sample::new(Duration::from_millis(millis), 20));
            algorithm.baseline().unwrap().as_millis()
        };
        // Nearly a fifth faster is not clear, and two in a row are not enough.
        let believed = [10, 9, 9, 9, 5, 5, 9, 5, 7, 8].map(&mut believes);
        assert_eq!(believed, [10, 10, 10, 10, 10, 10, 10, 10, 10, 8]);
    }

    #[test]
    fn it_says_when_it_measures() {
        let mut algorithm = Vegas::builder().initial(100).build().unwrap();
        let busy = Sample::new(Duration::from_millis(10), 200);
        for _ in 0..FIRST_PROBE {
            algorithm.update(&busy);
            assert!(!algorithm.is_probing());
        }
        let before = algorithm.limit;
        assert_eq!(algorithm.update(&busy), (before / 2.0) as usize);
        assert!(algorithm.is_probing());
    }
}
