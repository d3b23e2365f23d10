//! Bodies that give nothing, and readers that take nothing.

use std::{
    convert::Infallible,
    future::ready,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    Bulkhead, BulkheadLayer,
    bulkhead::end_of_body::{BodyError, Stalled},
};

use crate::{bulkhead, in_flight};

const LIMIT: Duration = Duration::from_secs(4);

/// A body that gives what it is sent.
struct Sent(mpsc::UnboundedReceiver<&'static str>);

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|text| text.map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}

type Stallable = Pin<Box<dyn Body<Data = Bytes, Error = BodyError<Infallible>>>>;

async fn sent(bulkhead: &Bulkhead) -> (mpsc::UnboundedSender<&'static str>, Stallable) {
    let (send, receive) = mpsc::unbounded_channel();
    let mut receive = Some(receive);
    let mut service = BulkheadLayer::new(bulkhead.clone())
        .until_end_of_body()
        .stall_after(LIMIT)
        .layer(service_fn(move |_: Request<()>| {
            ready(Ok::<_, Infallible>(Response::new(Sent(
                receive.take().unwrap(),
            ))))
        }));
    let call = service.ready().await.unwrap().call(Request::new(()));
    (send, Box::pin(call.await.unwrap().into_body()))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_gives_nothing_for_too_long_gives_its_permit_back() {
    let bulkhead = bulkhead(1);
    let (send, mut body) = sent(&bulkhead).await;
    send.send("one").unwrap();
    body.frame().await.unwrap().unwrap();
    let started = tokio::time::Instant::now();
    let err = body.frame().await.unwrap().unwrap_err();
    let waited = started.elapsed();
    assert!(
        (LIMIT..LIMIT + Duration::from_millis(2)).contains(&waited),
        "{waited:?}"
    );
    assert_eq!(Stalled::find(&err).unwrap().limit(), LIMIT);
    assert_eq!(in_flight(&bulkhead), 0);
    send.send("too late").unwrap();
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_has_come_whole_and_does_not_end_is_no_failure() {
    let bulkhead = bulkhead(1);
    let (send, receive) = mpsc::unbounded_channel();
    let mut receive = Some(receive);
    let mut service = BulkheadLayer::new(bulkhead.clone())
        .until_end_of_body()
        .stall_after(LIMIT)
        .layer(service_fn(move |_: Request<()>| {
            let mut response = Response::new(Sent(receive.take().unwrap()));
            let length = http::HeaderValue::from_static("6");
            response.headers_mut().insert("content-length", length);
            ready(Ok::<_, Infallible>(response))
        }));
    let call = service.ready().await.unwrap().call(Request::new(()));
    let mut body = Box::pin(call.await.unwrap().into_body());
    send.send("one").unwrap();
    send.send("two").unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(in_flight(&bulkhead), 1);
    body.frame().await.unwrap().unwrap();
    assert_eq!(in_flight(&bulkhead), 0);
    // A reader that asks for more all the same.
    let started = tokio::time::Instant::now();
    assert!(body.frame().await.is_none());
    assert!(started.elapsed() >= LIMIT);
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_keeps_its_permit_and_stalls_nothing() {
    let bulkhead = bulkhead(1);
    let (send, mut body) = sent(&bulkhead).await;
    for _ in 0..3 {
        send.send("there at once").unwrap();
        tokio::time::sleep(LIMIT * 5).await;
        assert_eq!(in_flight(&bulkhead), 1);
        body.frame().await.unwrap().unwrap();
    }
    tokio::time::sleep(LIMIT * 5).await;
    drop(send);
    assert_eq!(in_flight(&bulkhead), 1, "it has not looked");
    assert!(body.frame().await.is_none());
    assert_eq!(in_flight(&bulkhead), 0);
}
