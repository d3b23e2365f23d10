//! Workers: one thread per core, each with a runtime, a listener and upstream connections of its own.
//!
//! Nothing that a request touches on its way is shared between threads but counters, guards and the state of endpoints, all
//! of them atomics. The kernel spreads connections over the workers' listeners (`SO_REUSEPORT`).

mod accept;
mod connection;
mod detect;
mod front;
mod io;
mod local;
mod resets;
mod server;
mod signals;
mod streams;

pub use connection::{Facts, LocalExecutor};
pub use front::{Front, Socket};
pub use local::{LocalTarget, Route, Worker};
pub use server::Server;
pub use signals::Signals;
