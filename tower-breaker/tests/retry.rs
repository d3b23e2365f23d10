//! The policy for tower's retries: which calls are made again, when, and what it costs the budget.

#![allow(clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::time::Instant;
use tokio_test::{assert_pending, task};
use tower::{
    Service, ServiceBuilder, ServiceExt,
    retry::{
        RetryLayer,
        budget::{Budget, TpsBudget},
    },
    service_fn,
};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer, Refused,
    classify::{Classify, ClassifyCall, Verdict},
    retry::{Backoff, BufferedBody, HttpRequests, RetryPolicy, TokenBudget, only_empty},
};
use tower_layer::Layer;

/// Answers what it is told to, one after the other, and remembers when it was asked.
struct Script<T> {
    answers: Arc<Mutex<VecDeque<T>>>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl<T> Clone for Script<T> {
    fn clone(&self) -> Self {
        Self {
            answers: self.answers.clone(),
            asked: self.asked.clone(),
        }
    }
}

impl<T> Script<T> {
    fn new(answers: impl IntoIterator<Item = T>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            asked: Arc::default(),
        }
    }

    fn next(&self) -> T {
        self.asked.lock().unwrap().push(Instant::now());
        self.answers.lock().unwrap().pop_front().unwrap()
    }

    fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn waits(&self) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap();
        asked.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

type Answer = Result<u32, BoxError>;

fn copies(request: &u32) -> Option<u32> {
    Some(*request)
}

fn failure() -> Answer {
    Err("down".into())
}

fn generous() -> Arc<TokenBudget> {
    Arc::new(TokenBudget::new(1_000, 1, 1).unwrap())
}

fn numbers(
    script: Script<Answer>,
) -> impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone {
    service_fn(move |_: u32| ready(script.next()))
}

#[test]
fn every_option_out_of_range_is_named_at_once() {
    let err = RetryPolicy::builder(copies)
        .max_attempts(0)
        .backoff(
            Backoff::exponential(Duration::from_secs(3_601))
                .factor(0.5)
                .max(Duration::ZERO),
        )
        .retry_after_at_most(Duration::from_secs(3_601))
        .build()
        .unwrap_err();
    let options: Vec<_> = err.problems().iter().map(|found| found.option()).collect();
    assert_eq!(
        options,
        [
            "max_attempts",
            "backoff.initial",
            "backoff.factor",
            "backoff.max",
            "retry_after_at_most"
        ]
    );
    let hour = Duration::from_secs(3_600);
    let longest = Backoff::exponential(hour).max(hour);
    let longest = RetryPolicy::builder(copies).backoff(longest);
    assert!(longest.retry_after_at_most(hour).build().is_ok());
    for (capacity, cost, refund, option) in [
        (0, 1, 0, "capacity"),
        (10, 0, 1, "cost"),
        (10, 11, 1, "cost"),
        (10, 1, 11, "refund"),
    ] {
        let err = TokenBudget::new(capacity, cost, refund).unwrap_err();
        assert!(err.problems().iter().any(|found| found.option() == option));
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_made_again_after_growing_waits_until_one_succeeds() {
    let run = async |seed| {
        let script = Script::new([failure(), failure(), failure(), Ok(7)]);
        let retry = RetryPolicy::builder(copies)
            .max_attempts(5)
            .backoff(Backoff::exponential(Duration::from_secs(1)))
            .budget(generous())
            .seed(seed)
            .build()
            .unwrap();
        let service = RetryLayer::new(retry.clone());
        let service = ServiceBuilder::new()
            .layer(service)
            .service(numbers(script.clone()));
        assert_eq!(service.oneshot(1).await.unwrap(), 7);
        assert_eq!(retry.snapshot().retries, 3);
        script.waits()
    };
    let waits = run(1).await;
    // The timer counts whole milliseconds.
    let slack = Duration::from_millis(1);
    for (wait, limit) in waits.iter().zip([1, 2, 4]) {
        assert!(*wait <= Duration::from_secs(limit) + slack, "{waits:?}");
    }
    assert_eq!(waits, run(1).await);
    assert_ne!(waits, run(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_attempted_as_often_as_it_may_be_and_no_more() {
    let script = Script::new([failure(), failure(), failure()]);
    let budget = generous();
    let retry = RetryPolicy::builder(copies)
        .budget(budget.clone())
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.clone()))
        .service(numbers(script.clone()));
    service.oneshot(1).await.unwrap_err();
    assert_eq!(script.calls(), 3);
    let snapshot = retry.snapshot();
    assert_eq!((snapshot.retries, snapshot.out_of_attempts), (2, 1));
    // What is not made again is not paid for.
    assert_eq!(budget.balance(), 998);
}

#[tokio::test(start_paused = true)]
async fn each_call_has_attempts_of_its_own() {
    let script = Script::new((0..30).map(|_| failure()));
    let retry = RetryPolicy::builder(copies)
        .budget(generous())
        .build()
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.clone()))
        .service(numbers(script.clone()));
    for call in 1..=10 {
        service.ready().await.unwrap().call(1).await.unwrap_err();
        assert_eq!(script.calls(), 3 * call);
    }
    assert_eq!(retry.snapshot().out_of_attempts, 10);
}

#[tokio::test(start_paused = true)]
async fn with_the_budget_used_up_failures_are_passed_on_at_once() {
    let script = Script::new((0..12).map(|_| failure()).chain([Ok(1), failure(), Ok(2)]));
    let budget = Arc::new(TokenBudget::new(5, 1, 1).unwrap());
    let retry = RetryPolicy::builder(copies)
        .budget(budget.clone())
        .build()
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.clone()))
        .service(numbers(script.clone()));
    let mut call = async || {
        let begun = Instant::now();
        let result = service.ready().await.unwrap().call(1).await;
        (result.is_ok(), begun.elapsed())
    };
    // Two retries each, then one, then none.
    for _ in 0..7 {
        assert!(!call().await.0);
    }
    assert_eq!((script.calls(), budget.balance()), (12, 0));
    let snapshot = retry.snapshot();
    assert_eq!((snapshot.retries, snapshot.out_of_budget), (5, 5));
    assert_eq!(snapshot.out_of_attempts, 2);
    // A success buys one retry, and the success of that another.
    assert_eq!(call().await, (true, Duration::ZERO));
    assert_eq!(budget.balance(), 1);
    assert!(call().await.0);
    assert_eq!((script.calls(), budget.balance()), (15, 1));
}

