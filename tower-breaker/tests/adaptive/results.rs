//! What counts, and as what.

use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::{ServiceBuilder, ServiceExt, service_fn, timeout::TimeoutLayer};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer,
    bulkhead::{Outcome, limit::Aimd},
    classify::{HttpOverload, Overload},
};

use crate::support::{ms, scripted};

#[tokio::test(start_paused = true)]
async fn a_sample_is_how_long_calls_took_on_average_and_the_most_at_once() {
    let (bulkhead, seen) = scripted(10, &[10], 0);
    let first = bulkhead.try_acquire().unwrap();
    ms(20).await;
    let second = bulkhead.try_acquire().unwrap();
    ms(20).await;
    first.finish(Outcome::Success); // 40 ms
    ms(40).await;
    second.finish(Outcome::Success); // 60 ms
    assert_eq!(seen.last(), None, "the window is not over");
    let third = bulkhead.try_acquire().unwrap();
    ms(20).await;
    third.finish(Outcome::Success); // 20 ms, at 100 ms
    assert_eq!(seen.last(), Some((40, 2, false)));

    // Nothing of the last window is in the next.
    let fourth = bulkhead.try_acquire().unwrap();
    ms(100).await;
    fourth.finish(Outcome::Success);
    assert_eq!(seen.last(), Some((100, 1, false)));
    let figures = bulkhead.snapshot().adaptive.unwrap();
    assert_eq!((figures.windows, figures.drops), (2, 0));
    assert_eq!(figures.rtt, Some(Duration::from_millis(100)));
    assert_eq!((figures.min, figures.max), (1, 100));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_further_in_is_a_drop() {
    let (bulkhead, seen) = scripted(10, &[5], 0);
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(bulkhead.clone()).classify(Overload))
        .layer(TimeoutLayer::new(Duration::from_millis(500)))
        .service(service_fn(|(): ()| pending::<Result<(), BoxError>>()));
    service.oneshot(()).await.unwrap_err();
    assert_eq!(seen.last(), Some((0, 1, true)));
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.max_concurrent, snapshot.in_flight), (5, 0));
    assert_eq!(snapshot.adaptive.unwrap().windows_with_drops, 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_says_nothing() {
    let (bulkhead, seen) = scripted(10, &[1], 5);
    let plain = ServiceBuilder::new()
        .layer(BulkheadLayer::new(bulkhead.clone()).classify(Overload))
        .service(service_fn(|(): ()| pending::<Result<(), BoxError>>()));
    let waiting = ServiceBuilder::new()
        .layer(
            BulkheadLayer::new(bulkhead.clone())
                .classify(Overload)
                .waiting(),
        )
        .service(service_fn(|(): ()| pending::<Result<(), BoxError>>()));
    let limit = Duration::from_millis(300);
    for _ in 0..20 {
        tokio::time::timeout(limit, plain.clone().oneshot(()))
            .await
            .unwrap_err();
        tokio::time::timeout(limit, waiting.clone().oneshot(()))
            .await
            .unwrap_err();
        drop(bulkhead.try_acquire().unwrap());
    }
    assert_eq!(seen.last(), None);
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.max_concurrent, snapshot.in_flight), (10, 0));
    assert_eq!(snapshot.adaptive.unwrap().drops, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_says_nothing_and_gives_the_permit_back() {
    let (bulkhead, seen) = scripted(10, &[1], 0);
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(bulkhead.clone()).classify(Overload))
        .service(service_fn(async |(): ()| {
            sleep(Duration::from_millis(200)).await;
            if true {
                panic!("a bug");
            }
            Ok::<(), BoxError>(())
        }));
    let call = tokio::spawn(service.oneshot(()));
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!((seen.last(), bulkhead.snapshot().in_flight), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_no_overload_says_nothing_if_the_classifier_can_tell() {
    let fails = service_fn(async |(): ()| {
        sleep(Duration::from_millis(200)).await;
        Err::<(), BoxError>("no such item".into())
    });
    let (bulkhead, seen) = scripted(10, &[1], 0);
    let layer = BulkheadLayer::new(bulkhead).classify(Overload);
    let service = ServiceBuilder::new().layer(layer).service(fails);
    service.oneshot(()).await.unwrap_err();
    assert_eq!(seen.last(), None);

    // Without one that can tell, every error is a drop.
    let (bulkhead, seen) = scripted(10, &[1], 0);
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(bulkhead))
        .service(fails);
    service.oneshot(()).await.unwrap_err();
    assert_eq!(seen.last(), Some((0, 1, true)));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_says_so_is_a_drop() {
    for (status, expected) in [
        (200, Some((200, 1, false))),
        (404, Some((200, 1, false))),
        (500, None),
        (429, Some((0, 1, true))),
        (503, Some((0, 1, true))),
        (504, Some((0, 1, true))),
    ] {
        let (bulkhead, seen) = scripted(10, &[10], 2);
        let service = ServiceBuilder::new()
            .layer(
                BulkheadLayer::new(bulkhead)
                    .classify(HttpOverload)
                    .waiting()
                    .respond(),
            )
            .service(service_fn(move |(): ()| async move {
                sleep(Duration::from_millis(200)).await;
                let mut response = Response::new(String::new());
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok::<_, Infallible>(response)
            }));
        service.oneshot(()).await.unwrap();
        assert_eq!(seen.last(), expected, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_overload_is_one_decrease() {
    let (bulkhead, seen) = scripted(10, &[9, 8, 7, 6], 0);
    let calls: Vec<_> = (0..8).map(|_| bulkhead.try_acquire().unwrap()).collect();
    ms(100).await;
    // Eight drops at once close one window.
    let mut calls = calls.into_iter();
    for call in calls.by_ref().take(4) {
        call.finish(Outcome::Overload);
    }
    assert_eq!(
        (seen.all().len(), bulkhead.snapshot().max_concurrent),
        (1, 9)
    );
    // These began before that was acted on: old news, however many windows later.
    for call in calls {
        ms(150).await;
        call.finish(Outcome::Overload);
    }
    assert_eq!(
        (seen.all().len(), bulkhead.snapshot().max_concurrent),
        (1, 9)
    );
    // This one did not.
    let call = bulkhead.try_acquire().unwrap();
    ms(150).await;
    call.finish(Outcome::Overload);
    assert_eq!(
        (seen.all().len(), bulkhead.snapshot().max_concurrent),
        (2, 8)
    );
}

#[tokio::test(start_paused = true)]
async fn a_window_waits_for_enough_results_but_not_with_a_drop() {
    let bulkhead = Bulkhead::builder("stock")
        .adaptive(Aimd::builder().initial(10).build().unwrap())
        .build()
        .unwrap();
    let call = async |outcome| {
        let permit = bulkhead.try_acquire().unwrap();
        ms(50).await;
        permit.finish(outcome);
        bulkhead.snapshot().adaptive.unwrap().windows
    };
    for _ in 0..9 {
        assert_eq!(call(Outcome::Success).await, 0);
    }
    assert_eq!(call(Outcome::Success).await, 1);
    assert_eq!(call(Outcome::Success).await, 1);
    // Latencies are rounded to 256 ns, and so is twice their mean.
    ms(1).await;
    assert_eq!(call(Outcome::Overload).await, 2);
    assert_eq!(bulkhead.snapshot().max_concurrent, 9);
}

#[tokio::test(start_paused = true)]
async fn the_next_window_lasts_twice_as_long_as_a_call() {
    let (bulkhead, seen) = scripted(10, &[10], 0);
    let slow = bulkhead.try_acquire().unwrap();
    ms(400).await;
    slow.finish(Outcome::Success);
    assert_eq!(seen.all().len(), 1);
    for (after, windows) in [(300, 1), (499, 1), (1, 2)] {
        ms(after).await;
        bulkhead.try_acquire().unwrap().finish(Outcome::Success);
        assert_eq!(seen.all().len(), windows, "after {after} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn to_the_end_of_the_body_a_slow_reader_is_not_taken_for_a_slow_service() {
    let (bulkhead, seen) = scripted(10, &[10], 0);
    let files = ServiceBuilder::new()
        .layer(
            BulkheadLayer::new(bulkhead.clone())
                .classify(HttpOverload)
                .until_end_of_body(),
        )
        .service(service_fn(async |_: Request<()>| {
            ms(150).await;
            Ok::<_, BoxError>(Response::new(Full::new(Bytes::from("a file"))))
        }));
    let response = files.oneshot(Request::new(())).await.unwrap();
    assert_eq!(seen.last(), Some((150, 1, false)), "told at the head");
    assert_eq!(bulkhead.snapshot().in_flight, 1);
    ms(60_000).await;
    response.into_body().collect().await.unwrap();
    assert_eq!(bulkhead.snapshot().in_flight, 0);
    assert_eq!(bulkhead.snapshot().adaptive.unwrap().windows, 1);
}

/// A body of which no frame ever comes.
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn to_the_end_of_the_body_a_stall_is_a_drop() {
    let (bulkhead, seen) = scripted(10, &[10, 5], 0);
    let files = ServiceBuilder::new()
        .layer(
            BulkheadLayer::new(bulkhead.clone())
                .classify(HttpOverload)
                .until_end_of_body()
                .stall_after(Duration::from_secs(2)),
        )
        .service(service_fn(async |_: Request<()>| {
            ms(150).await;
            Ok::<_, BoxError>(Response::new(Never))
        }));
    let response = files.oneshot(Request::new(())).await.unwrap();
    assert_eq!(seen.last(), Some((150, 1, false)));
    assert!(response.into_body().collect().await.is_err());
    assert!(seen.last().is_some_and(|(_, _, dropped)| dropped));
    assert_eq!(bulkhead.snapshot().in_flight, 0);
    assert_eq!(bulkhead.snapshot().max_concurrent, 5);
}

#[tokio::test(start_paused = true)]
async fn the_most_calls_that_may_run_and_take_long_fit_into_a_window() {
    for (calls, takes) in [(10_000, 50), (250_000, 59)] {
        let takes = Duration::from_secs(takes);
        let aimd = Aimd::builder().initial(calls).max(calls).build().unwrap();
        let bulkhead = Bulkhead::builder("stock").adaptive(aimd).build().unwrap();
        let acquire = || bulkhead.try_acquire().unwrap();
        let permits: Vec<_> = (0..calls).map(|_| acquire()).collect();
        tokio::time::advance(takes).await;
        for permit in permits {
            permit.finish(Outcome::Success);
        }
        // Ends the window of all but the first few.
        let last = acquire();
        tokio::time::advance(Duration::from_secs(60)).await;
        last.finish(Outcome::Success);
        let figures = bulkhead.snapshot().adaptive.unwrap();
        assert_eq!(figures.windows, 2);
        let off = figures.rtt.unwrap().abs_diff(takes);
        assert!(off < Duration::from_millis(10), "{figures:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn short_calls_are_told_apart_even_by_the_greatest_limit() {
    let aimd = Aimd::builder().max(250_000).build().unwrap();
    let bulkhead = Bulkhead::builder("stock").adaptive(aimd).build().unwrap();
    for _ in 0..20 {
        let permits: Vec<_> = (0..10).map(|_| bulkhead.try_acquire().unwrap()).collect();
        ms(5).await;
        for permit in permits {
            permit.finish(Outcome::Success);
        }
    }
    ms(10).await;
    let figures = bulkhead.snapshot().adaptive.unwrap();
    let off = figures.rtt.unwrap().abs_diff(Duration::from_millis(5));
    assert!(off < Duration::from_micros(100), "{figures:?}");
}
