//! The order in which a service stops: unready, no new connections, last answers, and an end whatever still runs.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Whether answers end their connections. Asked for every answer, so it is no more than a flag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Announced {
    flag: Arc<AtomicBool>,
}

impl Announced {
    pub fn is_set(&self) -> bool {
        self.flag.load(Relaxed)
    }
}

/// Shared by a listener's loop and its connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drain {
    announced: Announced,
    closing: CancellationToken,
    limit: CancellationToken,
    connections: TaskTracker,
}

impl Drain {
    /// Runs a connection so that the drain waits for it.
    pub fn track(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.connections.spawn(connection);
    }

    /// From now on every answer ends its connection, so that clients go elsewhere before connections are closed on them.
    pub fn announce(&self) {
        self.announced.flag.store(true, Relaxed);
    }

    /// For connections to ask whether that time has come.
    pub fn announced(&self) -> Announced {
        self.announced.clone()
    }

    /// When no more connections and no more requests on idle ones are taken.
    pub async fn accepting_ended(&self) {
        self.closing.cancelled().await;
    }

    /// When what still runs is cut off.
    pub async fn limit_passed(&self) {
        self.limit.cancelled().await;
    }

    /// Ends accepting, waits for the connections up to `limit` (or until `hurry`), then cuts off the rest. Returns how
    /// many were cut off.
    pub async fn finish(&self, limit: Duration, hurry: &CancellationToken) -> usize {
        self.announce();
        self.closing.cancel();
        self.connections.close();
        let left = tokio::select! {
            () = self.connections.wait() => 0,
            () = tokio::time::sleep(limit) => self.connections.len(),
            () = hurry.cancelled() => self.connections.len(),
        };
        self.limit.cancel();
        left
    }
}
