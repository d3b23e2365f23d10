//! Bodies around bodies: with a breaker inside and outside, and with tower-http's.

use std::{
    future::ready as ready_now,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use pin_project_lite::pin_project;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    Abandoned, BoxError, Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, Refused,
    State,
    breaker::end_of_body::Stalled,
    classify::{Grpc, HttpStatus},
};
use tower_http::{map_response_body::MapResponseBodyLayer, trace::TraceLayer};

use crate::{
    bulkhead, in_flight,
    scripted::{
        Script,
        Step::{self, Data, Fail, Panic, Trailers, Wait},
        answer, script, with_length,
    },
};

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .on_abandoned(Abandoned::Ignore)
        .build()
        .unwrap()
}

/// Succeeded, failed, abandoned, permits out.
fn state(breaker: &CircuitBreaker, bulkhead: &Bulkhead) -> (u64, u64, u64, usize) {
    let snapshot = breaker.snapshot();
    (
        snapshot.succeeded,
        snapshot.failed,
        snapshot.abandoned,
        in_flight(bulkhead),
    )
}

const BUSY: (u64, u64, u64, usize) = (0, 0, 0, 1);
const SUCCESS: (u64, u64, u64, usize) = (1, 0, 0, 0);
const FAILURE: (u64, u64, u64, usize) = (0, 1, 0, 0);
const ABANDONED: (u64, u64, u64, usize) = (0, 0, 1, 0);

type Guarded = tower::util::BoxService<
    Request<()>,
    Response<Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>>,
    BoxError,
>;

/// With the bulkhead outermost, as it should be, and the other way round.
fn both_ways(
    breaker: &CircuitBreaker,
    bulkhead: &Bulkhead,
    is_grpc: bool,
    inner: Script,
) -> [Guarded; 2] {
    let permits = || BulkheadLayer::new(bulkhead.clone()).until_end_of_body();
    let judge = || CircuitBreakerLayer::new(breaker.clone());
    let inner = move |_: Request<()>| ready_now(Ok::<_, BoxError>(Response::new(inner.clone())));
    fn boxed<S, B>(service: S) -> Guarded
    where
        S: Service<Request<()>, Response = Response<B>, Error = BoxError> + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
    {
        let boxed = service.map_response(|response: Response<B>| {
            response.map(|body| Box::pin(body) as Pin<Box<dyn Body<Data = _, Error = _> + Send>>)
        });
        tower::util::BoxService::new(boxed)
    }
    let stack = ServiceBuilder::new();
    match is_grpc {
        true => [
            boxed(
                stack
                    .clone()
                    .layer(permits())
                    .layer(judge().classify(Grpc).until_end_of_body())
                    .service(service_fn(inner.clone())),
            ),
            boxed(
                stack
                    .layer(judge().classify(Grpc).until_end_of_body())
                    .layer(permits())
                    .service(service_fn(inner)),
            ),
        ],
        false => [
            boxed(
                stack
                    .clone()
                    .layer(permits())
                    .layer(judge().classify(HttpStatus).until_end_of_body())
                    .service(service_fn(inner.clone())),
            ),
            boxed(
                stack
                    .layer(judge().classify(HttpStatus).until_end_of_body())
                    .layer(permits())
                    .service(service_fn(inner)),
            ),
        ],
    }
}

#[tokio::test]
async fn with_a_breaker_both_last_to_the_same_end() {
    let whole = [Data("one"), Wait, Data("two")];
    // gRPC, the body, how many frames are read, and what that comes to.
    let cases: [(bool, &[Step], usize, _); 9] = [
        (false, &whole, 9, SUCCESS),
        (false, &whole, 1, ABANDONED),
        (false, &whole, 0, ABANDONED),
        (false, &[Data("one"), Fail], 9, FAILURE),
        (true, &[Data("one"), Trailers("0")], 9, SUCCESS),
        (true, &[Data("one"), Trailers("14")], 9, FAILURE),
        (true, &[Trailers("14")], 1, FAILURE),
        (true, &[Data("one")], 9, FAILURE),
        (true, &[Data("one"), Trailers("0")], 1, ABANDONED),
    ];
    for (is_grpc, steps, frames, expected) in cases {
        for order in 0..2 {
            let (breaker, bulkhead) = (breaker(), bulkhead(1));
            let services = both_ways(&breaker, &bulkhead, is_grpc, script(steps));
            let service = services.into_iter().nth(order).unwrap();
            let mut body = service.oneshot(Request::new(())).await.unwrap().into_body();
            let case = format!("{steps:?}, {frames} frames, order {order}");
            assert_eq!(state(&breaker, &bulkhead), BUSY, "{case}");
            for _ in 0..frames {
                if !matches!(body.frame().await, Some(Ok(_))) {
                    break;
                }
            }
            drop(body);
            assert_eq!(state(&breaker, &bulkhead), expected, "{case}");
        }
    }
}

