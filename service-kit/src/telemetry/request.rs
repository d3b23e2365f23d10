//! What is noted about every request: trace context, one log event, count and latency.

use super::RouteName;
use super::request_metrics::RequestMetrics;
use super::trace_context::{self, TraceContext};
use axum::extract::MatchedPath;
use axum::response::Response;
use http::{Method, Request, StatusCode};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Span;

/// Makes every request part of a trace and notes how it was answered.
#[derive(Clone)]
pub(crate) struct TelemetryLayer {
    shared: Arc<Shared>,
}

struct Shared {
    listener: Listener,
    metrics: RequestMetrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    Public,
    /// Polled by machines every few seconds: logged at debug, not counted.
    Ops,
}

impl TelemetryLayer {
    pub fn public() -> Self {
        Self::of(Listener::Public)
    }

    pub fn ops() -> Self {
        Self::of(Listener::Ops)
    }

    fn of(listener: Listener) -> Self {
        Self {
            shared: Arc::new(Shared {
                listener,
                metrics: RequestMetrics::new(),
            }),
        }
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = Telemetry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Telemetry {
            inner,
            shared: self.shared.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Telemetry<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, B> Service<Request<B>> for Telemetry<S>
where
    S: Service<Request<B>, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = TelemetryFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let trace = TraceContext::from_headers(request.headers());
        let span = match self.shared.listener {
            Listener::Public => tracing::info_span!("request", trace_id = %trace),
            Listener::Ops => Span::none(),
        };
        request.extensions_mut().insert(trace.clone());
        let note = Note {
            shared: self.shared.clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            name: None,
            method: request.method().clone(),
            trace: trace.clone(),
            started: Instant::now(),
            status: None,
        };
        if note.shared.listener == Listener::Public {
            note.shared.metrics.begun();
        }
        // The handler's future is often made of parts that look at the context when they are made, not when polled.
        let answer = trace_context::enter(&trace, || span.in_scope(|| self.inner.call(request)));
        TelemetryFuture {
            answer,
            trace,
            span,
            note: Some(note),
        }
    }
}

pin_project_lite::pin_project! {
    pub(crate) struct TelemetryFuture<F> {
        #[pin]
        answer: F,
        trace: TraceContext,
        span: Span,
        note: Option<Note>,
    }
}

impl<F, E> Future for TelemetryFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = this.answer;
        let polled = trace_context::enter(this.trace, || this.span.in_scope(|| answer.poll(cx)));
        let answer = ready!(polled);
        if let Some(mut note) = this.note.take()
            && let Ok(response) = &answer
        {
            note.status = Some(response.status());
            note.name = response.extensions().get::<RouteName>().cloned();
        }
        Poll::Ready(answer)
    }
}

/// Written down when dropped, so that a request whose client went away is noted too.
struct Note {
    shared: Arc<Shared>,
    route: Option<MatchedPath>,
    name: Option<RouteName>,
    method: Method,
    trace: TraceContext,
    started: Instant,
    status: Option<StatusCode>,
}

impl Drop for Note {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let route = match (&self.name, &self.route) {
            (Some(name), _) => &*name.0,
            (None, Some(template)) => template.as_str(),
            (None, None) => "(unknown path)",
        };
        let (method, trace_id) = (self.method.as_str(), &self.trace);
        let status = self.status.map_or(0, |status| status.as_u16());
        let latency_ms = elapsed.as_micros() as f64 / 1_000.0;
        let outcome = if self.status.is_some() {
            "answered"
        } else {
            "client went away"
        };
        match self.shared.listener {
            Listener::Ops => {
                tracing::debug!(target: "access", method, route, status, latency_ms, %trace_id, "{outcome}");
            }
            Listener::Public => {
                tracing::info!(target: "access", method, route, status, latency_ms, %trace_id, "{outcome}");
                self.shared
                    .metrics
                    .record(&self.method, route, self.status, elapsed);
                self.shared.metrics.ended();
            }
        }
    }
}
