use std::{ops::RangeInclusive, time::Duration};

use super::{
    Algorithm, Sample,
    options::{Bounds, Check},
};
use crate::BuildError;

/// Additive increase, multiplicative decrease: one more while all goes well and at least half of the limit is used; a tenth less
/// after a drop, or when calls take longer than [`timeout`](AimdBuilder::timeout).
///
/// It knows of a queue only by its consequences, so it fills the dependency's queue until calls time out, backs off, and begins
/// again. Set the time-out to the latency that you would not exceed.
///
/// Sources: Chiu and Jain, *Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in Computer Networks*,
/// 1989, which shows why it shares fairly among clients; Netflix's concurrency-limits, `AIMDLimit`, for its use on calls.
///
/// ```
/// use std::time::Duration;
/// use tower_breaker::bulkhead::limit::{Aimd, Algorithm, Sample};
///
/// let mut limit = Aimd::builder().initial(20).timeout(Duration::from_millis(500)).build()?;
/// assert_eq!(limit.update(&Sample::new(Duration::from_millis(80), 20)), 21);
/// assert_eq!(limit.update(&Sample::new(Duration::from_millis(900), 21)), 18);
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Aimd {
    bounds: Bounds,
    backoff: f64,
    timeout: Duration,
    limit: usize,
}

/// Collects the options of [`Aimd`]; see [`Aimd::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct AimdBuilder {
    bounds: Bounds,
    backoff: f64,
    timeout: Duration,
}

impl Aimd {
    /// Starts with the defaults: a limit of 20, within 1 to 200, backing off to 0.9 of it, and a time-out of 5 s.
    pub fn builder() -> AimdBuilder {
        AimdBuilder {
            bounds: Bounds::default(),
            backoff: 0.9,
            timeout: Duration::from_secs(5),
        }
    }
}

impl AimdBuilder {
    /// The limit to begin with: [`min`](Self::min) to [`max`](Self::max). The default is 20.
    pub fn initial(mut self, calls: usize) -> Self {
        self.bounds.initial = calls;
        self
    }

    /// It never falls below this: 1, the default, to `max`.
    pub fn min(mut self, calls: usize) -> Self {
        self.bounds.min = calls;
        self
    }

    /// It never rises above this: 1 to 250,000. The default is 200.
    pub fn max(mut self, calls: usize) -> Self {
        self.bounds.max = calls;
        self
    }

    /// What share of the limit is left after a decrease, rounded down: 0.1 to 0.99. The default is 0.9.
    pub fn backoff(mut self, share: f64) -> Self {
        self.backoff = share;
        self
    }

    /// Calls that take longer than this on average are as good as dropped: more than zero. The default is 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Builds the algorithm.
    ///
    /// # Errors
    ///
    /// Names every option that is out of range, all at once.
    pub fn build(self) -> Result<Aimd, BuildError> {
        let mut check = Check::bounds("aimd", self.bounds);
        check.between("backoff", self.backoff, 0.1..=0.99);
        check.that(!self.timeout.is_zero(), "timeout", self.timeout, || {
            "more than 0 s".to_owned()
        });
        check.done()?;
        Ok(Aimd {
            bounds: self.bounds,
            backoff: self.backoff,
            timeout: self.timeout,
            limit: self.bounds.initial,
        })
    }
}

impl Algorithm for Aimd {
    fn initial(&self) -> usize {
        self.bounds.initial
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        self.bounds.range()
    }

    fn update(&mut self, sample: &Sample) -> usize {
        let limit = self.limit;
        let next = if sample.dropped || sample.rtt > self.timeout {
            // Rounded down, so that it is less than the limit whatever the share.
            (limit as f64 * self.backoff) as usize
        } else if sample.is_app_limited(limit) {
            limit
        } else {
            limit + 1
        };
        self.limit = next.clamp(self.bounds.min, self.bounds.max);
        self.limit
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_longer_than_the_time_out_is_as_good_as_dropped() {
        let timeout = Duration::from_secs(2);
        let mut algorithm = Aimd::builder()
            .initial(10)
            .timeout(timeout)
            .build()
            .unwrap();
        assert_eq!(algorithm.update(&Sample::new(timeout, 10)), 11);
        let longer = timeout + Duration::from_nanos(1);
        assert_eq!(algorithm.update(&Sample::new(longer, 11)), 9);
    }
}
