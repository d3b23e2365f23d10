//! The layer and its service.

use super::future::{FaultFuture, suffer};
use super::plan::Plan;
use super::{FaultSettings, FaultSwitch};
use axum::response::Response;
use http::Request;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Injects the faults of a [`FaultSettings`] while a [`FaultSwitch`] is on. Differs from a time-out or a limit in that
/// it is meant to hurt.
///
/// The kind `reset` closes the connection and works only under [`run`](crate::run) and
/// [`launch`](crate::runtime::launch), whose connections know its mark; elsewhere it is an empty 502.
#[derive(Debug, Clone)]
pub struct FaultLayer {
    plan: Arc<Plan>,
}

impl FaultLayer {
    /// A layer with its own dice, seeded as its rules say.
    pub fn new(settings: &FaultSettings, switch: &FaultSwitch) -> Self {
        Self {
            plan: Arc::new(Plan::new(settings, switch)),
        }
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FaultService {
            inner,
            plan: self.plan.clone(),
        }
    }
}

/// The service of [`FaultLayer`].
#[derive(Debug, Clone)]
pub struct FaultService<S> {
    inner: S,
    plan: Arc<Plan>,
}

impl<S, B> Service<Request<B>> for FaultService<S>
where
    S: Service<Request<B>, Response = Response> + Clone + Send + 'static,
    S::Future: Future<Output = Result<Response, S::Error>> + Send,
    S::Error: Send + 'static,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = FaultFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let fault = if self.plan.is_on() {
            self.plan.draw(request.uri().path())
        } else {
            None
        };
        match fault {
            None => FaultFuture::Healthy {
                answer: self.inner.call(request),
            },
            Some(fault) => {
                // The instance that was polled ready is the one to call.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                FaultFuture::Suffering {
                    answer: Box::pin(suffer(fault, inner, request)),
                }
            }
        }
    }
}
