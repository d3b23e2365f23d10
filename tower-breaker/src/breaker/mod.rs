//! Circuit breaker.

mod builder;
mod clock;
mod counters;
mod deadline;
mod future;
mod handle;
mod journal;
mod layer;
#[cfg(all(test, breaker_loom))]
mod loom_tests;
mod machine;
mod permit;
mod policy;
mod probe;
mod service;
mod shared;
mod snapshot;
mod transition;
mod window;
mod word;

pub use self::{
    builder::{CircuitBreakerBuilder, FailureRate},
    clock::{Clock, TokioClock},
    future::CircuitBreakerFuture,
    handle::CircuitBreaker,
    layer::CircuitBreakerLayer,
    permit::Permit,
    policy::{Abandoned, Recovery},
    service::CircuitBreakerService,
    snapshot::{Snapshot, TimeInState, WindowSnapshot},
    transition::{Cause, State, Transition},
};
