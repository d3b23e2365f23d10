//! The guards of one upstream.

use crate::config::Section;
use std::time::Duration;
use tower_breaker::CircuitBreaker;

/// The guards of one upstream, built and named after it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Policy {
    /// Bound for one call.
    pub timeout: Option<Duration>,
    /// The circuit breaker.
    pub breaker: Option<CircuitBreaker>,
}

impl Policy {
    /// Reads the optional `timeout`, `[bulkhead]` and `[breaker]` of an upstream's table; the guards get its name.
    pub fn read(section: &mut Section<'_>) -> Self {
        let timeout = section.opt_duration(
            "timeout",
            Duration::from_millis(1)..=Duration::from_secs(3600),
        );
        Self {
            timeout,
            breaker: None,
        }
    }
}
