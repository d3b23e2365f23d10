//! What passes a check, and what does not.

use bytes::Bytes;
use gateway::config::model::{HealthKind, Protocol};
use http::{Method, Version};
use tokio::time::Instant;

use crate::support::{
    checks::{TIMEOUT, config, http, start},
    endpoints::{Endpoint, Network},
    server::Mood,
};

fn grpc() -> HealthKind {
    HealthKind::Grpc("shop.Cart".into())
}

/// One check; why it did not pass, or nothing.
async fn check(kind: HealthKind, protocol: Protocol, mood: Mood) -> String {
    let network = Network::default();
    let endpoint = Endpoint::new(1);
    network.mood(&endpoint, mood);
    let checked = start(config(kind), protocol, network, &[&endpoint]);
    let began = Instant::now();
    let mut report = checked.report().endpoints();
    while report.iter().all(|one| one.last_check.is_none()) {
        tokio::time::sleep(TIMEOUT / 100).await;
        report = checked.report().endpoints();
    }
    assert!(began.elapsed() <= TIMEOUT * 11 / 10);
    let error = checked.last_error();
    assert_eq!(endpoint.said(), [error.is_empty()]);
    error
}

#[tokio::test(start_paused = true)]
async fn http_is_well_with_2xx_and_nothing_else() {
    for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Auto] {
        for status in [200, 204, 299] {
            assert_eq!(check(http(), protocol, Mood::Status(status)).await, "");
        }
        for status in [301, 404, 500, 503] {
            let error = check(http(), protocol, Mood::Status(status)).await;
            assert!(error.starts_with(&format!("answers {status}")), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_read_to_its_end_or_to_a_bound() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for length in [0, 1000, 64 * 1024, 10 << 20] {
            assert_eq!(check(http(), protocol, Mood::Body(length)).await, "");
        }
    }
    for (mood, why) in [
        (Mood::Truncates, "HTTP/1.1: "),
        (Mood::Stalls, "no answer within 1s"),
    ] {
        let error = check(http(), Protocol::Http1, mood).await;
        assert!(error.starts_with(why), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_hangs_refuses_or_talks_rubbish_is_not_well() {
    for (mood, why) in [
        (Mood::Hangs, "no answer within 1s"),
        (Mood::Refuses, "cannot connect: connection refused"),
        (Mood::Garbage, "HTTP"),
    ] {
        for (kind, protocol) in [
            (http(), Protocol::Http1),
            (http(), Protocol::Http2),
            (grpc(), Protocol::Http2),
        ] {
            let error = check(kind, protocol, mood).await;
            assert!(error.starts_with(why), "{mood:?}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_is_well_when_the_service_is_serving() {
    for (mood, why) in [
        (Mood::Serving(1), ""),
        (Mood::Serving(0), "the service says UNKNOWN"),
        (Mood::Serving(2), "the service says NOT_SERVING"),
        (Mood::Serving(3), "the service says SERVICE_UNKNOWN"),
        (Mood::Grpc("5"), "answers gRPC status 5 (NOT_FOUND)"),
        (Mood::Grpc("12"), "answers gRPC status 12 (UNIMPLEMENTED)"),
        (Mood::Grpc("0"), "an answer that is no HealthCheckResponse"),
        (Mood::Status(404), "answers 404 Not Found"),
        (Mood::Status(200), "does not speak gRPC"),
        (Mood::Body(200_000), "does not speak gRPC"),
    ] {
        assert_eq!(check(grpc(), Protocol::Http2, mood).await, why);
    }
}

async fn request(
    kind: HealthKind,
    protocol: Protocol,
    mood: Mood,
) -> (http::request::Parts, Bytes) {
    let network = Network::default();
    let endpoint = Endpoint::new(1);
    network.mood(&endpoint, mood);
    let _checked = start(config(kind), protocol, network.clone(), &[&endpoint]);
    endpoint.until(true).await;
    let seen = network.seen().remove(0);
    (seen.head, seen.body)
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_asked_by_its_own_name() {
    let (head, _) = request(http(), Protocol::Http1, Mood::Status(200)).await;
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.uri, "/health?deep");
    assert_eq!(head.headers["host"], "shop.test:8080");
    assert_eq!(head.headers["connection"], "close");
    assert_eq!(head.headers["user-agent"], "gateway-health-check");

    let (head, _) = request(http(), Protocol::Http2, Mood::Status(200)).await;
    assert_eq!(head.version, Version::HTTP_2);
    assert_eq!(head.uri, "http://shop.test:8080/health?deep");
}

#[tokio::test(start_paused = true)]
async fn grpc_asks_for_the_service() {
    let (head, body) = request(grpc(), Protocol::Http2, Mood::Serving(1)).await;
    assert_eq!((head.method, head.version), (Method::POST, Version::HTTP_2));
    assert_eq!(
        head.uri,
        "http://shop.test:8080/grpc.health.v1.Health/Check"
    );
    assert_eq!(head.headers["content-type"], "application/grpc");
    assert_eq!(head.headers["te"], "trailers");
    assert_eq!(head.headers["grpc-timeout"], "1000m");
    assert_eq!(body[..], *b"\0\0\0\0\x0b\x0a\x09shop.Cart");
}
