//! The classifiers for HTTP and gRPC, asked directly and at the head of a response.

#![allow(clippy::unwrap_used)]

use std::{future::ready, time::Duration};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, Error, Reason, State,
    classify::{
        AnyError, BodyErrors, ClassifyBody, ClassifyCall, ClassifyEnd, Grpc, Head, HttpStatus,
        TypedGuard, Verdict, WithBody, grpc_verdict,
    },
    http::refused_response,
};

type Body = Empty<&'static [u8]>;

fn response(status: u16, headers: &[(&'static str, &'static str)]) -> Response<Body> {
    let mut response = Response::new(Body::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = map(headers);
    response
}

fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for &(name, value) in headers {
        map.append(name, HeaderValue::from_static(value));
    }
    map
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .build()
        .unwrap()
}

fn head(response: &Response<Body>) -> Option<Verdict> {
    match ClassifyBody::<Body, BoxError>::head(Grpc, response) {
        Head::Known(verdict) => Some(verdict),
        Head::AtEnd(_) => None,
    }
}

fn grpc_wait(response: &Response<Body>) -> Option<Duration> {
    ClassifyCall::<Response<Body>, BoxError>::retry_after(&Grpc, Ok(response))
}

// --- gRPC ------------------------------------------------------------------------------------------------------------

#[test]
fn every_grpc_code_has_its_verdict() {
    use Verdict::{Failure as F, Ignore as I, Success as S};
    let table = [S, I, F, S, F, S, S, S, F, S, S, S, S, F, F, F, S];
    for (code, verdict) in (0..).zip(table) {
        assert_eq!(grpc_verdict(code), verdict, "{code}");
        // The names are tonic's, so that a slip in a number would show.
        assert_eq!(code, tonic::Code::from(code) as i32);
    }
    for code in [-1, 17, 99, i32::MAX, i32::MIN] {
        assert_eq!(grpc_verdict(code), Verdict::Failure, "{code}");
    }
    let names = [
        (tonic::Code::Unavailable, F),
        (tonic::Code::DeadlineExceeded, F),
        (tonic::Code::Internal, F),
        (tonic::Code::Unknown, F),
        (tonic::Code::DataLoss, F),
        (tonic::Code::ResourceExhausted, F),
        (tonic::Code::Cancelled, I),
    ];
    for (code, verdict) in names {
        assert_eq!(grpc_verdict(code as i32), verdict, "{code:?}");
    }
}

#[test]
fn a_trailers_only_response_is_judged_at_its_head() {
    assert_eq!(
        head(&response(200, &[("grpc-status", "0")])),
        Some(Verdict::Success)
    );
    assert_eq!(
        head(&response(200, &[("grpc-status", "5")])),
        Some(Verdict::Success)
    );
    assert_eq!(
        head(&response(200, &[("grpc-status", "14")])),
        Some(Verdict::Failure)
    );
    assert_eq!(
        head(&response(200, &[("grpc-status", "1")])),
        Some(Verdict::Ignore)
    );
    for nonsense in ["", "unavailable", "4294967296", "14 "] {
        let response = response(200, &[("grpc-status", nonsense)]);
        assert_eq!(
            head(&response),
            Some(Verdict::Failure),
            "{nonsense:?} is UNKNOWN"
        );
    }
    assert_eq!(head(&response(200, &[])), None, "the trailers will tell");
}

#[test]
fn an_http_status_stands_for_a_grpc_status_that_is_not_there() {
    for status in [401, 403, 404] {
        assert_eq!(
            head(&response(status, &[])),
            Some(Verdict::Success),
            "{status}"
        );
    }
    for status in [204, 301, 400, 408, 418, 429, 500, 501, 502, 503, 504] {
        assert_eq!(
            head(&response(status, &[])),
            Some(Verdict::Failure),
            "{status}"
        );
    }
    // The status that is there counts.
    assert_eq!(
        head(&response(503, &[("grpc-status", "5")])),
        Some(Verdict::Success)
    );
}

