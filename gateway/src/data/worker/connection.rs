//! One client's connection.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use service_kit::{
    problem::Problem,
    runtime::own_errors::{Exchange, OwnErrors},
};
use tokio::net::TcpStream;
use tower::BoxError;

use super::{
    Front, Worker,
    detect::Protocol,
    front::Begun,
    io::{ClientIo, Patience},
    resets::Resets,
    streams::{Offered, Streams},
};
use crate::{
    config::model::Limits,
    data::{
        body::ResponseBody,
        headers::ConnectionFacts,
        proxy::{self, Stack},
        tls::Stream,
        upstream::pool::USUAL_HEADERS,
    },
};

/// What is known of a connection.
#[derive(Debug)]
pub struct Facts {
    /// The other side's address.
    pub peer: IpAddr,
    /// What upstreams are told of it.
    pub forwarding: ConnectionFacts,
    requests_left: Option<Cell<u32>>,
}

impl Facts {
    fn new(peer: IpAddr, forwarding: ConnectionFacts, limits: &Limits) -> Self {
        Self {
            peer,
            forwarding,
            requests_left: limits.requests_per_connection.map(Cell::new),
        }
    }

    fn begin_request(&self) {
        if let Some(left) = &self.requests_left {
            left.set(left.get().saturating_sub(1));
        }
    }

    /// Whether this was the last request that the connection may carry.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.requests_left
            .as_ref()
            .is_some_and(|left| left.get() == 0)
    }
}

/// How long a client may take to accept some of an answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// Serves a connection to its end.
pub(super) async fn serve<S, B>(
    worker: &Rc<Worker<S>>,
    stream: TcpStream,
    peer: IpAddr,
    front: &Front,
) where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError> + 'static,
{
    let limits = &worker.plane.limits;
    let forwarding = worker
        .forwarding
        .connection(Some(peer), front.tls.is_some());
    let facts = Rc::new(Facts::new(peer, forwarding, limits));
    // In a box, which is gone once the connection is idle.
    let mut beginning = Box::pin(front.begin(stream, limits.idle_timeout, limits.header_timeout));
    let begun = tokio::select! {
        biased;
        begun = beginning.as_mut() => begun,
        () = worker.signals.closing.cancelled() => {
            let Some(begun) = last_words(worker, beginning.as_mut()).await else {
                return;
            };
            begun
        }
    };
    drop(beginning);
    let Begun {
        stream,
        protocol,
        read_ahead,
    } = match begun {
        Ok(begun) => begun,
        Err(error) => {
            tracing::debug!(%error, %peer, listener = &*front.name, "a connection never began");
            return;
        }
    };
    match protocol {
        Protocol::Http1 => http1(worker, stream, read_ahead, facts).await,
        Protocol::Http2 => http2(worker, stream, read_ahead, facts).await,
    }
}

/// A client that has just connected has something to say: its first bytes may be under way when the drain begins, or lie there unread
/// because it was accepted at that moment. To close on it then would fail a request.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// What a client still begins with once the drain has begun. `None`: nothing that should be answered.
async fn last_words<S, T>(worker: &Worker<S>, beginning: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        begun = tokio::time::timeout(FIRST_WORDS, beginning) => begun.ok(),
        () = worker.signals.limit.cancelled() => None,
    }
}

async fn http1<S, B>(worker: &Rc<Worker<S>>, stream: Stream, read_ahead: Bytes, facts: Rc<Facts>)
where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError> + 'static,
{
    let limits = &worker.plane.limits;
    let exchange = Exchange::default();
    let patience = Patience {
        head: Some(limits.header_timeout),
        idle: limits.idle_timeout,
        write: WRITE_PATIENCE,
    };
    let io = ClientIo::new(stream, read_ahead, exchange.clone(), patience);
    let io = TokioIo::new(OwnErrors::new(io, exchange.clone()));
    let service = service_fn(|request| {
        let turn = exchange.begin();
        answer(worker, &facts, request, Some(turn))
    });
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes + LONGEST_LINE);
    if limits.headers != USUAL_HEADERS {
        builder.max_headers(limits.headers);
    }
    let connection = builder.serve_connection(io, service).with_upgrades();
    let mut connection = pin!(connection);
    // What has been read ahead must have been seen by hyper before it is told to end: it takes the connection for unused else.
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = worker.signals.closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = worker.signals.limit.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// What hyper takes of a request line. Whether a head is too large is decided when it is there: hyper could not say what of it is.
const LONGEST_LINE: usize = 72 << 10;

async fn http2<S, B>(worker: &Rc<Worker<S>>, stream: Stream, read_ahead: Bytes, facts: Rc<Facts>)
where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError> + 'static,
{
    let limits = &worker.plane.limits;
    let exchange = Exchange::default();
    let patience = Patience {
        head: None,
        idle: limits.idle_timeout,
        write: WRITE_PATIENCE,
    };
    let io = TokioIo::new(ClientIo::new(
        stream,
        read_ahead,
        exchange.clone(),
        patience,
    ));
    let resets = Resets::new(limits.http2.resets);
    let streams = Streams::new(WRITE_PATIENCE);
    let service = {
        let (worker, facts, resets) = (worker.clone(), facts.clone(), resets.clone());
        let streams = streams.clone();
        service_fn(move |request| {
            let turn = exchange.begin();
            let unanswered = resets.begin();
            let offer = streams.begin();
            let (worker, facts) = (worker.clone(), facts.clone());
            async move {
                let answer = answer(&worker, &facts, request, Some(turn)).await;
                unanswered.answered();
                answer.map(|answer| answer.map(|body| Offered::new(body, offer)))
            }
        })
    };
    let connection = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2.streams)
        .max_pending_accept_reset_streams(limits.http2.resets)
        .max_local_error_reset_streams(limits.http2.resets)
        .max_header_list_size(limits.http2.header_list)
        .initial_connection_window_size(limits.http2.window)
        .initial_stream_window_size(limits.http2.window)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = resets.used_up() => {
            tracing::debug!(peer = %facts.peer, "an HTTP/2 connection was closed: too many requests were reset before they were answered");
            return;
        }
        () = worker.signals.closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = worker.signals.limit.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP/2 connection ended early");
    }
}

/// Spawns on the worker's own thread.
#[derive(Debug, Clone, Copy)]
pub struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A panic costs its own request, not the connection.
///
/// Unwind safety: nothing of a request that panicked is used again; what it shares with others is in atomics and cells that a
/// panic leaves usable.
async fn answer<S, B>(
    worker: &Worker<S>,
    facts: &Facts,
    request: Request<Incoming>,
    turn: Option<service_kit::runtime::own_errors::Turn>,
) -> Result<Response<ResponseBody<B>>, Infallible>
where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError>,
{
    facts.begin_request();
    // Caught where it stays: a combinator would move the future into itself.
    let mut serving = pin!(proxy::serve(worker, facts, request, turn));
    let answered =
        poll_fn(
            |cx| match catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(cx))) {
                Ok(polled) => polled,
                Err(_) => Poll::Ready(proxy::answer(Problem::internal())),
            },
        );
    Ok(answered.await)
}
