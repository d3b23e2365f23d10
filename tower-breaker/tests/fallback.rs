//! When a fallback answers, with what, and how the answer says that it is one.

#![allow(clippy::unwrap_used)]

use std::{
    cell::Cell,
    convert::Infallible,
    future::{pending, ready},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, Error, FallbackLayer,
    Reason, Refused,
    classify::{AnyError, Verdict},
    fallback::{Answer, Cause, Degraded, Happened, Snapshot},
};
use tower_layer::Layer;

type Outcome = Result<u32, BoxError>;

/// Answers even requests, and fails at odd ones.
fn even()
-> impl Service<u32, Response = u32, Error = BoxError, Future = std::future::Ready<Outcome>> + Clone
{
    service_fn(|request: u32| {
        ready(match request {
            odd if odd % 2 == 1 => Err(format!("{odd} is odd").into()),
            even => Ok(even),
        })
    })
}

fn open() -> CircuitBreaker {
    let breaker = CircuitBreaker::builder("open")
        .consecutive_failures(1)
        .build()
        .unwrap();
    breaker.force_open();
    breaker
}

fn counts(snapshot: &Snapshot) -> (u64, u64, u64) {
    (snapshot.degraded, snapshot.failed, snapshot.not_kept)
}

#[tokio::test]
async fn by_default_it_answers_on_every_error_and_only_then() {
    let layer = FallbackLayer::new("zero").value(0);
    let mut service = layer.layer(even());
    for (request, answer) in [(2, 2), (1, 0), (4, 4), (3, 0)] {
        let answered = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(answered, answer);
    }
    assert_eq!(counts(&layer.snapshot()), (2, 0, 0));
    assert_eq!(service.snapshot(), layer.snapshot());
    assert_eq!(&*layer.snapshot().name, "zero");
}

#[tokio::test]
async fn on_refusal_other_errors_are_passed_on() {
    let layer = FallbackLayer::new("zero").on_refusal().value(0);
    let breaker = open();
    let service = layer.layer(CircuitBreakerLayer::new(breaker.clone()).layer(even()));
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 0);
    breaker.force_closed();
    let err = service.oneshot(1).await.unwrap_err();
    assert_eq!(err.to_string(), "1 is odd");
    assert_eq!(counts(&layer.snapshot()), (1, 0, 0));
}

#[tokio::test]
async fn a_refusal_deep_in_the_chain_and_towers_load_shed_are_refusals() {
    let causes = Arc::new(Mutex::new(Vec::new()));
    let layer = FallbackLayer::new("zero").on_refusal().value(0).mark({
        let causes = causes.clone();
        move |_: &mut u32, degraded: &Degraded| causes.lock().unwrap().push(degraded.cause())
    });
    let bulkhead = Bulkhead::builder("full").max_concurrent(1).build().unwrap();
    let _full = bulkhead.try_acquire().unwrap();
    let deep = ServiceBuilder::new()
        .map_err(|err: BoxError| BoxError::from(std::io::Error::other(err)))
        .layer(BulkheadLayer::new(bulkhead))
        .service(even());
    assert_eq!(layer.layer(deep).oneshot(2).await.unwrap(), 0);

    let shed = ServiceBuilder::new()
        .layer(&layer)
        .load_shed()
        .concurrency_limit(1)
        .service(service_fn(|_: u32| pending::<Outcome>()));
    let mut first = task::spawn(shed.clone().oneshot(2));
    assert_pending!(first.poll());
    assert_eq!(shed.oneshot(2).await.unwrap(), 0);
    assert_eq!(
        *causes.lock().unwrap(),
        [Cause::Refused(Reason::BulkheadFull), Cause::Overloaded]
    );
}

/// Not an error, and not `'static`.
#[derive(Debug)]
struct Down<'a>(&'a str);

