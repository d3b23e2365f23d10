//! The life of a service process: flags, configuration, listeners, readiness, drain.

mod announce;
mod common;
mod context;
mod drain;
mod error;
mod launch;
mod listen;
pub mod own_errors;
mod own_server;
mod process;
mod readiness;
mod running;
mod serve;
mod signals;

pub use crate::registry::BreakerRegistry;
pub use common::{CommonSettings, RequestLimits};
pub use context::Context;
pub use error::{RunError, StartError};
pub(crate) use launch::load;
pub use launch::{launch, launch_own};
pub use own_server::{OwnServer, bind_shared};
pub use process::{run, run_own};
pub use readiness::Readiness;
pub use running::Running;
