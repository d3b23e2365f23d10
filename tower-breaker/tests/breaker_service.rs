//! The breaker as a tower service: readiness, admission, results, cancellation at every point, panics.

#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    future::{pending, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    Abandoned, BoxError, CircuitBreaker, CircuitBreakerLayer, Error, Reason, Refused, State,
    breaker::CircuitBreakerBuilder,
    classify::{Classify, ClassifyCall, ErrorChain, Verdict},
};
use tower_test::mock;

const WAIT: Duration = Duration::from_secs(10);

fn builder(failures: u32) -> CircuitBreakerBuilder {
    CircuitBreaker::builder("stock")
        .consecutive_failures(failures)
        .open_for(WAIT)
}

fn breaker(failures: u32) -> CircuitBreaker {
    builder(failures).build().unwrap()
}

fn open(breaker: &CircuitBreaker) {
    while let Ok(permit) = breaker.try_acquire() {
        permit.failure();
    }
}

type Guarded =
    tower_breaker::breaker::CircuitBreakerService<mock::Mock<&'static str, &'static str>>;

/// A guarded mock that lets nothing through before it is allowed to.
fn guarded(
    breaker: &CircuitBreaker,
) -> (
    mock::Spawn<Guarded>,
    mock::Handle<&'static str, &'static str>,
) {
    let layer = CircuitBreakerLayer::new(breaker.clone());
    mock::spawn_with(move |inner| layer.layer(inner))
}

fn refusal(err: &BoxError) -> &Refused {
    Refused::find(&**err).unwrap()
}

// --- readiness -------------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn readiness_is_the_inner_services_while_closed() {
    let breaker = breaker(1);
    let (mut service, mut handle) = guarded(&breaker);
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(
        breaker.snapshot().admitted,
        0,
        "being ready is not being admitted"
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_ready_and_refuses_without_asking_the_inner_service() {
    let breaker = breaker(1);
    open(&breaker);
    let (mut service, mut handle) = guarded(&breaker);
    handle.allow(0);
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call("late"));
    let err = assert_ready_err!(call.poll());
    assert_eq!(refusal(&err).reason(), Reason::CircuitOpen);
    assert_eq!(refusal(&err).retry_after(), Some(WAIT));
}

