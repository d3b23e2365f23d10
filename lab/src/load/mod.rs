//! Load: simulated users, and what is recorded of their requests.

mod client;
mod drive;
mod progress;
mod recorder;
mod timeline;
mod user;

use std::time::Duration;

pub use client::{Answer, CallError, Client, reason_of_status};
pub use drive::{Boundary, Load, Measured, Observation, Trace, drive};
pub use progress::Progress;
pub use recorder::{Figures, Recorder};
pub use timeline::Timeline;
pub use user::{Call, Script, User};
#[cfg(test)]
pub use {recorder::Latency, user::dice};

/// One of the two systems under the same load.
#[derive(Debug, Clone)]
pub struct Variant {
    pub name: &'static str,
    pub label: &'static str,
    pub protected: bool,
}

/// What users ask for.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub name: &'static str,
    pub label: &'static str,
    /// Part of the totals, the charts and the claims; polling by admins is not.
    pub counted: bool,
}

/// A stretch of the run.
#[derive(Debug, Clone)]
pub struct Phase {
    pub name: &'static str,
    pub label: &'static str,
    pub length: Duration,
    /// A dependency is broken during this phase.
    pub fault: bool,
}

/// How a request ended, as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// Delivered from a fallback, and marked as such.
    Degraded,
    Failed(String),
}

impl Outcome {
    pub fn failed(&self) -> bool {
        matches!(self, Outcome::Failed(_))
    }
}

/// One finished request. Times count from the start of the load.
#[derive(Debug, Clone)]
pub struct Sample {
    pub variant: usize,
    pub endpoint: usize,
    pub phase_at_start: usize,
    pub phase_at_end: usize,
    pub started: Duration,
    pub latency: Duration,
    pub bytes: u64,
    pub outcome: Outcome,
    /// Something the answer said that the experiment collects, such as a breaker's state.
    pub observed: Option<String>,
}
