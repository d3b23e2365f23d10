//! The classifiers of tower-http, at the head and at the end of the body.

#![allow(clippy::unwrap_used)]

use std::{convert::Infallible, future::ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    BoxError, CircuitBreaker, CircuitBreakerLayer, State,
    classify::{Classify, ClassifyBody, ClassifyEnd, FromTowerHttp, Head},
    http::refused_response,
};
use tower_http::classify::{
    ClassifyResponse, GrpcCode, GrpcErrorsAsFailures, ServerErrorsAsFailures, SharedClassifier,
    StatusInRangeAsFailures,
};

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .build()
        .unwrap()
}

/// Answers with the status that it is asked for.
fn statuses()
-> impl Service<Request<u16>, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send> + Clone
{
    service_fn(|request: Request<u16>| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::from_u16(request.into_body()).unwrap();
        ready(match response.status() {
            StatusCode::IM_A_TEAPOT => Err("no coffee".into()),
            _ => Ok(response),
        })
    })
}

#[tokio::test]
async fn at_the_head_what_the_head_tells_counts() {
    let breaker = breaker();
    let service = CircuitBreakerLayer::new(breaker.clone())
        .classify(FromTowerHttp(ServerErrorsAsFailures::make_classifier()))
        .layer(statuses());
    for status in [200, 404, 429] {
        service.clone().oneshot(Request::new(status)).await.unwrap();
        assert_eq!(breaker.state(), State::Closed, "{status}");
    }
    service.clone().oneshot(Request::new(501)).await.unwrap();
    assert_eq!(breaker.state(), State::Open);
    breaker.reset();
    service.oneshot(Request::new(418)).await.unwrap_err();
    assert_eq!(breaker.state(), State::Open, "an error is a failure");
}

#[tokio::test]
async fn at_the_end_too() {
    let breaker = breaker();
    let range = StatusInRangeAsFailures::new(400..=499).into_make_classifier();
    let service = CircuitBreakerLayer::new(breaker.clone())
        .classify(FromTowerHttp(range))
        .until_end_of_body()
        .layer(statuses());
    service.clone().oneshot(Request::new(500)).await.unwrap();
    assert_eq!(breaker.snapshot().succeeded, 1, "the body was at its end");
    service.oneshot(Request::new(404)).await.unwrap();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn grpcs_needs_the_end() {
    let codes = GrpcErrorsAsFailures::new().with_success(GrpcCode::NotFound);
    let answer = |status: Request<&'static str>| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(status.into_body()));
        let body = Full::new(Bytes::from("message"))
            .with_trailers(ready(Some(Ok::<_, Infallible>(trailers))));
        ready(Ok::<_, BoxError>(Response::new(body)))
    };
    for (code, state) in [
        ("0", State::Closed),
        ("5", State::Closed),
        ("1", State::Open),
        ("14", State::Open),
    ] {
        let breaker = breaker();
        let layer = CircuitBreakerLayer::new(breaker.clone())
            .classify(FromTowerHttp(SharedClassifier::new(codes.clone())));

        let service = layer.clone().layer(service_fn(answer));
        service.oneshot(Request::new(code)).await.unwrap();
        assert_eq!(breaker.snapshot().succeeded, 1, "the head cannot tell");

        let service = layer.until_end_of_body().layer(service_fn(answer));
        let response = service.oneshot(Request::new(code)).await.unwrap();
        assert_eq!(breaker.state(), State::Closed);
        response.into_body().collect().await.unwrap();
        assert_eq!(breaker.state(), state, "{code}");
    }
}

#[tokio::test]
async fn a_body_that_fails_is_a_failure_even_where_the_head_was_enough_for_tower_http() {
    let breaker = breaker();
    let service = CircuitBreakerLayer::new(breaker.clone())
        .classify(FromTowerHttp(ServerErrorsAsFailures::make_classifier()))
        .until_end_of_body()
        .layer(service_fn(|_: Request<()>| {
            let body = Full::new(Bytes::from("half"))
                .map_err(|never| match never {})
                .with_trailers(ready(Some(Err::<HeaderMap, BoxError>("reset".into()))));
            ready(Ok::<_, BoxError>(Response::new(body)))
        }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    response.into_body().collect().await.unwrap_err();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_refusal_further_in_is_ignored() {
    let breaker = breaker();
    let inner = CircuitBreaker::builder("inner")
        .consecutive_failures(1)
        .build()
        .unwrap();
    inner.force_open();
    let refused = inner.try_acquire().unwrap_err();
    let service = CircuitBreakerLayer::new(breaker.clone())
        .classify(FromTowerHttp(ServerErrorsAsFailures::make_classifier()))
        .until_end_of_body()
        .layer(service_fn(move |request: Request<bool>| {
            ready(if request.into_body() {
                Ok(refused_response::<String>(&refused))
            } else {
                Err(BoxError::from(refused.clone()))
            })
        }));
    service.clone().oneshot(Request::new(true)).await.unwrap();
    service.oneshot(Request::new(false)).await.unwrap_err();
    assert_eq!(
        (breaker.state(), breaker.snapshot().ignored),
        (State::Closed, 2)
    );
}

#[test]
fn trailers_matter_where_the_head_has_left_something_open() {
    fn reads_trailers<K: ClassifyResponse + Clone>(classify: K) -> bool {
        let layered = FromTowerHttp(SharedClassifier::new(classify));
        let call =
            Classify::<_, Response<Full<Bytes>>, BoxError>::begin(&layered, &Request::new(()));
        match ClassifyBody::<_, BoxError>::head(call, &Response::new(Full::<Bytes>::default())) {
            Head::AtEnd(end) => ClassifyEnd::<BoxError>::reads_trailers(&end),
            Head::Known(verdict) => panic!("{verdict:?}"),
        }
    }
    assert!(reads_trailers(GrpcErrorsAsFailures::new()));
    assert!(!reads_trailers(ServerErrorsAsFailures::new()));
}
