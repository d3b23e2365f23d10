//! Counts and latencies per variant, endpoint and phase.
//!
//! A request belongs to the phase in which its user sent it: one that is sent into the outage and fails after it ended
//! is the outage's failure. Rates per second count the other way, by the phase in which the answer came, because a
//! system's throughput is what it gets done.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::load::{Outcome, Sample};

/// Latencies up to an hour, in microseconds, to three significant figures.
const LONGEST_MICROS: u64 = 3_600_000_000;
const SIGNIFICANT_FIGURES: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    variant: usize,
    endpoint: usize,
    phase: usize,
}

struct Cell {
    latencies: Histogram<u64>,
    total: Duration,
    longest: Duration,
    shortest: Duration,
    requests: u64,
    failures: u64,
    degraded: u64,
    bytes: u64,
    answered_here: u64,
    failed_here: u64,
    reasons: BTreeMap<String, u64>,
}

impl Cell {
    fn new() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "both bounds are constants that hdrhistogram accepts"
        )]
        let latencies = Histogram::new_with_bounds(1, LONGEST_MICROS, SIGNIFICANT_FIGURES)
            .expect("constant bounds");
        Self {
            latencies,
            total: Duration::ZERO,
            longest: Duration::ZERO,
            shortest: Duration::MAX,
            requests: 0,
            failures: 0,
            degraded: 0,
            bytes: 0,
            answered_here: 0,
            failed_here: 0,
            reasons: BTreeMap::new(),
        }
    }
}

/// What a table row says. Undefined figures (nothing was asked) are absent, never zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    pub requests: u64,
    pub failures: u64,
    pub degraded: u64,
    pub latency: Option<Latency>,
    pub mean_bytes: Option<f64>,
    pub requests_per_second: f64,
    pub failures_per_second: f64,
    pub reasons: BTreeMap<String, u64>,
}

/// Milliseconds. Failed requests count too: their users waited as well.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    pub median: f64,
    pub p95: f64,
    pub p99: f64,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
}

impl Figures {
    /// The share of failed requests, between 0 and 1.
    pub fn failed_share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.failures as f64 / self.requests as f64)
    }

    pub fn median(&self) -> Option<f64> {
        self.latency.as_ref().map(|latency| latency.median)
    }
}

#[derive(Default)]
pub struct Recorder {
    cells: BTreeMap<Key, Cell>,
}

impl Recorder {
    pub fn record(&mut self, sample: &Sample) {
        let Sample {
            variant, endpoint, ..
        } = *sample;
        let failed = sample.outcome.failed();
        let cell = self.cell(Key {
            variant,
            endpoint,
            phase: sample.phase_at_start,
        });
        let micros = u64::try_from(sample.latency.as_micros()).unwrap_or(u64::MAX);
        cell.latencies
            .saturating_record(micros.clamp(1, LONGEST_MICROS));
        cell.total += sample.latency;
        cell.longest = cell.longest.max(sample.latency);
        cell.shortest = cell.shortest.min(sample.latency);
        cell.requests += 1;
        cell.bytes += sample.bytes;
        match &sample.outcome {
            Outcome::Delivered => {}
            Outcome::Degraded => cell.degraded += 1,
            Outcome::Failed(reason) => {
                cell.failures += 1;
                *cell.reasons.entry(reason.clone()).or_default() += 1;
            }
        }
        let cell = self.cell(Key {
            variant,
            endpoint,
            phase: sample.phase_at_end,
        });
        cell.answered_here += 1;
        cell.failed_here += u64::from(failed);
    }

    fn cell(&mut self, key: Key) -> &mut Cell {
        self.cells.entry(key).or_insert_with(Cell::new)
    }