#[tokio::test(start_paused = true)]
async fn refusal_is_decided_afresh_at_each_poll_ready() {
    let breaker = breaker(1);
    open(&breaker);
    let (mut service, mut handle) = guarded(&breaker);
    handle.allow(0);
    assert_ready_ok!(service.poll_ready());
    tokio::time::advance(WAIT).await;
    assert_pending!(
        service.poll_ready(),
        "the wait is over: now the inner service is asked"
    );
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call("trial"));
    assert_pending!(call.poll());
    let (request, answer) = handle.next_request().await.unwrap();
    assert_eq!(request, "trial");
    answer.send_response("fine");
    assert_eq!(assert_ready_ok!(call.poll()), "fine");
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_ready_by_refusal_does_not_call_an_inner_service_it_never_asked() {
    let breaker = breaker(1);
    open(&breaker);
    let (mut service, mut handle) = guarded(&breaker);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    tokio::time::advance(WAIT).await;
    let mut call = task::spawn(service.call("too early"));
    let err = assert_ready_err!(call.poll());
    assert_eq!(refusal(&err).reason(), Reason::CircuitOpen);
    assert_eq!(breaker.state(), State::Open, "no trial slot was taken");
    assert_pending!(task::spawn(handle.next_request()).poll());
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_opens_between_poll_ready_and_call_refuses() {
    let breaker = breaker(1);
    let (mut service, mut handle) = guarded(&breaker);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    open(&breaker);
    let mut call = task::spawn(service.call("refused"));
    assert_ready_err!(call.poll());
    assert_pending!(task::spawn(handle.next_request()).poll());

    // What was ready stays ready: the mock has one permit, and the service still holds it.
    tokio::time::advance(WAIT).await;
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call("trial"));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response("fine");
    assert_ready_ok!(call.poll());
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_is_ready_need_not_be_asked_again_for_the_trial() {
    let breaker = breaker(1);
    let (mut service, mut handle) = guarded(&breaker);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    open(&breaker);
    assert_ready_ok!(service.poll_ready(), "to be refused, if called now");
    tokio::time::advance(WAIT).await;
    let mut call = task::spawn(service.call("trial"));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response("fine");
    assert_ready_ok!(call.poll());
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_idle_ready_clone_holds_no_trial_slot() {
    let breaker = breaker(1);
    open(&breaker);
    tokio::time::advance(WAIT).await;
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let mut idle = layer.layer(service_fn(|_: ()| ready(Ok::<_, Infallible>(()))));
    let mut busy = idle.clone();
    idle.ready().await.unwrap();
    busy.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_inner_services_readiness_is_a_failure() {
    let breaker = breaker(2);
    let (mut service, mut handle) = guarded(&breaker);
    handle.send_error("no connection");
    assert_ready_err!(service.poll_ready());
    let snapshot = breaker.snapshot();
    assert_eq!(
        (
            snapshot.admitted,
            snapshot.failed,
            snapshot.consecutive_failures
        ),
        (1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_fails_a_trial() {
    let breaker = breaker(1);
    open(&breaker);
    tokio::time::advance(WAIT).await;
    let (mut service, mut handle) = guarded(&breaker);
    handle.send_error("no connection");
    assert_ready_err!(service.poll_ready());
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().open_remaining, Some(WAIT));
    assert_eq!(breaker.snapshot().trials_failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_while_half_open_does_not_ask_the_inner_service_either() {
    let breaker = breaker(1);
    open(&breaker);
    tokio::time::advance(WAIT).await;
    let _trial = breaker.try_acquire().unwrap();
    let (mut service, mut handle) = guarded(&breaker);
    handle.allow(0);
    assert_ready_ok!(service.poll_ready());
    let err = assert_ready_err!(task::spawn(service.call("one too many")).poll());
    assert_eq!(refusal(&err).reason(), Reason::HalfOpenFull);
    assert_eq!(refusal(&err).retry_after(), Some(Duration::from_secs(1)));
}

// --- results ---------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn every_layer_of_one_built_layer_shares_the_circuit() {
    let breaker = breaker(2);
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let bad = || service_fn(|_: ()| ready(Err::<(), BoxError>("down".into())));
    let (one, two, three) = (
        layer.layer(bad()),
        layer.clone().layer(bad()),
        layer.layer(bad()),
    );
    one.clone().oneshot(()).await.unwrap_err();
    two.oneshot(()).await.unwrap_err();
    let err = three.oneshot(()).await.unwrap_err();
    assert!(Refused::find(&*err).is_some());
}

#[tokio::test]
async fn the_typed_form_keeps_the_inner_error() {
    #[derive(Debug, PartialEq)]
    struct Down;
    let breaker = breaker(1);
    let mut service = CircuitBreakerLayer::new(breaker)
        .typed()
        .layer(service_fn(|_: ()| ready(Err::<(), _>(Down))));
    match service.ready().await.unwrap().call(()).await.unwrap_err() {
        Error::Inner(err) => assert_eq!(err, Down),
        Error::Refused(refused) => panic!("{refused}"),
    }
    let err = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(err.refused().unwrap().name(), "stock");
}

#[tokio::test]
async fn a_classifier_judges_responses_and_errors() {
    let breaker = breaker(1);
    let service = CircuitBreakerLayer::new(breaker.clone())
        .classify(|result: Result<&i32, &BoxError>| match result {
            Ok(500..) => Verdict::Failure,
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Ignore,
        })
        .layer(service_fn(|answer: Result<i32, BoxError>| ready(answer)));
    service.clone().oneshot(Ok(200)).await.unwrap();
    service
        .clone()
        .oneshot(Err("the caller's mistake".into()))
        .await
        .unwrap_err();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(
        service.clone().oneshot(Ok(500)).await.unwrap(),
        500,
        "the response is untouched"
    );
    assert_eq!(breaker.state(), State::Open);
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.succeeded, snapshot.ignored, snapshot.failed),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn a_refusal_of_a_guard_further_in_is_ignored() {
    let inner = breaker(1);
    open(&inner);
    let down =
        || service_fn(|_: ()| ready(Err::<(), std::io::Error>(std::io::ErrorKind::Other.into())));

    let boxed = breaker(1);
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(boxed.clone()))
        .layer(CircuitBreakerLayer::new(inner.clone()))
        .service(down());
    service.oneshot(()).await.unwrap_err();
    assert_eq!(
        (boxed.state(), boxed.snapshot().ignored),
        (State::Closed, 1)
    );

    let typed = breaker(1);
    let service = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::new(typed.clone())
                .classify(ErrorChain)
                .typed(),
        )
        .layer(CircuitBreakerLayer::new(inner.clone()).typed())
        .service(down());
    service.oneshot(()).await.unwrap_err();
    assert_eq!(
        (typed.state(), typed.snapshot().ignored),
        (State::Closed, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn an_ignored_trial_returns_its_slot() {
    let breaker = breaker(1);
    open(&breaker);
    tokio::time::advance(WAIT).await;
    breaker.try_acquire().unwrap().ignore();
    assert_eq!(
        (breaker.state(), breaker.snapshot().trials_in_flight),
        (State::HalfOpen, 0)
    );
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

// --- cancellation ----------------------------------------------------------------------------------------------------

fn polled_once<F: Future>(future: F) {
    let mut future = pin!(future);
    assert!(
        future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
}

#[tokio::test]
async fn a_call_dropped_before_its_first_poll_is_abandoned() {
    let breaker = breaker(1);
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|_: ()| pending::<Result<(), Infallible>>()));
    let call = service.ready().await.unwrap().call(());
    assert_eq!(breaker.state(), State::Closed);
    drop(call);
    assert_eq!(
        (breaker.state(), breaker.snapshot().abandoned),
        (State::Open, 1)
    );
}

#[tokio::test]
async fn a_call_dropped_while_running_is_abandoned() {
    let breaker = breaker(1);
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|_: ()| pending::<Result<(), Infallible>>()));
    polled_once(service.ready().await.unwrap().call(()));
    assert_eq!(
        (breaker.state(), breaker.snapshot().abandoned),
        (State::Open, 1)
    );
}

#[tokio::test]
async fn a_call_dropped_after_it_was_done_has_its_result_and_nothing_more() {
    let breaker = breaker(1);
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|_: ()| ready(Ok::<_, Infallible>(()))));
    let mut call = service.ready().await.unwrap().call(());
    (&mut call).await.unwrap();
    drop(call);
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.admitted, snapshot.succeeded, snapshot.abandoned),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn a_refused_call_may_be_dropped_unpolled() {
    let breaker = breaker(1);
    open(&breaker);
    let before = breaker.snapshot();
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|_: ()| pending::<Result<(), Infallible>>()));
    drop(service.ready().await.unwrap().call(()));
    let after = breaker.snapshot();
    assert_eq!(after.refused, before.refused + 1);
    assert_eq!(
        (after.admitted, after.abandoned),
        (before.admitted, before.abandoned)
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_trial_opens_the_circuit_again_by_default() {
    let breaker = breaker(1);
    open(&breaker);
    tokio::time::advance(WAIT).await;
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|_: ()| pending::<Result<(), Infallible>>()));
    polled_once(service.ready().await.unwrap().call(()));
    assert_eq!(
        (breaker.state(), breaker.snapshot().trials_failed),
        (State::Open, 1)
    );
    tokio::time::advance(WAIT).await;
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_trial_that_is_ignored_returns_its_slot() {
    let breaker = builder(1).on_abandoned(Abandoned::Ignore).build().unwrap();
    open(&breaker);
    tokio::time::advance(WAIT).await;
    drop(breaker.try_acquire().unwrap());
    assert_eq!(
        (breaker.state(), breaker.snapshot().trials_in_flight),
        (State::HalfOpen, 0)
    );
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn failure_after_tells_a_time_out_from_an_impatient_caller() {
    let limit = Duration::from_secs(1);
    let breaker = builder(1)
        .on_abandoned(Abandoned::FailureAfter(limit))
        .build()
        .unwrap();
    let permit = breaker.try_acquire().unwrap();
    tokio::time::advance(limit - Duration::from_millis(1)).await;
    drop(permit);
    assert_eq!(breaker.state(), State::Closed);
    let permit = breaker.try_acquire().unwrap();
    tokio::time::advance(limit).await;
    drop(permit);
    assert_eq!(breaker.state(), State::Open);
}

/// Pending twice, then done.
async fn slow(result: Result<(), BoxError>) -> Result<(), BoxError> {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    result
}

#[tokio::test(start_paused = true)]
async fn dropped_after_any_number_of_polls_a_call_is_accounted_for_once() {
    for (trial, fails) in [(false, false), (false, true), (true, false), (true, true)] {
        for polls in 0..=3 {
            let breaker = breaker(1);
            if trial {
                open(&breaker);
                tokio::time::advance(WAIT).await;
            }
            let before = breaker.snapshot();
            let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(service_fn(|()| {
                slow(if fails { Err("down".into()) } else { Ok(()) })
            }));
            let mut call = task::spawn(service.ready().await.unwrap().call(()));
            let mut done = false;
            for _ in 0..polls {
                done = call.poll().is_ready();
            }
            drop(call);

            assert_eq!(done, polls == 3);
            let after = breaker.snapshot();
            let ended = (
                after.succeeded - before.succeeded,
                after.failed - before.failed,
                after.abandoned - before.abandoned,
            );
            let case = format!("trial: {trial}, fails: {fails}, polls: {polls}");
            let expected = if !done {
                (0, 0, 1)
            } else if fails {
                (0, 1, 0)
            } else {
                (1, 0, 0)
            };
            assert_eq!(ended, expected, "{case}");
            assert_eq!(
                (after.admitted - before.admitted, after.stale),
                (1, 0),
                "{case}"
            );
            let healthy = done && !fails;
            assert_eq!(
                after.state,
                if healthy { State::Closed } else { State::Open },
                "{case}"
            );
            assert_eq!(after.trials_in_flight, 0, "{case}");
        }
    }
}

// --- panics ----------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq)]
enum When {
    Ready,
    Call,
    Poll,
}

struct Panics(When);

impl Service<()> for Panics {
    type Response = ();
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<(), Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        assert!(self.0 != When::Ready, "boom");
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        assert!(self.0 != When::Call, "boom");
        Box::pin(async { panic!("boom") })
    }
}

#[tokio::test]
async fn a_panic_of_the_inner_service_is_a_failure_and_goes_on() {
    for when in [When::Ready, When::Call, When::Poll] {
        let breaker = breaker(1);
        let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(Panics(when));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = service.poll_ready(&mut cx);
            let mut call = pin!(service.call(()));
            let _ = call.as_mut().poll(&mut cx);
        }));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"boom"));
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.state, State::Open);
        assert_eq!(
            (snapshot.admitted, snapshot.failed, snapshot.abandoned),
            (1, 1, 0)
        );
    }
}

