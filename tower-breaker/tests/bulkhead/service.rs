use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{BoxError, BulkheadLayer, Error, Reason, Refused};
use tower_layer::Layer;
use tower_test::mock;

use crate::support::{guarded, load, reason, refusing};

#[tokio::test]
async fn the_permit_comes_back_on_success() {
    let bulkhead = refusing(1);
    let (mut service, mut handle) = guarded(&bulkhead);
    let mut call = task::spawn(service.ready().await.unwrap().call("hello"));
    assert_pending!(call.poll());
    assert_eq!(load(&bulkhead), (1, 0));
    let (request, send) = handle.next_request().await.unwrap();
    assert_eq!(request, "hello");
    send.send_response("world");
    assert_eq!(assert_ready_ok!(call.poll()), "world");
    // Not only when the finished future is dropped.
    assert_eq!(load(&bulkhead), (0, 0));
    drop(call);
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test]
async fn the_permit_comes_back_on_error() {
    let bulkhead = refusing(1);
    let (mut service, mut handle) = guarded(&bulkhead);
    let mut call = task::spawn(service.ready().await.unwrap().call("hello"));
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_error("broken");
    let error = assert_ready_err!(call.poll());
    assert_eq!(error.to_string(), "broken");
    assert!(matches!(error, Error::Inner(_)));
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test]
async fn the_permit_comes_back_when_the_caller_goes_away() {
    let bulkhead = refusing(1);
    let (mut service, mut handle) = guarded(&bulkhead);
    // Once before the first poll, once after.
    drop(service.ready().await.unwrap().call("never polled"));
    assert_eq!(load(&bulkhead), (0, 0));
    let mut call = task::spawn(service.ready().await.unwrap().call("hello"));
    assert_pending!(call.poll());
    drop(call);
    assert_eq!(load(&bulkhead), (0, 0));
    assert_eq!(handle.next_request().await.unwrap().0, "never polled");
}

#[tokio::test]
async fn the_permit_comes_back_when_the_call_panics() {
    let bulkhead = refusing(1);
    let service = BulkheadLayer::new(bulkhead.clone()).layer(service_fn(
        async |()| -> Result<(), BoxError> { panic!("in the future") },
    ));
    assert!(
        tokio::spawn(service.oneshot(()))
            .await
            .unwrap_err()
            .is_panic()
    );
    assert_eq!(load(&bulkhead), (0, 0));

    #[derive(Clone)]
    struct PanicsInCall;
    impl Service<()> for PanicsInCall {
        type Response = ();
        type Error = BoxError;
        type Future = std::future::Ready<Result<(), BoxError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, (): ()) -> Self::Future {
            panic!("in call")
        }
    }
    for layer in [false, true] {
        let layered = BulkheadLayer::new(bulkhead.clone());
        let call = match layer {
            false => tokio::spawn(layered.layer(PanicsInCall).oneshot(())),
            true => tokio::spawn(layered.waiting().layer(PanicsInCall).oneshot(())),
        };
        assert!(call.await.unwrap_err().is_panic());
        assert_eq!(load(&bulkhead), (0, 0));
    }
    assert_eq!(bulkhead.snapshot().admitted, 3);
}

#[tokio::test]
async fn a_full_bulkhead_is_ready_and_refuses_without_touching_the_inner_service() {
    let bulkhead = refusing(1);
    let (mut service, mut handle) = guarded(&bulkhead);
    // The inner service would keep any caller waiting for readiness.
    handle.allow(0);
    let permit = bulkhead.try_acquire().unwrap();
    service.ready().await.unwrap();
    assert_eq!(reason(service.call("hello").await), Reason::BulkheadFull);

    drop(permit);
    let mut ready = task::spawn(poll_fn(|cx| service.poll_ready(cx)));
    assert_pending!(ready.poll());
    handle.allow(1);
    assert!(ready.is_woken());
    assert_ready!(ready.poll()).unwrap();
}

#[tokio::test]
async fn readiness_while_full_promises_only_the_refusal() {
    let bulkhead = refusing(1);
    let (mut service, _handle) = guarded(&bulkhead);
    let permit = bulkhead.try_acquire().unwrap();
    service.ready().await.unwrap();
    drop(permit);
    // Calling the inner service now would break its contract: nobody asked whether it is ready.
    assert_eq!(reason(service.call("hello").await), Reason::BulkheadFull);
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test]
async fn readiness_from_before_it_was_full_is_good_for_a_call_after_it_was_full() {
    let bulkhead = refusing(1);
    let (mut service, _handle) = guarded(&bulkhead);
    service.ready().await.unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    service.ready().await.unwrap();
    drop(permit);
    assert_pending!(task::spawn(service.call("hello")).poll());
}

