//! What a throttle publishes.

use super::{
    ledger::Kind,
    series::{Metric, Series},
};
use crate::throttle::Snapshot;

static IN_FLIGHT: Metric = Metric::count(
    "throttle_calls_in_flight",
    "Calls admitted that have not ended",
);
static DRY_RUN: Metric = Metric::count("throttle_dry_run", "Throttles in a dry run");
static WINDOW_REQUESTS: Metric = Metric::count(
    "throttle_window_requests",
    "Requests in the window: calls that ended with a verdict, and calls refused",
);
static WINDOW_ACCEPTS: Metric = Metric::count(
    "throttle_window_accepts",
    "Requests in the window that were accepted",
);
static ADMITTED: Metric = Metric::count("throttle_admitted_total", "Calls admitted");
static CALLS: Metric = Metric::count(
    "throttle_calls_total",
    "Admitted calls that have ended, by outcome",
);
static REFUSED: Metric = Metric::count("throttle_refused_total", "Calls refused");
static WOULD_REFUSE: Metric = Metric::count(
    "throttle_would_refuse_total",
    "Calls admitted in a dry run that would have been refused",
);

pub(super) static THROTTLE: Kind<Snapshot> = Kind {
    id: |snapshot| snapshot.id,
    names: &["name"],
    histogram: None,
    counters: &[
        Series::new(&ADMITTED, &[], |s| s.admitted),
        Series::new(&CALLS, &[("outcome", "success")], |s| s.succeeded),
        Series::new(&CALLS, &[("outcome", "failure")], |s| s.failed),
        Series::new(&CALLS, &[("outcome", "ignored")], |s| s.ignored),
        Series::new(&CALLS, &[("outcome", "abandoned")], |s| s.abandoned),
        Series::new(&REFUSED, &[], |s| s.refused),
        Series::new(&WOULD_REFUSE, &[], |s| s.would_refuse),
    ],
    gauges: &[
        Series::new(&IN_FLIGHT, &[], |s| s.in_flight() as f64),
        Series::new(&DRY_RUN, &[], |s| f64::from(u8::from(s.dry_run))),
        Series::new(&WINDOW_REQUESTS, &[], |s| f64::from(s.requests)),
        Series::new(&WINDOW_ACCEPTS, &[], |s| f64::from(s.accepts)),
    ],
};
