//! Bodies that misbehave.

use crate::BoxError;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

pin_project_lite::pin_project! {
    /// Gives half of what it announces, then breaks off. An empty body has nothing to break.
    pub(super) struct Truncated {
        #[pin]
        body: Body,
        // What may still be given; unknown before the first frame of a body that announces no length.
        left: Option<u64>,
        cut: Cut,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Giving,
    /// One more poll lets the server flush what it was given, so that the client sees part of the body.
    Flushing,
    Broken,
}

impl Truncated {
    pub fn new(body: Body) -> Self {
        let left = body.size_hint().exact().map(|length| length / 2);
        Self {
            body,
            left,
            cut: Cut::Giving,
        }
    }
}

impl HttpBody for Truncated {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        match this.cut {
            Cut::Giving => {}
            Cut::Flushing => {
                *this.cut = Cut::Broken;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Cut::Broken => {
                return Poll::Ready(Some(Err(
                    "broken off on purpose by an injected fault".into()
                )));
            }
        }
        let data = match ready!(this.body.poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            },
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let left = this.left.get_or_insert(data.len() as u64 / 2);
        if (data.len() as u64) <= *left {
            *left -= data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let part = data.slice(..usize::try_from(*left).unwrap_or(0));
        *this.cut = Cut::Flushing;
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project_lite::pin_project! {
    /// Waits before its first byte; the head of the answer is sent at once.
    pub(super) struct Stalled {
        #[pin]
        body: Body,
        delay: Duration,
        #[pin]
        timer: Option<Sleep>,
        waited: bool,
    }
}

impl Stalled {
    pub fn new(body: Body, delay: Duration) -> Self {
        Self {
            body,
            delay,
            timer: None,
            waited: false,
        }
    }
}

impl HttpBody for Stalled {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut this = self.project();
        if !*this.waited {
            if this.timer.is_none() {
                this.timer.set(Some(sleep(*this.delay)));
            }
            if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                ready!(timer.poll(cx));
            }
            *this.waited = true;
        }
        this.body.poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
