//! What a bulkhead publishes.

use std::sync::Arc;

use super::{
    distribution::Distribution,
    ledger::Kind,
    nanos,
    series::{Histogram, Metric, Series},
};
use crate::{
    Reason,
    bulkhead::{MAX_PARTITIONS, PartitionSnapshot, Priority, Snapshot, Waits},
};

static IN_FLIGHT: Metric = Metric::count("bulkhead_calls_in_flight", "Permits that are out");
static QUEUED: Metric = Metric::count("bulkhead_calls_queued", "Calls that wait");
static LIMIT: Metric = Metric::count("bulkhead_limit", "Calls that may run at once, at present");
static DRY_RUN: Metric = Metric::count("bulkhead_dry_run", "Bulkheads in a dry run");
static ADMITTED: Metric = Metric::count("bulkhead_admitted_total", "Calls admitted");
static REFUSED: Metric = Metric::count("bulkhead_refused_total", "Calls refused, by reason");
static WOULD_REFUSE: Metric = Metric::count(
    "bulkhead_would_refuse_total",
    "Calls admitted in a dry run that would have been refused, by reason",
);
static WOULD_WAIT: Metric = Metric::count(
    "bulkhead_would_wait_total",
    "Calls admitted in a dry run that would have had to wait",
);
static ABANDONED: Metric = Metric::count(
    "bulkhead_abandoned_waits_total",
    "Calls whose caller went away while they waited",
);
static WAIT: Metric = Metric::seconds(
    "bulkhead_wait_seconds",
    "How long calls waited that got a permit after waiting",
);
static BY_PRIORITY: Metric = Metric::count(
    "bulkhead_priority_admitted_total",
    "Calls admitted, by priority",
);
static REFUSED_BY_PRIORITY: Metric = Metric::count(
    "bulkhead_priority_refused_total",
    "Calls refused, by priority",
);

/// A counter of refusals for one reason.
macro_rules! refused {
    ($metric:ident, $reason:ident, $($field:ident).+) => {
        Series::new(&$metric, &[("reason", Reason::$reason.as_str())], |s| {
            s.$($field).+
        })
    };
}

/// A counter of the calls of one priority.
macro_rules! of_priority {
    ($metric:ident, $priority:ident, $field:ident) => {
        Series::new(
            &$metric,
            &[("priority", Priority::$priority.as_str())],
            |s| s.priorities[Priority::$priority as usize].$field,
        )
    };
}

pub(super) static BULKHEAD: Kind<Snapshot> = Kind {
    id: |snapshot| snapshot.id,
    names: &["name"],
    counters: &[
        Series::new(&ADMITTED, &[], |s| s.admitted),
        refused!(REFUSED, BulkheadFull, refused.full),
        refused!(REFUSED, QueueFull, refused.queue_full),
        refused!(REFUSED, WaitedTooLong, refused.waited_too_long),
        refused!(REFUSED, Displaced, refused.displaced),
        refused!(WOULD_REFUSE, BulkheadFull, would_refuse.full),
        refused!(WOULD_REFUSE, QueueFull, would_refuse.queue_full),
        Series::new(&WOULD_WAIT, &[], |s| s.would_refuse.waited),
        Series::new(&ABANDONED, &[], |s| s.waits.abandoned),
        of_priority!(BY_PRIORITY, Low, admitted),
        of_priority!(BY_PRIORITY, Normal, admitted),
        of_priority!(BY_PRIORITY, High, admitted),
        of_priority!(REFUSED_BY_PRIORITY, Low, refused),
        of_priority!(REFUSED_BY_PRIORITY, Normal, refused),
        of_priority!(REFUSED_BY_PRIORITY, High, refused),
    ],
    gauges: &[
        Series::new(&IN_FLIGHT, &[], |s| s.in_flight as f64),
        Series::new(&QUEUED, &[], |s| s.queued as f64),
        Series::new(&LIMIT, &[], |s| s.max_concurrent as f64),
        Series::new(&DRY_RUN, &[], |s| f64::from(u8::from(s.dry_run))),
    ],
    histogram: Some(&WAITS),
};

static WAITS: Histogram<Snapshot> = Histogram {
    metric: &WAIT,
    bounds: &Waits::BOUNDS,
    get: |snapshot| {
        let waits = &snapshot.waits;
        let up_to = waits.histogram.iter().copied().chain([waits.granted]);
        let before = [0].into_iter().chain(waits.histogram);
        Distribution {
            counts: up_to
                .zip(before)
                .map(|(up_to, before)| up_to - before)
                .collect(),
            sum_nanos: nanos(waits.total),
            longest_nanos: nanos(waits.longest),
        }
    },
};

static PARTITION_IN_FLIGHT: Metric = Metric::count(
    "bulkhead_partition_calls_in_flight",
    "Permits of the partition that are out",
);
static PARTITION_QUEUED: Metric = Metric::count(
    "bulkhead_partition_calls_queued",
    "Calls of the partition that wait",
);
static PARTITION_GUARANTEED: Metric = Metric::count(
    "bulkhead_partition_guaranteed",
    "Permits that nobody but the partition may take, at present",
);
static PARTITION_LIMIT: Metric = Metric::count(
    "bulkhead_partition_limit",
    "Permits that the partition may have, at present",
);
static PARTITION_ADMITTED: Metric = Metric::count(
    "bulkhead_partition_admitted_total",
    "Calls of the partition admitted",
);
static PARTITION_REFUSED: Metric = Metric::count(
    "bulkhead_partition_refused_total",
    "Calls of the partition refused, by reason",
);

/// A partition, with what tells it apart.
pub(super) struct Part {
    id: u64,
    snapshot: PartitionSnapshot,
}

impl Part {
    /// Those of a bulkhead.
    pub(super) fn all_of(bulkhead: &Snapshot) -> impl Iterator<Item = Self> {
        // The numbers must grow from one bulkhead to the next, as theirs do.
        let first = bulkhead.id * MAX_PARTITIONS as u64;
        (first..)
            .zip(bulkhead.partitions.iter().cloned())
            .map(|(id, snapshot)| Self { id, snapshot })
    }

    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.snapshot.name)
    }
}

pub(super) static PARTITION: Kind<Part> = Kind {
    id: |part| part.id,
    names: &["name", "partition"],
    counters: &[
        Series::new(&PARTITION_ADMITTED, &[], |s| s.snapshot.admitted),
        refused!(PARTITION_REFUSED, BulkheadFull, snapshot.refused.full),
        refused!(PARTITION_REFUSED, QueueFull, snapshot.refused.queue_full),
        refused!(
            PARTITION_REFUSED,
            WaitedTooLong,
            snapshot.refused.waited_too_long
        ),
        refused!(PARTITION_REFUSED, Displaced, snapshot.refused.displaced),
    ],
    gauges: &[
        Series::new(&PARTITION_IN_FLIGHT, &[], |s| s.snapshot.in_flight as f64),
        Series::new(&PARTITION_QUEUED, &[], |s| s.snapshot.queued as f64),
        Series::new(&PARTITION_GUARANTEED, &[], |s| s.snapshot.guaranteed as f64),
        Series::new(&PARTITION_LIMIT, &[], |s| s.snapshot.at_most as f64),
    ],
    histogram: None,
};
