//! The one place where the guards around the calls of a route are put together.

use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use tower::{
    BoxError, Service, ServiceBuilder, retry::RetryLayer, service_fn, timeout::TimeoutLayer,
};
use tower_breaker::{
    BulkheadLayer, CircuitBreakerLayer, FallbackLayer, Refused,
    classify::{HttpOverload, HttpStatus},
    fallback::Happened,
};

use super::{
    body::{Outgoing, RequestBodyError, ResponseBody},
    endpoints::NoneAvailable,
    hedge::HedgeLayer,
    maybe::MaybeLayer,
    retry,
    upstream::{
        Local,
        send::{Patience, send},
    },
    verdict::Judge,
};
use crate::config::model::{Fallback, Policy};

/// Everything around the calls of one route to an upstream, outermost first; what is not configured is not there.
///
/// 1. fallback: what is answered instead of a refusal or a failure
/// 2. bulkhead: how many calls may be under way, each to the end of its answer's body
/// 3. breaker: no calls to an upstream that is not well, as [`Judge`] sees it, to the end of the body
/// 4. retry: another attempt, of what may be sent again, within a budget
/// 5. hedge: a second attempt beside a slow one, within the same budget
/// 6. time-out: of one attempt, to the head of its answer
/// 7. balancer, the endpoint's own breaker, connection ([`send`])
///
/// All of it is typed and is of one thread. The innermost call is in a box (0144), none around it is.
pub fn stack(
    policy: &Policy,
    retry: Option<&retry::Policy>,
    upstream: Rc<Local>,
) -> impl Service<
    Request<Outgoing>,
    Response = Response<ResponseBody<impl Body<Data = Bytes, Error = BoxError> + 'static>>,
    Error = BoxError,
    Future: 'static,
> + Clone
+ 'static {
    let name = upstream.shared.config.name.clone();
    let fallback = policy.fallback.clone().map(|fallback| {
        let Fallback {
            on_refused,
            on_failed,
            ..
        } = fallback;
        FallbackLayer::http(name)
            .on(move |result: Result<&Response<_>, &BoxError>| {
                replaces(on_refused, on_failed, result)
            })
            .answer(move |_: Happened<_, _>| degraded(&fallback))
    });
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
    let patience = Patience {
        head: policy.timeout,
        body: policy.body_idle_timeout,
    };
    let hedge = policy.hedge.as_ref().zip(policy.retry.as_ref()).zip(retry);
    let hedge =
        hedge.map(|((hedge, rules), retry)| HedgeLayer::new(hedge, rules, retry.budget().clone()));
    ServiceBuilder::new()
        .option_layer(fallback)
        .map_response(|response: Response<_>| response.map(ResponseBody::upstream))
        .layer(MaybeLayer(bulkhead))
        .layer(MaybeLayer(breaker))
        .option_layer(retry.cloned().map(RetryLayer::new))
        .option_layer(hedge)
        .option_layer(policy.timeout.map(TimeoutLayer::new))
        // The one box on the way: what is in it is some two kilobytes, and each guard around it would move them.
        .service(service_fn(move |request| {
            Box::pin(send(upstream.clone(), request, patience))
        }))
}

fn replaces<B>(on_refused: bool, on_failed: bool, result: Result<&Response<B>, &BoxError>) -> bool {
    match result {
        Ok(response) => on_failed && HttpStatus::is_failure(response.status()),
        Err(error) if Refused::find(&**error).is_some() || error.is::<NoneAvailable>() => {
            on_refused
        }
        Err(error) => on_failed && RequestBodyError::find(&**error).is_none(),
    }
}

fn degraded<B>(fallback: &Fallback) -> Result<Response<ResponseBody<B>>, BoxError> {
    let mut response = Response::new(ResponseBody::whole(fallback.body.clone()));
    *response.status_mut() = fallback.status;
    let kind = fallback.content_type.clone();
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
