//! Calls that last to the end of a response's body: the head, one frame of data, and the end.

use std::{
    convert::Infallible,
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Layer, Service};

use crate::work::{Calls, until_ready};

/// Answers every request with one frame, at once.
#[derive(Clone)]
pub struct BareHttp;

/// Its answer. Made when it is asked for: one that is kept and moved once more would be measured too.
pub struct Answer;

/// The body of it.
pub struct OneFrame {
    is_read: bool,
}

impl Service<Request<()>> for BareHttp {
    type Response = Response<OneFrame>;
    type Error = Infallible;
    type Future = Answer;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, _: Request<()>) -> Self::Future {
        Answer
    }
}

impl Future for Answer {
    type Output = Result<Response<OneFrame>, Infallible>;

    #[inline]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let is_read = black_box(false);
        Poll::Ready(Ok(Response::new(OneFrame { is_read })))
    }
}

impl Body for OneFrame {
    type Data = &'static [u8];
    type Error = Infallible;

    #[inline]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<&'static [u8]>, Infallible>>> {
        if self.is_read {
            return Poll::Ready(None);
        }
        self.is_read = true;
        Poll::Ready(Some(Ok(Frame::data(b"hello"))))
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.is_read
    }
}

pub fn layered<L, B>(layer: L) -> impl Fn() -> Calls + 'static
where
    L: Layer<BareHttp> + 'static,
    L::Service: Service<Request<()>, Response = Response<B>> + Send + 'static,
    B: Body + Unpin,
{
    move || calls_to(layer.layer(BareHttp))
}

/// Makes each call from readiness to the end of its body.
pub fn calls_to<S, B>(mut service: S) -> Calls
where
    S: Service<Request<()>, Response = Response<B>> + Send + 'static,
    B: Body + Unpin,
{
    Box::new(move |number| {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..number {
            until_ready(|| service.poll_ready(&mut cx));
            let mut call = pin!(service.call(Request::new(())));
            // Looked at where they are, as in `work`.
            let mut polled = call.as_mut().poll(&mut cx);
            let Poll::Ready(Ok(response)) = &mut polled else {
                panic!("the head is there at once");
            };
            let mut more = true;
            while more {
                let polled = Pin::new(response.body_mut()).poll_frame(&mut cx);
                more = !matches!(black_box(&polled), Poll::Ready(None));
            }
        }
    })
}