#[tokio::test]
async fn a_panic_in_the_callers_task_is_not_blamed_on_the_inner_service() {
    let breaker = builder(1).on_abandoned(Abandoned::Ignore).build().unwrap();
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|_: ()| pending::<Result<(), Infallible>>()));
    let task = tokio::spawn(async move {
        let call = service.ready().await.unwrap().call(());
        let mut call = pin!(call);
        poll_fn(|cx| {
            let _ = call.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
        panic!("the caller's own");
    });
    assert!(task.await.unwrap_err().is_panic());
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.failed, snapshot.abandoned), (0, 1));
}

#[test]
fn a_permit_dropped_by_a_panic_is_a_failure() {
    let breaker = builder(1).on_abandoned(Abandoned::Ignore).build().unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _permit = breaker.try_acquire().unwrap();
        panic!("boom");
    }));
    assert!(caught.is_err());
    assert_eq!(
        (breaker.state(), breaker.snapshot().failed),
        (State::Open, 1)
    );
}

#[test]
fn a_panicking_classifier_does_not_keep_the_trial_slot() {
    let breaker = breaker(1);
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .classify(|_: Result<&(), &BoxError>| -> Verdict { panic!("boom") })
        .layer(service_fn(|_: ()| ready(Ok::<_, BoxError>(()))));
    let caught = catch_unwind(AssertUnwindSafe(|| polled_once(service.call(()))));
    assert!(caught.is_err());
    assert_eq!(breaker.snapshot().abandoned, 1);
}

