//! Verdicts at the end of the response's body: every way in which a body may end, cancellation at every point, stalls, panics.

#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    Abandoned, BoxError, CircuitBreaker, CircuitBreakerLayer, Reason, Refused, SlowCallRate,
    Snapshot, State,
    breaker::end_of_body::{BodyError, JudgedBody, StallLimit, Stalled},
    classify::{
        BodyErrors, Classify, ClassifyCall, ErrorChain, Grpc, HttpStatus, Verdict, WithBody,
    },
};

mod scripted;

use scripted::{
    Script,
    Step::{Data, Fail, Panic, Trailers, Wait},
    answer, script, trailers, with_length,
};

const WAIT: Duration = Duration::from_secs(10);

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .open_for(WAIT)
        .on_abandoned(Abandoned::Ignore)
        .build()
        .unwrap()
}

/// (succeeded, failed, ignored, abandoned)
fn totals(breaker: &CircuitBreaker) -> (u64, u64, u64, u64) {
    let Snapshot {
        admitted,
        succeeded,
        failed,
        ignored,
        abandoned,
        ..
    } = breaker.snapshot();
    assert!(succeeded + failed + ignored + abandoned <= admitted);
    (succeeded, failed, ignored, abandoned)
}

const NOTHING: (u64, u64, u64, u64) = (0, 0, 0, 0);
const SUCCESS: (u64, u64, u64, u64) = (1, 0, 0, 0);
const FAILURE: (u64, u64, u64, u64) = (0, 1, 0, 0);
const IGNORED: (u64, u64, u64, u64) = (0, 0, 1, 0);
const ABANDONED: (u64, u64, u64, u64) = (0, 0, 0, 1);

/// The body of one guarded call, its head received.
async fn call(
    breaker: &CircuitBreaker,
    status: u16,
    body: Script,
) -> JudgedBody<Script, BodyErrors> {
    CircuitBreakerLayer::new(breaker.clone())
        .classify(HttpStatus)
        .until_end_of_body()
        .layer(answer(status, body))
        .oneshot(Request::new(()))
        .await
        .unwrap()
        .into_body()
}

// --- how a body may end ----------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_call_is_a_success_once_its_body_has_ended() {
    let breaker = breaker();
    let mut body = call(&breaker, 200, script(&[Data("one"), Wait, Data("two")])).await;
    for text in ["one", "two"] {
        assert_eq!(totals(&breaker), NOTHING);
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    assert_eq!(totals(&breaker), NOTHING, "it may not be all");
    assert!(body.frame().await.is_none());
    assert_eq!(totals(&breaker), SUCCESS);
    drop(body);
    assert_eq!(totals(&breaker), SUCCESS);
}

#[tokio::test]
async fn a_reader_that_knows_the_length_need_not_ask_for_the_end() {
    let breaker = breaker();
    let mut body = call(&breaker, 200, with_length(&[Data("one"), Data("two")])).await;
    body.frame().await.unwrap().unwrap();
    assert!(!body.is_end_stream());
    assert_eq!(totals(&breaker), NOTHING);
    body.frame().await.unwrap().unwrap();
    assert!(body.is_end_stream());
    assert_eq!(totals(&breaker), SUCCESS);
}

fn announced(length: &'static str, body: Script) -> impl Fn() -> Response<Script> + Clone {
    move || {
        let mut response = Response::new(body.clone());
        let length = HeaderValue::from_static(length);
        response.headers_mut().insert("content-length", length);
        response
    }
}

