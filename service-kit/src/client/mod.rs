//! The HTTP client for calls between services: pooled, streaming, a plain `tower::Service`.

mod connect;
mod json;

pub use json::{JsonError, json};

use crate::BoxError;
use crate::telemetry::trace_context::{self, TraceContext};
use axum::body::Body;
use connect::connector;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// How the client keeps and makes connections.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientSettings {
    /// Bound for making a connection.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Below the 30 s after which our services close an idle one, so that the
    /// pool does not hand out connections that are about to be closed.
    pub pool_idle: Duration,
    /// Unused connections kept for the upstream.
    pub pool_max_idle: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            pool_idle: Duration::from_secs(20),
            pool_max_idle: 256,
        }
    }
}

impl ClientSettings {
    /// Reads the optional keys `connect_timeout`, `pool_idle` and `pool_max_idle`.
    pub fn read(section: &mut crate::config::Section<'_>) -> Self {
        let default = Self::default();
        let idle = section.integer("pool_max_idle", default.pool_max_idle as i64, 0..=65_536);
        Self {
            connect_timeout: section.duration(
                "connect_timeout",
                default.connect_timeout,
                Duration::from_millis(1)..=Duration::from_secs(600),
            ),
            pool_idle: section.duration(
                "pool_idle",
                default.pool_idle,
                Duration::ZERO..=Duration::from_secs(3600),
            ),
            pool_max_idle: usize::try_from(idle).unwrap_or(default.pool_max_idle),
        }
    }
}

/// A client of one upstream. Clones share the connection pool.
///
/// The path and query of a request are appended to the base's path; scheme and host are the base's, whatever the
/// request says. `traceparent` is set from the request's [`TraceContext`] extension or the one of the current task.
/// A request that found its pooled connection closed before anything was sent is tried again on a fresh connection
/// (hyper-util does it); nothing else is ever retried here.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpConnector, Body>,
    base: Arc<Base>,
}

#[derive(Debug)]
struct Base {
    uri: Uri,
    /// The base's path without its trailing slash.
    prefix: String,
}

impl HttpClient {
    /// A client of the upstream at `base`, such as `http://127.0.0.1:8081`.
    pub fn new(base: Uri, settings: ClientSettings) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.pool_idle)
            .pool_max_idle_per_host(settings.pool_max_idle)
            .retry_canceled_requests(true)
            .build(connector(settings.connect_timeout));
        let prefix = base.path().trim_end_matches('/').to_owned();
        Self {
            client,
            base: Arc::new(Base { uri: base, prefix }),
        }
    }

    /// The upstream's base address.
    pub fn base(&self) -> &Uri {
        &self.base.uri
    }
}

impl Base {
    fn join(&self, target: &Uri) -> Result<Uri, http::Error> {
        let path = target.path_and_query().map_or("/", PathAndQuery::as_str);
        let mut parts = self.uri.clone().into_parts();
        let joined = match (self.prefix.as_str(), path) {
            ("", path) => path.parse()?,
            (prefix, path) => format!("{prefix}{path}").parse()?,
        };
        parts.path_and_query = Some(joined);
        Ok(Uri::from_parts(parts)?)
    }
}

impl Service<Request<Body>> for HttpClient {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.base.join(request.uri()) {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => {
                return ResponseFuture {
                    inner: Inner::Failed(Some(error.into())),
                };
            }
        }
        // The upstream's own name, not the one our caller used for us.
        request.headers_mut().remove(header::HOST);
        *request.version_mut() = http::Version::HTTP_11;
        let extension = request.extensions().get::<TraceContext>().cloned();
        if let Some(context) = extension.or_else(trace_context::current) {
            set_trace(&mut request, &context);
        }
        ResponseFuture {
            inner: Inner::Calling(self.client.request(request)),
        }
    }
}

fn set_trace(request: &mut Request<Body>, context: &TraceContext) {
    let headers = request.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&context.traceparent()) {
        headers.insert(trace_context::TRACEPARENT, value);
    }
    match context.tracestate() {
        Some(state) => {
            headers.insert(trace_context::TRACESTATE, state.clone());
        }
        None => {
            headers.remove(trace_context::TRACESTATE);
        }
    }
}

/// The future of an [`HttpClient`] call.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture {
    inner: Inner,
}

enum Inner {
    Calling(hyper_util::client::legacy::ResponseFuture),
    Failed(Option<BoxError>),
}

impl Future for ResponseFuture {
    type Output = Result<Response<Incoming>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.inner {
            Inner::Calling(future) => Pin::new(future).poll(cx).map_err(Into::into),
            Inner::Failed(error) => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
        }
    }
}

impl std::fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
