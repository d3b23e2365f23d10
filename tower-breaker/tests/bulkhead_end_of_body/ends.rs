//! How a body may end, and when the permit is back.

use std::{
    convert::Infallible,
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer,
    bulkhead::end_of_body::{PermitBody, StallAfter},
};

use crate::{
    bulkhead, call, in_flight,
    scripted::{
        Script,
        Step::{Data, Fail, Panic, Trailers, Wait},
        answer, script, trailers, with_length,
    },
};

#[tokio::test]
async fn the_permit_lasts_until_the_body_has_ended() {
    let bulkhead = bulkhead(1);
    let steps = [Data("one"), Wait, Data("two")];
    let mut body = call(&bulkhead, answer(200, script(&steps))).await;
    for text in ["one", "two"] {
        assert_eq!(in_flight(&bulkhead), 1);
        assert!(body.holds_permit());
        assert!(bulkhead.try_acquire().is_err());
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    assert_eq!(in_flight(&bulkhead), 1, "it may not be all");
    assert!(body.frame().await.is_none());
    assert_eq!(in_flight(&bulkhead), 0);
    assert!(!body.holds_permit());
    let other = bulkhead.try_acquire().unwrap();
    drop(body);
    assert_eq!(in_flight(&bulkhead), 1, "given back once");
    drop(other);
}

#[tokio::test]
async fn dropped_at_any_point_the_permit_is_given_back_once() {
    let steps = [Data("one"), Wait, Data("two"), Trailers("0"), Data("late")];
    for polls in 0..=6 {
        let bulkhead = bulkhead(1);
        let body = call(&bulkhead, answer(200, script(&steps))).await;
        let mut body = task::spawn(body);
        for _ in 0..polls {
            let _ = body.enter(|cx, body| body.poll_frame(cx));
        }
        // The fourth poll gives the trailers.
        assert_eq!(in_flight(&bulkhead), usize::from(polls < 4), "{polls}");
        let others = bulkhead.try_acquire().ok();
        drop(body);
        assert_eq!(in_flight(&bulkhead), usize::from(others.is_some()));
    }
}

#[tokio::test]
async fn a_body_that_fails_gives_it_back() {
    for steps in [&[Fail, Data("late")][..], &[Data("half"), Wait, Fail]] {
        let bulkhead = bulkhead(1);
        let mut body = call(&bulkhead, answer(200, script(steps))).await;
        let mut failed = None;
        while failed.is_none() {
            failed = body.frame().await.unwrap().err();
        }
        assert_eq!(failed.unwrap().to_string(), "connection reset");
        assert_eq!(in_flight(&bulkhead), 0, "though the body is still there");
        while body.frame().await.is_some() {}
        assert_eq!(in_flight(&bulkhead), 0);
    }
}

#[tokio::test]
async fn trailers_are_the_end_and_pass_through() {
    let bulkhead = bulkhead(1);
    let steps = [Data("m"), Trailers("14"), Fail];
    let mut body = call(&bulkhead, answer(200, script(&steps))).await;
    body.frame().await.unwrap().unwrap();
    let last = body.frame().await.unwrap().unwrap();
    assert_eq!(last.into_trailers().unwrap(), trailers("14"));
    assert_eq!(in_flight(&bulkhead), 0);
    body.frame().await.unwrap().unwrap_err();
    assert!(body.frame().await.is_none());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_reader_that_knows_the_length_need_not_ask_for_the_end() {
    let bulkhead = bulkhead(1);
    let steps = [Data("one"), Data("two")];
    let mut body = call(&bulkhead, answer(200, with_length(&steps))).await;
    body.frame().await.unwrap().unwrap();
    assert_eq!(in_flight(&bulkhead), 1);
    assert!(!body.is_end_stream());
    body.frame().await.unwrap().unwrap();
    assert!(body.is_end_stream());
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test]
async fn a_body_that_is_at_its_end_holds_nothing() {
    let bulkhead = bulkhead(1);
    let body = call(&bulkhead, answer(200, with_length(&[]))).await;
    assert!(body.is_end_stream());
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test]
async fn a_body_that_will_not_be_sent_need_not_be_read() {
    for (method, status, held) in [
        ("HEAD", 200, 0),
        ("HEAD", 503, 0),
        ("GET", 204, 0),
        ("GET", 304, 0),
        ("GET", 200, 1),
        ("POST", 503, 1),
    ] {
        let bulkhead = bulkhead(1);
        let service = BulkheadLayer::new(bulkhead.clone())
            .until_end_of_body()
            .layer(answer(status, script(&[Data("hello")])));
        let request = Request::builder().method(method).body(()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(in_flight(&bulkhead), held, "{method} {status}");
        drop(response);
        assert_eq!(in_flight(&bulkhead), 0, "{method} {status}");
    }
}

#[tokio::test]
async fn a_body_is_whole_when_all_that_was_announced_has_come() {
    // Length, how many frames are read, and whether the permit is held then.
    for (length, frames, held) in [
        ("10", 0, 1),
        ("10", 1, 1),
        ("10", 2, 0),
        ("5", 1, 0),
        ("0", 0, 0),
        ("11", 2, 1),
        ("nonsense", 2, 1),
    ] {
        let bulkhead = bulkhead(1);
        let service = service_fn(move |_: Request<()>| {
            let mut response = Response::new(script(&[Data("hello"), Data("hello")]));
            let length = HeaderValue::from_static(length);
            response.headers_mut().insert("content-length", length);
            ready(Ok::<_, BoxError>(response))
        });
        let mut body = call(&bulkhead, service).await;
        for _ in 0..frames {
            body.frame().await.unwrap().unwrap();
        }
        assert_eq!(in_flight(&bulkhead), held, "{length}, {frames} frames");
    }
}

#[tokio::test]
async fn a_panic_of_the_body_gives_it_back_and_goes_on() {
    let bulkhead = bulkhead(1);
    let steps = [Data("one"), Panic, Data("two")];
    let mut body = call(&bulkhead, answer(200, script(&steps))).await;
    body.frame().await.unwrap().unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _ = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
    }));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"boom"));
    assert_eq!(in_flight(&bulkhead), 0, "though the body is still there");
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "two");
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum When {
    Call,
    Poll,
    IsEndStream,
}

