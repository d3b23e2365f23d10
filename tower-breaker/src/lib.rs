//! tower-breaker
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod classify;
mod error;
#[cfg(feature = "http")]
pub mod http;
pub mod mode;
mod refused;
mod sync;

pub use crate::{
    error::{BoxError, BuildError, Error, Problem},
    refused::{Reason, Refused},
};
