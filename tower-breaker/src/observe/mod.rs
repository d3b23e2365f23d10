//! Guards as metrics and as log events. Features `metrics` and `tracing`; neither is on by default.
#![doc = "TODO"]

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
pub use self::log::{RefusalLog, log_transition};
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
