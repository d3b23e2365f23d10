//! A client that stops in the middle of its body is not waited for.

use crate::BoxError;
use crate::problem::Problem;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body::{Frame, SizeHint};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

#[derive(Debug, Clone, Copy)]
pub(super) struct BodyTimeoutLayer {
    limit: Option<Duration>,
}

impl BodyTimeoutLayer {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for BodyTimeoutLayer {
    type Service = BodyTimeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BodyTimeout {
            inner,
            limit: self.limit,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct BodyTimeout<S> {
    inner: S,
    limit: Option<Duration>,
}

impl<S> Service<Request<Body>> for BodyTimeout<S>
where
    S: Service<Request<Body>, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BodyTimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let limit = self.limit.filter(|_| !request.body().is_end_stream());
        let Some(limit) = limit else {
            return BodyTimeoutFuture {
                answer: self.inner.call(request),
                passed: None,
            };
        };
        let passed = Arc::new(AtomicBool::new(false));
        let request = request.map(|body| {
            Body::new(Watched {
                body,
                limit,
                timer: None,
                passed: passed.clone(),
            })
        });
        BodyTimeoutFuture {
            answer: self.inner.call(request),
            passed: Some(passed),
        }
    }
}

pin_project_lite::pin_project! {
    pub(super) struct BodyTimeoutFuture<F> {
        #[pin]
        answer: F,
        passed: Option<Arc<AtomicBool>>,
    }
}

impl<F, E> Future for BodyTimeoutFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx))?;
        let passed = this
            .passed
            .as_ref()
            .is_some_and(|passed| passed.load(Relaxed));
        let status = answer.status();
        // Whatever the handler made of the broken body; one that had no need of the rest has its say.
        if passed && (status.is_client_error() || status.is_server_error()) {
            let mut response = Problem::request_timeout().into_response();
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
            return Poll::Ready(Ok(response));
        }
        Poll::Ready(Ok(answer))
    }
}

pin_project_lite::pin_project! {
    /// A body that fails when nothing of it has come for the limit.
    struct Watched {
        #[pin]
        body: Body,
        limit: Duration,
        // Only while a frame is waited for.
        #[pin]
        timer: Option<Sleep>,
        passed: Arc<AtomicBool>,
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            if this.timer.is_some() {
                this.timer.set(None);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if this.timer.is_none() {
            this.timer.set(Some(sleep(*this.limit)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        this.passed.store(true, Relaxed);
        Poll::Ready(Some(Err(Box::new(BodyTimedOut))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The rest of the request's body did not come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyTimedOut;

impl fmt::Display for BodyTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rest of the body did not arrive in time")
    }
}

impl std::error::Error for BodyTimedOut {}
