//! Taking connections.

use std::{io, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tower::BoxError;

use super::{Front, Worker, connection};
use crate::data::proxy::Stack;

/// Takes connections until the drain begins.
pub(super) async fn until_closing<S, B>(
    worker: Rc<Worker<S>>,
    listener: TcpListener,
    front: Arc<Front>,
    connections: &TaskTracker,
) where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError> + 'static,
{
    let closing = worker.signals.closing.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                begin(
                    &worker,
                    stream,
                    peer.ip().to_canonical(),
                    &front,
                    connections,
                );
            }
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                // Out of file descriptors, most likely: accepting again at once would spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // What the kernel has taken for this listener would be reset when it is closed.
    while let Some(Ok((stream, peer))) = now(&listener).await {
        begin(
            &worker,
            stream,
            peer.ip().to_canonical(),
            &front,
            connections,
        );
    }
}

async fn now(listener: &TcpListener) -> Option<io::Result<(TcpStream, std::net::SocketAddr)>> {
    std::future::poll_fn(|cx| match listener.poll_accept(cx) {
        std::task::Poll::Ready(accepted) => std::task::Poll::Ready(Some(accepted)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

fn begin<S, B>(
    worker: &Rc<Worker<S>>,
    stream: TcpStream,
    peer: std::net::IpAddr,
    front: &Arc<Front>,
    connections: &TaskTracker,
) where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError> + 'static,
{
    if !worker.plane.connections.open() {
        // Nothing is said: who opens more connections than there may be is not waiting for an explanation.
        tracing::debug!(%peer, "too many connections");
        return;
    }
    let _ = stream.set_nodelay(true);
    let (worker, front) = (worker.clone(), front.clone());
    tokio::task::spawn_local(connections.track_future(async move {
        let _open = Open(worker.clone());
        connection::serve(&worker, stream, peer, &front).await;
    }));
}

/// A connection that is counted.
struct Open<S>(Rc<Worker<S>>);

impl<S> Drop for Open<S> {
    fn drop(&mut self) {
        self.0.plane.connections.closed();
    }
}

/// Errors of the one connection that was to be accepted, not of the listener.
fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionAborted | ConnectionReset
    )
}
