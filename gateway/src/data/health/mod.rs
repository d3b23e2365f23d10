//! Active health checks: whether an endpoint is well is found out by asking it, so that no user's request has to. What requests
//! themselves tell of an endpoint is its circuit breaker's matter, not this one's.
//!
//! | part | job |
//! |---|---|
//! | `state` | thresholds: when an endpoint counts as well, by its checks in a row |
//! | `schedule` | first check at once, later ones spread over the interval, with jitter |
//! | `check` | one check: HTTP, gRPC, TCP |
//! | `connect` | how a check reaches an endpoint; where TLS is put in |
//! | `follow` | endpoints that come and go, a task for each |
//! | `report` | what is known of each, for dashboards and metrics |

mod check;
mod connect;
mod follow;
pub mod metrics;
mod report;
mod schedule;
mod state;

pub use check::CheckError;
pub use connect::{Connect, Connected, Peer, Plain, Speak};
pub use follow::{Checking, Checks, Targets};
pub use report::{EndpointHealth, Report};
pub use state::{Health, Judge, Thresholds};

/// An endpoint as checks see it. The same endpoint is the same `Arc` for as long as it is there.
pub trait Target: Send + Sync + 'static {
    /// Whom to ask. Does not change.
    fn peer(&self) -> Peer;

    /// Called when what is thought of it changes, first with the result of the first check.
    fn set_healthy(&self, healthy: bool);
}
