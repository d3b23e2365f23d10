//! Connections: accepted, served, and ended in order.

use super::drain::Drain;
use super::own_errors::{Exchange, OwnErrors, TurnBody};
use crate::faults::ResetConnection;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tower::ServiceExt;

/// Serves until the drain begins; connections go on until they are done or the drain's limit has passed.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    header_timeout: Duration,
    drain: Drain,
) {
    let builder = {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout);
        builder
    };
    loop {
        let accepted = tokio::select! {
            () = drain.accepting_ended() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                drain.track(connection(
                    builder.clone(),
                    stream,
                    peer,
                    router.clone(),
                    drain.clone(),
                ));
            }
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                // Out of file descriptors, most likely: accepting again at once would spin.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Errors of the one connection that was to be accepted, not of the listener.
fn is_connection_error(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionAborted | ConnectionReset
    )
}

async fn connection(
    builder: http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    drain: Drain,
) {
    let exchange = Exchange::default();
    let io = OwnErrors::new(stream, exchange.clone());
    let announced = drain.announced();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let turn = exchange.begin();
        let tunnel = request.method() == Method::CONNECT;
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        let announced = announced.clone();
        async move {
            let mut response = match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            // hyper closes a connection without an answer only when the service fails.
            if response.extensions().get::<ResetConnection>().is_some() {
                return Err(ResetConnection);
            }
            let upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS
                || (tunnel && response.status().is_success());
            if announced.is_set() && !upgrade {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            let turn = if upgrade {
                turn.never_ends();
                None
            } else {
                Some(turn)
            };
            Ok(response.map(|body| TurnBody::new(body, turn)))
        }
    });
    let connection = builder
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.accepting_ended() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = drain.limit_passed() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