#[tokio::test]
async fn a_call_that_nobody_asked_readiness_for_is_not_told_that_an_empty_bulkhead_is_full() {
    let bulkhead = refusing(1);
    let answer = service_fn(async |request: u32| Ok::<_, BoxError>(request));
    let mut plain = BulkheadLayer::new(bulkhead.clone()).typed().layer(answer);
    let mut waiting = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .typed()
        .layer(answer);
    assert_eq!(plain.call(1).await.unwrap(), 1);
    assert_eq!(waiting.call(2).await.unwrap(), 2);

    let permit = bulkhead.try_acquire().unwrap();
    assert_eq!(reason(plain.call(3).await), Reason::BulkheadFull);
    assert_eq!(reason(waiting.call(4).await), Reason::BulkheadFull);
    drop(permit);
    // The refusal was about that call, and says nothing about the next.
    assert_eq!(plain.call(5).await.unwrap(), 5);
}

#[tokio::test]
async fn a_ready_service_that_is_not_called_holds_no_permit() {
    let bulkhead = refusing(1);
    let (mut first, _first_handle) = guarded(&bulkhead);
    let (mut second, mut handle) = guarded(&bulkhead);
    first.ready().await.unwrap();
    assert_eq!(load(&bulkhead), (0, 0));
    let mut call = task::spawn(second.ready().await.unwrap().call("hello"));
    assert_pending!(call.poll());
    // The first was ready when a permit was free. It is not now.
    assert_eq!(reason(first.call("too late").await), Reason::BulkheadFull);
    handle
        .next_request()
        .await
        .unwrap()
        .1
        .send_response("world");
    assert_ready_ok!(call.poll());
    let mut call = task::spawn(first.ready().await.unwrap().call("again"));
    assert_pending!(call.poll());
    assert_eq!(load(&bulkhead), (1, 0));
}

#[tokio::test]
async fn an_inner_readiness_error_is_passed_on() {
    let bulkhead = refusing(1);
    let (mut service, mut handle) = guarded(&bulkhead);
    handle.send_error("down");
    let error = service.ready().await.map(drop).unwrap_err();
    assert_eq!(error.to_string(), "down");
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test]
async fn clones_and_services_of_one_layer_share_the_permits() {
    let bulkhead = refusing(2);
    let layer = BulkheadLayer::new(bulkhead.clone());
    let (inner, _handle) = mock::pair::<&str, &str>();
    let mut first = layer.layer(inner.clone());
    let mut clone = first.clone();
    let mut second = layer.layer(inner);
    let _a = first.ready().await.unwrap().call("a");
    let _b = clone.ready().await.unwrap().call("b");
    let error = second.ready().await.unwrap().call("c").await.unwrap_err();
    assert_eq!(
        Refused::find(&*error).map(Refused::reason),
        Some(Reason::BulkheadFull)
    );
}

#[tokio::test]
async fn the_inner_service_needs_nothing_but_to_be_a_service() {
    // Neither `Clone`, `Send`, `Sync` nor `'static`, and an error that is no `Error`.
    struct Bare<'a>(&'a std::cell::Cell<u32>);
    impl Service<u32> for Bare<'_> {
        type Response = u32;
        type Error = ();
        type Future = std::future::Ready<Result<u32, ()>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: u32) -> Self::Future {
            self.0.set(request);
            std::future::ready(Ok(request))
        }
    }
    let seen = std::cell::Cell::new(0);
    let mut service = BulkheadLayer::new(refusing(1)).typed().layer(Bare(&seen));
    assert_eq!(service.ready().await.unwrap().call(7).await.unwrap(), 7);
    assert_eq!(seen.get(), 7);
}

#[tokio::test]
async fn composes_in_a_service_builder_with_towers_own_layers() {
    let bulkhead = refusing(1);
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(bulkhead.clone()))
        .timeout(crate::support::SECOND)
        .service(service_fn(async |request: u32| {
            Ok::<_, BoxError>(request + 1)
        }));
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 2);
    let _permit = bulkhead.try_acquire().unwrap();
    let error = service.oneshot(1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`test` refused the call: as many calls are running as may run at once"
    );
}

#[cfg(feature = "http")]
#[tokio::test]
async fn refusals_can_be_answered_with_a_response() {
    let bulkhead = refusing(1);
    let inner = service_fn(async |_: ()| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::from("fine")))
    });
    let service = BulkheadLayer::new(bulkhead.clone()).respond().layer(inner);
    assert_eq!(service.clone().oneshot(()).await.unwrap().status(), 200);
    let _permit = bulkhead.try_acquire().unwrap();
    let Ok(response) = service.oneshot(()).await;
    assert_eq!(response.status(), 503);
    assert!(response.body().contains("`test`"), "{}", response.body());
}

#[cfg(feature = "http")]
#[tokio::test]
async fn works_in_an_axum_router() {
    use axum::{Router, body::Body, routing::get};

    let bulkhead = refusing(1);
    let plain = Router::new()
        .route("/", get(async || "fine"))
        .layer(BulkheadLayer::new(bulkhead.clone()).respond());
    let waiting = Router::new()
        .route("/", get(async || "fine"))
        .layer(BulkheadLayer::new(bulkhead.clone()).waiting().respond());
    for router in [plain, waiting] {
        let request = || http::Request::new(Body::empty());
        assert_eq!(
            router.clone().oneshot(request()).await.unwrap().status(),
            200
        );
        let _permit = bulkhead.try_acquire().unwrap();
        let response = router.oneshot(request()).await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
    }
}
