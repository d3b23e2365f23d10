use std::{ops::RangeInclusive, time::Duration};

use super::{
    Algorithm, Sample,
    options::{Bounds, Check},
    probe::{Probe, Step},
};
use crate::BuildError;

/// How far one window may shrink the limit, so that an outlier does little harm.
const LEAST_GRADIENT: f64 = 0.5;
/// A usual latency that is this many times the present one is out of date, and is made to fall faster.
const OUT_OF_DATE: f64 = 2.0;
const FALLS_TO: f64 = 0.9;

/// Follows the ratio of the usual latency to the present one: `limit × tolerance × usual / present + queue`, smoothed.
///
/// While calls take no longer than usual the limit grows by the allowance for a queue. When they take longer it shrinks in
/// proportion, to no less than half in one step. A drop shrinks it too.
///
/// Source: Netflix's concurrency-limits, `Gradient2Limit`. What is different here, and why:
///
/// * A drop decreases ([`backoff`](Gradient2Builder::backoff)). There it does not, so that nothing but time-outs looks like a
///   steady latency, and the limit climbs to its maximum.
/// * The usual latency, a long average, is measured afresh about every [`probe_every`](Gradient2Builder::probe_every) windows, at
///   half the limit. There it follows a queue that the limit itself makes, and the limit drifts upwards under constant overload.
///   This is also how a dependency that has become slower for good is believed after one such measurement.
///
/// ```
/// use std::time::Duration;
/// use tower_breaker::bulkhead::limit::{Algorithm, Gradient2, Sample};
///
/// let mut limit = Gradient2::builder().initial(50).max(500).build()?;
/// let well = Sample::new(Duration::from_millis(20), 50);
/// assert_eq!(limit.update(&well), 50); // 50.8
/// assert_eq!(limit.update(&well), 51);
/// assert_eq!(limit.update(&well.with_drop()), 46);
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Gradient2 {
    options: Gradient2Builder,
    limit: f64,
    usual: LongAverage,
    probe: Probe,
}

/// Collects the options of [`Gradient2`]; see [`Gradient2::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Gradient2Builder {
    bounds: Bounds,
    smoothing: f64,
    tolerance: f64,
    queue: usize,
    long_window: u32,
    warmup: u32,
    backoff: f64,
    probe_every: u32,
}

impl Gradient2 {
    /// Starts with the defaults: a limit of 20, within 1 to 200.
    pub fn builder() -> Gradient2Builder {
        Gradient2Builder {
            bounds: Bounds::default(),
            smoothing: 0.2,
            tolerance: 1.5,
            queue: 4,
            long_window: 600,
            warmup: 10,
            backoff: 0.9,
            probe_every: 100,
        }
    }
}

impl Gradient2Builder {
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

    /// How much of a step towards the new limit is made at once: 0.01 to 1. The default is 0.2.
    pub fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// How many times the usual latency is fine: 1 to 10. The default is 1.5. More lets a longer queue stand; less takes chance
    /// for a queue.
    pub fn tolerance(mut self, times: f64) -> Self {
        self.tolerance = times;
        self
    }

    /// So many calls may queue in the dependency, and by so many the limit grows: 1 to 10,000. The default is 4.
    pub fn queue(mut self, calls: usize) -> Self {
        self.queue = calls;
        self
    }

    /// Over how many windows the usual latency is averaged: 1 to 100,000. The default is 600.
    pub fn long_window(mut self, windows: u32) -> Self {
        self.long_window = windows;
        self
    }

    /// For so many windows the usual latency is the plain mean, and after as many it is measured for the first time: 1 to 10,000. The
    /// default is 10.
    pub fn warmup(mut self, windows: u32) -> Self {
        self.warmup = windows;
        self
    }

    /// What share of the limit is left after a drop, which takes one call at least: 0.1 to 0.99. The default is 0.9.
    pub fn backoff(mut self, share: f64) -> Self {
        self.backoff = share;
        self
    }

    /// The usual latency is measured afresh after so many windows, a quarter more or less: 10 to 100,000. The default is 100:
    /// with windows of 100 ms, ten seconds.
    ///
    /// A measurement halves the limit for two windows, so about one in a hundred calls is lost to it, and none while less
    /// than half of the limit is in use: then the present window is the measurement. When it finds a queue that was not there at the
    /// last one, it halves the limit again, for two windows each time.
    pub fn probe_every(mut self, windows: u32) -> Self {
        self.probe_every = windows;
        self
    }

    /// Builds the algorithm.
    ///
    /// # Errors
    ///
    /// Names every option that is out of range, all at once.
    pub fn build(self) -> Result<Gradient2, BuildError> {
        let mut check = Check::bounds("gradient2", self.bounds);
        check.between("smoothing", self.smoothing, 0.01..=1.0);
        check.between("tolerance", self.tolerance, 1.0..=10.0);
        check.between("queue", self.queue as f64, 1.0..=10_000.0);
        check.between("long_window", f64::from(self.long_window), 1.0..=100_000.0);
        check.between("warmup", f64::from(self.warmup), 1.0..=10_000.0);
        check.between("backoff", self.backoff, 0.1..=0.99);
        check.between("probe_every", f64::from(self.probe_every), 10.0..=100_000.0);
        check.done()?;
        Ok(Gradient2 {
            limit: self.bounds.initial as f64,
            usual: LongAverage::default(),
            probe: Probe::new(self.warmup, self.probe_every),
            options: self,
        })
    }
}

