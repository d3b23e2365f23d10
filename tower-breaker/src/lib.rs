//! tower-breaker
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod breaker;
pub mod bulkhead;
pub mod classify;
mod error;
#[cfg(feature = "http")]
pub mod http;
pub mod mode;
mod refused;
mod striped;
mod sync;

pub use crate::{
    breaker::{
        Abandoned, CircuitBreaker, CircuitBreakerLayer, FailureRate, Permit, Recovery, Snapshot,
        State, Transition,
    },
    bulkhead::{Bulkhead, BulkheadLayer, BulkheadPermit},
    error::{BoxError, BuildError, Error, Problem},
    refused::{Reason, Refused},
};
