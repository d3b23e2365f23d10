//! The other end of a check's connection, as HTTP server or as whatever it should not be.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How an endpoint behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers with this status.
    Status(u16),
    /// Answers 200 with a body of so many bytes.
    Body(usize),
    /// Takes connections, and says nothing.
    Hangs,
    /// Sends a head, and then no body.
    Stalls,
    /// Takes no connections.
    Refuses,
    /// Ends the connection in the middle of the body.
    Truncates,
    /// Sends bytes that are no HTTP.
    Garbage,
    /// As gRPC health service: a `ServingStatus`.
    Serving(u8),
    /// As gRPC server: a status without a message, in the head.
    Grpc(&'static str),
}

pub async fn serve<Io>(mut io: Io, mood: Mood, seen: impl Fn(Seen) + Clone + Send + 'static)
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
    let raw = match mood {
        Mood::Hangs => "",
        Mood::Stalls => head,
        Mood::Truncates => &format!("{head}abc"),
        Mood::Garbage => "SSH-2.0-OpenSSH\r\n\r\n",
        _ => return http(io, mood, seen).await,
    };
    let mut request = [0; 1024];
    let _ = io.read(&mut request).await;
    let _ = io.write_all(raw.as_bytes()).await;
    if matches!(mood, Mood::Hangs | Mood::Stalls) {
        std::future::pending::<()>().await;
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub head: http::request::Parts,
    pub body: Bytes,
}

type Body = BoxBody<Bytes, Infallible>;

async fn http<Io>(io: Io, mood: Mood, seen: impl Fn(Seen) + Clone + Send + 'static)
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            seen(Seen { head, body });
            Ok::<_, hyper::Error>(answer(mood))
        }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(io), service).await;
}

fn answer(mood: Mood) -> Response<Body> {
    let full = |bytes: Vec<u8>| Full::new(Bytes::from(bytes)).boxed();
    let grpc = Response::builder().header("content-type", "application/grpc");
    match mood {
        Mood::Status(status) => Response::builder().status(status).body(full(Vec::new())),
        Mood::Body(length) => Response::builder().body(full(vec![b'x'; length])),
        Mood::Grpc(code) => grpc.header("grpc-status", code).body(full(Vec::new())),
        Mood::Serving(status) => {
            let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let frames = [Frame::data(message), Frame::trailers(trailers)].map(Ok);
            grpc.body(StreamBody::new(futures_util::stream::iter(frames)).boxed())
        }
        other => panic!("{other:?} is no answer"),
    }
    .unwrap()
}
