//! A service behind the gateway, as one worker calls it.

pub mod body;
pub mod connect;
pub mod form;
pub mod host;
pub mod local;
pub mod pool;
pub mod processed;
pub mod send;
pub mod shared;

pub use body::UpstreamBody;
pub use local::Local;
pub use shared::Shared;
