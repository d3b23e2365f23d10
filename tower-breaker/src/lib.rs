//! Circuit breaker and bulkhead for Tower: they keep a service alive when what it depends on is not.
//!
//! ```
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, FailureRate, Refused};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), BoxError> {
//!     let breaker = CircuitBreaker::builder("inventory")
//!         .consecutive_failures(5)
//!         .failure_rate(FailureRate::over_calls(100).threshold(0.5).minimum_calls(20))
//!         .open_for(Duration::from_secs(10))
//!         .build()?;
//!     let mut inventory = ServiceBuilder::new()
//!         .layer(BulkheadLayer::new(Bulkhead::builder("inventory").max_concurrent(64).build()?))
//!         .layer(CircuitBreakerLayer::new(breaker))
//!         .timeout(Duration::from_millis(500))
//!         .service(service_fn(async |item: u32| Ok::<_, BoxError>(item * 2))); // your client
//!     match inventory.ready().await?.call(21).await {
//!         Ok(stock) => println!("{stock} in stock"),
//!         Err(err) if Refused::find(&*err).is_some() => println!("refused at once, nothing was sent: {err}"),
//!         Err(err) => println!("failed: {err}"),
//!     }
//!     Ok(())
//! }
//! ```
//!
//! * [`breaker`]: stops calling what keeps failing, and tries again gently. A handle without tower in it
//!   ([`CircuitBreaker`]), and a layer over it ([`CircuitBreakerLayer`]).
//! * [`bulkhead`]: bounds how many calls run at once, so that one slow dependency does not tie up everything. The bound may be fixed
//!   or find itself ([`bulkhead::limit`]).
//! * [`throttle`]: makes only such a share of the calls as is accepted.
//! * [`fallback`]: answers with something else when a call was refused or has failed.
//! * `retry` (feature): a policy for tower's own retries, which never makes a refused call again.
//! * [`keyed`]: one of either for each host, route or tenant, in bounded memory.
//! * [`classify`]: what counts as a failure.
//! * [`mode`]: whether a refusal is an error in a box, a typed error, or a response.
//! * `observe` (features `metrics` and `tracing`): guards as metrics and as log events.
//! * `http` (feature, on by default): refusals and errors as `503`, `504` and `502` responses.
//!
//! # What holds everywhere
//!
//! Guards ask nothing of the inner service: no `Clone`, no `'static`, no `Sync` (only a bulkhead that lets calls wait needs
//! `Clone`, and the default classifier `'static` errors). Their futures are plain types, never boxed. Admitting, refusing and
//! finishing a call take no lock and allocate nothing; a refusal in a `BoxError` costs the box, a call that waits for a bulkhead
//! or makes a transition of the circuit takes a short lock, and a few times a second one call moves an adaptive limit. Whatever ends a call, a result, a panic or a dropped future, is
//! accounted for exactly once. The library starts no tasks, and reads the time from tokio's clock or the one it is given.
#![deny(unsafe_code)]
#![deny(missing_docs)]

pub mod breaker;
pub mod bulkhead;
pub mod classify;
#[cfg(feature = "serde")]
mod config;
mod dice;
mod error;
pub mod fallback;
#[cfg(feature = "http")]
pub mod http;
mod id;
pub mod keyed;
// A name that is never freed is shared without being counted: see there for why, and why that is sound.
#[allow(unsafe_code)]
mod label;
pub mod mode;
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub mod observe;
// A call holds on to its guard by the guard's own count of calls: see there for why, and why that is sound.
#[allow(unsafe_code)]
mod ownership;
mod refused;
#[cfg(feature = "retry")]
pub mod retry;
mod striped;
mod sync;
pub mod throttle;

pub use crate::{
    breaker::{
        Abandoned, CircuitBreaker, CircuitBreakerLayer, Control, Events, FailureRate, LeaseExpired,
        OpenWait, Permit, Preset, Ramp, Recovery, SlowCallRate, Snapshot, State, Transition,
        TrialRate,
    },
    bulkhead::{Bulkhead, BulkheadLayer, BulkheadPermit},
    error::{BoxError, BuildError, Error, Problem},
    fallback::FallbackLayer,
    keyed::{Keyed, KeyedLayer},
    refused::{Reason, Refused},
    throttle::{Throttle, ThrottleLayer, ThrottlePermit},
};

// The code of the README must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// The book's code must compile. Its files are not in the published package, so the cfg is set by the repository's
// `.cargo/config.toml`.
#[cfg(all(doctest, breaker_book))]
mod book {
    #[doc = include_str!("../../docs/guide/circuit-breaker.md")]
    struct CircuitBreaker;
    #[doc = include_str!("../../docs/guide/end-of-body.md")]
    struct EndOfBody;
    #[doc = include_str!("../../docs/guide/adaptive-limits.md")]
    struct AdaptiveLimits;
    #[doc = include_str!("../../docs/guide/bulkhead.md")]
    struct Bulkhead;
    #[cfg(feature = "http")]
    #[doc = include_str!("../../docs/guide/keys.md")]
    struct Keys;
    #[doc = include_str!("../../docs/guide/migration.md")]
    struct Migration;
    #[cfg(all(feature = "http", feature = "retry"))]
    #[doc = include_str!("../../docs/guide/fallback-retry-throttle.md")]
    struct FallbackRetryThrottle;
    #[cfg(all(feature = "metrics", feature = "tracing"))]
    #[doc = include_str!("../../docs/observability.md")]
    struct Observability;
}