// --- bounds ----------------------------------------------------------------------------------------------------------

// Neither `Clone`, `Send`, `Sync` nor `Debug`.
struct Bare(Rc<()>);

impl Service<()> for Bare {
    type Response = Rc<()>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Rc<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(self.0.clone()))
    }
}

#[test]
fn the_inner_service_needs_no_bounds() {
    let mut service = CircuitBreakerLayer::new(breaker(1))
        .typed()
        .layer(Bare(Rc::new(())));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(assert_ready!(service.poll_ready(&mut cx)).is_ok());
    assert!(assert_ready!(pin!(service.call(())).poll(&mut cx)).is_ok());
}

/// Every call failed, and how long to wait is written on the error.
#[derive(Clone)]
struct Asked(Rc<std::cell::Cell<u32>>);

impl<Req, Res> Classify<Req, Res, Duration> for Asked {
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        self.clone()
    }
}

impl<Res> ClassifyCall<Res, Duration> for Asked {
    fn verdict(self, _: Result<&Res, &Duration>) -> Verdict {
        Verdict::Failure
    }

    fn retry_after(&self, result: Result<&Res, &Duration>) -> Option<Duration> {
        self.0.set(self.0.get() + 1);
        result.err().copied()
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_circuit_that_wants_to_know_asks_how_long_to_wait() {
    let asked = Asked(Rc::default());
    for (builder, asks, waits) in [
        (builder(1), 0, WAIT),
        (builder(1).honor_retry_after(4 * WAIT), 1, 3 * WAIT),
    ] {
        let breaker = builder.build().unwrap();
        let mut service = CircuitBreakerLayer::new(breaker.clone())
            .classify(asked.clone())
            .typed()
            .layer(service_fn(async |(): ()| Err::<(), _>(3 * WAIT)));
        assert!(service.call(()).await.is_err());
        assert_eq!(asked.0.get(), asks);
        assert_eq!(breaker.snapshot().open_remaining, Some(waits));
    }
}