#[tokio::test]
async fn a_body_is_whole_when_all_that_was_announced_has_come() {
    // Length, how many frames are read before the body is dropped, and what that comes to.
    for (length, frames, expected) in [
        ("10", 0, ABANDONED),
        ("10", 1, ABANDONED),
        ("10", 2, SUCCESS),
        ("0", 0, SUCCESS),
        ("11", 2, ABANDONED),
        ("nonsense", 2, ABANDONED),
    ] {
        let breaker = breaker();
        let answer = announced(length, script(&[Data("hello"), Data("hello")]));
        let service = CircuitBreakerLayer::new(breaker.clone())
            .classify(HttpStatus)
            .until_end_of_body()
            .layer(service_fn(move |_: Request<()>| {
                ready(Ok::<_, BoxError>(answer()))
            }));
        let response = service.oneshot(Request::new(())).await.unwrap();
        let mut body = response.into_body();
        for _ in 0..frames {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        assert_eq!(totals(&breaker), expected, "{length}, {frames} frames");
    }
}

#[tokio::test]
async fn a_body_that_will_not_be_sent_need_not_be_read() {
    for (method, status, expected) in [
        ("HEAD", 200, SUCCESS),
        ("HEAD", 404, SUCCESS),
        ("HEAD", 503, FAILURE),
        ("GET", 204, SUCCESS),
        ("GET", 304, SUCCESS),
        ("GET", 200, ABANDONED),
    ] {
        let breaker = breaker();
        let service = CircuitBreakerLayer::new(breaker.clone())
            .classify(HttpStatus)
            .until_end_of_body()
            .layer(answer(status, script(&[Data("hello")])));
        let request = Request::builder().method(method).body(()).unwrap();
        drop(service.oneshot(request).await.unwrap());
        assert_eq!(totals(&breaker), expected, "{method} {status}");
    }
}

#[tokio::test]
async fn where_trailers_decide_the_announced_length_is_not_the_end() {
    let breaker = breaker();
    let answer = announced("5", script(&[Data("hello"), Trailers("0")]));
    let service = CircuitBreakerLayer::new(breaker.clone())
        .classify(Grpc)
        .until_end_of_body()
        .layer(service_fn(move |_: Request<()>| {
            ready(Ok::<_, BoxError>(answer()))
        }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(totals(&breaker), SUCCESS);
}

#[tokio::test]
async fn a_body_that_is_at_its_end_when_the_head_comes_is_judged_then() {
    let breaker = breaker();
    let body = call(&breaker, 204, with_length(&[])).await;
    assert!(body.is_end_stream());
    assert_eq!(totals(&breaker), SUCCESS);
    drop(body);
    assert_eq!(totals(&breaker), SUCCESS);
}

#[tokio::test]
async fn a_body_that_fails_is_a_failure() {
    for steps in [&[Fail][..], &[Data("half"), Wait, Fail]] {
        let breaker = breaker();
        let body = call(&breaker, 200, script(steps)).await;
        let err = body.collect().await.unwrap_err();
        assert_eq!(
            err.to_string(),
            "connection reset",
            "the inner error, as it was"
        );
        assert_eq!((breaker.state(), totals(&breaker)), (State::Open, FAILURE));
    }
}

#[tokio::test]
async fn a_head_that_is_a_failure_counts_at_once_and_once() {
    for steps in [&[Data("sorry")][..], &[Fail], &[]] {
        let breaker = breaker();
        let body = call(&breaker, 503, script(steps)).await;
        assert_eq!((breaker.state(), totals(&breaker)), (State::Open, FAILURE));
        let _ = body.collect().await;
        assert_eq!(totals(&breaker), FAILURE);
    }
    let breaker = breaker();
    drop(call(&breaker, 500, script(&[Data("sorry")])).await);
    assert_eq!(totals(&breaker), FAILURE, "and is not abandoned");
}

#[tokio::test]
async fn nothing_after_the_end_counts() {
    let breaker = breaker();
    let mut body = call(&breaker, 200, script(&[Trailers("0"), Fail, Data("late")])).await;
    body.frame().await.unwrap().unwrap();
    assert_eq!(totals(&breaker), SUCCESS);
    body.frame().await.unwrap().unwrap_err();
    body.frame().await.unwrap().unwrap();
    assert!(body.frame().await.is_none());
    assert!(body.frame().await.is_none());
    assert_eq!(totals(&breaker), SUCCESS);
}

#[tokio::test]
async fn an_error_without_a_response_is_judged_as_ever() {
    let breaker = breaker();
    let service = CircuitBreakerLayer::new(breaker.clone())
        .until_end_of_body()
        .layer(service_fn(|refuse: Request<bool>| {
            let err = match refuse.into_body() {
                true => tower::load_shed::error::Overloaded::new().into(),
                false => BoxError::from("no connection"),
            };
            ready(Err::<Response<Script>, _>(err))
        }));
    service
        .clone()
        .oneshot(Request::new(true))
        .await
        .unwrap_err();
    assert_eq!(totals(&breaker), IGNORED);
    service.oneshot(Request::new(false)).await.unwrap_err();
    assert_eq!(breaker.state(), State::Open);
}

// --- trailers --------------------------------------------------------------------------------------------------------

async fn grpc_call(breaker: &CircuitBreaker, body: Script) -> impl Body<Data = Bytes> + Unpin {
    CircuitBreakerLayer::new(breaker.clone())
        .classify(Grpc)
        .until_end_of_body()
        .layer(answer(200, body))
        .oneshot(Request::new(()))
        .await
        .unwrap()
        .into_body()
}

#[tokio::test]
async fn trailers_decide_and_pass_through() {
    for (status, expected) in [
        ("0", SUCCESS),
        ("5", SUCCESS),
        ("1", IGNORED),
        ("14", FAILURE),
    ] {
        let breaker = breaker();
        let mut body = grpc_call(&breaker, script(&[Data("m"), Wait, Trailers(status)])).await;
        body.frame().await.unwrap().ok().unwrap();
        assert_eq!(totals(&breaker), NOTHING);
        let last = body.frame().await.unwrap().ok().unwrap();
        assert_eq!(last.into_trailers().unwrap(), trailers(status));
        // A reader need not ask for what comes after trailers.
        assert_eq!(totals(&breaker), expected, "{status}");
        assert!(body.frame().await.is_none());
        drop(body);
        assert_eq!(totals(&breaker), expected, "{status}");
    }
}

#[tokio::test]
async fn a_grpc_answer_without_trailers_is_a_failure_however_it_ends() {
    for script in [
        script(&[Data("m")]),
        with_length(&[Data("m")]),
        script(&[Data("m"), Fail]),
        with_length(&[]),
    ] {
        let breaker = breaker();
        let _ = grpc_call(&breaker, script).await.collect().await;
        assert_eq!(totals(&breaker), FAILURE);
    }
}

// --- cancellation ----------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn dropped_at_any_point_a_call_is_accounted_for_once() {
    let steps = [Data("one"), Wait, Data("two"), Trailers("0"), Data("late")];
    // Polls of the body: the fourth gives the trailers.
    for polls in 0..=6 {
        for trial in [false, true] {
            let breaker = breaker();
            if trial {
                breaker.try_acquire().unwrap().failure();
                tokio::time::advance(WAIT).await;
            }
            let before = totals(&breaker);
            let mut body = task::spawn(call(&breaker, 200, script(&steps)).await);
            for _ in 0..polls {
                let _ = body.enter(|cx, body| body.poll_frame(cx));
            }
            drop(body);
            let after = totals(&breaker);
            let ended = (after.0, after.1 - before.1, after.2, after.3);
            let case = format!("trial: {trial}, polls: {polls}");
            let done = polls >= 4;
            assert_eq!(ended, if done { SUCCESS } else { ABANDONED }, "{case}");
            assert_eq!(breaker.snapshot().trials_in_flight, 0, "{case}");
            let state = match trial && !done {
                true => State::HalfOpen,
                false => State::Closed,
            };
            assert_eq!(breaker.state(), state, "{case}");
        }
    }
}

#[tokio::test]
async fn dropped_before_the_head_the_call_is_abandoned() {
    for polls in 0..=2 {
        let breaker = breaker();
        let mut service = CircuitBreakerLayer::new(breaker.clone())
            .until_end_of_body()
            .layer(service_fn(|_: Request<()>| {
                pending::<Result<Response<Script>, Infallible>>()
            }));
        let mut call = task::spawn(service.ready().await.unwrap().call(Request::new(())));
        for _ in 0..polls {
            assert_pending!(call.poll());
        }
        assert_eq!(totals(&breaker), NOTHING);
        drop(call);
        assert_eq!(totals(&breaker), ABANDONED);
    }
}

#[tokio::test]
async fn dropped_with_its_response_in_it_the_future_does_not_matter_any_more() {
    let breaker = breaker();
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .until_end_of_body()
        .layer(answer(200, script(&[Data("one")])));
    let mut call = task::spawn(service.ready().await.unwrap().call(Request::new(())));
    let response = assert_ready!(call.poll()).unwrap();
    assert_pending!(call.poll(), "nobody may, but it must not panic");
    drop(call);
    assert_eq!(totals(&breaker), NOTHING);
    response.into_body().collect().await.unwrap();
    assert_eq!(totals(&breaker), SUCCESS);
}

#[tokio::test(start_paused = true)]
async fn a_trial_keeps_its_slot_until_its_body_ends() {
    let breaker = breaker();
    breaker.try_acquire().unwrap().failure();
    tokio::time::advance(WAIT).await;
    let body = call(&breaker, 200, script(&[Data("one")])).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::HalfOpenFull);
    body.collect().await.unwrap();
    assert_eq!(breaker.state(), State::Closed);

    breaker.try_acquire().unwrap().failure();
    tokio::time::advance(WAIT).await;
    drop(call(&breaker, 200, script(&[Data("one")])).await);
    assert_eq!(breaker.snapshot().trials_in_flight, 0, "given back");
    drop(call(&breaker, 200, script(&[Fail])).await);
    let body = call(&breaker, 200, script(&[Fail])).await;
    body.collect().await.unwrap_err();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_body_that_ends_after_its_episode_decides_nothing() {
    let breaker = breaker();
    let late = call(&breaker, 200, script(&[Fail])).await;
    breaker.force_open();
    breaker.reset();
    late.collect().await.unwrap_err();
    assert_eq!(
        (breaker.state(), breaker.snapshot().stale),
        (State::Closed, 1)
    );
}

// --- panics ----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_panic_of_the_body_is_a_failure_and_goes_on() {
    let breaker = breaker();
    let mut body = call(&breaker, 200, script(&[Data("one"), Panic, Data("two")])).await;
    body.frame().await.unwrap().unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _ = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
    }));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"boom"));
    assert_eq!((breaker.state(), totals(&breaker)), (State::Open, FAILURE));
    while body.frame().await.is_some() {}
    drop(body);
    assert_eq!(totals(&breaker), FAILURE);
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Call,
    Poll,
    IsEndStream,
}

