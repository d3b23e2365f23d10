//! The breaker in whole stacks: tower's `ServiceBuilder` with a time-out, and axum's `Router::layer`.

#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    BoxError, CircuitBreaker, CircuitBreakerLayer, Reason, Refused, State, classify::HttpStatus,
    http::ErrorResponseLayer,
};

fn breaker(failures: u32) -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(failures)
        .open_for(Duration::from_secs(10))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_time_out_inside_opens_the_circuit_and_a_trial_closes_it() {
    let hangs = Arc::new(AtomicBool::new(true));
    let calls = Arc::new(AtomicU32::new(0));
    let breaker = breaker(2);
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .timeout(Duration::from_secs(1))
        .service(service_fn({
            let (hangs, calls) = (hangs.clone(), calls.clone());
            move |_: ()| {
                calls.fetch_add(1, Ordering::Relaxed);
                let hangs = hangs.load(Ordering::Relaxed);
                async move {
                    if hangs {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, Infallible>("stocked")
                }
            }
        }));

    for _ in 0..2 {
        let err = service.clone().oneshot(()).await.unwrap_err();
        assert!(err.is::<tower::timeout::error::Elapsed>(), "{err}");
    }
    assert_eq!(breaker.state(), State::Open);

    let err: BoxError = service.clone().oneshot(()).await.unwrap_err();
    let refused = Refused::find(&*err).unwrap();
    assert_eq!(refused.name(), "stock");
    assert_eq!(refused.reason(), Reason::CircuitOpen);
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(10)));
    assert_eq!(
        err.to_string(),
        "`stock` refused the call: the circuit is open; retry in 10s"
    );
    assert_eq!(
        calls.load(Ordering::Relaxed),
        2,
        "a refused call does not reach the service"
    );

    hangs.store(false, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(service.clone().oneshot(()).await.unwrap(), "stocked");
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_time_out_outside_opens_the_circuit_too() {
    let breaker = breaker(2);
    let service = ServiceBuilder::new()
        .timeout(Duration::from_secs(1))
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .service(service_fn(|_: ()| {
            std::future::pending::<Result<(), Infallible>>()
        }));
    for _ in 0..2 {
        service.clone().oneshot(()).await.unwrap_err();
    }
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().abandoned, 2);
}

async fn body(response: Response<Body>) -> serde_json::Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn respond_fits_into_axums_router_without_an_error_handler() {
    let breaker = breaker(1);
    let mut app = Router::new()
        .route("/", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .layer(
            CircuitBreakerLayer::new(breaker.clone())
                .classify(HttpStatus)
                .respond(),
        );

    let request = || Request::get("/").body(Body::empty()).unwrap();
    let first = app
        .as_service()
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap();
    assert_eq!(first.status(), StatusCode::INTERNAL_SERVER_ERROR);
    tokio::time::advance(Duration::from_millis(500)).await;
    let refused: Response<Body> = app
        .as_service()
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "10");
    assert_eq!(
        refused.headers()[header::CONTENT_TYPE],
        "application/problem+json"
    );
    let problem = body(refused).await;
    assert_eq!(problem["status"], 503);
    assert_eq!(
        problem["detail"],
        "`stock`: the circuit is open; retry in 10 s"
    );
}

#[tokio::test(start_paused = true)]
async fn error_response_makes_a_stack_with_a_time_out_infallible() {
    let breaker = breaker(1);
    let app: Router = Router::new()
        .route("/", get(|| async { std::future::pending::<()>().await }))
        .layer(
            ServiceBuilder::new()
                .layer(ErrorResponseLayer::new())
                .layer(CircuitBreakerLayer::new(breaker.clone()))
                .timeout(Duration::from_secs(1)),
        );
    let request = || Request::get("/").body(Body::empty()).unwrap();
    let late = app.clone().oneshot(request()).await.unwrap();
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
    let refused = app.oneshot(request()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body(refused).await["title"], "Service Unavailable");
}

#[tokio::test]
async fn an_unknown_error_becomes_a_502_that_does_not_tell_its_text() {
    let service = ServiceBuilder::new()
        .layer(ErrorResponseLayer::new())
        .service(service_fn(|_: ()| async {
            Err::<Response<String>, BoxError>("cannot connect to 10.1.2.3:8080".into())
        }));
    let response = service.oneshot(()).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(!response.body().contains("10.1.2.3"));
}