#[test]
fn a_policy_that_never_waits_needs_no_timer() {
    let script = Script::new([failure(), failure(), Ok(7)]);
    let retry = RetryPolicy::builder(copies)
        .backoff(Backoff::exponential(Duration::ZERO).max(Duration::ZERO))
        .build()
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry))
        .service(numbers(script.clone()));
    let answer = task::spawn(service.call(1)).poll();
    assert_eq!(tokio_test::assert_ready_ok!(answer), 7);
}

#[tokio::test(start_paused = true)]
async fn towers_own_budget_is_kept_to() {
    let script = Script::new((0..1_000).map(|_| failure()));
    // None a second, and half of what succeeded.
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 0, 0.5));
    for _ in 0..20 {
        budget.deposit();
    }
    let retry = RetryPolicy::builder(copies)
        .max_attempts(100)
        .backoff(Backoff::exponential(Duration::ZERO).max(Duration::ZERO))
        .budget(budget)
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.clone()))
        .service(numbers(script.clone()));
    service.clone().oneshot(1).await.unwrap_err();
    assert_eq!(script.calls(), 11);
    service.oneshot(1).await.unwrap_err();
    assert_eq!(script.calls(), 12);
    assert_eq!(retry.snapshot().out_of_budget, 2);
}

#[tokio::test(start_paused = true)]
async fn threads_never_take_out_more_than_there_is() {
    let budget = Arc::new(TokenBudget::new(10_000, 3, 1).unwrap());
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| (0..5_000).filter(|_| budget.withdraw()).count()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!((taken, budget.balance()), (3_333, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_never_made_again_unless_asked_for() {
    let bulkhead = Bulkhead::builder("full").max_concurrent(1).build().unwrap();
    let _full = bulkhead.try_acquire().unwrap();
    // A classifier that takes everything for a failure does not change that.
    let everything = |_: Result<&u32, &BoxError>| Verdict::Failure;
    let retry = RetryPolicy::builder(copies)
        .classify(everything)
        .budget(generous())
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.clone()))
        .layer(BulkheadLayer::new(bulkhead.clone()))
        .service(service_fn(async |_: u32| Ok::<u32, BoxError>(1)));
    service.oneshot(1).await.unwrap_err();
    assert_eq!((retry.snapshot().refused, retry.snapshot().retries), (1, 0));
    assert_eq!(bulkhead.snapshot().refused.full, 1);

    let retry = RetryPolicy::builder(copies)
        .budget(generous())
        .retry_refusals(|refused: &Refused| refused.name() == "full")
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.clone()))
        .layer(BulkheadLayer::new(bulkhead.clone()))
        .service(service_fn(async |_: u32| Ok::<u32, BoxError>(1)));
    service.oneshot(1).await.unwrap_err();
    let snapshot = retry.snapshot();
    assert_eq!((snapshot.retries, snapshot.out_of_attempts), (2, 1));
    assert_eq!(bulkhead.snapshot().refused.full, 4);
}

