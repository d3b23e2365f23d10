//! The layer in front of services.

use std::{cell::Cell, convert::Infallible, pin::pin, task::Poll};

use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{BoxError, Error, KeyedLayer, Refused, State, classify::Verdict, keyed::by};

use crate::support::{breakers, bulkheads};

struct Ask {
    tenant: String,
    ok: bool,
}

fn ask(tenant: &str, ok: bool) -> Ask {
    Ask {
        tenant: tenant.to_owned(),
        ok,
    }
}

fn tenant(ask: &Ask) -> Option<&str> {
    Some(ask.tenant.as_str()).filter(|tenant| *tenant != "none")
}

async fn answer(ask: Ask) -> Result<String, BoxError> {
    if ask.ok {
        Ok(ask.tenant)
    } else {
        Err("failed".into())
    }
}

#[tokio::test]
async fn each_key_has_its_own_fate() {
    let registry = breakers(10);
    let mut service = KeyedLayer::new(registry.clone(), by::part(tenant)).layer(service_fn(answer));
    for _ in 0..3 {
        assert!(
            service
                .ready()
                .await
                .unwrap()
                .call(ask("a", false))
                .await
                .is_err()
        );
        assert_eq!(
            service
                .ready()
                .await
                .unwrap()
                .call(ask("b", true))
                .await
                .unwrap(),
            "b"
        );
    }
    let err = service
        .ready()
        .await
        .unwrap()
        .call(ask("a", true))
        .await
        .unwrap_err();
    assert_eq!(Refused::find(&*err).unwrap().name(), "a");
    assert_eq!(
        service
            .ready()
            .await
            .unwrap()
            .call(ask("b", true))
            .await
            .unwrap(),
        "b"
    );
    assert_eq!(
        service
            .ready()
            .await
            .unwrap()
            .call(ask("none", true))
            .await
            .unwrap(),
        "none"
    );
    let stats = registry.stats();
    assert_eq!((stats.entries, stats.keyless), (2, 1));
    assert_eq!(service.registry().get("a").unwrap().state(), State::Open);
}

// Neither `Clone`, `Send` nor `'static`, and not even its future is.
struct Odd<'a>(&'a Cell<u32>);

impl<'a> Service<u32> for Odd<'a> {
    type Response = u32;
    type Error = u32;
    type Future = std::future::Ready<Result<u32, u32>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), u32>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        self.0.set(self.0.get() + request);
        std::future::ready(if request > 100 {
            Err(request)
        } else {
            Ok(request)
        })
    }
}

#[test]
fn nothing_is_asked_of_the_inner_service_and_its_error_keeps_its_type() {
    let sum = Cell::new(0);
    let registry = breakers(10);
    let layer = KeyedLayer::new(registry.clone(), |request: &u32| {
        format!("{}", request % 10)
    })
    .classify(|result: Result<&u32, &u32>| match result {
        Ok(_) => Verdict::Success,
        Err(_) => Verdict::Failure,
    })
    .typed();
    let mut service = layer.layer(Odd(&sum));
    let mut call = |request| {
        let mut task = task::spawn(());
        task.enter(|cx, _| {
            assert_ready_ok!(service.poll_ready(cx));
            match pin!(service.call(request)).poll(cx) {
                Poll::Ready(result) => result,
                Poll::Pending => panic!("pending"),
            }
        })
    };
    for _ in 0..3 {
        assert!(matches!(call(101), Err(Error::Inner(101))));
    }
    assert!(matches!(call(1), Err(Error::Refused(_))));
    assert!(matches!(call(2), Ok(2)));
    assert_eq!(sum.get(), 305);

    let bulkheads = bulkheads(10, 1);
    let layer = KeyedLayer::new(bulkheads.clone(), |request: &u32| request.to_string()).typed();
    let mut service = layer.layer(Odd(&sum));
    let running = bulkheads.try_acquire("1").unwrap();
    let mut task = task::spawn(());
    task.enter(|cx, _| {
        assert_ready_ok!(service.poll_ready(cx));
        assert_ready_err!(pin!(service.call(1)).poll(cx));
        assert_ready_ok!(service.poll_ready(cx));
        assert_ready_ok!(pin!(service.call(2)).poll(cx));
    });
    drop(running);
}

