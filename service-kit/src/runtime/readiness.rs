//! Whether the service should get traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What `/readyz` answers: ready when the process serves, does not drain, and the service has not said otherwise.
/// Clones are one readiness.
#[derive(Debug, Clone)]
pub struct Readiness {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    serving: AtomicBool,
    draining: AtomicBool,
    willing: AtomicBool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Not ready: still starting.
    pub fn new() -> Self {
        let inner = Inner {
            serving: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            willing: AtomicBool::new(true),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Whether the service should get traffic now.
    pub fn is_ready(&self) -> bool {
        self.reason() == "ready"
    }

    /// `"ready"`, `"starting"`, `"draining"` or `"unavailable"` (the service said so itself).
    pub fn reason(&self) -> &'static str {
        let set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        match (
            set(&self.inner.draining),
            set(&self.inner.serving),
            set(&self.inner.willing),
        ) {
            (true, _, _) => "draining",
            (_, false, _) => "starting",
            (_, _, false) => "unavailable",
            _ => "ready",
        }
    }

    /// Lets the service refuse (or take) traffic for reasons of its own, such as a database that is gone.
    pub fn set_available(&self, available: bool) {
        self.inner.willing.store(available, Ordering::Relaxed);
    }

    pub(crate) fn serving(&self) {
        self.inner.serving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn draining(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }
}
