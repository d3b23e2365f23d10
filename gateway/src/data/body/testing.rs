//! Bodies as they come from a client, for tests.

use std::{cell::RefCell, io, net::Ipv4Addr, rc::Rc, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::{Empty, StreamBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use service_kit::telemetry::{RequestMetrics, trace_context::TraceContext};
use tokio::sync::{mpsc, oneshot};

use super::Outgoing;
use crate::data::exchange::{Exchange, Notes};

/// A piece of a body.
pub type Piece = Result<Frame<Bytes>, io::Error>;

/// Some bytes.
pub fn data(text: &'static str) -> Piece {
    Ok(Frame::data(text.into()))
}

/// The trailers.
pub fn trailers(name: &'static str, value: &'static str) -> Piece {
    let mut trailers = HeaderMap::new();
    trailers.insert(
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    );
    Ok(Frame::trailers(trailers))
}

/// An exchange that nobody waits for.
pub fn exchange() -> Rc<Exchange> {
    let notes = Rc::new(Notes::new(Arc::new(RequestMetrics::new()), false));
    let trace = TraceContext::from_headers(&HeaderMap::new());
    Exchange::begin(Method::PUT, trace, Ipv4Addr::LOCALHOST.into(), &notes)
}

/// A request's body whose pieces are still to be sent.
pub async fn coming() -> (mpsc::UnboundedSender<Piece>, Incoming) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (sender, pieces) = mpsc::unbounded_channel::<Piece>();
    let body = StreamBody::new(stream::unfold(pieces, async |mut pieces| {
        Some((pieces.recv().await?, pieces))
    }));
    let mut request = Request::put("/").body(Box::pin(body)).unwrap();
    let announced = HeaderValue::from_static("x-sum");
    request
        .headers_mut()
        .insert(http::header::TRAILER, announced);
    tokio::spawn(async move {
        let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near))
            .await
            .unwrap();
        tokio::spawn(connection);
        let _ = client.send_request(request).await;
    });
    let (got, body) = oneshot::channel();
    let got = RefCell::new(Some(got));
    let service = service_fn(move |request: Request<Incoming>| {
        if let Some(got) = got.take() {
            let _ = got.send(request.into_body());
        }
        std::future::pending::<Result<Response<Empty<Bytes>>, io::Error>>()
    });
    tokio::spawn(
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service),
    );
    (sender, body.await.unwrap())
}

/// A body with these pieces, unbounded and not kept.
pub async fn outgoing(pieces: Vec<Piece>) -> Outgoing {
    let (sender, incoming) = coming().await;
    for piece in pieces {
        sender.send(piece).unwrap();
    }
    Outgoing::new(incoming, u64::MAX, None, exchange())
}

impl Outgoing {
    /// None.
    pub fn nothing(exchange: Rc<Exchange>) -> Self {
        Self::empty(exchange)
    }
}
