//! Connections of one worker to one endpoint.
//!
//! They are hyper's own connections, each driven by a task of the worker. A connection that is free is on a stack: the one used
//! last is used next, so that those at the bottom grow old and are closed.

mod http1;
mod lease;

pub use http1::{Http1Pool, USUAL_HEADERS};
pub use lease::Lease;