#[tokio::test]
async fn a_dropped_call_a_panic_and_an_unready_service() {
    let registry = breakers(10);
    let layer = KeyedLayer::new(registry.clone(), |key: &String| key.clone());
    let hangs = service_fn(async |_: String| std::future::pending::<Result<(), BoxError>>().await);
    let mut service = layer.layer(hangs);
    let mut call = task::spawn(service.ready().await.unwrap().call("dropped".to_owned()));
    assert_pending!(call.poll());
    assert_eq!(registry.totals().admitted, 1);
    drop(call);
    assert_eq!(registry.get("dropped").unwrap().snapshot().abandoned, 1);

    let panics = layer.layer(service_fn(async |_: String| -> Result<(), BoxError> {
        panic!("inside")
    }));
    let call = tokio::spawn(panics.oneshot("panics".to_owned()));
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(registry.get("panics").unwrap().snapshot().failed, 1);

    struct Broken;
    impl Service<String> for Broken {
        type Response = ();
        type Error = BoxError;
        type Future = std::future::Ready<Result<(), BoxError>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Err("not ready, ever".into()))
        }
        fn call(&mut self, _: String) -> Self::Future {
            std::future::ready(Ok(()))
        }
    }
    let err = layer
        .layer(Broken)
        .oneshot("unready".to_owned())
        .await
        .unwrap_err();
    assert_eq!(err.to_string(), "not ready, ever");
    assert!(registry.get("unready").is_none(), "nobody's failure");
    assert_eq!(registry.totals().admitted, 2);
}

#[tokio::test]
async fn calls_wait_for_the_bulkhead_of_their_key_only() {
    let registry = bulkheads(10, 1);
    let layer = KeyedLayer::new(registry.clone(), |key: &String| key.clone())
        .waiting()
        .typed();
    let mut service = layer.layer(service_fn(async |key: String| Ok::<_, Infallible>(key)));
    let busy = registry.try_acquire("busy").unwrap();
    let mut waiting = task::spawn(service.ready().await.unwrap().call("busy".to_owned()));
    assert_pending!(waiting.poll());
    let other = service.ready().await.unwrap().call("free".to_owned());
    assert_eq!(other.await.unwrap(), "free");
    // One may wait; the next is refused.
    let refused = service
        .ready()
        .await
        .unwrap()
        .call("busy".to_owned())
        .await
        .unwrap_err();
    assert_eq!(refused.refused().unwrap().name(), "busy");
    drop(busy);
    assert!(waiting.is_woken());
    assert_eq!(assert_ready_ok!(waiting.poll()), "busy");
    assert_eq!(registry.totals().waits_granted, 1);
}

// A permit must not be kept from others by a service that has been told to wait.
#[tokio::test]
async fn a_call_that_waits_keeps_nothing_of_the_inner_service() {
    let registry = bulkheads(10, 1);
    let inner = tower::limit::ConcurrencyLimit::new(
        service_fn(async |key: String| Ok::<_, Infallible>(key)),
        1,
    );
    let layer = KeyedLayer::new(registry.clone(), |key: &String| key.clone()).waiting();
    let mut service = layer.layer(inner);
    let mut other = service.clone();
    let busy = registry.try_acquire("busy").unwrap();
    let mut waiting = task::spawn(service.ready().await.unwrap().call("busy".to_owned()));
    assert_pending!(waiting.poll());
    assert_eq!(
        other
            .ready()
            .await
            .unwrap()
            .call("free".to_owned())
            .await
            .unwrap(),
        "free"
    );
    drop(busy);
    assert_eq!(waiting.await.unwrap(), "busy");
}

// Whoever calls it has asked for its readiness.
#[derive(Default)]
struct AskedFirst {
    ready: bool,
}

impl Clone for AskedFirst {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<String> for AskedFirst {
    type Response = String;
    type Error = Infallible;
    type Future = std::future::Ready<Result<String, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, key: String) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "nobody has asked");
        std::future::ready(Ok(key))
    }
}

#[tokio::test]
async fn a_waiting_service_that_nobody_has_asked_asks_a_clone_of_the_inner_one() {
    let layer = KeyedLayer::new(bulkheads(10, 1), |key: &String| key.clone()).waiting();
    let mut service = layer.layer(AskedFirst::default());
    assert_eq!(service.call("a".to_owned()).await.unwrap(), "a");
    let asked = service.ready().await.unwrap();
    assert_eq!(asked.call("a".to_owned()).await.unwrap(), "a");
}

#[cfg(feature = "http")]
mod over_http {
    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::{BodyExt, Full};
    use tower_breaker::classify::HttpStatus;

    use super::*;

