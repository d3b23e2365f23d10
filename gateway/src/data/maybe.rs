//! A guard that is there or not, and changes the type of the bodies.
//!
//! [`ServiceBuilder::option_layer`](tower::ServiceBuilder::option_layer) wants both ways to answer with the same type. A guard that holds on
//! until the end of a body answers with a body of its own.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// A layer that may not be there.
#[derive(Debug, Clone)]
pub struct MaybeLayer<L>(pub Option<L>);

impl<S, L: Layer<S>> Layer<S> for MaybeLayer<L> {
    type Service = Maybe<L::Service, S>;

    fn layer(&self, inner: S) -> Self::Service {
        match &self.0 {
            Some(layer) => Maybe::With(layer.layer(inner)),
            None => Maybe::Without(inner),
        }
    }
}

/// A service with or without the guard.
#[derive(Debug, Clone)]
pub enum Maybe<W, O> {
    /// With it.
    With(W),
    /// Without.
    Without(O),
}

impl<Req, W, O, X, Y> Service<Req> for Maybe<W, O>
where
    W: Service<Req, Response = Response<X>>,
    O: Service<Req, Response = Response<Y>, Error = W::Error>,
{
    type Response = Response<MaybeBody<X, Y>>;
    type Error = W::Error;
    type Future = MaybeFuture<W::Future, O::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), W::Error>> {
        match self {
            Self::With(service) => service.poll_ready(cx),
            Self::Without(service) => service.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Req) -> Self::Future {
        match self {
            Self::With(service) => MaybeFuture::With {
                call: service.call(request),
            },
            Self::Without(service) => MaybeFuture::Without {
                call: service.call(request),
            },
        }
    }
}

pin_project! {
    /// A call with or without the guard.
    #[project = MaybeFutureProjection]
    pub enum MaybeFuture<W, O> {
        /// With it.
        With { #[pin] call: W },
        /// Without.
        Without { #[pin] call: O },
    }
}

impl<W, O, X, Y, E> Future for MaybeFuture<W, O>
where
    W: Future<Output = Result<Response<X>, E>>,
    O: Future<Output = Result<Response<Y>, E>>,
{
    type Output = Result<Response<MaybeBody<X, Y>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            MaybeFutureProjection::With { call } => call
                .poll(cx)
                .map_ok(|response| response.map(|body| MaybeBody::With { body })),
            MaybeFutureProjection::Without { call } => call
                .poll(cx)
                .map_ok(|response| response.map(|body| MaybeBody::Without { body })),
        }
    }
}

pin_project! {
    /// A body that carries the guard or not.
    #[project = MaybeBodyProjection]
    pub enum MaybeBody<X, Y> {
        /// It does.
        With { #[pin] body: X },
        /// It does not.
        Without { #[pin] body: Y },
    }
}

impl<X, Y> Body for MaybeBody<X, Y>
where
    X: Body,
    Y: Body<Data = X::Data, Error = X::Error>,
{
    type Data = X::Data;
    type Error = X::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<X::Data>, X::Error>>> {
        match self.project() {
            MaybeBodyProjection::With { body } => body.poll_frame(cx),
            MaybeBodyProjection::Without { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::With { body } => body.is_end_stream(),
            Self::Without { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::With { body } => body.size_hint(),
            Self::Without { body } => body.size_hint(),
        }
    }
}