struct Panics(When);

impl Service<Request<()>> for Panics {
    type Response = Response<Panics>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Panics>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let when = self.0;
        assert!(when != When::Call, "boom");
        Box::pin(async move {
            assert!(when != When::Poll, "boom");
            Ok(Response::new(Panics(when)))
        })
    }
}

impl Body for Panics {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        assert!(self.0 != When::IsEndStream, "boom");
        false
    }
}

#[tokio::test]
async fn a_panic_on_the_way_to_the_head_is_a_failure_and_goes_on() {
    for when in [When::Call, When::Poll, When::IsEndStream] {
        let breaker = breaker();
        let mut service = CircuitBreakerLayer::new(breaker.clone())
            .until_end_of_body()
            .layer(Panics(when));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = pin!(service.call(Request::new(()))).poll(&mut cx);
        }));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"boom"));
        assert_eq!(totals(&breaker), FAILURE, "{when:?}");
    }
}

#[tokio::test]
async fn a_panic_of_the_reader_is_not_blamed_on_the_body() {
    let breaker = breaker();
    let mut body = call(&breaker, 200, script(&[Data("one"), Data("two")])).await;
    let reader = tokio::spawn(async move {
        body.frame().await.unwrap().unwrap();
        panic!("the reader's own");
    });
    assert!(reader.await.unwrap_err().is_panic());
    assert_eq!(totals(&breaker), ABANDONED);
}

// --- stalls ----------------------------------------------------------------------------------------------------------

const LIMIT: Duration = Duration::from_secs(4);

/// A body that gives what it is sent.
struct Sent(mpsc::UnboundedReceiver<&'static str>);

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|text| text.map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}

type Stallable<B, E> = Pin<Box<dyn Body<Data = B, Error = BodyError<E>>>>;

