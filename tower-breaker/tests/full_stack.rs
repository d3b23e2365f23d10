//! The whole stack in its documented order, fallback → bulkhead → breaker → retry with budget → time-out → client, through good
//! days and bad ones, with everything that each layer does counted exactly.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};
use tower::{ServiceBuilder, ServiceExt, retry::RetryLayer, service_fn};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, FallbackLayer, Reason,
    State,
    breaker::Abandoned,
    classify::HttpStatus,
    fallback::{Cause, Degraded},
    retry::{Backoff, RetryPolicy, TokenBudget},
};

/// What the backend does with each call.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Answers,
    Hangs,
    Fails,
    /// Asks to be left alone for two seconds, once; then it answers.
    IsBusy,
}

/// A backend, and how often it was called.
#[derive(Clone)]
struct Backend(Arc<Mutex<(Mood, u64)>>);

impl Backend {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((Mood::Answers, 0))))
    }

    fn set(&self, mood: Mood) {
        self.0.lock().unwrap().0 = mood;
    }

    fn calls(&self) -> u64 {
        self.0.lock().unwrap().1
    }

    async fn answer(self) -> Result<Response<String>, BoxError> {
        let mood = {
            let mut backend = self.0.lock().unwrap();
            backend.1 += 1;
            let mood = backend.0;
            if let Mood::IsBusy = mood {
                backend.0 = Mood::Answers;
            }
            mood
        };
        match mood {
            Mood::Answers => Ok(Response::new("fresh".to_owned())),
            Mood::Hangs => std::future::pending().await,
            Mood::Fails => Err("connection reset".into()),
            Mood::IsBusy => Ok(Response::builder()
                .status(503)
                .header("retry-after", "2")
                .body(String::new())?),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_layer_does_its_part_and_nothing_else() {
    let backend = Backend::new();
    let bulkhead = Bulkhead::builder("prices")
        .max_concurrent(2)
        .build()
        .unwrap();
    let breaker = CircuitBreaker::builder("prices")
        .consecutive_failures(3)
        .open_for(Duration::from_secs(10))
        // The time-out is inside, so a call that is given up says nothing.
        .on_abandoned(Abandoned::Ignore)
        .build()
        .unwrap();
    let budget = Arc::new(TokenBudget::new(10, 1, 1).unwrap());
    let retry = RetryPolicy::http()
        .max_attempts(3)
        .backoff(Backoff::exponential(Duration::from_millis(100)))
        .budget(budget.clone())
        .seed(1)
        .build()
        .unwrap();
    let fallback = FallbackLayer::http("older prices").value(Response::new("older".to_owned()));
    let stack = ServiceBuilder::new()
        .layer(fallback.clone())
        .layer(BulkheadLayer::new(bulkhead.clone()))
        .layer(CircuitBreakerLayer::new(breaker.clone()).classify(HttpStatus))
        .layer(RetryLayer::new(retry.clone()))
        .timeout(Duration::from_secs(1))
        .service(service_fn({
            let backend = backend.clone();
            move |_: Request<Full<Bytes>>| backend.clone().answer()
        }));

    let send = |method: Method| {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = method;
        stack.clone().oneshot(request)
    };
    // `None` for a fresh answer.
    let ask = async |method: Method| {
        let response = send(method).await.unwrap();
        let degraded = response.extensions().get::<Degraded>().cloned();
        let expected = if degraded.is_some() { "older" } else { "fresh" };
        assert_eq!(response.body(), expected);
        assert_eq!(
            response.headers().contains_key("degraded"),
            degraded.is_some()
        );
        degraded.map(|degraded| {
            assert_eq!(degraded.by(), "older prices");
            degraded.cause()
        })
    };
    let open = Some(Cause::Refused(Reason::CircuitOpen));

    // A good day.
    for _ in 0..10 {
        assert_eq!(ask(Method::GET).await, None);
    }
    assert_eq!((backend.calls(), budget.balance()), (10, 10));

    // It hangs: three attempts for each call, each ended by the time-out, until the third call opens the circuit.
    backend.set(Mood::Hangs);
    for balance in [8, 6, 4] {
        let begun = Instant::now();
        assert_eq!(ask(Method::GET).await, Some(Cause::Error));
        let took = begun.elapsed();
        // Three time-outs, and two waits of up to 100 and 200 ms.
        let range = Duration::from_secs(3)..Duration::from_millis(3_310);
        assert!(range.contains(&took), "{took:?}");
        assert_eq!(budget.balance(), balance);
    }
    assert_eq!((backend.calls(), breaker.state()), (19, State::Open));

    // Refused at once, and neither retried nor paid for.
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(ask(Method::GET).await, open);
    }
    assert_eq!((begun.elapsed(), backend.calls()), (Duration::ZERO, 19));
    assert_eq!(budget.balance(), 4);

    // A full bulkhead refuses before anything else is asked.
    let permits = [
        bulkhead.try_acquire().unwrap(),
        bulkhead.try_acquire().unwrap(),
    ];
    let full = Some(Cause::Refused(Reason::BulkheadFull));
    assert_eq!(ask(Method::GET).await, full);
    assert_eq!(breaker.snapshot().refused, 5);
    drop(permits);

    // The trial finds it busy, is made again after the two seconds that it asks for, and closes the circuit: the breaker
    // sees one success.
    advance(Duration::from_secs(10)).await;
    backend.set(Mood::IsBusy);
    let begun = Instant::now();
    assert_eq!(ask(Method::GET).await, None);
    let took = begun.elapsed();
    let range = Duration::from_secs(2)..Duration::from_millis(2_110);
    assert!(range.contains(&took), "{took:?}");
    assert_eq!((backend.calls(), breaker.state()), (21, State::Closed));
    // One taken out, and one put in.
    assert_eq!(budget.balance(), 4);

    // What must not be sent twice is not.
    backend.set(Mood::Fails);
    assert_eq!(ask(Method::POST).await, Some(Cause::Error));
    assert_eq!((backend.calls(), budget.balance()), (22, 4));
    backend.set(Mood::IsBusy);
    assert_eq!(ask(Method::POST).await, Some(Cause::BadAnswer));
    assert_eq!(ask(Method::POST).await, None);
    assert_eq!((backend.calls(), budget.balance()), (24, 4));

    // A long bad day: when the budget is used up, a failure is one call.
    backend.set(Mood::Fails);
    for (balance, calls) in [(2, 27), (0, 30), (0, 31)] {
        assert_eq!(ask(Method::GET).await, Some(Cause::Error));
        assert_eq!((budget.balance(), backend.calls()), (balance, calls));
    }
    assert_eq!(breaker.state(), State::Open);

    // A caller who goes away while a trial hangs: everything is given back, and another trial decides.
    advance(Duration::from_secs(10)).await;
    backend.set(Mood::Hangs);
    let mut gone = task::spawn(send(Method::GET));
    assert_pending!(gone.poll());
    assert_eq!((bulkhead.snapshot().in_flight, backend.calls()), (1, 32));
    assert_eq!(breaker.state(), State::HalfOpen);
    drop(gone);
    assert_eq!(bulkhead.snapshot().in_flight, 0);
    backend.set(Mood::Answers);
    assert_eq!(ask(Method::GET).await, None);
    assert_eq!((backend.calls(), breaker.state()), (33, State::Closed));

    // And all of it together.
    let calls = breaker.snapshot();
    assert_eq!((calls.succeeded, calls.failed), (13, 8));
    assert_eq!((calls.refused, calls.abandoned), (5, 1));
    let permits = bulkhead.snapshot();
    // All but the one refused: what the breaker admitted and refused, and the two permits that the test took.
    assert_eq!((permits.admitted, permits.refused.full), (29, 1));
    let retried = retry.snapshot();
    assert_eq!((retried.retries, retried.out_of_attempts), (11, 5));
    assert_eq!((retried.out_of_budget, retried.not_replayable), (1, 3));
    assert_eq!((retried.refused, retried.asked_to_wait_too_long), (0, 0));
    assert_eq!(budget.balance(), 1);
    let answers = fallback.snapshot();
    // Every failure and every refusal.
    assert_eq!((answers.degraded, answers.failed), (8 + 5 + 1, 0));
}
