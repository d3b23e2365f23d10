//! Guards as metrics (feature `metrics`) and as log events (feature `tracing`). Neither feature is on by default.
//!
//! Guards count for themselves, exactly and without a lock, whether anybody looks or not. What is here looks: when metrics are
//! scraped, or at intervals. So a call costs the same with and without it, and with the features off there is nothing of it at
//! all. Only what is rare is told at the moment it happens: a transition.
//!
//! | what you want | how |
//! |---|---|
//! | metrics for Prometheus, StatsD or whatever has a recorder for the `metrics` crate | [`Metrics`] |
//! | a log event for every transition of a circuit | [`log_transition`] |
//! | a log event when a bulkhead becomes full, has room again, or changes its limit | [`log_bulkhead_events`] |
//! | a log event about refusals, at most one per name and interval | [`RefusalLog`] |
//! | something of your own | [`CircuitBreaker::snapshot`](crate::CircuitBreaker::snapshot), [`listener`](crate::breaker::CircuitBreakerBuilder::listener), [`CircuitBreaker::events`](crate::CircuitBreaker::events) |
//!
//! `examples/observe.rs` is a server with all of it. Alerts and dashboard queries are in `docs/observability.md` in the
//! repository and, as rules for Prometheus, in `prometheus/` in this package.
//!
//! # Metrics
//!
//! Every series of a guard is there from the first scrape, at zero, so that its first refusal shows as an increase. Counters never
//! go backwards while the process lives, whatever becomes of the guards. `name` is the guard's name, or the one that it was
//! given for this; what several guards share it for is added up (a state is then the number of circuits in it).
//!
#![doc = include_str!("metrics.md")]
//!
//! The wait histogram is kept by the bulkhead, in the buckets of [`Waits::BOUNDS`](crate::bulkhead::Waits::BOUNDS). The facade takes
//! single values, so values are made that have the same counts in these buckets, and the same sum; an exporter that is told to
//! use these bounds shows exactly what the bulkhead counted. Without bounds `metrics-exporter-prometheus` makes a summary of it, whose
//! quantiles are as good as the buckets are narrow. Only waits since the last look are handed on, so those from before a recorder
//! was there are missing in this one series.

mod guards;
#[cfg(feature = "tracing")]
mod log;
#[cfg(feature = "metrics")]
mod metrics;
mod since;

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

pub use self::guards::{Found, Guards};
#[cfg(feature = "tracing")]
pub use self::log::{RefusalLog, log_bulkhead_events, log_transition};
#[cfg(feature = "metrics")]
pub use self::metrics::Metrics;

// At once, and then as often as that. What is late is not made up for.
async fn at_intervals(every: Duration, mut run: impl FnMut()) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        run();
    }
}