#[test]
fn trailers_without_a_status_and_a_body_that_fails_are_failures() {
    let end = |end: Result<Option<&HeaderMap>, &BoxError>| {
        let Head::AtEnd(judge) = ClassifyBody::<Body, BoxError>::head(Grpc, &response(200, &[]))
        else {
            panic!("the head cannot tell");
        };
        let wait = ClassifyEnd::<BoxError>::retry_after(&judge, end);
        (judge.end(end), wait)
    };
    let failure = (Verdict::Failure, None);
    assert_eq!(end(Ok(None)), failure);
    assert_eq!(end(Ok(Some(&map(&[("x", "y")])))), failure);
    assert_eq!(end(Err(&"reset".into())), failure);
    assert_eq!(end(Ok(Some(&map(&[("grpc-status", "14")])))), failure);
    let pushed_back = map(&[("grpc-status", "8"), ("grpc-retry-pushback-ms", "1500")]);
    let wait = Some(Duration::from_millis(1500));
    assert_eq!(end(Ok(Some(&pushed_back))), (Verdict::Failure, wait));
    let fine = map(&[("grpc-status", "0"), ("grpc-retry-pushback-ms", "1500")]);
    assert_eq!(end(Ok(Some(&fine))), (Verdict::Success, None));
}

#[test]
fn grpc_heeds_a_wait_in_the_head_of_a_failure() {
    let pushed_back = [("grpc-status", "14"), ("grpc-retry-pushback-ms", "20")];
    assert_eq!(
        grpc_wait(&response(200, &pushed_back)),
        Some(Duration::from_millis(20))
    );
    let from_a_proxy = response(503, &[("retry-after", "3")]);
    assert_eq!(grpc_wait(&from_a_proxy), Some(Duration::from_secs(3)));
    let never = [("grpc-status", "14"), ("grpc-retry-pushback-ms", "-1")];
    assert_eq!(grpc_wait(&response(200, &never)), None);
    assert_eq!(grpc_wait(&response(200, &[("retry-after", "3")])), None);
    assert_eq!(grpc_wait(&response(404, &[("retry-after", "3")])), None);
}

#[test]
fn a_response_made_of_a_refusal_is_ignored() {
    let breaker = breaker();
    breaker.force_open();
    let refused = breaker.try_acquire().unwrap_err();
    let response: Response<String> = refused_response(&refused);
    assert_eq!(
        ClassifyCall::<_, BoxError>::verdict(Grpc, Ok(&response)),
        Verdict::Ignore
    );
    assert_eq!(
        ClassifyCall::<Response<Body>, BoxError>::verdict(Grpc, Err(&refused.into())),
        Verdict::Ignore
    );
}

#[tokio::test]
async fn at_the_head_grpc_sees_what_can_be_seen_there() {
    let breaker = breaker();
    let service = CircuitBreakerLayer::new(breaker.clone())
        .classify(Grpc)
        .layer(service_fn(|response: Response<Body>| {
            ready(Ok::<_, BoxError>(response))
        }));
    service.clone().oneshot(response(200, &[])).await.unwrap();
    assert_eq!(breaker.snapshot().succeeded, 1);
    let unavailable = response(200, &[("grpc-status", "14")]);
    service.oneshot(unavailable).await.unwrap();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_permit_takes_a_verdict() {
    let breaker = breaker();
    for verdict in [Verdict::Success, Verdict::Ignore, Verdict::Failure] {
        breaker.try_acquire().unwrap().record(verdict);
    }
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.succeeded, snapshot.ignored, snapshot.failed),
        (1, 1, 1)
    );
    assert_eq!(snapshot.abandoned, 0);
}

// --- Retry-After -----------------------------------------------------------------------------------------------------

