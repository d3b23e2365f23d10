//! What workers are told from outside.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

/// The order of the drain. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    announced: Arc<AtomicBool>,
    /// No more connections, and no more requests on those that are idle.
    pub closing: CancellationToken,
    /// What still runs is cut off.
    pub limit: CancellationToken,
}

impl Signals {
    /// From now on each answer ends its connection.
    pub fn announce(&self) {
        self.announced.store(true, Ordering::Relaxed);
    }

    /// Whether it has been announced. Asked for every answer, so it is no more than a flag.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.announced.load(Ordering::Relaxed)
    }
}
