//! A server that speaks HTTP/2, with TLS or without. The path of a request says how it is answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{self, SendResponse},
};
use http::{HeaderMap, Request, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Barrier,
};
use tokio_rustls::TlsAcceptor;

use super::poll::until;

/// How many requests to `/together` are answered at a time.
pub const TOGETHER: usize = 100;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub uri: http::Uri,
    pub headers: HeaderMap,
}

pub struct H2Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    streams: u32,
    together: Barrier,
    connections: AtomicUsize,
    requests: AtomicUsize,
    resets: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
}

impl H2Upstream {
    /// Takes up to `streams` requests at a time on each connection.
    pub async fn start(tls: Option<TlsAcceptor>, streams: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            streams,
            together: Barrier::new(TOGETHER),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            resets: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let accepting = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (shared, tls) = (shared.clone(), tls.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => serve(shared, stream).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    serve(shared, stream).await;
                                }
                            }
                        }
                    });
                }
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until this many streams have been reset by the other side.
    pub async fn resets(&self, streams: usize) {
        until("the stream is reset", async || {
            (self.shared.resets.load(Ordering::SeqCst) >= streams).then_some(())
        })
        .await;
    }
}

impl Drop for H2Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(shared: Arc<Shared>, stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
    let Ok(mut connection) = server::Builder::new()
        .max_concurrent_streams(shared.streams)
        .handshake::<_, Bytes>(stream)
        .await
    else {
        return;
    };
    shared.connections.fetch_add(1, Ordering::SeqCst);
    while let Some(Ok((request, respond))) = connection.accept().await {
        let number = shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
        shared.seen.lock().unwrap().push(Seen {
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        });
        if request.uri().path() == "/leaving" && number.is_multiple_of(10) {
            connection.graceful_shutdown();
        }
        let shared = shared.clone();
        tokio::spawn(async move {
            // An error is the other side's going away, which some tests are about.
            let _ = answer(&shared, number, request, respond).await;
        });
    }
}

async fn answer(
    shared: &Shared,
    number: usize,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let head = |kind: &str| {
        Response::builder()
            .header("content-type", kind)
            .body(())
            .unwrap()
    };
    match &*path {
        "/together" => {
            shared.together.wait().await;
            respond.send_response(head("text/plain"), true)?;
        }
        "/refused-once" if number == 1 => respond.send_reset(Reason::REFUSED_STREAM),
        "/echo" => {
            let mut answer = respond.send_response(head("text/plain"), false)?;
            while let Some(data) = body.data().await {
                let data = data?;
                body.flow_control().release_capacity(data.len())?;
                answer.send_data(data, false)?;
            }
            match body.trailers().await? {
                Some(trailers) => answer.send_trailers(trailers)?,
                None => answer.send_data(Bytes::new(), true)?,
            }
        }
        "/hang" => {
            let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            if reset.is_ok() {
                shared.resets.fetch_add(1, Ordering::SeqCst);
            }
        }
        "/shop.Cart/Fails" => {
            let mut answer = respond.send_response(head("application/grpc"), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "14".parse().unwrap());
            trailers.insert("grpc-message", "not today".parse().unwrap());
            answer.send_trailers(trailers)?;
        }
        "/grpc.health.v1.Health/Check" => {
            let mut answer = respond.send_response(head("application/grpc"), false)?;
            answer.send_data(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            answer.send_trailers(trailers)?;
        }
        _ => {
            let mut answer = respond.send_response(head("text/plain"), false)?;
            answer.send_data(Bytes::from_static(b"over h2"), true)?;
        }
    }
    Ok(())
}
