//! The life of a service process: flags, configuration, listeners, readiness, drain.

mod announce;
mod common;
mod context;
mod drain;
mod error;
mod launch;
mod listen;
mod own_errors;
mod process;
mod readiness;
mod running;
mod serve;
mod signals;

pub use crate::registry::BreakerRegistry;
pub use common::{CommonSettings, RequestLimits};
pub use context::Context;
pub use error::{RunError, StartError};
pub use launch::launch;
pub use process::run;
pub use readiness::Readiness;
pub use running::Running;
