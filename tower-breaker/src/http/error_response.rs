use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::error_response;
use crate::BoxError;

/// Turns every error of a stack into a response, so that the stack is infallible. Put it outermost.
///
/// See [`error_response`] for which error gives which response. It differs from a guard's `.respond()`, which answers only
/// that guard's refusals, in that nothing gets past it, and from axum's `HandleErrorLayer` in that it needs no handler.
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use tower::ServiceBuilder;
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, http::ErrorResponseLayer};
///
/// let breaker = CircuitBreaker::builder("shop").consecutive_failures(5).build()?;
/// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(
///     ServiceBuilder::new()
///         .layer(ErrorResponseLayer::new())
///         .layer(CircuitBreakerLayer::new(breaker))
///         .timeout(Duration::from_secs(1)),
/// );
/// # let _ = app;
/// # Ok::<(), tower_breaker::BoxError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ErrorResponseLayer;

impl ErrorResponseLayer {
    /// The layer. It has no options.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for ErrorResponseLayer {
    type Service = ErrorResponse<S>;

    fn layer(&self, inner: S) -> ErrorResponse<S> {
        ErrorResponse {
            inner,
            failed: None,
        }
    }
}

/// The service that [`ErrorResponseLayer`] makes.
#[derive(Debug)]
pub struct ErrorResponse<S> {
    inner: S,
    // A failed `poll_ready` cannot answer; the next `call` does.
    failed: Option<BoxError>,
}

impl<S: Clone> Clone for ErrorResponse<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            failed: None,
        }
    }
}

impl<S, Req, B> Service<Req> for ErrorResponse<S>
where
    S: Service<Req, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: From<String>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = ErrorResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.failed.is_none() {
            if let Err(err) = ready!(self.inner.poll_ready(cx)) {
                self.failed = Some(err.into());
            }
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let state = match self.failed.take() {
            Some(err) => State::Failed { err: Some(err) },
            None => State::Running {
                inner: self.inner.call(request),
            },
        };
        ErrorResponseFuture { state }
    }
}

pin_project! {
    /// The future of [`ErrorResponse`].
    #[derive(Debug)]
    pub struct ErrorResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F> {
        Running { #[pin] inner: F },
        Failed { err: Option<BoxError> },
    }
}

impl<F, B, E> Future for ErrorResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: From<String>,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let err = match self.project().state.project() {
            StateProj::Running { inner } => match ready!(inner.poll(cx)) {
                Ok(response) => return Poll::Ready(Ok(response)),
                Err(err) => err.into(),
            },
            StateProj::Failed { err } => match err.take() {
                Some(err) => err,
                // Polled again after it finished: a future may do anything but misbehave.
                None => return Poll::Pending,
            },
        };
        Poll::Ready(Ok(error_response(&*err)))
    }
}
