//! Logs, metrics and trace context.

pub mod trace_context;

pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod request;
mod request_metrics;

pub use request_metrics::{RequestMetrics, RouteMetrics};

use std::sync::Arc;

/// A response extension: the route to log and count a request under, in place of the router's template.
///
/// For services that route by themselves, whose router knows only `/{*rest}`. It becomes a metric label, so it must be one
/// of few: a template, never a path a client chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteName(pub Arc<str>);