#[tokio::test(start_paused = true)]
async fn towers_load_shed_is_a_refusal_too() {
    let retry = RetryPolicy::builder(copies).build().unwrap();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.clone()))
        .load_shed()
        .concurrency_limit(1)
        .service(service_fn(async |_: u32| {
            std::future::pending::<Result<u32, Infallible>>().await
        }));
    let mut first = task::spawn(service.clone().oneshot(1));
    assert_pending!(first.poll());
    service.oneshot(2).await.unwrap_err();
    assert_eq!((retry.snapshot().refused, retry.snapshot().retries), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_while_it_waits_is_not_made_again() {
    let script = Script::new([failure(), Ok(1)]);
    let budget = generous();
    let retry = RetryPolicy::builder(copies)
        .backoff(Backoff::exponential(Duration::from_secs(60)).max(Duration::from_secs(60)))
        .budget(budget.clone())
        .seed(1)
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry))
        .service(numbers(script.clone()));
    let mut call = task::spawn(service.oneshot(1));
    assert_pending!(call.poll());
    drop(call);
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!((script.calls(), budget.balance()), (1, 999));
}

/// Says that it is busy for so many seconds, in a protocol of its own.
#[derive(Clone, Copy)]
struct Busy;

impl Classify<u32, u32, BoxError> for Busy {
    type Call = Self;

    fn begin(&self, _: &u32) -> Self {
        *self
    }
}

impl ClassifyCall<u32, BoxError> for Busy {
    fn verdict(self, result: Result<&u32, &BoxError>) -> Verdict {
        match result {
            Ok(0) => Verdict::Success,
            _ => Verdict::Failure,
        }
    }

    fn retry_after(&self, result: Result<&u32, &BoxError>) -> Option<Duration> {
        result
            .ok()
            .map(|seconds| Duration::from_secs((*seconds).into()))
    }
}

#[tokio::test(start_paused = true)]
async fn any_protocol_may_ask_to_be_left_alone() {
    let script = Script::new([Ok(3), Ok(0), Ok(6)]);
    let retry = RetryPolicy::builder(copies)
        .classify(Busy)
        .backoff(Backoff::exponential(Duration::from_millis(500)))
        .budget(generous())
        .build()
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.clone()))
        .service(numbers(script.clone()));
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 0);
    let wait = script.waits()[0];
    let range = Duration::from_secs(3)..=Duration::from_millis(3_501);
    assert!(range.contains(&wait), "{wait:?}");
    // More than the 5 s that are heeded by default.
    let begun = Instant::now();
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 6);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(retry.snapshot().asked_to_wait_too_long, 1);
}

type Page = Response<String>;

fn page(status: u16, headers: &[(&str, String)]) -> Page {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(String::new()).unwrap()
}

