//! Permits that last to the end of the response's body: every way in which a body may end, and what stands around.

#![allow(clippy::unwrap_used)]

mod ends;
mod layer;
mod stack;
mod stalls;
mod tunnels;
mod wire;

#[path = "../scripted/mod.rs"]
mod scripted;

use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service, ServiceExt};
use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, bulkhead::end_of_body::PermitBody};

fn bulkhead(max_concurrent: usize) -> Bulkhead {
    Bulkhead::builder("files")
        .max_concurrent(max_concurrent)
        .build()
        .unwrap()
}

fn in_flight(bulkhead: &Bulkhead) -> usize {
    bulkhead.snapshot().in_flight
}

/// The body of one guarded call, its head received.
async fn call<S, B>(bulkhead: &Bulkhead, service: S) -> PermitBody<B>
where
    S: Service<Request<()>, Response = Response<B>, Error = BoxError>,
    B: Body,
{
    BulkheadLayer::new(bulkhead.clone())
        .until_end_of_body()
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap()
        .into_body()
}