async fn sent(
    breaker: &CircuitBreaker,
    status: u16,
) -> (
    mpsc::UnboundedSender<&'static str>,
    Stallable<Bytes, Infallible>,
) {
    let (send, receive) = mpsc::unbounded_channel();
    let mut receive = Some(receive);
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .classify(HttpStatus)
        .until_end_of_body()
        .stall_after(LIMIT)
        .layer(service_fn(move |_: Request<()>| {
            let mut response = Response::new(Sent(receive.take().unwrap()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            ready(Ok::<_, Infallible>(response))
        }));
    let response = service
        .ready()
        .await
        .unwrap()
        .call(Request::new(()))
        .await
        .unwrap();
    (send, Box::pin(response.into_body()))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_gives_nothing_for_too_long_is_given_up() {
    let breaker = breaker();
    let (send, mut body) = sent(&breaker, 200).await;
    send.send("one").unwrap();
    body.frame().await.unwrap().unwrap();
    let started = tokio::time::Instant::now();
    let err = body.frame().await.unwrap().unwrap_err();
    let waited = started.elapsed();
    assert!(
        (LIMIT..LIMIT + Duration::from_millis(2)).contains(&waited),
        "{waited:?}"
    );
    assert!(matches!(&err, BodyError::Stalled(stalled) if stalled.limit() == LIMIT));
    assert_eq!(err.to_string(), "the body stalled: nothing came for 4s");
    assert!(Stalled::find(&err).is_some());
    assert_eq!((breaker.state(), totals(&breaker)), (State::Open, FAILURE));

    send.send("too late").unwrap();
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
    drop(body);
    assert_eq!(totals(&breaker), FAILURE);
}

#[tokio::test(start_paused = true)]
async fn each_frame_begins_the_time_anew() {
    let breaker = breaker();
    let (send, body) = sent(&breaker, 200).await;
    let upstream = tokio::spawn(async move {
        for _ in 0..5 {
            tokio::time::sleep(LIMIT - Duration::from_millis(10)).await;
            send.send("drip").unwrap();
        }
    });
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 20);
    upstream.await.unwrap();
    assert_eq!(totals(&breaker), SUCCESS);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_never_blamed_on_the_body() {
    let breaker = breaker();
    let (send, mut body) = sent(&breaker, 200).await;
    for _ in 0..3 {
        send.send("there at once").unwrap();
        tokio::time::sleep(LIMIT * 5).await;
        body.frame().await.unwrap().unwrap();
        tokio::time::sleep(LIMIT * 5).await;
    }
    // He asks, goes away, and comes back long after: to something, or to nothing.
    let mut body = task::spawn(body);
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    tokio::time::sleep(LIMIT * 5).await;
    send.send("came meanwhile").unwrap();
    assert!(
        assert_ready!(body.enter(|cx, body| body.poll_frame(cx)))
            .unwrap()
            .is_ok()
    );
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    tokio::time::sleep(LIMIT * 5).await;
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)), "a fresh start");
    tokio::time::sleep(LIMIT - Duration::from_millis(5)).await;
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    assert_eq!(totals(&breaker), NOTHING);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(body.is_woken());
    assert!(
        assert_ready!(body.enter(|cx, body| body.poll_frame(cx)))
            .unwrap()
            .is_err()
    );
    assert_eq!(totals(&breaker), FAILURE);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_only_a_little_late_has_waited() {
    let breaker = breaker();
    let (_send, body) = sent(&breaker, 200).await;
    let mut body = task::spawn(body);
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    tokio::time::sleep(LIMIT + LIMIT / 5).await;
    let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx)));
    assert!(frame.unwrap().is_err());
    assert_eq!(totals(&breaker), FAILURE);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_judged_by_its_head_may_stall_but_counts_once() {
    let breaker = breaker();
    let (_send, mut body) = sent(&breaker, 500).await;
    assert_eq!(totals(&breaker), FAILURE);
    body.frame().await.unwrap().unwrap_err();
    assert_eq!(totals(&breaker), FAILURE);
}

#[tokio::test(start_paused = true)]
async fn extreme_limits_are_none_to_speak_of_and_none_at_all() {
    for (limit, stalls) in [(Duration::ZERO, true), (Duration::MAX, false)] {
        let breaker = breaker();
        let service = CircuitBreakerLayer::new(breaker.clone())
            .classify(HttpStatus)
            .until_end_of_body()
            .stall_after(limit)
            .layer(service_fn(|_: Request<()>| {
                let (send, receive) = mpsc::unbounded_channel();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
                    send.send("at last")
                });
                ready(Ok::<_, Infallible>(Response::new(Sent(receive))))
            }));
        let body = service.oneshot(Request::new(())).await.unwrap().into_body();
        assert_eq!(body.collect().await.is_err(), stalls, "{limit:?}");
    }
}

// Outside of tokio: there is no timer to make.
#[test]
fn without_a_limit_there_is_no_timer_and_the_error_is_the_inner_one() {
    fn same<E>(
        err: <tower_breaker::breaker::end_of_body::NoStallLimit as StallLimit>::Error<E>,
    ) -> E {
        err
    }
    let breaker = CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .build()
        .unwrap();
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .until_end_of_body()
        .layer(answer(200, script(&[Wait, Fail])));
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = pin!(service.call(Request::new(())));
    let Poll::Ready(Ok(response)) = call.as_mut().poll(&mut cx) else {
        panic!("the head is there");
    };
    let mut body = response.into_body();
    assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
    let Poll::Ready(Some(Err(err))) = Pin::new(&mut body).poll_frame(&mut cx) else {
        panic!("the body fails");
    };
    assert_eq!(same::<BoxError>(err).to_string(), "connection reset");
    assert_eq!(breaker.snapshot().failed, 1);
}

#[test]
fn a_stall_shows_in_a_boxed_error() {
    let inner = BodyError::<BoxError>::Inner("reset".into());
    assert_eq!(inner.into_boxed().to_string(), "reset");
    let err: BodyError<std::io::Error> = BodyError::Inner(std::io::ErrorKind::BrokenPipe.into());
    let boxed: BoxError = err.into();
    assert!(boxed.source().unwrap().is::<std::io::Error>());
    assert!(Stalled::find(&*boxed).is_none());
}

// --- whose time it is ------------------------------------------------------------------------------------------------

const SLOW: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(20);

// Opens at the first call that is slow. What is abandoned is a failure if it took that long.
fn timed() -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(5)
        .slow_call_rate(
            SlowCallRate::over_calls(10)
                .slower_than(SLOW)
                .minimum_calls(1)
                .threshold(0.1),
        )
        .open_for(WAIT)
        .trial_lease(LEASE)
        .build()
        .unwrap()
}

/// Answers at once, or after this time, with a body of what is sent.
async fn sent_after(
    breaker: &CircuitBreaker,
    head: Duration,
) -> (
    mpsc::UnboundedSender<&'static str>,
    JudgedBody<Sent, BodyErrors>,
) {
    let (send, receive) = mpsc::unbounded_channel();
    let mut receive = Some(receive);
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .classify(HttpStatus)
        .until_end_of_body()
        .layer(service_fn(move |_: Request<()>| {
            let body = Sent(receive.take().unwrap());
            async move {
                tokio::time::sleep(head).await;
                Ok::<_, Infallible>(Response::new(body))
            }
        }));
    let call = service.ready().await.unwrap().call(Request::new(()));
    (send, call.await.unwrap().into_body())
}