impl Gradient2 {
    fn set(&mut self, limit: f64) -> usize {
        self.limit = self.options.bounds.clamp(limit);
        self.limit as usize
    }

    fn adapt(&mut self, sample: &Sample) -> usize {
        let options = &self.options;
        let present = sample.nanos();
        let usual = self.usual.add(present, options);
        if usual > present * OUT_OF_DATE {
            self.usual.value *= FALLS_TO;
        }
        if sample.is_app_limited(self.limit as usize) {
            return self.limit as usize;
        }
        let gradient = (options.tolerance * usual / present).clamp(LEAST_GRADIENT, 1.0);
        let wanted = self.limit * gradient + options.queue as f64;
        self.set(self.limit * (1.0 - options.smoothing) + wanted * options.smoothing)
    }
}

impl Algorithm for Gradient2 {
    fn initial(&self) -> usize {
        self.options.bounds.initial
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        self.options.bounds.range()
    }

    fn update(&mut self, sample: &Sample) -> usize {
        if sample.dropped {
            let limit = self.probe.break_off(self.limit);
            return self.set((limit * self.options.backoff).min(limit - 1.0));
        }
        let min = self.options.bounds.min as f64;
        match self.probe.step(self.limit, min, sample) {
            Step::Adapt => self.adapt(sample),
            Step::Probe(limit) => self.set(limit),
            Step::Measured { rtt, limit } => {
                self.usual.set(rtt);
                self.set(limit)
            }
        }
    }

    fn baseline(&self) -> Option<Duration> {
        (self.usual.samples > 0).then(|| Duration::from_nanos(self.usual.value as u64))
    }

    fn is_probing(&self) -> bool {
        self.probe.is_running()
    }
}

/// A mean while there are few values, then a moving average that forgets exponentially.
#[derive(Debug, Clone, Default)]
struct LongAverage {
    value: f64,
    samples: u32,
}

impl LongAverage {
    fn add(&mut self, value: f64, options: &Gradient2Builder) -> f64 {
        let weight = if self.samples < options.warmup {
            self.samples += 1;
            1.0 / f64::from(self.samples)
        } else {
            2.0 / (f64::from(options.long_window) + 1.0)
        };
        self.value += (value - self.value) * weight;
        self.value
    }

    // What has been measured is no longer warming up.
    fn set(&mut self, value: f64) {
        *self = Self {
            value,
            samples: u32::MAX,
        };
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    fn sample(millis: u64, in_flight: usize) -> Sample {
        Sample::new(Duration::from_millis(millis), in_flight)
    }

    // Never measures.
    fn patient() -> Gradient2Builder {
        Gradient2::builder()
            .initial(100)
            .max(1_000)
            .warmup(10_000)
            .probe_every(100_000)
    }

    #[allow(clippy::unwrap_used)]
    fn millis(algorithm: &Gradient2) -> f64 {
        let nanos = algorithm.baseline().unwrap().as_nanos() as f64;
        (nanos / 1e4).round() / 100.0
    }

    #[test]
    fn a_step_is_what_the_formula_says() {
        let mut algorithm = patient().smoothing(1.0).build().unwrap();
        assert_eq!((algorithm.initial(), algorithm.bounds()), (100, 1..=1_000));
        // As fast as usual: all of the limit, and the queue.
        assert_eq!(algorithm.update(&sample(20, 100)), 104);
        // Usual is 60 ms: 104 * (1.5 * 60 / 100) + 4, and then 97.6 * (1.5 * 373.3 / 1,000) + 4.
        assert_eq!(algorithm.update(&sample(100, 104)), 97);
        assert_eq!(algorithm.update(&sample(1_000, 97)), 58);

        let mut smooth = patient().smoothing(0.5).build().unwrap();
        assert_eq!(smooth.update(&sample(20, 100)), 102);
    }

    #[test]
    fn a_drop_leaves_the_share_that_it_is_told() {
        let mut algorithm = patient().build().unwrap();
        assert_eq!(algorithm.update(&sample(20, 100).with_drop()), 90);
        let mut small = patient().initial(5).build().unwrap();
        assert_eq!(small.update(&sample(20, 5).with_drop()), 4);
    }

    #[test]
    fn the_usual_is_the_mean_at_first_and_then_forgets() {
        let options = Gradient2::builder().warmup(2).long_window(3);
        let mut average = LongAverage::default();
        let means = [10.0, 20.0, 35.0].map(|value| average.add(value, &options));
        assert_eq!(means, [10.0, 15.0, 25.0]);
        average.set(50.0);
        assert_eq!(average.add(100.0, &options), 75.0);
    }

    #[test]
    fn a_usual_of_more_than_twice_the_present_is_out_of_date() {
        let mut algorithm = patient().build().unwrap();
        assert_eq!(algorithm.baseline(), None);
        algorithm.update(&sample(30, 100));
        algorithm.update(&sample(10, 100));
        assert_eq!(millis(&algorithm), 20.0);
        // Less a tenth of the mean.
        algorithm.update(&sample(1, 100));
        assert_eq!(millis(&algorithm), 12.3);
    }

    #[test]
    fn it_says_when_it_measures() {
        let mut algorithm = patient().warmup(1).build().unwrap();
        algorithm.update(&sample(20, 100));
        assert!(!algorithm.is_probing());
        assert_eq!(algorithm.update(&sample(20, 100)), 50);
        assert!(algorithm.is_probing());
    }
}