    fn get(uri: &str) -> Request<()> {
        Request::get(uri).body(()).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_is_a_response_and_names_the_host() {
        let registry = breakers(10);
        let mut service = KeyedLayer::new(registry.clone(), by::Host)
            .classify(HttpStatus)
            .respond()
            .layer(service_fn(async |request: Request<()>| {
                let status = match request.uri().path() {
                    "/bad" => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::OK,
                };
                Ok::<_, Infallible>(
                    Response::builder()
                        .status(status)
                        .body(String::new())
                        .unwrap(),
                )
            }));
        let mut status = async |uri| {
            service
                .ready()
                .await
                .unwrap()
                .call(get(uri))
                .await
                .unwrap()
                .status()
        };
        for _ in 0..3 {
            assert_eq!(status("http://A.example/bad").await, 500);
        }
        assert_eq!(status("http://a.example/good").await, 503);
        assert_eq!(status("http://b.example/good").await, 200);
        assert_eq!(status("/without-a-host").await, 200);
        assert_eq!(registry.stats().keyless, 1);
    }

    #[tokio::test]
    async fn an_entry_stays_until_its_body_has_ended() {
        let registry = breakers(1);
        let mut service = KeyedLayer::new(registry.clone(), by::PathPrefix::new(1))
            .classify(HttpStatus)
            .until_end_of_body()
            .layer(service_fn(async |_: Request<()>| {
                Ok::<_, BoxError>(Response::new(Full::new(Bytes::from("body"))))
            }));
        let response = service
            .ready()
            .await
            .unwrap()
            .call(get("/files/1"))
            .await
            .unwrap();
        assert_eq!(registry.totals().ended(), 0);
        service
            .ready()
            .await
            .unwrap()
            .call(get("/other"))
            .await
            .unwrap();
        assert_eq!(registry.stats().overflowed, 1);
        response.into_body().collect().await.unwrap();
        assert_eq!(registry.get("/files").unwrap().snapshot().succeeded, 1);
        service
            .ready()
            .await
            .unwrap()
            .call(get("/other"))
            .await
            .unwrap();
        assert!(registry.get("/other").is_some());
    }

    #[tokio::test]
    async fn a_service_is_as_ready_as_the_one_it_guards() {
        #[derive(Clone)]
        struct NotReady;
        impl Service<Request<()>> for NotReady {
            type Response = Response<Full<Bytes>>;
            type Error = BoxError;
            type Future = std::future::Ready<Result<Self::Response, BoxError>>;
            fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), BoxError>> {
                Poll::Pending
            }
            fn call(&mut self, _: Request<()>) -> Self::Future {
                panic!("called")
            }
        }
        fn is_pending(mut service: impl Service<Request<()>>) -> bool {
            let waker = std::task::Waker::noop();
            let mut cx = std::task::Context::from_waker(waker);
            service.poll_ready(&mut cx).is_pending()
        }
        let path = by::PathPrefix::new(1);
        let circuits = KeyedLayer::new(breakers(10), path);
        assert!(is_pending(circuits.clone().layer(NotReady)));
        assert!(is_pending(circuits.until_end_of_body().layer(NotReady)));
        let limits = KeyedLayer::new(bulkheads(10, 1), path);
        assert!(is_pending(limits.clone().layer(NotReady)));
        assert!(is_pending(limits.clone().waiting().layer(NotReady)));
        let waiting = limits.clone().waiting().until_end_of_body();
        assert!(is_pending(waiting.layer(NotReady)));
        assert!(is_pending(limits.until_end_of_body().layer(NotReady)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_is_held_until_the_body_has_ended() {
        let registry = bulkheads(10, 1);
        let in_flight = |key: &str| registry.get(key).unwrap().snapshot().in_flight;
        let files = service_fn(async |_: Request<()>| {
            Ok::<_, BoxError>(Response::new(Full::new(Bytes::from("body"))))
        });
        let layer = KeyedLayer::new(registry.clone(), by::PathPrefix::new(1));

        let refusing = layer.clone().until_end_of_body().layer(files);
        let response = refusing.clone().oneshot(get("/files/1")).await.unwrap();
        assert_eq!(in_flight("/files"), 1);
        let refused = refusing.clone().oneshot(get("/files/2")).await.unwrap_err();
        assert_eq!(Refused::find(&*refused).unwrap().name(), "/files");
        assert!(refusing.oneshot(get("/other")).await.is_ok());
        response.into_body().collect().await.unwrap();
        assert_eq!(in_flight("/files"), 0);

        let waiting = layer.waiting().until_end_of_body().layer(files);
        let response = waiting.clone().oneshot(get("/files/3")).await.unwrap();
        assert_eq!(in_flight("/files"), 1);
        let mut next = tokio_test::task::spawn(waiting.oneshot(get("/files/4")));
        assert!(next.poll().is_pending());
        drop(response);
        assert!(next.is_woken());
        drop(next.await.unwrap());
        assert_eq!(in_flight("/files"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn limits_of_a_registry_learn_from_the_classifier() {
        use tower_breaker::{Bulkhead, Keyed, bulkhead::limit::Aimd, classify::HttpOverload};
        let registry = Keyed::bulkheads(|key: &String| {
            let limit = Aimd::builder().initial(100).build().unwrap();
            Bulkhead::builder(key.as_str()).adaptive(limit)
        })
        .overflow(Bulkhead::builder("other").max_concurrent(1))
        .build()
        .unwrap();
        let service = KeyedLayer::new(registry.clone(), by::PathPrefix::new(1))
            .classify(HttpOverload)
            .layer(service_fn(async |_: Request<()>| {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                let mut response = Response::new(());
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                Ok::<_, BoxError>(response)
            }));
        for _ in 0..20 {
            service.clone().oneshot(get("/a")).await.unwrap();
        }
        let limit = registry.get("/a").unwrap().snapshot().max_concurrent;
        assert!(limit < 100, "{limit}");
    }
}
