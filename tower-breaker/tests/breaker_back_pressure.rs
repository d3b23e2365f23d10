//! The back-pressure mode: a circuit that refuses is not ready, so that whoever balances load goes elsewhere.

#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{
    BoxError, Layer, Service, ServiceExt, balance::p2c::Balance, discover::ServiceList,
    load::Constant, service_fn,
};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerLayer, LeaseExpired, Recovery, Refused, State, TrialRate,
    breaker::{CircuitBreakerBuilder, CircuitBreakerService},
};
use tower_test::mock;

const WAIT: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(3);
const MS: Duration = Duration::from_millis(1);

fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .open_for(WAIT)
}

fn opened() -> CircuitBreaker {
    let breaker = builder().build().unwrap();
    open(&breaker);
    breaker
}

fn open(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
}

type Mock = mock::Mock<&'static str, &'static str>;

fn guarded(
    breaker: &CircuitBreaker,
) -> (
    mock::Spawn<CircuitBreakerService<Mock>>,
    mock::Handle<&'static str, &'static str>,
) {
    let layer = CircuitBreakerLayer::new(breaker.clone()).back_pressure();
    mock::spawn_with(move |inner| layer.layer(inner))
}

/// Guarded, and waiting for the circuit.
fn waiting(
    breaker: &CircuitBreaker,
) -> (
    mock::Spawn<CircuitBreakerService<Mock>>,
    mock::Handle<&'static str, &'static str>,
) {
    let (mut service, mut handle) = guarded(breaker);
    handle.allow(1);
    assert_pending!(service.poll_ready());
    assert!(!service.is_woken());
    (service, handle)
}

async fn answers(
    service: &mut mock::Spawn<CircuitBreakerService<Mock>>,
    handle: &mut mock::Handle<&'static str, &'static str>,
) {
    let mut call = task::spawn(service.call("hello"));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response("hi");
    assert_eq!(assert_ready_ok!(call.poll()), "hi");
}

