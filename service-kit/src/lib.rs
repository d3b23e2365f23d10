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

/// Why an input or output operation failed, without the error number that std appends.
pub(crate) fn io_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let reason = text
        .split_once(" (os error ")
        .map_or(text.as_str(), |(reason, _)| reason);
    let mut letters = reason.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => error.kind().to_string(),
    }
}
