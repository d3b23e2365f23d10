//! Where an upstream's requests can go, and where one goes.
//!
//! An upstream has [`Endpoints`], fed by its discovery. Workers read it as a snapshot, the [`EndpointSet`], in which everything
//! that does not change from request to request has been worked out; each worker's [`Balancer`] picks from it. What does change is
//! in the [`Endpoint`]s, which all workers and all snapshots share, as atomics. An endpoint's circuit breaker takes it out of
//! the set and brings it back ([`ejection`]).
//!
//! ```text
//! discovery -> Endpoints::update ┐                         ┌ worker: Reader -> Balancer::pick -> Picked::start -> InFlight::finish
//! checks -> Endpoint::set_healthy ├-> EndpointSet (ArcSwap) ┤                                                          |
//! breaker -> ejection ───────────┘                         └ report: metrics, dashboard            Endpoint <──────────┘
//! ```

pub mod balance;
mod clock;
pub mod ejection;
mod endpoint;
mod group;
mod handle;
mod in_flight;
mod latency;
mod moment;
mod report;
mod set;
mod slow_start;
#[cfg(test)]
mod tests;

pub use self::{
    balance::{Balancer, NoneAvailable, Picked, Wanted, hash_key},
    endpoint::{Endpoint, EndpointId, EndpointKey, EndpointSpec},
    handle::{Endpoints, Reader, Settings},
    in_flight::InFlight,
    moment::Moment,
    report::{EndpointReport, Report},
    set::EndpointSet,
};
