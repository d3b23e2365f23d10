//! Bulkhead: at most so many calls at once, and a bounded, fair queue for those that may wait.
//!
//! A dependency that becomes slow ties up whatever its callers hold while they wait: memory, connections, tasks. A
//! bulkhead bounds that. Each dependency gets a [`Bulkhead`] of its own, so that one sinking dependency cannot pull the
//! whole service down.
//!
//! # How it differs from tower's `ConcurrencyLimit`
//!
//! `ConcurrencyLimit` turns the limit into *back-pressure*: `poll_ready` waits for a permit, in an unbounded queue with no
//! time limit, and a ready service that is not called keeps the permit it waited for. With `LoadShed` around it, the
//! permit of a parked clone is lost to everybody else. This bulkhead decides in `call`:
//!
//! * it takes a permit when the call is made, never before, so an idle clone holds none;
//! * a call that finds it full is refused at once ([`BulkheadLayer::new`]), or waits in the call's own future in a
//!   bounded first-come-first-served queue ([`BulkheadLayer::waiting`]);
//! * the refusal is typed and says who refused and why ([`Refused`](crate::Refused));
//! * while it is full, the service behind is not even polled for readiness. A call that waits holds nothing of that service,
//!   nor does a caller that a waiting layer refuses. A caller that the plain layer refuses may keep what it got of that
//!   service while a permit was free: its readiness, or its place in the queue for that
//!   ([more](BulkheadService#what-a-refused-caller-keeps-of-the-inner-service)).
//!
//! # A limit that finds itself
//!
//! Instead of [`max_concurrent`](BulkheadBuilder::max_concurrent) a bulkhead may have an [`adaptive`](BulkheadBuilder::adaptive)
//! limit, which follows what the dependency can do at the time: see [`limit`].
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, Reason, Refused};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let bulkhead = Bulkhead::builder("inventory").max_concurrent(1).build()?;
//! let mut inventory = ServiceBuilder::new()
//!     .layer(BulkheadLayer::new(bulkhead.clone()))
//!     .service(service_fn(async |item: u32| Ok::<_, BoxError>(item * 2)));
//!
//! assert_eq!(inventory.ready().await?.call(21).await?, 42);
//!
//! // Any code may hold a permit, not only a service.
//! let busy = bulkhead.try_acquire()?;
//! let error = inventory.ready().await?.call(21).await.unwrap_err();
//! let refused = Refused::find(&*error).expect("the bulkhead refused");
//! assert_eq!((refused.name(), refused.reason()), ("inventory", Reason::BulkheadFull));
//!
//! drop(busy);
//! assert_eq!(inventory.ready().await?.call(21).await?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! # What it guarantees
//!
//! * Never more than `max_concurrent` permits are out, unless that has been lowered meanwhile, or it is a dry run. One is given back
//!   exactly once: as soon as the call's future finishes, fails, panics or is dropped. For an HTTP call that is when the response's
//!   head has arrived; with [`until_end_of_body`](BulkheadLayer::until_end_of_body) it is when the response's body has ended.
//! * Within a [`Priority`], first come, first served: nobody overtakes a waiter who could have the permit, not even a call that would
//!   not have waited.
//! * A [`Partition`]'s guaranteed permits are nobody else's, whatever others do.
//! * A waiter whose future is dropped leaves the queue at that moment. A permit that was on its way to it goes to the next.
//! * Admission, release and refusal take no lock, no timer and no allocation; one compare-and-swap on one word admits a call and one
//!   releases it (two for one that its partition has borrowed). A short lock is taken only while somebody waits or watches,
//!   while a lowered limit drains in a bulkhead with partitions, and a few times a second by the call that moves an adaptive limit. A timer runs only for calls that wait, and only with
//!   [`max_wait`](BulkheadBuilder::max_wait).

mod acquire;
mod adaptive;
mod back_pressure;
mod builder;
mod compartment;
#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "http")]
pub mod end_of_body;
mod events;
mod future;
mod gate;
mod guarded;
mod handle;
mod journal;
mod layer;
pub mod limit;
#[cfg(all(test, breaker_loom))]
mod loom_tests;
mod partition;
mod permit;
mod place;
mod placed;
mod queue;
mod service;
mod snapshot;
mod watchers;
mod word;

#[cfg(feature = "serde")]
pub use self::config::BulkheadConfig;
#[cfg(feature = "metrics")]
pub(crate) use self::partition::MAX_PARTITIONS;
pub use self::{
    acquire::Acquire,
    back_pressure::{BackPressureLayer, BackPressureService},
    builder::BulkheadBuilder,
    events::{Event, EventKind, Events},
    future::{ResponseFuture, WaitingFuture},
    guarded::Guarded,
    handle::Bulkhead,
    layer::{BulkheadLayer, Refuse, Wait},
    partition::Partition,
    permit::{BulkheadPermit, Outcome},
    place::{Place, Priority},
    placed::{PlacingLayer, PlacingService},
    service::BulkheadService,
    snapshot::{PartitionSnapshot, PrioritySnapshot, Refusals, Snapshot, Waits, WouldRefuse},
};