/// Sends a request to a server that answers with these, and gives the status, the calls and the waits.
async fn send(
    request: Request<Full<Bytes>>,
    answers: impl IntoIterator<Item = Page>,
) -> (StatusCode, usize, Vec<Duration>) {
    let script = Script::new(answers);
    let retry = RetryPolicy::http()
        .backoff(Backoff::exponential(Duration::ZERO).max(Duration::ZERO))
        .budget(generous())
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry))
        .service(service_fn(|_: Request<Full<Bytes>>| {
            ready(Ok::<_, Infallible>(script.next()))
        }));
    let response = service.oneshot(request).await.unwrap();
    (response.status(), script.calls(), script.waits())
}

fn request(method: Method) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from("body")));
    *request.method_mut() = method;
    request
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_sent_twice_is() {
    for (method, calls) in [
        (Method::GET, 2),
        (Method::HEAD, 2),
        (Method::OPTIONS, 2),
        (Method::TRACE, 2),
        (Method::PUT, 2),
        (Method::DELETE, 2),
        (Method::POST, 1),
        (Method::PATCH, 1),
        (Method::CONNECT, 1),
        (Method::from_bytes(b"PURGE").unwrap(), 1),
    ] {
        let answers = [page(503, &[]), page(200, &[])];
        let sent = send(request(method.clone()), answers).await;
        assert_eq!(sent.1, calls, "{method}");
    }
    let mut post = request(Method::POST);
    post.headers_mut()
        .insert("idempotency-key", "\"8e03978e\"".parse().unwrap());
    let sent = send(post, [page(503, &[]), page(200, &[])]).await;
    assert_eq!((sent.0.as_u16(), sent.1), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn only_failures_of_the_server_are_made_again() {
    for (status, calls) in [
        (200, 1),
        (404, 1),
        (409, 1),
        (501, 1),
        (429, 2),
        (500, 2),
        (502, 2),
        (503, 2),
        (504, 2),
    ] {
        let answers = [page(status, &[]), page(200, &[])];
        assert_eq!(
            send(request(Method::GET), answers).await.1,
            calls,
            "{status}"
        );
    }
    // A refusal that a guard in this process has answered.
    let mut refused = page(503, &[]);
    let bulkhead = Bulkhead::builder("full").max_concurrent(1).build().unwrap();
    let _permit = bulkhead.try_acquire().unwrap();
    refused
        .extensions_mut()
        .insert(bulkhead.try_acquire().unwrap_err());
    let sent = send(request(Method::GET), [refused, page(200, &[])]).await;
    assert_eq!((sent.0.as_u16(), sent.1), (503, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_a_response_is_known_whatever_the_classifier_says() {
    let bulkhead = Bulkhead::builder("full").max_concurrent(1).build().unwrap();
    let _permit = bulkhead.try_acquire().unwrap();
    let by_status = |result: Result<&Page, &Infallible>| match result {
        Ok(page) if page.status().is_success() => Verdict::Success,
        _ => Verdict::Failure,
    };
    let behind = BulkheadLayer::new(bulkhead.clone())
        .respond()
        .layer(service_fn(|_: Request<Full<Bytes>>| {
            ready(Ok::<_, Infallible>(page(200, &[])))
        }));
    let retry = RetryPolicy::http()
        .classify(by_status)
        .budget(generous())
        .build()
        .unwrap();
    let service = RetryLayer::new(retry.clone()).layer(behind.clone());
    let response = service.oneshot(request(Method::GET)).await;
    assert_eq!(response.unwrap().status(), 503);
    let snapshot = retry.snapshot();
    assert_eq!((snapshot.retries, snapshot.refused), (0, 1));

    let endpoints = RetryPolicy::http()
        .retry_refusals(|refused| refused.name() == "full")
        .budget(generous())
        .build()
        .unwrap();
    let service = RetryLayer::new(endpoints.clone()).layer(behind);
    let response = service.oneshot(request(Method::GET)).await;
    assert_eq!(response.unwrap().status(), 503);
    let snapshot = endpoints.snapshot();
    assert_eq!((snapshot.retries, snapshot.out_of_attempts), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_up_to_the_most_that_is_heeded() {
    let seconds = |text: &str| page(503, &[("retry-after", text.to_owned())]);
    let sent = send(request(Method::GET), [seconds("5"), page(200, &[])]).await;
    assert_eq!(sent.2, [Duration::from_secs(5)]);
    for too_long in ["6", "99999999999999999999999"] {
        let begun = Instant::now();
        let sent = send(request(Method::GET), [seconds(too_long)]).await;
        assert_eq!((sent.0.as_u16(), sent.1), (503, 1), "{too_long}");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
    let sent = send(request(Method::GET), [seconds("soon"), page(200, &[])]).await;
    assert_eq!(sent.2, [Duration::ZERO]);

    // A date, by the server's own clock.
    let at = |seconds| {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_000_000);
        let date = |at| httpdate::fmt_http_date(at);
        let until = date(now + Duration::from_secs(seconds));
        page(
            503,
            &[("date", date(now)), (header::RETRY_AFTER.as_str(), until)],
        )
    };
    let sent = send(request(Method::GET), [at(4), page(200, &[])]).await;
    assert_eq!(sent.2, [Duration::from_secs(4)]);
    assert_eq!(send(request(Method::GET), [at(60)]).await.1, 1);
}

#[tokio::test(start_paused = true)]
async fn a_grpc_server_may_forbid_another_attempt() {
    // gRFC A6: a number of milliseconds; anything else, such as -1, forbids it.
    for (pushback, calls) in [("10", 2), ("-1", 1), ("soon", 1), ("", 1), ("+5", 1)] {
        let unavailable = page(
            200,
            &[
                ("grpc-status", "14".into()),
                ("grpc-retry-pushback-ms", pushback.into()),
            ],
        );
        let script = Script::new([unavailable, page(200, &[])]);
        let retry = RetryPolicy::builder(HttpRequests::new().allow(|_, _, _| true))
            .classify(tower_breaker::classify::Grpc)
            .budget(generous())
            .build()
            .unwrap();
        let service = ServiceBuilder::new()
            .layer(RetryLayer::new(retry.clone()))
            .service(service_fn(|_: Request<Full<Bytes>>| {
                ready(Ok::<_, Infallible>(script.next()))
            }));
        service.oneshot(request(Method::POST)).await.unwrap();
        assert_eq!(script.calls(), calls, "{pushback:?}");
        assert_eq!(retry.snapshot().forbidden, 2 - calls as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_is_the_same_request() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let retry = RetryPolicy::builder(HttpRequests::new().allow(|method, uri, headers| {
        method == Method::POST && uri.path() == "/search" && headers.contains_key("x-mark")
    }))
    .backoff(Backoff::exponential(Duration::ZERO).max(Duration::ZERO))
    .budget(generous())
    .build()
    .unwrap();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry))
        .service(service_fn({
            let seen = seen.clone();
            move |request: Request<Full<Bytes>>| {
                let seen = seen.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let extension = head.extensions.get::<&str>().copied();
                    let mark = head.headers["x-mark"].to_str().unwrap().to_owned();
                    let line = format!("{} {} {:?}", head.method, head.uri, head.version);
                    seen.lock().unwrap().push((line, mark, extension, body));
                    Err::<Response<String>, BoxError>("reset".into())
                }
            }
        }));
    let request = Request::post("http://stock/search?q=1")
        .version(http::Version::HTTP_2)
        .header("x-mark", "7")
        .extension("carried along")
        .body(Full::new(Bytes::from("apples")))
        .unwrap();
    service.oneshot(request).await.unwrap_err();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].0, "POST http://stock/search?q=1 HTTP/2.0");
    assert_eq!(
        (seen[0].1.as_str(), seen[0].2),
        ("7", Some("carried along"))
    );
    assert!(seen.iter().all(|other| *other == seen[0]));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_streams_is_not_sent_twice_and_an_empty_one_is() {
    let script = Script::new([page(503, &[]), page(200, &[]), page(503, &[])]);
    let retry = RetryPolicy::builder(HttpRequests::bodies(only_empty::<axum::body::Body>))
        .classify(tower_breaker::classify::HttpStatus)
        .budget(generous())
        .build()
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.clone()))
        .service(service_fn(|_: Request<axum::body::Body>| {
            ready(Ok::<_, Infallible>(script.next()))
        }));
    let get = Request::get("/").body(axum::body::Body::empty()).unwrap();
    let response = service.ready().await.unwrap().call(get).await.unwrap();
    assert_eq!((response.status().as_u16(), script.calls()), (200, 2));
    let put = Request::put("/").body(axum::body::Body::from("x")).unwrap();
    let response = service.ready().await.unwrap().call(put).await.unwrap();
    assert_eq!((response.status().as_u16(), script.calls()), (503, 3));
    assert_eq!(retry.snapshot().not_replayable, 1);
}

fn stream(
    frames: Vec<Result<Frame<Bytes>, &'static str>>,
) -> impl Body<Data = Bytes, Error = &'static str> + Unpin {
    StreamBody::new(Iter(frames.into_iter()))
}

/// A stream of what is there already.
struct Iter<I>(I);

impl<I: Iterator + Unpin> futures_core::Stream for Iter<I> {
    type Item = I::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<I::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}

fn data(text: &'static str) -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::from(text)))
}

#[tokio::test]
async fn a_body_within_the_limit_is_read_once_and_sent_as_often_as_needed() {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-checksum", "9".parse().unwrap());
    let frames = vec![
        data("one"),
        data(""),
        data("two"),
        Ok(Frame::trailers(trailers)),
    ];
    let body = BufferedBody::read(stream(frames), 6).await.unwrap();
    let copy = body.copy().unwrap();
    for body in [body, copy] {
        // Not exact: HTTP/1 sends no trailers after a body of announced length.
        assert_eq!(
            (body.size_hint().lower(), body.size_hint().upper()),
            (6, None)
        );
        assert!(!body.is_end_stream());
        let collected = body.collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-checksum"], "9");
        assert_eq!(collected.to_bytes(), "onetwo");
    }
    let plain = BufferedBody::read(stream(vec![data("one")]), 3).await;
    assert!(!plain.unwrap().is_end_stream());
    let empty = BufferedBody::read(stream(vec![]), 0).await.unwrap();
    assert!(empty.is_end_stream() && empty.copy().is_some());
    assert_eq!(empty.size_hint().exact(), Some(0));
}

#[tokio::test]
async fn a_body_beyond_the_limit_goes_on_as_it_comes() {
    let frames = vec![data("one"), data("two"), data("three"), Err("reset")];
    let mut body = BufferedBody::read(stream(frames), 5).await.unwrap();
    assert!(body.copy().is_none());
    assert_eq!(body.size_hint().lower(), 6);
    assert_eq!(body.size_hint().upper(), None);
    let next = body.frame().await.unwrap().unwrap();
    assert_eq!(next.into_data().unwrap(), "onetwo");
    let next = body.frame().await.unwrap().unwrap();
    assert_eq!(next.into_data().unwrap(), "three");
    assert_eq!(body.frame().await.unwrap().unwrap_err(), "reset");

    // One that fails while it is read says so.
    let frames = vec![data("one"), Err("reset")];
    let failed = BufferedBody::read(stream(frames), 5).await;
    assert_eq!(failed.err(), Some("reset"));

    // One that is too long by its own account is not touched.
    let long = Full::new(Bytes::from("seven letters"));
    let body = BufferedBody::read(long, 5).await.unwrap();
    assert!(body.copy().is_none());
    assert_eq!(body.size_hint().exact(), Some(13));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "seven letters");
}

#[tokio::test(start_paused = true)]
async fn a_buffered_body_is_what_a_retry_sends_again() {
    let retry = RetryPolicy::builder(HttpRequests::bodies(BufferedBody::<Full<Bytes>>::copy))
        .budget(generous())
        .build()
        .unwrap();
    let seen = Mutex::new(Vec::new());
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry))
        .service(service_fn(
            async |request: Request<BufferedBody<Full<Bytes>>>| {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                seen.lock().unwrap().push(body);
                Err::<Response<String>, BoxError>("reset".into())
            },
        ));
    let body = BufferedBody::read(Full::new(Bytes::from("all")), 3).await;
    let request = Request::put("/").body(body.unwrap()).unwrap();
    service.oneshot(request).await.unwrap_err();
    assert_eq!(*seen.lock().unwrap(), ["all", "all", "all"]);
}
