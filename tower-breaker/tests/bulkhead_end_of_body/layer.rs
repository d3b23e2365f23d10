//! The form of refusals, readiness, and calls that wait.

use std::{convert::Infallible, future::ready, time::Duration};

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer, Reason, Refused,
    bulkhead::{Partition, Place},
};

use crate::{
    bulkhead, call, in_flight,
    scripted::{Script, Step::Data, answer, script, with_length},
};

#[tokio::test]
async fn refusals_take_the_form_that_the_layer_was_given() {
    let bulkhead = bulkhead(1);
    let _reading = call(&bulkhead, answer(200, script(&[Data("long")]))).await;
    let layer = BulkheadLayer::new(bulkhead.clone());

    let service = layer.clone().until_end_of_body();
    let service = service.layer(answer(200, script(&[])));
    let err = service.oneshot(Request::new(())).await.unwrap_err();
    let refused = Refused::find(&*err).unwrap();
    assert_eq!(refused.reason(), Reason::BulkheadFull);

    let service = layer.clone().typed().until_end_of_body();
    let service = service.layer(answer(200, script(&[])));
    let err = service.oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(err.refused().unwrap().name(), "files");

    let service = layer.respond().until_end_of_body();
    let service = service.layer(answer(200, script(&[])));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.extensions().get::<Refused>().is_some());
    let body = response.into_body();
    assert!(!body.holds_permit());
    assert_eq!(body.collect().await.unwrap().to_bytes(), "refused");
    assert_eq!(in_flight(&bulkhead), 1);
    assert_eq!(bulkhead.snapshot().refused.full, 3);
}

type Mock = tower_test::mock::Mock<Request<()>, Response<Script>>;

#[tokio::test]
async fn readiness_is_as_in_the_plain_layer() {
    let bulkhead = bulkhead(1);
    let layer = BulkheadLayer::new(bulkhead.clone()).until_end_of_body();
    let (mut service, mut handle) =
        tower_test::mock::spawn_with(move |inner: Mock| layer.layer(inner));
    handle.allow(0);
    assert_pending!(service.poll_ready());
    assert_eq!(in_flight(&bulkhead), 0, "to be ready takes no permit");

    // Full: ready at once, without asking.
    let held = bulkhead.try_acquire().unwrap();
    assert!(assert_ready!(service.poll_ready()).is_ok());
    let refused = assert_ready!(task::spawn(service.call(Request::new(()))).poll()).unwrap_err();
    assert!(Refused::find(&*refused).is_some());
    drop(held);

    handle.send_error("no connection");
    assert!(assert_ready!(service.poll_ready()).is_err());
}

