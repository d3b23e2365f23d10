//! The published forms of two algorithms, without what was changed here, to show why it was changed. And how one writes an algorithm of one's own.

use std::ops::RangeInclusive;

use tower_breaker::bulkhead::limit::{Algorithm, Sample};

const MAX: usize = 500;

/// As in Netflix's concurrency-limits, `Gradient2Limit`: the usual latency is a long average of all latencies, those with a queue included.
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

/// As in Netflix's concurrency-limits, `VegasLimit`: from time to time the present latency is taken for that of an unburdened dependency.
pub struct Vegas {
    limit: f64,
    unburdened: f64,
    samples: f64,
}

impl Vegas {
    pub fn new() -> Self {
        Self {
            limit: 20.0,
            unburdened: f64::MAX,
            samples: 0.0,
        }
    }
}

impl Algorithm for Vegas {
    fn initial(&self) -> usize {
        20
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        1..=MAX
    }

    fn update(&mut self, sample: &Sample) -> usize {
        let present = sample.rtt.as_secs_f64();
        self.samples += 1.0;
        // Three quarters of every 30 samples for each call of the limit; there by chance between half and the whole.
        let probes = self.samples >= 0.75 * 30.0 * self.limit;
        if probes || present < self.unburdened {
            self.unburdened = present;
            if probes {
                self.samples = 0.0;
            }
            return self.limit as usize;
        }
        let step = f64::from((self.limit as usize).ilog10().max(1));
        let queue = (self.limit * (1.0 - self.unburdened / present)).ceil();
        let change = match queue {
            _ if sample.dropped => -step,
            _ if sample.is_app_limited(self.limit as usize) => 0.0,
            queue if queue <= step => 6.0 * step,
            queue if queue < 3.0 * step => step,
            queue if queue > 6.0 * step => -step,
            _ => 0.0,
        };
        self.limit = (self.limit + change).clamp(1.0, MAX as f64);
        self.limit as usize
    }
}
