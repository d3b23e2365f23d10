//! How long attempts took lately.

use std::time::Duration;

/// As many attempts as are remembered.
const MEMORY: usize = 512;
/// After so many new ones the percentile is worked out again.
const EVERY: usize = 32;

/// The last attempts of one worker on one route, and a percentile of them.
#[derive(Debug)]
pub struct Latencies {
    percentile: f64,
    minimum: usize,
    // Microseconds, of which the oldest is overwritten.
    ring: Vec<u32>,
    next: usize,
    new: usize,
    sorted: Vec<u32>,
    current: Option<Duration>,
}

impl Latencies {
    /// None yet. There is no percentile before `minimum` are known; at most 512 are remembered.
    #[must_use]
    pub fn new(percentile: f64, minimum: u32) -> Self {
        Self {
            percentile,
            minimum: (minimum as usize).clamp(1, MEMORY),
            ring: Vec::new(),
            next: 0,
            new: 0,
            sorted: Vec::new(),
            current: None,
        }
    }

    /// An attempt was answered.
    pub fn record(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        if self.ring.len() < MEMORY {
            self.ring.push(micros);
        } else if let Some(oldest) = self.ring.get_mut(self.next) {
            *oldest = micros;
            self.next = (self.next + 1) % MEMORY;
        }
        self.new += 1;
        let due = self.new >= EVERY || self.current.is_none();
        if due && self.ring.len() >= self.minimum {
            self.work_out();
        }
    }

    #[cold]
    fn work_out(&mut self) {
        self.new = 0;
        self.sorted.clone_from(&self.ring);
        let rank = (self.percentile * self.sorted.len() as f64).ceil() as usize;
        let place = rank.clamp(1, self.sorted.len()) - 1;
        let (_, found, _) = self.sorted.select_nth_unstable(place);
        self.current = Some(Duration::from_micros((*found).into()));
    }

    /// The percentile, if enough is known.
    #[must_use]
    pub fn percentile(&self) -> Option<Duration> {
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_one_of_those_that_were_seen_last() {
        let mut latencies = Latencies::new(0.95, 100);
        for millis in 1..=99 {
            latencies.record(Duration::from_millis(millis));
            assert_eq!(latencies.percentile(), None, "{millis}");
        }
        latencies.record(Duration::from_millis(100));
        assert_eq!(latencies.percentile(), Some(Duration::from_millis(95)));
        for _ in 0..MEMORY + EVERY {
            latencies.record(Duration::from_millis(7));
        }
        assert_eq!(latencies.percentile(), Some(Duration::from_millis(7)));
        for _ in 0..MEMORY / 10 {
            latencies.record(Duration::from_secs(1));
        }
        assert_eq!(latencies.percentile(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn more_than_can_be_remembered_need_not_be_known() {
        let mut latencies = Latencies::new(1.0, u32::MAX);
        for _ in 0..MEMORY {
            latencies.record(Duration::from_millis(3));
        }
        assert_eq!(latencies.percentile(), Some(Duration::from_millis(3)));
    }
}
