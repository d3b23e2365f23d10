//! A handler that panics costs its own request, not the connection.

use crate::problem::Problem;
use axum::response::{IntoResponse, Response};
use futures_util::future::{CatchUnwind, FutureExt};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

#[derive(Debug, Clone, Copy)]
pub(super) struct CatchPanicLayer;

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CatchPanic { inner }
    }
}

#[derive(Debug, Clone)]
pub(super) struct CatchPanic<S> {
    inner: S,
}

impl<S, R> Service<R> for CatchPanic<S>
where
    S: Service<R, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = CatchPanicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    // Unwind safety: nothing of a request that panicked is used again; what it shares with others is behind locks and
    // atomics that a panic leaves usable.
    fn call(&mut self, request: R) -> Self::Future {
        match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(future) => CatchPanicFuture::Running {
                future: AssertUnwindSafe(future).catch_unwind(),
            },
            Err(_) => CatchPanicFuture::Panicked,
        }
    }
}

pin_project_lite::pin_project! {
    #[project = CatchPanicProjection]
    pub(super) enum CatchPanicFuture<F> {
        Running { #[pin] future: CatchUnwind<AssertUnwindSafe<F>> },
        Panicked,
    }
}

impl<F, E> Future for CatchPanicFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer: Result<Self::Output, Box<dyn Any + Send>> = match self.project() {
            CatchPanicProjection::Running { future } => ready!(future.poll(cx)),
            CatchPanicProjection::Panicked => {
                return Poll::Ready(Ok(Problem::internal().into_response()));
            }
        };
        Poll::Ready(answer.unwrap_or_else(|_| Ok(Problem::internal().into_response())))
    }
}

/// Sends panics to the log, with their place, instead of as raw text to stderr.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let payload = panic.payload();
        let literal = payload.downcast_ref::<&str>().copied();
        let what = literal
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let location = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(panic = what, location, "panicked");
    }));
}
