//! What a bulkhead says about itself.

use std::{sync::Arc, time::Duration};

use super::{limit::Figures, place::Priority};

/// A bulkhead at one moment. `queued`, and what is waited for, belong together exactly; the other counts may be a few calls younger.
/// When nothing is under way, all are exact.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Tells bulkheads of this process apart that have the same name, also when one comes after the other.
    pub id: u64,
    /// The bulkhead's name.
    pub name: Arc<str>,
    /// How many calls may run at once, at present.
    pub max_concurrent: usize,
    /// How many calls may wait.
    pub max_queue: usize,
    /// How long a call may wait, if there is a limit.
    pub max_wait: Option<Duration>,
    /// Whether it is a dry run, in which everything is admitted.
    pub dry_run: bool,
    /// Permits that are out: calls running, and calls that have been granted one and have not run on yet. More than
    /// `max_concurrent` after that has been lowered, and in a dry run.
    pub in_flight: usize,
    /// Calls waiting.
    pub queued: usize,
    /// Permits given so far.
    pub admitted: u64,
    /// Refusals so far.
    pub refused: Refusals,
    /// What dry runs have admitted so far that would not have been admitted at once.
    pub would_refuse: WouldRefuse,
    /// What came of waiting so far.
    pub waits: Waits,
    /// The partitions, in the order of the builder.
    pub partitions: Vec<PartitionSnapshot>,
    /// The priorities, from the lowest to the highest.
    pub priorities: [PrioritySnapshot; 3],
    /// How the limit came to be what it is, if it finds itself.
    pub adaptive: Option<Figures>,
}

/// Refusals by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// [`Reason::BulkheadFull`](crate::Reason::BulkheadFull)
    pub full: u64,
    /// [`Reason::QueueFull`](crate::Reason::QueueFull)
    pub queue_full: u64,
    /// [`Reason::WaitedTooLong`](crate::Reason::WaitedTooLong)
    pub waited_too_long: u64,
    /// [`Reason::Displaced`](crate::Reason::Displaced)
    pub displaced: u64,
}

impl Refusals {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.full + self.queue_full + self.waited_too_long + self.displaced
    }
}

/// What would have become of calls that a dry run admitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WouldRefuse {
    /// Calls that would have been refused for [`Reason::BulkheadFull`](crate::Reason::BulkheadFull).
    pub full: u64,
    /// Calls that would have been refused for [`Reason::QueueFull`](crate::Reason::QueueFull): more calls beyond the limit were
    /// running than may wait.
    pub queue_full: u64,
    /// Calls that would have had to wait. Some of them might have waited too long: that cannot be known.
    pub waited: u64,
}

/// Calls that left the queue, other than by a refusal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waits {
    /// Calls that got a permit after waiting.
    pub granted: u64,
    /// Calls whose caller went away while they waited, or before they picked their permit up.
    pub abandoned: u64,
    /// How long the granted ones waited, all together.
    pub total: Duration,
    /// How long the one that waited longest did.
    pub longest: Duration,
    /// How many of the granted ones waited no longer than each of [`Waits::BOUNDS`]: cumulative, as the buckets of a Prometheus
    /// histogram, whose last, for any time, is `granted`.
    pub histogram: [u64; 12],
}

impl Waits {
    /// The upper bounds of the histogram's buckets.
    pub const BOUNDS: [Duration; 12] = [
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(10),
    ];
}

/// A partition at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionSnapshot {
    /// Its name.
    pub name: Arc<str>,
    /// How many permits nobody else may take, at the present limit.
    pub guaranteed: usize,
    /// How many permits it may have, at the present limit.
    pub at_most: usize,
    /// Its permits that are out.
    pub in_flight: usize,
    /// How many of them are beyond what it is guaranteed.
    pub borrowed: usize,
    /// Its calls waiting.
    pub queued: usize,
    /// Permits given so far.
    pub admitted: u64,
    /// Refusals so far.
    pub refused: Refusals,
}

/// The calls of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrioritySnapshot {
    /// Which one.
    pub priority: Priority,
    /// Calls waiting.
    pub queued: usize,
    /// Permits given so far.
    pub admitted: u64,
    /// Refusals so far, for whatever reason.
    pub refused: u64,
}

/// What waits are written down in.
#[derive(Debug, Default)]
pub(super) struct WaitBooks {
    pub(super) abandoned: u64,
    granted: u64,
    total: Duration,
    longest: Duration,
    // By the smallest bound that is enough; none for the longest.
    buckets: [u64; Waits::BOUNDS.len()],
}

impl WaitBooks {
    pub(super) fn record(&mut self, waited: Duration) {
        self.granted += 1;
        self.total = self.total.saturating_add(waited);
        self.longest = self.longest.max(waited);
        if let Some(bucket) = Waits::BOUNDS.iter().position(|bound| waited <= *bound) {
            self.buckets[bucket] += 1;
        }
    }

    pub(super) fn report(&self) -> Waits {
        let mut sum = 0;
        Waits {
            granted: self.granted,
            abandoned: self.abandoned,
            total: self.total,
            longest: self.longest,
            histogram: self.buckets.map(|count| {
                sum += count;
                sum
            }),
        }
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_is_cumulative_and_a_bound_belongs_to_its_bucket() {
        let mut books = WaitBooks::default();
        for bound in Waits::BOUNDS {
            books.record(bound);
        }
        books.record(Duration::from_secs(11));
        let waits = books.report();
        assert_eq!(
            waits.histogram,
            std::array::from_fn(|index| index as u64 + 1)
        );
        assert_eq!(
            (waits.granted, waits.longest),
            (13, Duration::from_secs(11))
        );
        books.record(Duration::from_nanos(1));
        assert_eq!(books.report().histogram[0], 2);
    }
}