#[tokio::test(start_paused = true)]
async fn a_closed_circuit_is_as_ready_as_the_inner_service() {
    let breaker = builder().build().unwrap();
    let (mut service, mut handle) = guarded(&breaker);
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    answers(&mut service, &mut handle).await;
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_not_ready_and_is_again_at_exactly_the_time_of_the_trial() {
    let breaker = opened();
    let (mut service, mut handle) = waiting(&breaker);
    advance(WAIT - MS).await;
    assert!(!service.is_woken(), "not a moment too early");
    assert_pending!(service.poll_ready());
    advance(MS).await;
    assert!(service.is_woken(), "and not one too late");
    assert_ready_ok!(service.poll_ready());
    assert_eq!(
        (breaker.state(), breaker.snapshot().refused),
        (State::Open, 0),
        "waiting is neither refused nor a trial"
    );
    answers(&mut service, &mut handle).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_exactly_as_long_as_the_circuit_is_open() {
    let breaker = opened();
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .back_pressure()
        .layer(service_fn(|(): ()| ready(Ok::<(), Infallible>(()))));
    let began = Instant::now();
    advance(MS).await;
    service.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(began.elapsed(), WAIT);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn whatever_lets_calls_through_again_wakes() {
    type Way = (&'static str, fn(&CircuitBreaker));
    let ways: [Way; 6] = [
        ("reset", CircuitBreaker::reset),
        ("force_closed", CircuitBreaker::force_closed),
        ("force_closed_for", |breaker| breaker.force_closed_for(WAIT)),
        ("disable", CircuitBreaker::disable),
        ("half_open", |breaker| assert!(breaker.half_open())),
        ("set_dry_run", |breaker| breaker.set_dry_run(true)),
    ];
    for (name, way) in ways {
        let breaker = opened();
        let (mut service, mut handle) = waiting(&breaker);
        advance(WAIT / 2).await;
        assert!(!service.is_woken(), "{name}");
        way(&breaker);
        assert!(service.is_woken(), "{name}");
        assert_ready_ok!(service.poll_ready(), "{}", name);
        answers(&mut service, &mut handle).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_held_open_is_not_ready_until_it_is_let_go() {
    let breaker = builder().build().unwrap();
    breaker.force_open();
    let (mut service, _handle) = waiting(&breaker);
    advance(1_000 * WAIT).await;
    assert!(!service.is_woken());
    assert_pending!(service.poll_ready());
    // Held no longer, but open: the wait is what counts now.
    breaker.force_open_for(WAIT);
    assert_pending!(service.poll_ready());
    advance(WAIT).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn a_circuit_opened_anew_while_one_waits_is_waited_for_anew() {
    let breaker = opened();
    let (mut service, _handle) = waiting(&breaker);
    advance(WAIT / 2).await;
    breaker.force_open_for(2 * WAIT);
    assert_pending!(service.poll_ready());
    advance(2 * WAIT - MS).await;
    assert_pending!(service.poll_ready());
    advance(MS).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_for_a_trial_slot_is_woken_however_the_trial_ends() {
    // Also when the slot comes free without a change of the state.
    for (name, end) in [
        (
            "success",
            tower_breaker::Permit::success as fn(tower_breaker::Permit),
        ),
        ("ignore", tower_breaker::Permit::ignore),
    ] {
        let breaker = opened();
        advance(WAIT).await;
        let trial = breaker.try_acquire().unwrap();
        let (mut service, mut handle) = waiting(&breaker);
        end(trial);
        assert!(service.is_woken(), "{name}");
        assert_ready_ok!(service.poll_ready(), "{}", name);
        answers(&mut service, &mut handle).await;
        assert_eq!(breaker.state(), State::Closed);
    }

    let breaker = opened();
    advance(WAIT).await;
    let trial = breaker.try_acquire().unwrap();
    let (mut service, _handle) = waiting(&breaker);
    trial.failure();
    assert_pending!(service.poll_ready());
    advance(WAIT - MS).await;
    assert_pending!(service.poll_ready());
    advance(MS).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_for_a_hung_trial_is_woken_when_its_lease_is_over() {
    let breaker = builder()
        .trial_lease(LEASE)
        .on_lease_expired(LeaseExpired::Ignore)
        .build()
        .unwrap();
    open(&breaker);
    advance(WAIT).await;
    let _hung = breaker.try_acquire().unwrap();
    let (mut service, mut handle) = waiting(&breaker);
    advance(LEASE - MS).await;
    assert_pending!(service.poll_ready());
    advance(MS).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    answers(&mut service, &mut handle).await;
    assert_eq!(breaker.state(), State::Closed);

    // If it means a failure, there is another wait to be waited for.
    let breaker = builder().trial_lease(LEASE).build().unwrap();
    open(&breaker);
    advance(WAIT).await;
    let _hung = breaker.try_acquire().unwrap();
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .back_pressure()
        .layer(service_fn(|(): ()| ready(Ok::<(), Infallible>(()))));
    let began = Instant::now();
    service.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(began.elapsed(), LEASE + WAIT);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_get_through_in_the_end() {
    let breaker = opened();
    let inner = service_fn(|(): ()| async {
        tokio::time::sleep(MS).await;
        Ok::<(), Infallible>(())
    });
    let service = CircuitBreakerLayer::new(breaker.clone())
        .back_pressure()
        .layer(inner);
    let began = Instant::now();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let mut service = service.clone();
            tokio::spawn(async move {
                loop {
                    // Who is ready has no trial's slot yet, and may still be refused.
                    if service.ready().await.unwrap().call(()).await.is_ok() {
                        return;
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(breaker.state(), State::Closed);
    assert!(began.elapsed() <= WAIT + 2 * MS, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_opens_between_poll_ready_and_call_refuses() {
    let breaker = builder().build().unwrap();
    let (mut service, mut handle) = guarded(&breaker);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    open(&breaker);
    let err = assert_ready_err!(task::spawn(service.call("late")).poll());
    assert_eq!(Refused::find(&*err).unwrap().retry_after(), Some(WAIT));
    assert_pending!(service.poll_ready());
    advance(WAIT).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    answers(&mut service, &mut handle).await;
}

#[tokio::test(start_paused = true)]
async fn with_probed_recovery_it_is_the_probe_that_wakes() {
    let breaker = builder().recovery(Recovery::Probed).build().unwrap();
    open(&breaker);
    let (mut service, _handle) = waiting(&breaker);
    advance(2 * WAIT).await;
    assert_pending!(service.poll_ready());
    let trial = breaker.try_trial().unwrap();
    assert_pending!(service.poll_ready());
    trial.success();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

// --- dropped while it waits ------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn one_who_gives_up_waiting_leaves_the_others_their_turn() {
    for at in [Duration::ZERO, WAIT / 2, WAIT - MS, WAIT] {
        let breaker = opened();
        let (first, _a) = waiting(&breaker);
        let (mut second, mut handle) = waiting(&breaker);
        let (third, _c) = waiting(&breaker);
        advance(at).await;
        // At the end of the wait: woken, but dropped before it could use that.
        drop(first);
        advance(WAIT - at).await;
        drop(third);
        assert!(second.is_woken(), "{at:?}");
        assert_ready_ok!(second.poll_ready());
        answers(&mut second, &mut handle).await;
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.state, State::Closed);
        assert_eq!(
            (snapshot.abandoned, snapshot.refused, snapshot.admitted),
            (0, 0, 2),
            "waiting is nothing to be recorded"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_was_ready_and_never_called_holds_no_trial() {
    let breaker = opened();
    advance(WAIT).await;
    let (mut first, mut allowed) = guarded(&breaker);
    allowed.allow(1);
    assert_ready_ok!(first.poll_ready());
    let (mut second, mut handle) = guarded(&breaker);
    handle.allow(1);
    assert_ready_ok!(second.poll_ready());
    drop(first);
    answers(&mut second, &mut handle).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_service_may_be_the_last_of_its_circuit() {
    let breaker = opened();
    let (mut service, _handle) = waiting(&breaker);
    drop(breaker);
    advance(WAIT / 2).await;
    assert_pending!(service.poll_ready());
    advance(WAIT / 2).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    drop(service);
}

#[tokio::test(start_paused = true)]
async fn a_clone_waits_for_itself() {
    let breaker = opened();
    let layer = CircuitBreakerLayer::new(breaker.clone()).back_pressure();
    let mut one = layer.layer(service_fn(|(): ()| pending::<Result<(), Infallible>>()));
    let mut polled = task::spawn(one.ready());
    assert_pending!(polled.poll());
    drop(polled);
    let mut two = one.clone();
    let mut ready = task::spawn(two.ready());
    assert_pending!(ready.poll());
    drop(one);
    advance(WAIT).await;
    assert!(ready.is_woken());
    assert!(assert_ready!(ready.poll()).is_ok());
}

// --- under tower's balancer ------------------------------------------------------------------------------------------

#[derive(Clone)]
struct Endpoint(Arc<AtomicU64>);

impl Service<()> for Endpoint {
    type Response = ();
    type Error = BoxError;
    type Future = Ready<Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.0.fetch_add(1, Ordering::Relaxed);
        ready(Ok(()))
    }
}

type Balanced = Balance<ServiceList<Vec<Constant<CircuitBreakerService<Endpoint>, u32>>>, ()>;

/// Two endpoints, each behind a circuit of its own. The first is the less loaded one, and so always preferred.
fn balanced(back_pressure: bool) -> (Balanced, [CircuitBreaker; 2], [Arc<AtomicU64>; 2]) {
    let breakers = [0, 1].map(|_| builder().build().unwrap());
    let calls: [Arc<AtomicU64>; 2] = Default::default();
    let services = [0, 1].map(|index| {
        let mut layer = CircuitBreakerLayer::new(breakers[index].clone());
        if back_pressure {
            layer = layer.back_pressure();
        }
        Constant::new(layer.layer(Endpoint(calls[index].clone())), index as u32)
    });
    let balance = Balance::new(ServiceList::new(Vec::from(services)));
    (balance, breakers, calls)
}

async fn calls(balance: &mut Balanced, calls: usize) -> usize {
    let mut failed = 0;
    for _ in 0..calls {
        let result = balance.ready().await.unwrap().call(()).await;
        failed += usize::from(result.is_err());
    }
    failed
}

fn counts(calls: &[Arc<AtomicU64>; 2]) -> [u64; 2] {
    [0, 1].map(|index| calls[index].swap(0, Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_balancer_avoids_the_endpoint_whose_circuit_is_open() {
    let (mut balance, [breaker, other], seen) = balanced(true);
    assert_eq!(calls(&mut balance, 50).await, 0);
    assert_eq!(counts(&seen), [50, 0], "the first is preferred");
    open(&breaker);
    assert_eq!(calls(&mut balance, 50).await, 0, "nobody is refused");
    assert_eq!(counts(&seen), [0, 50], "all go to the other");
    assert_eq!(breaker.snapshot().refused, 0);

    // At the end of the wait it is tried, and trusted again.
    advance(WAIT - MS).await;
    assert_eq!(calls(&mut balance, 10).await, 0);
    assert_eq!(counts(&seen), [0, 10]);
    advance(MS).await;
    assert_eq!(calls(&mut balance, 50).await, 0);
    let [first, second] = counts(&seen);
    assert!(first >= 49, "{first}, {second}");
    assert_eq!(
        (breaker.state(), other.state()),
        (State::Closed, State::Closed)
    );
}

#[tokio::test(start_paused = true)]
async fn without_back_pressure_a_balancer_runs_into_the_open_circuit() {
    let (mut balance, [breaker, _other], seen) = balanced(false);
    open(&breaker);
    assert_eq!(calls(&mut balance, 50).await, 50);
    assert_eq!(counts(&seen), [0, 0], "refused at once, and so preferred");
}

#[tokio::test(start_paused = true)]
async fn a_balancer_over_open_circuits_only_waits_for_the_first_trial() {
    let (mut balance, [breaker, other], seen) = balanced(true);
    let began = Instant::now();
    open(&other);
    advance(WAIT / 2).await;
    open(&breaker);
    balance.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(began.elapsed(), WAIT);
    assert_eq!(counts(&seen), [0, 1]);
    assert_eq!(
        (breaker.state(), other.state()),
        (State::Open, State::Closed)
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_comes_late_waits_for_the_end_of_the_lease_that_is_running_and_is_not_woken_before()
 {
    let breaker = builder().trial_lease(LEASE).build().unwrap();
    open(&breaker);
    advance(WAIT).await;
    let _hangs = breaker.try_acquire().unwrap();
    advance(LEASE / 2).await;
    let (mut service, _handle) = waiting(&breaker);
    for _ in 0..10 {
        advance(LEASE / 2 / 10 - MS / 2).await;
        assert!(!service.is_woken());
    }
    advance(5 * MS).await;
    assert!(service.is_woken());
    // The lease that is over reopens the circuit, when somebody asks.
    assert_pending!(service.poll_ready());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_whose_trials_are_all_spoken_for_is_not_ready() {
    let breaker = builder()
        .half_open_trials(3)
        .trial_rate(TrialRate::of_trials(3).threshold(1.0))
        .build()
        .unwrap();
    open(&breaker);
    advance(WAIT).await;
    let first = breaker.try_acquire().unwrap();
    let _others = [
        breaker.try_acquire().unwrap(),
        breaker.try_acquire().unwrap(),
    ];
    // One of three has its result. There is room for another one in flight, but not in the number of trials.
    first.failure();
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(breaker.snapshot().trials_in_flight, 2);
    let _ = waiting(&breaker);
}

#[tokio::test(start_paused = true)]
async fn while_only_checks_may_try_the_end_of_the_wait_wakes_nobody() {
    let breaker = builder().recovery(Recovery::Probed).build().unwrap();
    open(&breaker);
    let (mut service, _handle) = waiting(&breaker);
    advance(100 * WAIT).await;
    assert!(!service.is_woken());
    let trial = breaker.try_trial().unwrap();
    assert!(service.is_woken());
    assert_pending!(service.poll_ready());
    trial.success();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}