fn queueing() -> Bulkhead {
    Bulkhead::builder("files")
        .max_concurrent(1)
        .max_queue(1)
        .max_wait(Duration::from_secs(1))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_may_wait_for_the_end_of_anothers_body() {
    let bulkhead = queueing();
    let service = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .until_end_of_body()
        .layer(answer(200, script(&[Data("one")])));
    let mut first = service.clone().oneshot(Request::new(())).await.unwrap();
    let mut second = task::spawn(service.clone().oneshot(Request::new(())));
    assert_pending!(second.poll());
    assert_eq!(bulkhead.snapshot().queued, 1);

    first.body_mut().frame().await.unwrap().unwrap();
    assert_pending!(second.poll(), "it may not be all");
    assert!(first.body_mut().frame().await.is_none());
    assert!(second.is_woken());
    let second = assert_ready!(second.poll()).unwrap();
    assert_eq!((bulkhead.snapshot().queued, in_flight(&bulkhead)), (0, 1));
    assert!(second.body().holds_permit());
    second.into_body().collect().await.unwrap();
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_no_longer_than_it_may() {
    let bulkhead = queueing();
    let service = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .typed()
        .until_end_of_body()
        .layer(answer(200, script(&[Data("one")])));
    let reading = service.clone().oneshot(Request::new(())).await.unwrap();
    let waiting = service.clone().oneshot(Request::new(()));
    let (waited, too_many) = tokio::join!(waiting, service.oneshot(Request::new(())));
    let reason = |result: Result<_, tower_breaker::Error<BoxError>>| {
        result.unwrap_err().refused().unwrap().reason()
    };
    assert_eq!(reason(waited.map(drop)), Reason::WaitedTooLong);
    assert_eq!(reason(too_many.map(drop)), Reason::QueueFull);
    assert_eq!(in_flight(&bulkhead), 1);
    drop(reading);
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_leaves_and_one_whose_service_fails_gives_back() {
    #[derive(Clone)]
    struct NeverReady;

    impl Service<Request<()>> for NeverReady {
        type Response = Response<Script>;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Response<Script>, &'static str>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), &'static str>> {
            std::task::Poll::Ready(Err("no connection"))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            ready(Err("called although it was not ready"))
        }
    }

    let bulkhead = queueing();
    let service = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .until_end_of_body()
        .layer(NeverReady);
    let held = bulkhead.try_acquire().unwrap();
    let mut gives_up = task::spawn(service.clone().oneshot(Request::new(())));
    assert_pending!(gives_up.poll());
    drop(gives_up);
    assert_eq!(bulkhead.snapshot().queued, 0);

    let mut call = task::spawn(service.oneshot(Request::new(())));
    assert_pending!(call.poll());
    drop(held);
    let err = assert_ready!(call.poll()).unwrap_err();
    assert_eq!(err.to_string(), "no connection");
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test]
async fn the_future_may_be_kept_and_the_handle_dropped() {
    let bulkhead = bulkhead(1);
    let mut service = BulkheadLayer::new(bulkhead)
        .until_end_of_body()
        .layer(answer(200, script(&[Data("one")])));
    let mut call = task::spawn(service.call(Request::new(())));
    let response = assert_ready!(call.poll()).unwrap();
    assert_eq!(in_flight(service.bulkhead()), 1);
    drop(call);
    assert_eq!(in_flight(service.bulkhead()), 1);
    // The last handle goes with the service; the body's permit outlives it.
    drop(service);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "one"
    );
}

#[tokio::test]
async fn parts_are_reached_and_shown() {
    let layer = BulkheadLayer::new(bulkhead(2)).until_end_of_body();
    assert!(format!("{layer:?}").starts_with("EndOfBodyLayer"));
    #[derive(Debug, Clone)]
    struct Named(&'static str);
    impl Service<Request<()>> for Named {
        type Response = Response<Script>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response<Script>, Infallible>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Infallible>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request<()>) -> Self::Future {
            ready(Ok(Response::new(with_length(&[]))))
        }
    }
    let mut service = layer.clone().layer(Named("inner"));
    assert!(format!("{service:?}").starts_with("EndOfBodyService"));
    assert_eq!(service.get_ref().0, "inner");
    service.get_mut().0 = "other";
    assert_eq!(service.bulkhead().name(), "files");
    let call = service.clone().oneshot(Request::new(()));
    assert!(call.await.is_ok());
    assert_eq!(service.into_inner().0, "other");
}

#[tokio::test]
async fn each_call_has_its_place_to_the_end_of_its_body() {
    let bulkhead = Bulkhead::builder("files")
        .max_concurrent(2)
        .partition(Partition::new("batch").at_most(0.5))
        .build()
        .unwrap();
    let batch = bulkhead.partition("batch").unwrap().place();
    let files = BulkheadLayer::new(bulkhead.clone())
        .until_end_of_body()
        .place_by(move |request: &Request<()>| match request.uri().path() {
            "/batch" => batch,
            _ => Place::default(),
        })
        .layer(answer(200, script(&[Data("long")])));
    let get = |path| files.clone().oneshot(Request::get(path).body(()).unwrap());
    let in_batch = || bulkhead.snapshot().partitions[0].in_flight;

    let reading = get("/batch").await.unwrap().into_body();
    assert_eq!((in_batch(), in_flight(&bulkhead)), (1, 1));
    assert!(get("/batch").await.is_err(), "its half is taken");
    let other = get("/").await.unwrap().into_body();
    assert_eq!((in_batch(), in_flight(&bulkhead)), (1, 2));
    reading.collect().await.unwrap();
    assert_eq!((in_batch(), in_flight(&bulkhead)), (0, 1));
    drop(other);
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test]
async fn with_back_pressure_it_is_ready_again_when_a_body_has_ended() {
    let bulkhead = bulkhead(1);
    let layer = BulkheadLayer::new(bulkhead.clone())
        .until_end_of_body()
        .back_pressure();
    let (mut service, mut handle) =
        tower_test::mock::spawn_with(move |inner: Mock| layer.layer(inner));
    handle.allow(2);
    let body = call(&bulkhead, answer(200, script(&[Data("long")]))).await;
    assert_pending!(service.poll_ready());
    body.collect().await.unwrap();
    assert!(service.is_woken());
    assert!(assert_ready!(service.poll_ready()).is_ok());
    assert_eq!(in_flight(&bulkhead), 0, "to be ready takes no permit");
}