struct Panics(When);

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
async fn a_panic_on_the_way_to_the_head_gives_it_back_and_goes_on() {
    for when in [When::Call, When::Poll, When::IsEndStream] {
        let bulkhead = bulkhead(1);
        let mut service = BulkheadLayer::new(bulkhead.clone())
            .until_end_of_body()
            .layer(service_fn(move |_: Request<()>| {
                assert!(when != When::Call, "boom");
                async move {
                    assert!(when != When::Poll, "boom");
                    Ok::<_, Infallible>(Response::new(Panics(when)))
                }
            }));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = pin!(service.call(Request::new(()))).poll(&mut cx);
        }));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"boom"));
        assert_eq!(in_flight(&bulkhead), 0, "{when:?}");
    }
}

#[tokio::test]
async fn dropped_before_the_head_the_permit_is_given_back() {
    for polls in 0..=2 {
        let bulkhead = bulkhead(1);
        let mut service = BulkheadLayer::new(bulkhead.clone())
            .until_end_of_body()
            .layer(service_fn(|_: Request<()>| {
                pending::<Result<Response<Script>, Infallible>>()
            }));
        let mut call = task::spawn(service.ready().await.unwrap().call(Request::new(())));
        for _ in 0..polls {
            assert_pending!(call.poll());
        }
        assert_eq!(in_flight(&bulkhead), 1);
        drop(call);
        assert_eq!(in_flight(&bulkhead), 0);
    }
}

#[tokio::test]
async fn an_error_instead_of_a_response_gives_it_back() {
    let bulkhead = bulkhead(1);
    let service = service_fn(|_: Request<()>| {
        ready(Err::<Response<Script>, _>(BoxError::from("no connection")))
    });
    let service = BulkheadLayer::new(bulkhead.clone())
        .until_end_of_body()
        .layer(service);
    let err = service.oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(err.to_string(), "no connection");
    assert_eq!(in_flight(&bulkhead), 0);
}

/// Says whether the permit was still out when the body, or the future, was dropped.
struct LooksBack {
    bulkhead: Bulkhead,
    was_held: Arc<AtomicBool>,
}

