//! The one place where the guards around the calls of a route are put together.

use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, Service, ServiceBuilder, service_fn, timeout::TimeoutLayer};
use tower_breaker::{BulkheadLayer, CircuitBreakerLayer, classify::HttpOverload};

use super::{
    body::Outgoing,
    maybe::MaybeLayer,
    upstream::{Local, send::send},
    verdict::Judge,
};
use crate::config::model::Policy;

/// Everything around the calls of one route to an upstream, outermost first; what is not configured is not there.
///
/// 1. bulkhead: how many calls may be under way, each to the end of its answer's body
/// 2. breaker: no calls to an upstream that is not well, as [`Judge`] sees it, to the end of the body
/// 3. retry: another attempt, of what may be sent again, within a budget
/// 4. time-out: of one attempt, to the head of its answer
/// 5. balancer, the endpoint's own breaker, connection ([`send`])
///
/// All of it is typed and is of one thread: no call is boxed.
pub fn stack(
    policy: &Policy,
    upstream: Rc<Local>,
) -> impl Service<
    Request<Outgoing>,
    Response = Response<impl Body<Data = Bytes, Error = BoxError> + 'static>,
    Error = BoxError,
    Future: 'static,
> + Clone
+ 'static {
    let bulkhead = policy.bulkhead.clone().map(|bulkhead| {
        BulkheadLayer::new(bulkhead)
            .classify(HttpOverload)
            .waiting()
            .until_end_of_body()
    });
    let breaker = policy.breaker.clone().map(|breaker| {
        CircuitBreakerLayer::new(breaker)
            .classify(Judge)
            .until_end_of_body()
    });
    let patience = policy.body_idle_timeout;
    ServiceBuilder::new()
        .layer(MaybeLayer(bulkhead))
        .layer(MaybeLayer(breaker))
        .option_layer(policy.timeout.map(TimeoutLayer::new))
        .service(service_fn(move |request| {
            send(upstream.clone(), request, patience)
        }))
}
