//! What the shop's services share: configuration, telemetry, the ops listener, fault injection, drain, problem+json.
//!
//! A service is a [`ServiceInfo`], a parser that reads its own keys from a [`config::Section`], and a `start` function
//! that turns the validated configuration into an [`axum::Router`]. [`run`] does everything around that.

#![deny(missing_docs)]

pub mod client;
pub mod config;
pub mod extract;
pub mod faults;
pub mod problem;
pub mod registry;
pub mod resilience;
pub mod runtime;
pub mod telemetry;

mod cli;
mod layers;
mod ops;
mod output;

pub use cli::ServiceInfo;
pub use runtime::{Context, StartError, run};

/// The error type of `tower` stacks.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an input or output operation failed, in plain words without error numbers.
pub(crate) fn io_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::Other => error.to_string(),
        kind => kind.to_string(),
    }
}