async fn takes_its_time() {
    tokio::time::sleep(SLOW * 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_makes_no_slow_call() {
    let breaker = timed();
    let (send, mut body) = sent_after(&breaker, SLOW / 2).await;
    takes_its_time().await;
    for _ in 0..3 {
        send.send("there at once").unwrap();
        body.frame().await.unwrap().unwrap();
        takes_its_time().await;
    }
    drop(send);
    takes_its_time().await;
    assert!(body.frame().await.is_none());
    assert_eq!(
        (breaker.state(), totals(&breaker)),
        (State::Closed, SUCCESS)
    );
    assert_eq!(breaker.snapshot().slow, 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_reader_waits_for_is_added_up() {
    // How long the head takes, and each of three frames, and whether that is slow.
    for (head, frame, slow) in [
        (SLOW / 4, SLOW / 5, false),
        (SLOW / 4, SLOW / 3, true),
        (SLOW * 2, Duration::ZERO, true),
        (SLOW - SLOW / 100, Duration::ZERO, false),
    ] {
        let breaker = timed();
        let (send, mut body) = sent_after(&breaker, head).await;
        for _ in 0..3 {
            let reading = async {
                body.frame().await.unwrap().unwrap();
            };
            let sending = async {
                tokio::time::sleep(frame).await;
                send.send("at last").unwrap();
            };
            tokio::join!(reading, sending);
            takes_its_time().await;
        }
        drop(send);
        assert!(body.frame().await.is_none());
        let seen = (breaker.state(), breaker.snapshot().slow);
        let expected = match slow {
            true => (State::Open, 1),
            false => (State::Closed, 0),
        };
        assert_eq!(seen, expected, "{head:?} {frame:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_upstream_does_not_hide_behind_a_slow_reader_that_waits_for_it() {
    let breaker = timed();
    let (send, mut body) = sent_after(&breaker, Duration::ZERO).await;
    takes_its_time().await;
    let sending = async {
        tokio::time::sleep(SLOW * 2).await;
        send.send("at last").unwrap();
        drop(send);
    };
    let reading = async {
        body.frame().await.unwrap().unwrap();
        takes_its_time().await;
        assert!(body.frame().await.is_none());
    };
    tokio::join!(sending, reading);
    assert_eq!((breaker.state(), breaker.snapshot().slow), (State::Open, 1));
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_call_took_as_long_as_its_reader_waited() {
    let breaker = timed();
    let (_send, body) = sent_after(&breaker, Duration::ZERO).await;
    takes_its_time().await;
    drop(body);
    assert_eq!(
        (breaker.state(), totals(&breaker)),
        (State::Closed, ABANDONED)
    );
    assert_eq!(breaker.snapshot().slow, 0);

    // A time-out around the reading.
    let (_send, mut body) = sent_after(&breaker, Duration::ZERO).await;
    takes_its_time().await;
    tokio::time::timeout(SLOW * 2, body.frame())
        .await
        .unwrap_err();
    drop(body);
    assert_eq!((breaker.state(), breaker.snapshot().slow), (State::Open, 1));
}

async fn half_open(breaker: &CircuitBreaker) {
    breaker.force_open_for(WAIT);
    tokio::time::advance(WAIT).await;
}

#[tokio::test(start_paused = true)]
async fn a_trials_lease_does_not_run_against_its_reader() {
    let breaker = timed();
    half_open(&breaker).await;
    let (send, mut body) = sent_after(&breaker, Duration::ZERO).await;
    // Far longer than the lease, in all.
    for _ in 0..5 {
        send.send("there at once").unwrap();
        tokio::time::sleep(LEASE * 2 / 3).await;
        body.frame().await.unwrap().unwrap();
    }
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::HalfOpenFull);
    assert_eq!(breaker.snapshot().leases_expired, 0);
    drop(send);
    assert!(body.frame().await.is_none());
    assert_eq!(
        (breaker.state(), totals(&breaker)),
        (State::Closed, SUCCESS)
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stays_away_loses_the_slot_but_fails_no_trial() {
    let breaker = timed();
    half_open(&breaker).await;
    let (send, mut body) = sent_after(&breaker, Duration::ZERO).await;
    tokio::time::sleep(LEASE * 2).await;
    // Another one may try.
    breaker.try_acquire().unwrap().success();
    let snapshot = breaker.snapshot();
    assert_eq!(
        (breaker.state(), snapshot.leases_expired),
        (State::Closed, 1)
    );
    assert_eq!(snapshot.trials_failed, 0);
    drop(send);
    assert!(body.frame().await.is_none());
    assert_eq!(breaker.snapshot().stale, 1);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_its_reader_waits_for_fails_at_the_end_of_its_lease() {
    let breaker = timed();
    half_open(&breaker).await;
    let (_send, body) = sent_after(&breaker, Duration::ZERO).await;
    tokio::time::sleep(LEASE / 2).await;
    let mut body = task::spawn(body);
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
    tokio::time::sleep(LEASE - Duration::from_millis(10)).await;
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::HalfOpenFull, "put off by a half");
    tokio::time::sleep(Duration::from_millis(20)).await;
    breaker.try_acquire().unwrap_err();
    assert_eq!(
        (breaker.state(), breaker.snapshot().trials_failed),
        (State::Open, 1)
    );
}

// --- the stack around ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_body_shows_the_inner_one_as_it_is() {
    let breaker = breaker();
    let body = call(&breaker, 200, with_length(&[Data("one"), Data("three")])).await;
    assert_eq!(
        (body.size_hint().lower(), body.size_hint().upper()),
        (8, None)
    );
    assert_eq!(body.size_hint().lower(), body.get_ref().size_hint().lower());
    assert!(!body.is_end_stream());
    assert!(format!("{body:?}").starts_with("JudgedBody"));
}

#[tokio::test]
async fn refusals_take_the_form_that_the_layer_was_given() {
    let breaker = breaker();
    breaker.force_open();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classify(HttpStatus);
    let service = layer
        .clone()
        .until_end_of_body()
        .layer(answer(200, script(&[])));
    let err = service.oneshot(Request::new(())).await.unwrap_err();
    assert!(Refused::find(&*err).is_some());

    let service = layer.clone().typed().until_end_of_body();
    let err = service
        .layer(answer(200, script(&[])))
        .oneshot(Request::new(()))
        .await
        .unwrap_err();
    assert_eq!(err.refused().unwrap().name(), "stock");

    let service = layer.respond().until_end_of_body().stall_after(LIMIT);
    let response = service
        .layer(answer(200, script(&[])))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    let body = pin!(response.into_body());
    assert_eq!(body.collect().await.unwrap().to_bytes(), "refused");
    assert_eq!(totals(&breaker), NOTHING);
}

#[tokio::test]
async fn a_refusal_that_became_a_response_further_in_is_ignored() {
    let (outer, inner) = (breaker(), breaker());
    inner.force_open();
    let service = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::new(outer.clone())
                .classify(HttpStatus)
                .until_end_of_body(),
        )
        .layer(
            CircuitBreakerLayer::new(inner)
                .classify(HttpStatus)
                .respond()
                .until_end_of_body(),
        )
        .service(answer(200, script(&[])));
    service.oneshot(Request::new(())).await.unwrap();
    assert_eq!((outer.state(), totals(&outer)), (State::Closed, IGNORED));
}

type Mock = tower_test::mock::Mock<Request<()>, Response<Script>>;

#[tokio::test(start_paused = true)]
async fn readiness_is_as_in_the_plain_layer() {
    let breaker = breaker();
    let layer = CircuitBreakerLayer::new(breaker.clone()).until_end_of_body();
    let (mut service, mut handle) =
        tower_test::mock::spawn_with(move |inner: Mock| layer.layer(inner));
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert!(assert_ready!(service.poll_ready()).is_ok());
    assert_eq!(breaker.snapshot().admitted, 0);

    // Open: refused, and what was ready stays ready.
    breaker.try_acquire().unwrap().failure();
    assert!(assert_ready!(service.poll_ready()).is_ok());
    let refused = assert_ready!(task::spawn(service.call(Request::new(()))).poll()).unwrap_err();
    assert!(Refused::find(&*refused).is_some());
    assert_pending!(task::spawn(handle.next_request()).poll());

    // A service that was never asked while the circuit refused does not call when it no longer does.
    let mut clone = service.get_ref().clone();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(clone.poll_ready(&mut cx).is_ready());
    tokio::time::advance(WAIT).await;
    assert!(clone.call(Request::new(())).await.is_err());
    assert_eq!(breaker.state(), State::Open);

    assert!(assert_ready!(service.poll_ready()).is_ok());
    let mut call = task::spawn(service.call(Request::new(())));
    assert_pending!(call.poll());
    let (_, answer) = handle.next_request().await.unwrap();
    answer.send_response(Response::new(with_length(&[])));
    assert!(assert_ready!(call.poll()).is_ok());
    assert_eq!(breaker.state(), State::Closed);

    handle.send_error("no connection");
    assert!(assert_ready!(service.poll_ready()).is_err());
    assert_eq!(breaker.state(), State::Open, "an error of readiness counts");
}

#[tokio::test(start_paused = true)]
async fn back_pressure_comes_along() {
    let layer = |breaker: &CircuitBreaker| {
        CircuitBreakerLayer::new(breaker.clone())
            .back_pressure()
            .until_end_of_body()
    };
    let (plain, limited) = (breaker(), breaker());
    for breaker in [&plain, &limited] {
        breaker.try_acquire().unwrap().failure();
    }
    let started = tokio::time::Instant::now();
    let mut service = layer(&limited)
        .stall_after(LIMIT)
        .layer(answer(200, with_length(&[])));
    assert!(task::spawn(service.ready()).poll().is_pending());

    let mut service = layer(&plain).layer(answer(200, with_length(&[])));
    service.ready().await.unwrap();
    assert!(started.elapsed() >= WAIT);
    service.call(Request::new(())).await.unwrap();
    assert_eq!(plain.state(), State::Closed);
}

// --- how long to leave the service alone -----------------------------------------------------------------------------

fn heedful() -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .open_for(WAIT)
        .honor_retry_after(WAIT * 6)
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_circuit_stays_open_for_as_long_as_the_head_asks() {
    for (asked, open_for) in [
        ("30", WAIT * 3),
        ("1", WAIT),
        ("3600", WAIT * 6),
        ("?", WAIT),
    ] {
        let breaker = heedful();
        let service = CircuitBreakerLayer::new(breaker.clone())
            .classify(HttpStatus)
            .until_end_of_body()
            .layer(service_fn(move |_: Request<()>| {
                let mut response = Response::new(script(&[Data("sorry")]));
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                let asked = HeaderValue::from_static(asked);
                response.headers_mut().insert("retry-after", asked);
                ready(Ok::<_, BoxError>(response))
            }));
        drop(service.oneshot(Request::new(())).await.unwrap());
        assert_eq!(breaker.snapshot().open_remaining, Some(open_for), "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn or_as_the_trailers_ask() {
    struct PushesBack;

    impl Body for PushesBack {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let mut trailers = trailers("14");
            trailers.insert("grpc-retry-pushback-ms", HeaderValue::from_static("20000"));
            Poll::Ready(Some(Ok(Frame::trailers(trailers))))
        }
    }

    let breaker = heedful();
    let service = CircuitBreakerLayer::new(breaker.clone())
        .classify(Grpc)
        .until_end_of_body()
        .layer(service_fn(|_: Request<()>| {
            ready(Ok::<_, BoxError>(Response::new(PushesBack)))
        }));
    let mut body = service.oneshot(Request::new(())).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(breaker.snapshot().open_remaining, Some(WAIT * 2));
}

#[derive(Clone)]
struct AsksInErrors;

impl<Req, Res, Err> Classify<Req, Res, Err> for AsksInErrors {
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        Self
    }
}

impl<Res, Err> ClassifyCall<Res, Err> for AsksInErrors {
    fn verdict(self, _: Result<&Res, &Err>) -> Verdict {
        Verdict::Failure
    }

    fn retry_after(&self, result: Result<&Res, &Err>) -> Option<Duration> {
        result.is_err().then_some(WAIT * 5)
    }
}

#[tokio::test(start_paused = true)]
async fn or_as_an_error_asks_and_nobody_is_asked_who_need_not_be() {
    for (breaker, open_for) in [(heedful(), WAIT * 5), (breaker(), WAIT)] {
        let service = CircuitBreakerLayer::new(breaker.clone())
            .classify(WithBody(AsksInErrors))
            .until_end_of_body()
            .layer(service_fn(|_: Request<()>| {
                ready(Err::<Response<Script>, _>(BoxError::from("down")))
            }));
        service.oneshot(Request::new(())).await.unwrap_err();
        assert_eq!(breaker.snapshot().open_remaining, Some(open_for));
    }
}

// --- classifiers of one's own ----------------------------------------------------------------------------------------

#[tokio::test]
async fn a_closure_judges_the_head_and_the_body_must_come_too() {
    let by_hand = |result: Result<&Response<Script>, &BoxError>| match result.map(Response::status)
    {
        Ok(StatusCode::NOT_FOUND) => Verdict::Failure,
        Ok(StatusCode::IM_A_TEAPOT) => Verdict::Ignore,
        _ => Verdict::Success,
    };
    for (status, steps, expected) in [
        (404, &[Data("no")][..], FAILURE),
        (418, &[Fail], IGNORED),
        (200, &[Data("yes")], SUCCESS),
        (200, &[Fail], FAILURE),
    ] {
        let breaker = breaker();
        let service = CircuitBreakerLayer::new(breaker.clone())
            .classify(by_hand)
            .until_end_of_body()
            .layer(answer(status, script(steps)));
        let response = service.oneshot(Request::new(())).await.unwrap();
        let _ = response.into_body().collect().await;
        assert_eq!(totals(&breaker), expected, "{status}");
    }
}

#[derive(Clone)]
struct OnlyHeads;

impl<Req, B, Err> Classify<Req, Response<B>, Err> for OnlyHeads {
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        Self
    }
}

impl<B, Err> ClassifyCall<Response<B>, Err> for OnlyHeads {
    fn verdict(self, result: Result<&Response<B>, &Err>) -> Verdict {
        match result {
            Ok(response) if response.status() == 404 => Verdict::Failure,
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure,
        }
    }
}

#[tokio::test]
async fn a_classifier_of_heads_is_completed_by_with_body() {
    for (status, steps, expected) in [
        (404, &[][..], FAILURE),
        (200, &[], SUCCESS),
        (200, &[Fail], FAILURE),
    ] {
        let breaker = breaker();
        let service = CircuitBreakerLayer::new(breaker.clone())
            .classify(WithBody(OnlyHeads))
            .until_end_of_body()
            .layer(answer(status, script(steps)));
        let response = service.oneshot(Request::new(())).await.unwrap();
        let _ = response.into_body().collect().await;
        assert_eq!(totals(&breaker), expected, "{status}");
    }
}

#[tokio::test]
async fn a_panicking_classifier_does_not_keep_the_trial_slot() {
    let breaker = breaker();
    let service = CircuitBreakerLayer::new(breaker.clone())
        .classify(|_: Result<&Response<Script>, &BoxError>| -> Verdict { panic!("boom") })
        .until_end_of_body()
        .layer(answer(200, script(&[])));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let mut service = service;
        let mut cx = Context::from_waker(Waker::noop());
        let _ = pin!(service.call(Request::new(()))).poll(&mut cx);
    }));
    assert!(caught.is_err());
    assert_eq!(totals(&breaker), ABANDONED);
}

// --- bounds ----------------------------------------------------------------------------------------------------------

// Neither `Clone`, `Send`, `Sync`, `Debug` nor `'static`, and its data and error are not either.
struct Bare<'a>(Rc<()>, &'a str);

struct BareError(#[allow(dead_code)] Rc<()>);

impl<'a> Body for Bare<'a> {
    type Data = &'a [u8];
    type Error = BareError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<&'a [u8]>, BareError>>> {
        Poll::Ready(Some(match self.1.is_empty() {
            false => Ok(Frame::data(self.1.as_bytes())),
            true => Err(BareError(self.0.clone())),
        }))
    }
}

#[test]
fn the_inner_body_needs_no_bounds() {
    let text = String::from("short-lived");
    let breaker = breaker();
    for (text, stalls) in [(&text[..], false), ("", true)] {
        let mut service = CircuitBreakerLayer::new(breaker.clone())
            .classify(ErrorChain)
            .typed()
            .until_end_of_body()
            .layer(service_fn(|_: Request<()>| {
                ready(Ok::<_, Infallible>(Response::new(Bare(Rc::new(()), text))))
            }));
        let mut cx = Context::from_waker(Waker::noop());
        let mut call = pin!(service.call(Request::new(())));
        let Poll::Ready(Ok(response)) = call.as_mut().poll(&mut cx) else {
            panic!("the head is there");
        };
        let mut body = response.into_body();
        let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut cx) else {
            panic!("a frame is there");
        };
        assert_eq!(frame.is_err(), stalls);
    }
}

