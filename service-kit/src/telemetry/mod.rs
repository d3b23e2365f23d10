//! Logs, metrics and trace context.

pub mod trace_context;

pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod request;
