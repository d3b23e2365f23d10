//! The switch, shared by the layer and the endpoints that turn it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Turns fault injection on and off while the service runs. Clones are one switch.
#[derive(Debug, Clone, Default)]
pub struct FaultSwitch {
    on: Arc<AtomicBool>,
}

impl FaultSwitch {
    /// A switch in the given position.
    pub fn new(on: bool) -> Self {
        Self {
            on: Arc::new(AtomicBool::new(on)),
        }
    }

    /// Whether faults are injected now. One relaxed load: the flag orders nothing else.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Injects faults from now on.
    pub fn turn_on(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    /// Injects none from now on.
    pub fn turn_off(&self) {
        self.on.store(false, Ordering::Relaxed);
    }
}
