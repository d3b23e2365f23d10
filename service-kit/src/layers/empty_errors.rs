//! Turns the router's own empty 404 into a problem.
//!
//! A router fallback would do the same, but a service that has a fallback of its own (a proxy) would lose it.

use crate::problem::Problem;
use axum::body::HttpBody;
use axum::extract::MatchedPath;
use axum::response::{IntoResponse, Response};
use futures_util::TryFutureExt;
use futures_util::future::{Either, MapOk};
use http::{Request, StatusCode, header};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

#[derive(Debug, Clone, Copy)]
pub(super) struct EmptyErrorsLayer;

impl<S> Layer<S> for EmptyErrorsLayer {
    type Service = EmptyErrors<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EmptyErrors { inner }
    }
}

#[derive(Debug, Clone)]
pub(super) struct EmptyErrors<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for EmptyErrors<S>
where
    S: Service<Request<B>, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, MapOk<S::Future, fn(Response) -> Response>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_routed = request.extensions().get::<MatchedPath>().is_some();
        let answer = self.inner.call(request);
        if is_routed {
            Either::Left(answer)
        } else {
            Either::Right(answer.map_ok(explain))
        }
    }
}

fn explain(response: Response) -> Response {
    let is_bare = response.status() == StatusCode::NOT_FOUND
        && response.body().is_end_stream()
        && !response.headers().contains_key(header::CONTENT_TYPE);
    if is_bare {
        Problem::unknown_path().into_response()
    } else {
        response
    }
}
