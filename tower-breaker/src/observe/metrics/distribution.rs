//! A histogram of a guard's own, handed to a recorder that wants single values.

use std::time::Duration;

/// How many values fell into each bucket, and their sum.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Distribution {
    /// Not cumulative; of the last bucket, the upper bound is the longest value there was.
    pub(super) counts: Vec<u64>,
    pub(super) sum_nanos: u64,
    pub(super) longest_nanos: u64,
}

const SECOND: f64 = 1e9;

impl Distribution {
    pub(super) fn new(bounds: usize) -> Self {
        Self {
            counts: vec![0; bounds + 1],
            sum_nanos: 0,
            longest_nanos: 0,
        }
    }

    /// All that only grows, one after the other.
    pub(super) fn totals(&self) -> impl Iterator<Item = u64> {
        self.counts.iter().copied().chain([self.sum_nanos])
    }

    /// Adds what has come since: in the order of [`totals`](Self::totals).
    pub(super) fn add(&mut self, mut more: impl Iterator<Item = u64>, longest_nanos: u64) {
        for (count, more) in self.counts.iter_mut().zip(&mut more) {
            *count += more;
        }
        self.sum_nanos += more.sum::<u64>();
        self.longest_nanos = self.longest_nanos.max(longest_nanos);
    }

    /// The [values](Self::values) of what has been added since the last time.
    pub(super) fn take_values(&mut self, bounds: &[Duration]) -> Vec<(f64, usize)> {
        let bounds: Vec<_> = bounds.iter().copied().map(super::nanos).collect();
        let values = self.values(&bounds);
        *self = Self::new(bounds.len());
        values
    }

    /// Values in seconds, each with how often it is to be recorded, so that whoever sorts them into buckets with the same
    /// bounds gets the same counts and the same sum.
    ///
    /// All lie at the same height of their buckets. There is one height at which the sum is right, because the real values
    /// have that sum and lie in the same buckets.
    fn values(&self, bounds_nanos: &[u64]) -> Vec<(f64, usize)> {
        let lower = std::iter::once(0).chain(bounds_nanos.iter().copied());
        let last = bounds_nanos.last().map_or(0, |last| last + 1);
        let upper = bounds_nanos
            .iter()
            .copied()
            .chain([self.longest_nanos.max(last)]);
        let buckets: Vec<_> = lower
            .zip(upper)
            .zip(&self.counts)
            .filter(|(_, count)| **count > 0)
            .map(|((from, to), count)| (from as f64, to as f64, *count))
            .collect();
        let sum_of = |value: fn(&(f64, f64, u64)) -> f64| {
            let sums = buckets.iter().map(|bucket| value(bucket) * bucket.2 as f64);
            sums.sum::<f64>()
        };
        let least = sum_of(|(from, ..)| *from);
        let room = sum_of(|(from, to, _)| to - from);
        // Never at the very bottom: that bound belongs to the bucket below.
        let height = ((self.sum_nanos as f64 - least) / room).clamp(1e-6, 1.0);
        buckets
            .iter()
            .map(|(from, to, count)| {
                let value = (from + height * (to - from)).min(*to);
                (
                    value / SECOND,
                    usize::try_from(*count).unwrap_or(usize::MAX),
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [u64; 4] = [1_000_000, 5_000_000, 25_000_000, 1_000_000_000];

    fn bucket(nanos: u64) -> usize {
        let mut bounds = BOUNDS.iter();
        bounds
            .position(|bound| nanos <= *bound)
            .unwrap_or(BOUNDS.len())
    }

    fn distribution(waits: &[u64]) -> Distribution {
        let mut counts = vec![0; BOUNDS.len() + 1];
        waits.iter().for_each(|wait| counts[bucket(*wait)] += 1);
        Distribution {
            counts,
            sum_nanos: waits.iter().sum(),
            longest_nanos: waits.iter().copied().max().unwrap_or(0),
        }
    }

    #[test]
    fn values_fall_into_the_same_buckets_and_have_the_same_sum() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let waits: Vec<_> = (0..random.usize(0..20))
                .map(|_| match random.u8(0..4) {
                    0 => BOUNDS[random.usize(0..BOUNDS.len())],
                    1 => BOUNDS[random.usize(0..BOUNDS.len())] + 1,
                    _ => 10_u64.pow(random.u32(0..11)) + random.u64(0..100),
                })
                .collect();
            let real = distribution(&waits);
            let mut counts = vec![0; real.counts.len()];
            let mut sum = 0.0;
            for (seconds, count) in real.values(&BOUNDS) {
                // As an exporter compares, in seconds.
                let bounds = BOUNDS.map(|bound| bound as f64 / SECOND);
                let bucket = bounds.iter().position(|bound| seconds <= *bound);
                counts[bucket.unwrap_or(bounds.len())] += count as u64;
                sum += seconds * count as f64;
            }
            assert_eq!(counts, real.counts, "{waits:?}");
            let off = (sum - real.sum_nanos as f64 / SECOND).abs();
            // What is lost where all waits are just above a bound.
            assert!(
                off <= 1e-5 * real.counts.iter().sum::<u64>() as f64 + 1e-12,
                "{waits:?}"
            );
        }
    }
}
