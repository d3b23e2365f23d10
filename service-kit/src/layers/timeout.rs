//! A bound for the whole of a request, from its head to the head of its answer.

use crate::problem::Problem;
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

#[derive(Debug, Clone, Copy)]
pub(super) struct TimeoutLayer {
    limit: Option<Duration>,
}

impl TimeoutLayer {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout {
            inner,
            limit: self.limit,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Timeout<S> {
    inner: S,
    limit: Option<Duration>,
}

impl<S, R> Service<R> for Timeout<S>
where
    S: Service<R, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        TimeoutFuture {
            answer: self.inner.call(request),
            timer: self.limit.map(sleep),
        }
    }
}

pin_project_lite::pin_project! {
    pub(super) struct TimeoutFuture<F> {
        #[pin]
        answer: F,
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<F, E> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(answer) = this.answer.poll(cx) {
            return Poll::Ready(answer);
        }
        match this.timer.as_pin_mut().map(|timer| timer.poll(cx)) {
            Some(Poll::Ready(())) => {
                let problem =
                    Problem::unavailable("The service took too long to answer this request");
                Poll::Ready(Ok(problem.into_response()))
            }
            _ => Poll::Pending,
        }
    }
}