    /// The figures of one variant over some endpoints and one phase that lasted `length`.
    pub fn figures(
        &self,
        variant: usize,
        endpoints: &[usize],
        phase: usize,
        length: Duration,
    ) -> Figures {
        let mut sum = Cell::new();
        for endpoint in endpoints {
            let Some(cell) = self.cells.get(&Key {
                variant,
                endpoint: *endpoint,
                phase,
            }) else {
                continue;
            };
            // Same bounds, so nothing can be out of range.
            let _ = sum.latencies.add(&cell.latencies);
            sum.total += cell.total;
            sum.longest = sum.longest.max(cell.longest);
            sum.shortest = sum.shortest.min(cell.shortest);
            sum.requests += cell.requests;
            sum.failures += cell.failures;
            sum.degraded += cell.degraded;
            sum.bytes += cell.bytes;
            sum.answered_here += cell.answered_here;
            sum.failed_here += cell.failed_here;
            for (reason, count) in &cell.reasons {
                *sum.reasons.entry(reason.clone()).or_default() += count;
            }
        }
        let any = sum.requests > 0;
        // The histogram answers with the upper edge of a bucket, which may lie above the longest latency itself.
        let quantile =
            |q| (sum.latencies.value_at_quantile(q) as f64 / 1000.0).min(millis(sum.longest));
        let per_second = |count: u64| {
            if length.is_zero() {
                0.0
            } else {
                count as f64 / length.as_secs_f64()
            }
        };
        Figures {
            requests: sum.requests,
            failures: sum.failures,
            degraded: sum.degraded,
            latency: any.then(|| Latency {
                median: quantile(0.5),
                p95: quantile(0.95),
                p99: quantile(0.99),
                mean: millis(sum.total) / sum.requests as f64,
                min: millis(sum.shortest),
                max: millis(sum.longest),
            }),
            mean_bytes: any.then(|| sum.bytes as f64 / sum.requests as f64),
            requests_per_second: per_second(sum.answered_here),
            failures_per_second: per_second(sum.failed_here),
            reasons: sum.reasons,
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(endpoint: usize, phase: usize, micros: u64, outcome: Outcome) -> Sample {
        Sample {
            variant: 0,
            endpoint,
            phase_at_start: phase,
            phase_at_end: phase,
            started: Duration::ZERO,
            latency: Duration::from_micros(micros),
            bytes: micros % 100,
            outcome,
            observed: None,
        }
    }

    /// The smallest value that at least the given share of the sorted values does not exceed.
    fn by_sorting(sorted: &[u64], share: f64) -> f64 {
        let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted[rank - 1] as f64 / 1000.0
    }

    #[test]
    fn figures_agree_with_sorting_and_summing() {
        let mut dice = fastrand::Rng::with_seed(7);
        for count in [1, 2, 3, 10, 999, 5000] {
            let mut recorder = Recorder::default();
            let mut micros: Vec<u64> = (0..count)
                .map(|_| 10u64.pow(dice.u32(1..7)) + dice.u64(0..900))
                .collect();
            let mut failures = 0;
            for value in &micros {
                let outcome = if dice.bool() {
                    Outcome::Failed("503".into())
                } else {
                    Outcome::Delivered
                };
                failures += u64::from(outcome.failed());
                // Two endpoints, read back together.
                recorder.record(&sample(dice.usize(0..2), 0, *value, outcome));
            }
            let figures = recorder.figures(0, &[0, 1], 0, Duration::from_secs(10));
            micros.sort_unstable();
            let latency = figures.latency.clone().unwrap();
            for (ours, share) in [
                (latency.median, 0.5),
                (latency.p95, 0.95),
                (latency.p99, 0.99),
            ] {
                let exact = by_sorting(&micros, share);
                assert!(
                    (ours - exact).abs() <= exact * 0.001 + 0.001,
                    "{share} of {count}: {ours} for {exact}"
                );
            }
            let mean = micros.iter().sum::<u64>() as f64 / 1000.0 / f64::from(count);
            assert!((latency.mean - mean).abs() < 1e-6 * mean.max(1.0));
            assert!((latency.min - micros[0] as f64 / 1000.0).abs() < 1e-9);
            assert!((latency.max - micros[micros.len() - 1] as f64 / 1000.0).abs() < 1e-9);
            assert_eq!(
                (figures.requests, figures.failures),
                (u64::try_from(micros.len()).unwrap(), failures)
            );
            assert_eq!(figures.reasons.values().sum::<u64>(), failures);
            assert_eq!(figures.requests_per_second, micros.len() as f64 / 10.0);
            let bytes =
                micros.iter().map(|value| value % 100).sum::<u64>() as f64 / micros.len() as f64;
            assert!((figures.mean_bytes.unwrap() - bytes).abs() < 1e-9);
        }
    }

    #[test]
    fn a_request_belongs_to_the_phase_it_was_sent_in_and_its_throughput_to_the_one_it_ended_in() {
        let mut recorder = Recorder::default();
        let mut late = sample(0, 1, 4000, Outcome::Failed("503".into()));
        late.phase_at_end = 2;
        recorder.record(&late);
        let (sent, ended) = (
            recorder.figures(0, &[0], 1, Duration::from_secs(1)),
            recorder.figures(0, &[0], 2, Duration::from_secs(1)),
        );
        assert_eq!(
            (sent.requests, sent.failures, sent.requests_per_second),
            (1, 1, 0.0)
        );
        assert_eq!(
            (ended.requests, ended.failures, ended.requests_per_second),
            (0, 0, 1.0)
        );
        assert_eq!(ended.failures_per_second, 1.0);
    }

    #[test]
    fn nothing_asked_means_undefined_figures() {
        let figures = Recorder::default().figures(0, &[0], 0, Duration::from_secs(1));
        assert_eq!(
            (
                figures.latency.clone(),
                figures.mean_bytes,
                figures.failed_share()
            ),
            (None, None, None)
        );
    }
}
