//! What a bulkhead publishes.

use super::{
    ledger::Kind,
    series::{Metric, Series},
};
use crate::{Reason, bulkhead::Snapshot};

static IN_FLIGHT: Metric = Metric::count("bulkhead_calls_in_flight", "Permits that are out");
static QUEUED: Metric = Metric::count("bulkhead_calls_queued", "Calls that wait");
static LIMIT: Metric = Metric::count("bulkhead_limit", "Calls that may run at once");
static ADMITTED: Metric = Metric::count("bulkhead_admitted_total", "Calls admitted");
static REFUSED: Metric = Metric::count("bulkhead_refused_total", "Calls refused, by reason");

pub(super) static BULKHEAD: Kind<Snapshot> = Kind {
    id: |snapshot| snapshot.id,
    names: &["name"],
    histogram: None,
    counters: &[
        Series::new(&ADMITTED, &[], |s| s.admitted),
        Series::new(
            &REFUSED,
            &[("reason", Reason::BulkheadFull.as_str())],
            |s| s.refused.full,
        ),
        Series::new(&REFUSED, &[("reason", Reason::QueueFull.as_str())], |s| {
            s.refused.queue_full
        }),
        Series::new(
            &REFUSED,
            &[("reason", Reason::WaitedTooLong.as_str())],
            |s| s.refused.waited_too_long,
        ),
    ],
    gauges: &[
        Series::new(&IN_FLIGHT, &[], |s| s.in_flight as f64),
        Series::new(&QUEUED, &[], |s| s.queued as f64),
        Series::new(&LIMIT, &[], |s| s.max_concurrent as f64),
    ],
};
