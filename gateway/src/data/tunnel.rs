//! What becomes of a connection once its protocol has been switched.

use http::Extensions;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tower_breaker::bulkhead::end_of_body::TunnelPermit;

use super::worker::Worker;

/// Carries bytes both ways between the client and the upstream whose answer these extensions are of, as soon as both connections
/// are no longer HTTP, until one side has closed both its ways or the drain's limit has passed. The bulkhead's permit is held for as long.
pub fn open<S>(worker: &Worker<S>, client: OnUpgrade, answer: &mut Extensions) {
    let Some(upstream) = answer.remove::<OnUpgrade>() else {
        return;
    };
    let permit = answer.remove::<TunnelPermit>();
    let limit = worker.signals().limit.clone();
    worker.spawn(async move {
        let _permit = permit;
        let carried = async {
            let (client, upstream) = futures_util::try_join!(client, upstream)?;
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
            Ok::<_, tower::BoxError>(())
        };
        tokio::select! {
            carried = carried => if let Err(error) = carried {
                tracing::debug!(%error, "a tunnel ended early");
            },
            () = limit.cancelled() => {}
        }
    });
}
