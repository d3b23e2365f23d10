//! A running service and its end.

use super::common::DrainSettings;
use super::drain::Drain;
use super::{Context, OwnServer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// From outside: stop, and stop at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    pub shutdown: CancellationToken,
    pub hurry: CancellationToken,
}

/// One per listener.
pub(super) struct Drains {
    pub public: PublicDrain,
    pub ops: Drain,
}

/// The public listener's: service-kit's own, or that of a service that serves by itself.
pub(super) enum PublicDrain {
    Router(Drain),
    Own(Arc<dyn OwnServer>),
}

impl PublicDrain {
    fn announce(&self) {
        match self {
            Self::Router(drain) => drain.announce(),
            Self::Own(server) => server.announce_drain(),
        }
    }

    async fn finish(&self, limit: Duration, hurry: &CancellationToken) -> usize {
        match self {
            Self::Router(drain) => drain.finish(limit, hurry).await,
            Self::Own(server) => server.finish(limit, hurry).await,
        }
    }
}

/// A service that runs. Dropping it leaves the service running until the runtime ends.
#[derive(Debug)]
pub struct Running {
    /// The public address, with the real port.
    pub http: SocketAddr,
    /// The ops address, with the real port.
    pub ops: SocketAddr,
    context: Context,
    ended: JoinHandle<()>,
}

impl Running {
    pub(super) fn new(
        context: Context,
        settings: DrainSettings,
        drains: Drains,
        hurry: CancellationToken,
    ) -> Self {
        let ended = tokio::spawn(end(context.clone(), settings, drains, hurry));
        let (http, ops) = (context.http_address(), context.ops_address());
        Self {
            http,
            ops,
            context,
            ended,
        }
    }

    /// The service's context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Waits until the service has stopped.
    pub async fn wait(self) {
        let _ = self.ended.await;
    }

    /// Drains and stops it.
    pub async fn stop(self) {
        self.context.shutdown().cancel();
        self.wait().await;
    }
}

/// Waits for the order to stop, then stops.
async fn end(context: Context, settings: DrainSettings, drains: Drains, hurry: CancellationToken) {
    context.shutdown().cancelled().await;
    drains.public.announce();
    context.readiness().draining();
    tracing::info!(delay = ?settings.delay, limit = ?settings.limit, "draining");
    tokio::select! {
        () = tokio::time::sleep(settings.delay) => {}
        () = hurry.cancelled() => {}
    }
    let cut_off = drains.public.finish(settings.limit, &hurry).await;
    if cut_off > 0 {
        tracing::warn!(
            connections = cut_off,
            "cut off what did not end within drain.limit"
        );
    }
    let finishes = async {
        for finish in context.take_finishes() {
            finish.await;
        }
    };
    // Flushing a store is worth a moment even when requests were given none.
    let limit = settings.limit.max(Duration::from_secs(1));
    if tokio::time::timeout(limit, finishes).await.is_err() {
        tracing::error!("the service's own clean-up did not end within drain.limit");
    }
    drains.ops.finish(Duration::from_millis(100), &hurry).await;
    tracing::info!("stopped");
}