// --- real bodies -----------------------------------------------------------------------------------------------------

mod wire {
    use super::*;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    // Real time: long enough for a busy machine, and short enough to wait for.
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(200);

    /// Sends these bytes to whoever asks, then closes the connection, unless it is to hang.
    async fn server(answer: &'static str, hang: bool) -> String {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = connection.read(&mut [0; 4096]).await;
                    let _ = connection.write_all(answer.as_bytes()).await;
                    if hang {
                        pending::<()>().await;
                    }
                });
            }
        });
        url
    }

    async fn get(
        answer: &'static str,
        hang: bool,
        limit: Duration,
    ) -> (CircuitBreaker, Result<Bytes, BoxError>) {
        let url = server(answer, hang).await;
        let breaker = breaker();
        let client = CircuitBreakerLayer::new(breaker.clone())
            .classify(HttpStatus)
            .until_end_of_body()
            .stall_after(limit)
            .layer(Client::builder(TokioExecutor::new()).build_http::<axum::body::Body>());
        let request = Request::get(url).body(axum::body::Body::empty()).unwrap();
        let response = client.oneshot(request).await.unwrap();
        assert_eq!(totals(&breaker), NOTHING);
        // Through axum's body, which asks for `Send` and a boxable error.
        let body = axum::body::Body::new(response.into_body());
        let read = body.collect().await.map(|whole| whole.to_bytes());
        (breaker, read.map_err(Into::into))
    }

    #[tokio::test]
    async fn a_whole_body_is_a_success() {
        let (breaker, body) = get(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            true,
            LONG,
        )
        .await;
        assert_eq!(body.unwrap(), "hello");
        assert_eq!(totals(&breaker), SUCCESS);
    }

    #[tokio::test]
    async fn a_truncated_body_is_a_failure() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ] {
            let (breaker, body) = get(answer, false, LONG).await;
            assert!(
                Stalled::find(&*body.unwrap_err()).is_none(),
                "hyper's own error"
            );
            assert_eq!(totals(&breaker), FAILURE);
        }
    }

    #[tokio::test]
    async fn a_stalled_body_is_a_failure() {
        let (breaker, body) = get(
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhello",
            true,
            SHORT,
        )
        .await;
        assert!(Stalled::find(&*body.unwrap_err()).is_some());
        assert_eq!(totals(&breaker), FAILURE);
    }

    #[tokio::test]
    async fn the_trailers_of_http_1_too() {
        let (breaker, body) = get(
            "HTTP/1.1 200 OK\r\ntrailer: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n",
            true,
            LONG,
        )
        .await;
        assert_eq!(body.unwrap(), "hello");
        assert_eq!(totals(&breaker), SUCCESS);
    }

    /// gRPC over HTTP/2: the last path segment is the status, or `reset` for a stream that breaks off.
    async fn http_2() -> String {
        use hyper_util::{rt::TokioIo, server::conn::auto, service::TowerToHyperService};

        let answer = service_fn(|request: Request<_>| {
            let last = match request.uri().path() {
                "/reset" => Fail,
                "/0" => Trailers("0"),
                _ => Trailers("14"),
            };
            ready(Ok::<_, Infallible>(Response::new(script(&[
                Data("message"),
                Wait,
                last,
            ]))))
        });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let answer = TowerToHyperService::new(answer);
                    let _ = server
                        .serve_connection(TokioIo::new(connection), answer)
                        .await;
                });
            }
        });
        url
    }

    #[tokio::test]
    async fn over_http_2_trailers_decide_and_a_reset_stream_is_a_failure() {
        let url = http_2().await;
        for (path, read_all, expected) in [
            ("0", true, SUCCESS),
            ("14", true, FAILURE),
            ("reset", true, FAILURE),
            ("0", false, ABANDONED),
        ] {
            let breaker = breaker();
            let client = CircuitBreakerLayer::new(breaker.clone())
                .classify(Grpc)
                .until_end_of_body()
                .layer(
                    Client::builder(TokioExecutor::new())
                        .http2_only(true)
                        .build_http::<axum::body::Body>(),
                );
            let request = Request::get(format!("{url}/{path}"));
            let request = request.body(axum::body::Body::empty()).unwrap();
            let mut body = client.oneshot(request).await.unwrap().into_body();
            assert_eq!(totals(&breaker), NOTHING);
            if read_all {
                let read = body.collect().await;
                assert_eq!(read.is_err(), path == "reset");
            } else {
                body.frame().await.unwrap().unwrap();
                drop(body);
            }
            assert_eq!(totals(&breaker), expected, "{path}");
        }
    }

    /// hyper's server asks an HTTP/1 body of a known length for nothing after its last byte, and a stream (a file, say) does not
    /// know that it is at its end.
    #[tokio::test]
    async fn a_stream_that_a_server_has_sent_in_full_is_a_success() {
        let breaker = breaker();
        let answer = service_fn(|_: Request<_>| async {
            let mut response = Response::new(script(&[Data("hello"), Data("hello")]));
            let length = HeaderValue::from_static("10");
            response.headers_mut().insert("content-length", length);
            Ok::<_, Infallible>(response)
        });
        let service = CircuitBreakerLayer::new(breaker.clone())
            .classify(HttpStatus)
            .respond()
            .until_end_of_body()
            .layer(answer);
        let (mut client, server) = tokio::io::duplex(4096);
        let served = tokio::spawn(async move {
            hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                .serve_connection(
                    hyper_util::rt::TokioIo::new(server),
                    hyper_util::service::TowerToHyperService::new(service),
                )
                .await
                .is_ok()
        });
        let ask = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        client.write_all(ask).await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        assert!(said.ends_with("\r\n\r\nhellohello"), "{said}");
        assert!(served.await.unwrap());
        assert_eq!(totals(&breaker), SUCCESS);
    }

    #[tokio::test]
    async fn inside_an_axum_router_a_question_for_the_head_is_a_success() {
        let breaker = breaker();
        let app: axum::Router = axum::Router::new()
            .route("/", axum::routing::get(|| async { "hello" }))
            .layer(
                CircuitBreakerLayer::new(breaker.clone())
                    .classify(HttpStatus)
                    .respond()
                    .until_end_of_body(),
            );
        let request = Request::head("/").body(axum::body::Body::empty()).unwrap();
        drop(app.oneshot(request).await.unwrap());
        assert_eq!(totals(&breaker), SUCCESS);
    }

    #[tokio::test]
    async fn inside_an_axum_router_a_dropped_connection_is_abandoned_and_a_read_one_a_success() {
        let breaker = breaker();
        let app: axum::Router = axum::Router::new()
            .route("/", axum::routing::get(|| async { "hello" }))
            .layer(
                CircuitBreakerLayer::new(breaker.clone())
                    .classify(HttpStatus)
                    .respond()
                    .until_end_of_body(),
            );
        let request = || Request::new(axum::body::Body::empty());
        let response = app.clone().oneshot(request()).await.unwrap();
        drop(response);
        assert_eq!(totals(&breaker), ABANDONED);
        let response = app.clone().oneshot(request()).await.unwrap();
        response.into_body().collect().await.unwrap();
        assert_eq!(totals(&breaker), (1, 0, 0, 1));
        breaker.force_open();
        let response = app.oneshot(request()).await.unwrap();
        assert_eq!(response.status(), 503);
    }
}
