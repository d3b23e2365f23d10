//! Guards around calls to one upstream, built from its configuration.

pub(crate) mod events;
mod policy;

pub use policy::{Policy, breaker, bulkhead};
