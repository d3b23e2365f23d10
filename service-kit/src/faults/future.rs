//! What a request that suffers goes through.

use super::body::{Stalled, Truncated};
use super::plan::Fault;
use super::reset::ResetConnection;
use crate::problem::Problem;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::sleep;
use tower_service::Service;

pin_project_lite::pin_project! {
    /// The future of [`FaultService`](super::FaultService). Only a request that suffers is boxed.
    #[project = FaultProjection]
    #[must_use = "futures do nothing unless polled"]
    pub enum FaultFuture<F, E> {
        // Nothing is injected.
        #[doc(hidden)]
        Healthy { #[pin] answer: F },
        // A fault is.
        #[doc(hidden)]
        Suffering { answer: Pin<Box<dyn Future<Output = Result<Response, E>> + Send>> },
    }
}

impl<F, E> Future for FaultFuture<F, E>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            FaultProjection::Healthy { answer } => answer.poll(cx),
            FaultProjection::Suffering { answer } => answer.as_mut().poll(cx),
        }
    }
}

pub(super) async fn suffer<S, B>(
    fault: Fault,
    mut inner: S,
    request: Request<B>,
) -> Result<Response, S::Error>
where
    S: Service<Request<B>, Response = Response>,
{
    match fault {
        Fault::Status { status, after } => {
            wait(after).await;
            Ok(Problem::of(status)
                .detail("The service is failing on purpose: fault injection is on")
                .into_response())
        }
        Fault::Latency { delay } => {
            wait(delay).await;
            inner.call(request).await
        }
        Fault::Reset { after } => {
            wait(after).await;
            let mut response = StatusCode::BAD_GATEWAY.into_response();
            response.extensions_mut().insert(ResetConnection);
            Ok(response)
        }
        Fault::Truncate => Ok(inner
            .call(request)
            .await?
            .map(|body| Body::new(Truncated::new(body)))),
        Fault::Stall { delay } => Ok(inner
            .call(request)
            .await?
            .map(|body| Body::new(Stalled::new(body, delay)))),
    }
}

/// Even a sleep of nothing waits for the timer's next tick.
async fn wait(delay: std::time::Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}