#[test]
fn a_typed_refusal_is_known_over_any_error() {
    let text = String::from("down");
    let layer = FallbackLayer::new("zero").on_typed_refusal().value(0);
    let breaker = open();
    let typed = || {
        CircuitBreakerLayer::new(breaker.clone())
            .classify(|_: Result<&u32, &Down<'_>>| Verdict::Success)
            .typed()
            .layer(service_fn(|_: u32| ready(Err::<u32, _>(Down(&text)))))
    };
    let mut service = layer.layer(typed());
    assert_eq!(assert_ready_ok!(task::spawn(service.call(1)).poll()), 0);
    breaker.force_closed();
    let err = assert_ready_err!(task::spawn(service.call(1)).poll());
    assert!(matches!(err, Error::Inner(Down("down"))));

    let mut any = FallbackLayer::new("zero")
        .on(|result: Result<&u32, &Error<Down<'_>>>| result.is_err())
        .value(0)
        .layer(typed());
    assert_eq!(assert_ready_ok!(task::spawn(any.call(1)).poll()), 0);
}

#[tokio::test]
async fn a_verdict_may_be_about_the_answer() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let layer = FallbackLayer::new("one")
        .on_verdict(|result: Result<&u32, &BoxError>| match result {
            Ok(0) => Verdict::Failure,
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Ignore,
        })
        .answer({
            let seen = seen.clone();
            move |happened: Happened<u32, BoxError>| {
                let outcome = happened.outcome.ok();
                seen.lock().unwrap().push((happened.cause, outcome));
                Ok(1)
            }
        });
    let breaker = open();
    breaker.force_closed();
    let service = layer.layer(CircuitBreakerLayer::new(breaker.clone()).layer(even()));
    assert_eq!(service.clone().oneshot(0).await.unwrap(), 1);
    assert_eq!(service.clone().oneshot(2).await.unwrap(), 2);
    // Ignored by the classifier.
    service.clone().oneshot(3).await.unwrap_err();
    // Ignored by it too, if it were asked.
    breaker.force_open();
    assert_eq!(service.oneshot(2).await.unwrap(), 1);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            (Cause::BadAnswer, Some(0)),
            (Cause::Refused(Reason::ForcedOpen), None)
        ]
    );

    let errors = FallbackLayer::new("one").on_verdict(AnyError).value(1);
    assert_eq!(errors.layer(even()).oneshot(3).await.unwrap(), 1);
}

