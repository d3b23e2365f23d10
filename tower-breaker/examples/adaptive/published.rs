//! The published form of an algorithm, without what was changed here, to show why it was changed. And how one writes an algorithm
//! of one's own.

use std::ops::RangeInclusive;

use tower_breaker::bulkhead::limit::{Algorithm, Sample};

const MAX: usize = 500;

/// As in Netflix's concurrency-limits, `Gradient2Limit`: the usual latency is a long average of all latencies, those with a queue
/// included.
pub struct Gradient2 {
    limit: f64,
    usual: f64,
    samples: u32,
}

impl Gradient2 {
    pub fn new() -> Self {
        Self {
            limit: 20.0,
            usual: 0.0,
            samples: 0,
        }
    }
}

impl Algorithm for Gradient2 {
    fn initial(&self) -> usize {
        20
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        1..=MAX
    }

    fn update(&mut self, sample: &Sample) -> usize {
        let present = sample.rtt.as_secs_f64();
        self.samples = (self.samples + 1).min(300);
        self.usual += (present - self.usual) / f64::from(self.samples);
        if self.usual > 2.0 * present {
            self.usual *= 0.9;
        }
        if !sample.is_app_limited(self.limit as usize) {
            let gradient = (1.5 * self.usual / present).clamp(0.5, 1.0);
            let wanted = self.limit * gradient + 4.0;
            self.limit = (self.limit * 0.8 + wanted * 0.2).clamp(1.0, MAX as f64);
        }
        self.limit as usize
    }
}