#[test]
fn classifiers_that_wrap_another_pass_its_hints_on() {
    let failed = response(503, &[("retry-after", "9")]);
    let nine = Some(Duration::from_secs(9));
    let result: Result<&_, &BoxError> = Ok(&failed);
    assert_eq!(HttpStatus.retry_after(result), nine);
    assert_eq!(WithBody(HttpStatus).retry_after(result), nine);
    let typed: Result<&_, &Error<BoxError>> = Ok(&failed);
    assert_eq!(TypedGuard(HttpStatus).retry_after(typed), nine);
    assert_eq!(AnyError.retry_after(result), None, "it does not look");
    assert_eq!(
        HttpStatus.retry_after(Err::<&Response<Body>, _>(&BoxError::from("down"))),
        None
    );
    let by_hand = |_: Result<&Response<Body>, &BoxError>| Verdict::Failure;
    assert_eq!(by_hand.retry_after(result), None);
}

#[test]
fn a_date_counts_from_the_responses_date() {
    let failed = response(
        503,
        &[
            ("date", "Sun, 06 Nov 1994 12:00:00 GMT"),
            ("retry-after", "Sun, 06 Nov 1994 12:00:42 GMT"),
        ],
    );
    let result: Result<&_, &BoxError> = Ok(&failed);
    assert_eq!(
        HttpStatus.retry_after(result),
        Some(Duration::from_secs(42))
    );
}

// --- typed guards further in -----------------------------------------------------------------------------------------

// Not an error, not even `Debug`, and not boxed.
#[derive(PartialEq)]
struct Down;

#[tokio::test]
async fn a_typed_refusal_over_an_error_of_any_type_is_ignored() {
    let outer = breaker();
    let bulkhead = Bulkhead::builder("stock")
        .max_concurrent(1)
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::new(outer.clone())
                .classify(TypedGuard(HttpStatus))
                .typed(),
        )
        .layer(BulkheadLayer::new(bulkhead.clone()).typed())
        .service(service_fn(|up: bool| {
            ready(if up {
                Ok(response(500, &[]))
            } else {
                Err(Down)
            })
        }));

    let full = bulkhead.try_acquire().unwrap();
    let Err(Error::Inner(Error::Refused(refused))) = service.clone().oneshot(false).await else {
        panic!("the bulkhead is full");
    };
    assert_eq!(refused.reason(), Reason::BulkheadFull);
    assert_eq!(
        (outer.state(), outer.snapshot().ignored),
        (State::Closed, 1)
    );
    drop(full);

    let answer = service.clone().oneshot(false).await;
    assert!(matches!(answer, Err(Error::Inner(Error::Inner(Down)))));
    assert_eq!(outer.state(), State::Open, "the inner error counts");

    outer.reset();
    assert!(service.oneshot(true).await.is_ok());
    assert_eq!(outer.state(), State::Open, "and so does the response");
}

#[tokio::test]
async fn a_typed_guard_further_in_leaves_the_end_of_the_body_to_the_classifier() {
    let outer = breaker();
    let inner = CircuitBreaker::builder("inner")
        .consecutive_failures(9)
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::new(outer.clone())
                .classify(TypedGuard(Grpc))
                .typed()
                .until_end_of_body(),
        )
        .layer(CircuitBreakerLayer::new(inner).typed())
        .service(service_fn(|_: Request<()>| {
            ready(Ok::<_, Down>(response(200, &[])))
        }));
    assert!(service.oneshot(Request::new(())).await.is_ok());
    assert_eq!(outer.state(), State::Open, "an empty body without trailers");
}

#[test]
fn a_judge_that_says_nothing_of_a_wait_asks_for_none() {
    let asks = map(&[("retry-after", "3")]);
    let error: BoxError = "reset".into();
    for end in [Ok(Some(&asks)), Ok(None), Err(&error)] {
        assert_eq!(ClassifyEnd::retry_after(&BodyErrors, end), None);
    }
}