#[tokio::test]
async fn a_function_may_decline_and_hand_on_what_happened() {
    let layer = FallbackLayer::new("picky").answer(|happened: Happened<u32, BoxError>| {
        match happened.outcome {
            Err(err) if err.to_string() == "1 is odd" => Ok(10),
            outcome => outcome,
        }
    });
    let service = layer.layer(even());
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 10);
    let err = service.oneshot(3).await.unwrap_err();
    assert_eq!(err.to_string(), "3 is odd");
    assert_eq!(counts(&layer.snapshot()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_async_function_may_take_its_time_and_is_dropped_with_the_call() {
    let running = Arc::new(AtomicUsize::new(0));
    struct Running(Arc<AtomicUsize>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let layer = FallbackLayer::new("slow").then({
        let running = running.clone();
        move |_: Happened<u32, BoxError>| {
            running.fetch_add(1, Ordering::Relaxed);
            let guard = Running(running.clone());
            async move {
                let _guard = guard;
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(7)
            }
        }
    });
    let service = layer.layer(even());
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 7);

    let mut call = task::spawn(service.oneshot(1));
    assert_pending!(call.poll());
    assert_eq!(running.load(Ordering::Relaxed), 1);
    drop(call);
    assert_eq!(running.load(Ordering::Relaxed), 0);
    assert_eq!(counts(&layer.snapshot()), (1, 0, 0));
}

#[test]
fn nothing_need_be_send_or_clone_or_static() {
    struct NotClone;
    let calls = Cell::new(0);
    let inner = service_fn(|_: NotClone| {
        calls.set(calls.get() + 1);
        ready(Err::<Rc<u32>, Rc<str>>("down".into()))
    });
    let answer = Rc::new(7);
    let mut service = FallbackLayer::new("rc")
        .answer({
            let answer = answer.clone();
            move |_: Happened<Rc<u32>, Rc<str>>| Ok(answer.clone())
        })
        .layer(inner);
    let answered = assert_ready_ok!(task::spawn(service.call(NotClone)).poll());
    assert!(Rc::ptr_eq(&answered, &answer));
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn what_is_kept_of_the_request_decides_whether_there_is_a_fallback() {
    let layer = FallbackLayer::new("older").then_with(
        |request: &u32| (*request < 10).then(|| request.to_string()),
        async |kept: String, happened: Happened<u32, BoxError>| {
            assert_eq!(happened.cause, Cause::Error);
            Ok(kept.len() as u32)
        },
    );
    let service = layer.layer(even());
    assert_eq!(service.clone().oneshot(9).await.unwrap(), 1);
    let err = service.oneshot(11).await.unwrap_err();
    assert_eq!(err.to_string(), "11 is odd");
    assert_eq!(counts(&layer.snapshot()), (1, 0, 1));
}

/// A service whose readiness the test decides.
#[derive(Clone, Default)]
struct Other {
    polled: Arc<AtomicUsize>,
    called: Arc<Mutex<Vec<u32>>>,
    is_ready: Arc<AtomicBool>,
    is_broken: Arc<AtomicBool>,
}

impl Service<u32> for Other {
    type Response = u32;
    type Error = &'static str;
    type Future = std::future::Ready<Result<u32, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.polled.fetch_add(1, Ordering::Relaxed);
        if self.is_broken.load(Ordering::Relaxed) {
            return Poll::Ready(Err("broken"));
        }
        if self.is_ready.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn call(&mut self, request: u32) -> Self::Future {
        self.called.lock().unwrap().push(request);
        ready(if request == 5 {
            Err("no five")
        } else {
            Ok(request * 100)
        })
    }
}

#[test]
fn another_service_is_asked_only_when_needed_and_never_holds_up_the_first() {
    let other = Other::default();
    let layer = FallbackLayer::new("other").service(other.clone());
    let mut service = layer.layer(even());
    // Not ready, and not asked either.
    assert_ready_ok!(task::spawn(()).enter(|cx, _| service.poll_ready(cx)));
    assert_eq!(assert_ready_ok!(task::spawn(service.call(2)).poll()), 2);
    assert_eq!(other.polled.load(Ordering::Relaxed), 0);

    let mut call = task::spawn(service.call(3));
    assert_pending!(call.poll());
    assert_eq!(other.polled.load(Ordering::Relaxed), 1);
    // The first goes on meanwhile.
    assert_eq!(assert_ready_ok!(task::spawn(service.call(4)).poll()), 4);
    other.is_ready.store(true, Ordering::Relaxed);
    assert_eq!(assert_ready_ok!(call.poll()), 300);
    assert_eq!(*other.called.lock().unwrap(), [3]);
    assert_eq!(counts(&layer.snapshot()), (1, 0, 0));
}

#[test]
fn if_the_other_service_fails_too_the_caller_gets_what_happened_first() {
    let other = Other::default();
    other.is_ready.store(true, Ordering::Relaxed);
    let layer = FallbackLayer::new("other").service(other.clone());
    let mut service = layer.layer(even());
    let err = assert_ready_err!(task::spawn(service.call(5)).poll());
    assert_eq!(err.to_string(), "5 is odd");
    other.is_broken.store(true, Ordering::Relaxed);
    let err = assert_ready_err!(task::spawn(service.call(7)).poll());
    assert_eq!(err.to_string(), "7 is odd");
    assert_eq!(*other.called.lock().unwrap(), [5]);
    assert_eq!(counts(&layer.snapshot()), (0, 2, 0));
}

#[test]
fn another_service_may_take_another_request() {
    let other = Other::default();
    other.is_ready.store(true, Ordering::Relaxed);
    struct Request(u32); // not `Clone`
    let mut service = FallbackLayer::new("other")
        .service_with(|request: &Request| Some(request.0 + 1), other)
        .layer(service_fn(|_: Request| ready(Err::<u32, _>("down"))));
    let answer = assert_ready_ok!(task::spawn(service.call(Request(1))).poll());
    assert_eq!(answer, 200);
}

#[tokio::test]
async fn the_call_has_let_go_of_everything_before_the_fallback_begins() {
    let bulkhead = Bulkhead::builder("one").max_concurrent(1).build().unwrap();
    let layer = FallbackLayer::new("same permit").answer({
        let bulkhead = bulkhead.clone();
        move |_: Happened<u32, BoxError>| {
            let _permit = bulkhead.try_acquire()?;
            Ok(7)
        }
    });
    // Keeps its permit until it is dropped, not until it has answered.
    let inner = service_fn(move |_: u32| {
        let permit = bulkhead.try_acquire().unwrap();
        std::future::poll_fn(move |_| {
            let _held = &permit;
            Poll::Ready(Err::<u32, BoxError>("down".into()))
        })
    });
    assert_eq!(layer.layer(inner).oneshot(1).await.unwrap(), 7);
}

#[test]
fn a_given_up_call_is_dropped_and_not_answered() {
    let layer = FallbackLayer::new("zero").value(0);
    let guard = Arc::new(());
    let mut service = layer.layer(service_fn({
        let guard = guard.clone();
        move |_: u32| {
            let guard = guard.clone();
            async move {
                let _guard = guard;
                pending::<Outcome>().await
            }
        }
    }));
    let mut call = task::spawn(service.call(1));
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&guard), 3);
    drop(call);
    assert_eq!(Arc::strong_count(&guard), 2);
    assert_eq!(counts(&layer.snapshot()), (0, 0, 0));
}

#[test]
fn an_error_of_readiness_is_passed_on() {
    let other = Other::default();
    other.is_broken.store(true, Ordering::Relaxed);
    let mut service = FallbackLayer::new("zero").value(0).layer(other);
    let polled = task::spawn(()).enter(|cx, _| service.poll_ready(cx));
    assert_eq!(assert_ready!(polled), Err("broken"));
}

#[tokio::test]
async fn a_hook_marks_what_is_no_response() {
    #[derive(Debug, Clone, PartialEq)]
    struct Price {
        cents: u32,
        note: Option<String>,
    }
    let layer = FallbackLayer::new("list price")
        .value(Price {
            cents: 100,
            note: None,
        })
        .mark(|price: &mut Price, degraded: &Degraded| price.note = Some(degraded.to_string()));
    let breaker = open();
    let service = ServiceBuilder::new()
        .layer(layer)
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .service(service_fn(async |_: u32| {
            Ok::<_, BoxError>(Price {
                cents: 80,
                note: None,
            })
        }));
    let degraded = service.clone().oneshot(1).await.unwrap();
    let note = "answered by `list price`: the circuit is held open by hand";
    assert_eq!(
        (degraded.cents, degraded.note.as_deref()),
        (100, Some(note))
    );
    breaker.force_closed();
    assert_eq!(service.oneshot(1).await.unwrap().note, None);
}

#[cfg(feature = "http")]
mod over_http {
    use axum::{
        Router,
        body::Body,
        response::{IntoResponse, Response},
        routing::get,
    };
    use http::{HeaderName, Request, StatusCode};
    use http_body_util::BodyExt;
    use tower_breaker::{classify::HttpStatus, fallback::HttpMark};

    use super::*;

    fn back_soon(happened: Happened<Response, Infallible>) -> Result<Response, Infallible> {
        let Ok(original) = happened.outcome;
        Ok(format!("back soon, instead of {}", original.status()).into_response())
    }

    async fn ask(app: &Router) -> (StatusCode, Option<String>, Option<Degraded>, String) {
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let header = response.headers().get("degraded");
        let header = header.map(|value| value.to_str().unwrap().to_owned());
        let degraded = response.extensions().get().cloned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (status, header, degraded, body)
    }

    #[tokio::test]
    async fn it_fits_into_axums_router_over_guards_that_answer_by_themselves() {
        let healthy = Arc::new(AtomicBool::new(true));
        let breaker = CircuitBreaker::builder("shop")
            .consecutive_failures(1)
            .build()
            .unwrap();
        let layer = FallbackLayer::http("front page").answer(back_soon);
        let handler = {
            let healthy = healthy.clone();
            move || {
                ready(if healthy.load(Ordering::Relaxed) {
                    "hello".into_response()
                } else {
                    StatusCode::BAD_GATEWAY.into_response()
                })
            }
        };
        let app = Router::new().route("/", get(handler)).layer(
            ServiceBuilder::new().layer(layer.clone()).layer(
                CircuitBreakerLayer::new(breaker)
                    .classify(HttpStatus)
                    .respond(),
            ),
        );
        let (status, header, degraded, body) = ask(&app).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, "hello"));
        assert_eq!((header, degraded), (None, None));

        healthy.store(false, Ordering::Relaxed);
        for (reason, cause, instead_of) in [
            ("bad_answer", Cause::BadAnswer, "502 Bad Gateway"),
            (
                "circuit_open",
                Cause::Refused(Reason::CircuitOpen),
                "503 Service Unavailable",
            ),
        ] {
            let (status, header, degraded, body) = ask(&app).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(body, format!("back soon, instead of {instead_of}"));
            let field = format!("?1;by=\"front page\";reason={reason}");
            assert_eq!(header, Some(field));
            let degraded = degraded.unwrap();
            assert_eq!((degraded.by(), degraded.cause()), ("front page", cause));
        }
        assert_eq!(counts(&layer.snapshot()), (2, 0, 0));
    }

    #[tokio::test]
    async fn an_answer_that_is_handed_on_is_not_marked() {
        let layer = FallbackLayer::http("picky");
        let decline =
            |happened: Happened<http::Response<&'static str>, BoxError>| match happened.cause {
                Cause::Refused(_) => Answer::Degraded(http::Response::new("instead")),
                _ => Answer::Failed(happened.outcome),
            };
        let inner = || {
            service_fn(|refuse: bool| {
                let mut response = http::Response::new("original");
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                if refuse {
                    let refused = open().try_acquire().unwrap_err();
                    response.extensions_mut().insert(refused);
                }
                ready(Ok::<_, BoxError>(response))
            })
        };
        let at_once = layer.clone().answer(decline).layer(inner());
        let later = layer
            .clone()
            .then(move |happened| ready(decline(happened)))
            .layer(inner());
        let kept = layer
            .clone()
            .then_with(
                |refuse: &bool| Some(*refuse),
                move |_: bool, happened| ready(decline(happened)),
            )
            .layer(inner());
        for refused in [false, true] {
            let answers = [
                at_once.clone().oneshot(refused).await.unwrap(),
                later.clone().oneshot(refused).await.unwrap(),
                kept.clone().oneshot(refused).await.unwrap(),
            ];
            for answer in answers {
                assert_eq!(answer.headers().contains_key("degraded"), refused);
                assert_eq!(answer.extensions().get::<Degraded>().is_some(), refused);
                assert_eq!(*answer.body() == "instead", refused);
            }
        }
        assert_eq!(counts(&layer.answer(decline).snapshot()), (3, 3, 0));
    }

    #[tokio::test]
    async fn on_refused_response_leaves_failures_alone() {
        let service = |status: u16, refused: Option<Refused>| {
            FallbackLayer::new("x")
                .on_refused_response()
                .value(http::Response::new("instead"))
                .layer(service_fn(move |_: ()| {
                    let mut response = http::Response::new("original");
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    response.extensions_mut().extend(http::Extensions::new());
                    if let Some(refused) = refused.clone() {
                        response.extensions_mut().insert(refused);
                    }
                    ready(Ok::<_, BoxError>(response))
                }))
        };
        let refused = open().try_acquire().unwrap_err();
        let answer =
            async |status, refused| *service(status, refused).oneshot(()).await.unwrap().body();
        assert_eq!(answer(503, None).await, "original");
        assert_eq!(answer(503, Some(refused)).await, "instead");

        let errors = FallbackLayer::new("x")
            .on_refused_response()
            .value(http::Response::new("instead"))
            .layer(CircuitBreakerLayer::new(open()).layer(service_fn(|_: ()| {
                ready(Err::<http::Response<&str>, BoxError>("down".into()))
            })));
        assert_eq!(*errors.oneshot(()).await.unwrap().body(), "instead");
    }

    #[tokio::test]
    async fn the_header_has_the_name_it_is_given_or_is_left_out() {
        let marked = async |mark: HttpMark| {
            let service = FallbackLayer::http("x")
                .mark(mark)
                .value(http::Response::new(()))
                .layer(service_fn(|_: ()| {
                    ready(Err::<http::Response<()>, BoxError>("down".into()))
                }));
            service.oneshot(()).await.unwrap()
        };
        let named = marked(HttpMark::header(HeaderName::from_static("x-degraded"))).await;
        assert_eq!(named.headers()["x-degraded"], "?1;by=\"x\";reason=error");
        assert_eq!(named.headers().len(), 1);
        let silent = marked(HttpMark::only_extension()).await;
        assert!(silent.headers().is_empty());
        assert_eq!(silent.extensions().get::<Degraded>().unwrap().by(), "x");
    }
}
