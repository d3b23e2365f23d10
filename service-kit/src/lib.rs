//! What the shop's services share: configuration, telemetry, the ops listener, fault injection, drain, problem+json.
//!
//! A service is a [`ServiceInfo`], a parser that reads its own keys from a [`config::Section`], and a `start` function
//! that turns the validated configuration into an [`axum::Router`]. [`run`] does everything around that.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use service_kit::{Context, ServiceInfo, StartError, config::Section};
//! use std::process::ExitCode;
//!
//! const INFO: ServiceInfo = ServiceInfo {
//!     name: "greeter",
//!     version: env!("CARGO_PKG_VERSION"),
//!     about: "Greets",
//!     env_prefix: "GREETER",
//!     env_aliases: &[],
//!     default_config: "listen = \"127.0.0.1:8080\"\nops.listen = \"127.0.0.1:9080\"",
//!     after_help: "",
//! };
//!
//! fn parse(root: &mut Section<'_>) -> String {
//!     root.string("greeting", "hello")
//! }
//!
//! async fn start(greeting: String, _: Context) -> Result<Router, StartError> {
//!     Ok(Router::new().route("/", get(async move || greeting)))
//! }
//!
//! fn main() -> ExitCode {
//!     service_kit::run(&INFO, std::env::args_os(), parse, start)
//! }
//! ```
//!
//! # The keys every service has
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `listen` | the built-in configuration's | the public address; port 0 is any free one |
//! | `max_body` | `64KiB` | larger request bodies are answered 413 |
//! | `request_timeout` | `0s`: none | from a request to the head of its answer; then 503 |
//! | `header_timeout` | `30s` | for a request's head to arrive; closes idle connections as well |
//! | `body_timeout` | `30s` | between two pieces of a request's body, `0s` for none; then 408 |
//! | `ops.listen` | the built-in configuration's | `/livez`, `/readyz`, `/metrics`, `/breakers` |
//! | `log.level` | `info` | `off` to `trace`, also by target: `info,hyper=warn` |
//! | `log.format` | `text` on a terminal, else `json` | |
//! | `drain.delay` | `0s` | between failing readiness and closing the listener |
//! | `drain.limit` | `20s` | for what is in flight after that; then it is cut off |
//! | `faults.enabled` | `false` | mounts `POST /fail/on`, `POST /fail/off`, and obeys the rules while on |
//! | `faults.simulate` | `false` | begin with the switch on |
//! | `[[faults.rule]]` | none | `routes`, `kind`, and by kind `status`, `delay`, `delay_max`, `share`, `seed` |
//!
//! The first signal (SIGTERM, SIGINT) begins the drain, a second one ends it. Exit status: 0 after a drain, 1 when the
//! service could not run, 2 for a bad command line or configuration.

#![deny(missing_docs)]

pub mod client;
pub mod commands;
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
pub use commands::run_command;
pub use runtime::{Context, StartError, run, run_own};

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

/// The README's example, compiled and run. It is here because the library, published on its own, does not have the file.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