impl Drop for LooksBack {
    fn drop(&mut self) {
        let held = in_flight(&self.bulkhead) == 1;
        self.was_held.store(held, Ordering::Relaxed);
    }
}

impl Body for LooksBack {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

// Else more calls than may would use what the inner ones hold.
#[tokio::test]
async fn whatever_is_inside_lets_go_before_the_permit_admits_another() {
    let guard = bulkhead(1);
    let was_held = Arc::new(AtomicBool::new(false));
    let looks_back = || LooksBack {
        bulkhead: guard.clone(),
        was_held: was_held.clone(),
    };

    let service = service_fn(|_: Request<()>| ready(Ok(Response::new(looks_back()))));
    drop(call(&guard, service).await);
    assert!(was_held.swap(false, Ordering::Relaxed), "a dropped body");

    let service = service_fn(|_: Request<()>| {
        let future = looks_back();
        async move {
            let _future = future;
            Err::<Response<Script>, _>(BoxError::from("no connection"))
        }
    });
    let layer = BulkheadLayer::new(guard.clone()).until_end_of_body();
    let failed = layer.layer(service).oneshot(Request::new(())).await;
    assert!(failed.is_err());
    assert!(was_held.load(Ordering::Relaxed), "a future that failed");
    assert_eq!(in_flight(&guard), 0);
}

#[tokio::test]
async fn the_body_shows_the_inner_one_as_it_is() {
    let bulkhead = bulkhead(1);
    let body = call(
        &bulkhead,
        answer(200, with_length(&[Data("one"), Data("three")])),
    )
    .await;
    assert_eq!(
        (body.size_hint().lower(), body.size_hint().upper()),
        (8, None)
    );
    assert_eq!(body.size_hint().lower(), body.get_ref().size_hint().lower());
    assert!(!body.is_end_stream());
    assert!(format!("{body:?}").starts_with("PermitBody"));
}

#[tokio::test]
async fn the_head_is_the_inner_one_as_it_is() {
    let bulkhead = bulkhead(1);
    let service = service_fn(|_: Request<()>| {
        let mut response = Response::new(script(&[]));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        *response.version_mut() = http::Version::HTTP_2;
        response
            .headers_mut()
            .insert("x", HeaderValue::from_static("y"));
        response.extensions_mut().insert(7_u8);
        ready(Ok::<_, BoxError>(response))
    });
    let service = BulkheadLayer::new(bulkhead.clone())
        .until_end_of_body()
        .layer(service);
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), 418);
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.headers()["x"], "y");
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.extensions().get::<u8>(), Some(&7));
    assert_eq!(response.extensions().len(), 1);
}

#[test]
fn auto_traits_are_the_inner_bodys() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    fn is_unpin<T: Unpin>() {}
    is_send::<PermitBody<Script>>();
    is_sync::<PermitBody<Script>>();
    is_unpin::<PermitBody<Script>>();
    is_send::<PermitBody<Script, StallAfter>>();
    is_sync::<PermitBody<Script, StallAfter>>();
}

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
fn the_inner_body_and_service_need_no_bounds() {
    struct Inner<'a>(&'a str);

    impl<'a> Service<Request<()>> for Inner<'a> {
        type Response = Response<Bare<'a>>;
        type Error = BareError;
        type Future = std::future::Ready<Result<Response<Bare<'a>>, BareError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BareError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            ready(Ok(Response::new(Bare(Rc::new(()), self.0))))
        }
    }

    let text = String::from("short-lived");
    let bulkhead = bulkhead(1);
    for (text, fails) in [(&text[..], false), ("", true)] {
        let mut service = BulkheadLayer::new(bulkhead.clone())
            .typed()
            .until_end_of_body()
            .layer(Inner(text));
        let mut cx = Context::from_waker(Waker::noop());
        let mut call = pin!(service.call(Request::new(())));
        let Poll::Ready(Ok(response)) = call.as_mut().poll(&mut cx) else {
            panic!("the head is there");
        };
        let mut body = response.into_body();
        let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut cx) else {
            panic!("a frame is there");
        };
        assert_eq!(frame.is_err(), fails);
        assert_eq!(in_flight(&bulkhead), usize::from(!fails));
    }
}
