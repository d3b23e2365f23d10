//! A typed client: asks an upstream for the resource with an id and reads the whole answer.
//!
//! It sits at the bottom of a stack, under the guards, so that they bound and judge the answer as a whole: a body that
//! stalls is a time-out, one that breaks off or makes no sense is a failure.

use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header::ACCEPT},
};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use service_kit::problem::Problem;
use tower::{BoxError, Service, util::BoxCloneSyncService};
use tower_breaker::classify::{AnyError, Classify, ClassifyCall, HttpStatus, Verdict};

/// The largest answer read. A product page is a few KiB; what is larger is no product page.
const LIMIT: usize = 1024 * 1024;

/// Which product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductId(pub u64);

/// A call that answers something about a product, through a whole stack.
pub type Query<T> = BoxCloneSyncService<ProductId, T, BoxError>;

/// Something an upstream has one of per product.
pub trait Resource: DeserializeOwned + Send + 'static {
    /// Where the upstream has it.
    fn path(id: ProductId) -> String;

    /// Whether the answer is what it should be, beyond being well-formed.
    fn makes_sense(&self) -> bool {
        true
    }
}

/// An upstream's answer about one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It has it.
    Found(T),
    /// It answered that there is none.
    Missing,
}

/// An answer that was of no use.
#[derive(Debug, thiserror::Error)]
pub enum UselessAnswer {
    /// A status other than success or "not there".
    #[error("the upstream answered with status {0}")]
    Status(StatusCode),
    /// A body that broke off, was too large, or was not the JSON expected.
    #[error("the upstream's answer could not be read")]
    Body(#[source] BoxError),
    /// Well-formed JSON of the wrong shape.
    #[error("the upstream's answer is not what was asked for")]
    Shape,
}

impl UselessAnswer {
    /// What the client is told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Status(StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT) => {
                Problem::gateway_timeout("A service this request depends on did not answer in time")
            }
            Self::Status(_) => {
                Problem::bad_gateway("A service this request depends on answered with an error")
            }
            Self::Body(_) | Self::Shape => Problem::bad_gateway(
                "A service this request depends on sent an answer that could not be read",
            ),
        }
    }
}

/// Judges the answers of a [`ResourceClient`]: by status as [`HttpStatus`] does, and an answer whose body was of no use is a
/// failure however good its status.
#[derive(Debug, Clone, Copy, Default)]
pub struct WholeAnswer;

impl<Req, Res> Classify<Req, Res, BoxError> for WholeAnswer {
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        *self
    }
}

impl<Res> ClassifyCall<Res, BoxError> for WholeAnswer {
    fn verdict(self, result: Result<&Res, &BoxError>) -> Verdict {
        match result.map_err(|error| error.downcast_ref::<UselessAnswer>()) {
            // An upstream that gave up waiting for something itself is as stuck as one that never answers.
            Err(Some(&UselessAnswer::Status(StatusCode::REQUEST_TIMEOUT))) => Verdict::Failure,
            Err(Some(&UselessAnswer::Status(status))) if !HttpStatus::is_failure(status) => {
                Verdict::Success
            }
            _ => ClassifyCall::<Res, BoxError>::verdict(AnyError, result),
        }
    }
}

/// Turns an HTTP client for an upstream into a client for one kind of resource.
#[derive(Debug)]
pub struct ResourceClient<S, T> {
    http: S,
    resource: PhantomData<fn() -> T>,
}

impl<S, T> ResourceClient<S, T> {
    /// A client that asks through `http`.
    pub fn new(http: S) -> Self {
        Self {
            http,
            resource: PhantomData,
        }
    }
}

impl<S: Clone, T> Clone for ResourceClient<S, T> {
    fn clone(&self) -> Self {
        Self::new(self.http.clone())
    }
}

impl<S, T> Service<ProductId> for ResourceClient<S, T>
where
    S: Service<Request<Body>, Response = Response<Incoming>, Error = BoxError>,
    S::Future: Send + 'static,
    T: Resource,
{
    type Response = Lookup<T>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Lookup<T>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx)
    }

    fn call(&mut self, id: ProductId) -> Self::Future {
        let request = Request::get(T::path(id))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .body(Body::empty());
        let call = request.map(|request| self.http.call(request));
        Box::pin(async move {
            let response = call?.await?;
            match response.status() {
                status if status.is_success() => {}
                StatusCode::NOT_FOUND => return Ok(Lookup::Missing),
                status => return Err(UselessAnswer::Status(status).into()),
            }
            let resource: T = service_kit::client::json(response, LIMIT)
                .await
                .map_err(|error| UselessAnswer::Body(error.into()))?;
            if resource.makes_sense() {
                Ok(Lookup::Found(resource))
            } else {
                Err(UselessAnswer::Shape.into())
            }
        })
    }
}
