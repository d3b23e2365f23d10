//! The run in short buckets of time, for charts.
//!
//! Latency is drawn where the request was sent ("who clicked here waited that long"), throughput and failures where the
//! answer came.

use std::time::Duration;

use crate::load::Sample;

#[derive(Debug, Clone, Default)]
struct Bucket {
    latencies: Vec<Duration>,
    answered: u64,
    failed: u64,
    degraded: u64,
}

/// One bucket of one variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The bucket's start, from the start of the load.
    pub at: Duration,
    pub median: Option<Duration>,
    pub p95: Option<Duration>,
    pub answered: u64,
    pub failed: u64,
    pub degraded: u64,
}

pub struct Timeline {
    width: Duration,
    /// By variant, then by bucket.
    buckets: Vec<Vec<Bucket>>,
}

impl Timeline {
    pub fn new(width: Duration, variants: usize) -> Self {
        Self {
            width: width.max(Duration::from_millis(1)),
            buckets: vec![Vec::new(); variants],
        }
    }

    pub fn width(&self) -> Duration {
        self.width
    }

    pub fn record(&mut self, sample: &Sample) {
        self.bucket(sample.variant, sample.started)
            .latencies
            .push(sample.latency);
        let bucket = self.bucket(sample.variant, sample.started + sample.latency);
        bucket.answered += 1;
        bucket.failed += u64::from(sample.outcome.failed());
        bucket.degraded += u64::from(sample.outcome == crate::load::Outcome::Degraded);
    }

    fn bucket(&mut self, variant: usize, at: Duration) -> &mut Bucket {
        let index = (at.as_nanos() / self.width.as_nanos()) as usize;
        let buckets = &mut self.buckets[variant];
        if buckets.len() <= index {
            buckets.resize(index + 1, Bucket::default());
        }
        &mut buckets[index]
    }

    /// Every bucket from the start of the load until `end`, empty ones included: a gap is something to see.
    pub fn points(&self, variant: usize, end: Duration) -> Vec<Point> {
        let count = end.as_nanos().div_ceil(self.width.as_nanos()) as usize;
        let empty = Bucket::default();
        (0..count)
            .map(|index| {
                let bucket = self.buckets[variant].get(index).unwrap_or(&empty);
                let mut latencies = bucket.latencies.clone();
                latencies.sort_unstable();
                Point {
                    at: self.width * index as u32,
                    median: quantile(&latencies, 0.5),
                    p95: quantile(&latencies, 0.95),
                    answered: bucket.answered,
                    failed: bucket.failed,
                    degraded: bucket.degraded,
                }
            })
            .collect()
    }
}

/// Nearest rank.
fn quantile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Outcome;

    fn sample(started_ms: u64, latency_ms: u64, outcome: Outcome) -> Sample {
        Sample {
            variant: 0,
            endpoint: 0,
            phase_at_start: 0,
            phase_at_end: 0,
            started: Duration::from_millis(started_ms),
            latency: Duration::from_millis(latency_ms),
            bytes: 0,
            outcome,
            observed: None,
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn latency_is_where_it_was_sent_and_the_answer_where_it_came() {
        let mut timeline = Timeline::new(SECOND, 1);
        timeline.record(&sample(900, 2200, Outcome::Failed("503".into())));
        let points = timeline.points(0, SECOND * 5);
        assert_eq!(points.len(), 5);
        assert_eq!(points[0].median, Some(Duration::from_millis(2200)));
        assert_eq!(
            (points[0].answered, points[3].answered, points[3].failed),
            (0, 1, 1)
        );
        assert_eq!((points[1].median, points[1].answered), (None, 0));
    }

    #[test]
    fn a_moment_on_a_boundary_belongs_to_the_later_bucket() {
        let mut timeline = Timeline::new(SECOND, 1);
        timeline.record(&sample(1000, 1, Outcome::Delivered));
        timeline.record(&sample(999, 0, Outcome::Degraded));
        let points = timeline.points(0, SECOND * 2);
        assert_eq!((points[0].answered, points[1].answered), (1, 1));
        assert_eq!((points[0].degraded, points[1].degraded), (1, 0));
    }

    #[test]
    fn quantiles_are_nearest_rank() {
        let mut timeline = Timeline::new(SECOND, 1);
        for latency in (1..=20).rev() {
            timeline.record(&sample(0, latency, Outcome::Delivered));
        }
        let point = &timeline.points(0, SECOND)[0];
        assert_eq!(point.median, Some(Duration::from_millis(10)));
        assert_eq!(point.p95, Some(Duration::from_millis(19)));
    }

    #[test]
    fn a_last_partial_bucket_is_kept() {
        assert_eq!(
            Timeline::new(SECOND, 1)
                .points(0, Duration::from_millis(2500))
                .len(),
            3
        );
    }
}