#[tokio::test]
async fn a_panic_goes_through_both() {
    for order in 0..2 {
        let (breaker, bulkhead) = (breaker(), bulkhead(1));
        let services = both_ways(&breaker, &bulkhead, false, script(&[Panic]));
        let service = services.into_iter().nth(order).unwrap();
        let mut body = service.oneshot(Request::new(())).await.unwrap().into_body();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = body.as_mut().poll_frame(&mut cx);
        }));
        assert!(caught.is_err());
        assert_eq!(state(&breaker, &bulkhead), FAILURE, "order {order}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_bulkhead_inside_says_nothing_to_the_breaker() {
    let (breaker, bulkhead) = (breaker(), bulkhead(1));
    let held = bulkhead.try_acquire().unwrap();
    let [_, inside] = both_ways(&breaker, &bulkhead, false, script(&[]));
    let err = inside
        .oneshot(Request::new(()))
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(Refused::find(&*err).unwrap().name(), "files");
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().ignored, 1);
    drop(held);

    // And an open breaker inside takes nobody's permit for long.
    breaker.force_open();
    let [outside, _] = both_ways(&breaker, &bulkhead, false, script(&[]));
    assert!(outside.oneshot(Request::new(())).await.is_err());
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test(start_paused = true)]
async fn one_stall_limit_ends_both() {
    let (breaker, bulkhead) = (breaker(), bulkhead(1));
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(bulkhead.clone()).until_end_of_body())
        .layer(
            CircuitBreakerLayer::new(breaker.clone())
                .classify(HttpStatus)
                .until_end_of_body()
                .stall_after(Duration::from_secs(5)),
        )
        .service(service_fn(|_: Request<()>| {
            let silent = http_body_util::StreamBody::new(tokio_stream());
            ready_now(Ok::<_, BoxError>(Response::new(silent)))
        }));
    let body = service.oneshot(Request::new(())).await.unwrap().into_body();
    let err = pin!(body).frame().await.unwrap().map(drop).unwrap_err();
    assert!(Stalled::find(&err).is_some());
    assert_eq!(state(&breaker, &bulkhead), FAILURE);
}

// A stream that never gives anything.
fn tokio_stream() -> impl futures_core::Stream<Item = Result<Frame<Bytes>, std::io::Error>> {
    struct Silent;
    impl futures_core::Stream for Silent {
        type Item = Result<Frame<Bytes>, std::io::Error>;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Pending
        }
    }
    Silent
}

pin_project! {
    /// As a compressor: takes all there is, gives one frame at the end, and keeps its length to itself.
    struct Gathered<B> {
        #[pin]
        inner: B,
        so_far: BytesMut,
        is_done: bool,
    }
}

impl<B: Body<Data = Bytes>> Body for Gathered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if *this.is_done {
            return Poll::Ready(None);
        }
        while let Some(frame) = ready!(this.inner.as_mut().poll_frame(cx)).transpose()? {
            if let Ok(data) = frame.into_data() {
                this.so_far.extend_from_slice(&data);
            }
        }
        *this.is_done = true;
        Poll::Ready(Some(Ok(Frame::data(this.so_far.split().freeze()))))
    }
}

fn gather<B>(inner: B) -> Gathered<B> {
    Gathered {
        inner,
        so_far: BytesMut::new(),
        is_done: false,
    }
}

#[tokio::test]
async fn wrapping_bodies_inside_between_and_around_change_nothing() {
    for steps in [&[Data("one"), Wait, Data("two")][..], &[Data("one"), Fail]] {
        let (breaker, bulkhead) = (breaker(), bulkhead(1));
        let service = ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(MapResponseBodyLayer::new(gather))
            .layer(BulkheadLayer::new(bulkhead.clone()).until_end_of_body())
            .layer(TraceLayer::new_for_http())
            .layer(
                CircuitBreakerLayer::new(breaker.clone())
                    .classify(HttpStatus)
                    .until_end_of_body(),
            )
            .layer(MapResponseBodyLayer::new(gather))
            .layer(TraceLayer::new_for_http())
            .service(service_fn(|_: Request<Empty<Bytes>>| {
                ready_now(Ok::<_, BoxError>(Response::new(script(steps))))
            }));
        let request = Request::new(Empty::new());
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(state(&breaker, &bulkhead), BUSY);
        let read = pin!(response.into_body()).collect().await;
        let expected = match read {
            Ok(whole) => {
                assert_eq!(whole.to_bytes(), "onetwo");
                SUCCESS
            }
            Err(_) => FAILURE,
        };
        assert_eq!(expected == FAILURE, steps.contains(&Fail));
        assert_eq!(state(&breaker, &bulkhead), expected, "{steps:?}");
    }
}

#[tokio::test]
async fn two_bulkheads_hold_one_permit_each_and_an_end_known_beforehand_frees_both() {
    let (all, one) = (bulkhead(10), bulkhead(5));
    let stack = |body| {
        ServiceBuilder::new()
            .layer(BulkheadLayer::new(all.clone()).until_end_of_body())
            .layer(BulkheadLayer::new(one.clone()).until_end_of_body())
            .service(answer(200, body))
            .oneshot(Request::new(()))
    };
    let mut body = stack(with_length(&[Data("one")]))
        .await
        .unwrap()
        .into_body();
    assert_eq!((in_flight(&all), in_flight(&one)), (1, 1));
    body.frame().await.unwrap().unwrap();
    assert_eq!((in_flight(&all), in_flight(&one)), (0, 0));
    let _empty = stack(with_length(&[])).await.unwrap();
    assert_eq!((in_flight(&all), in_flight(&one)), (0, 0));
}
