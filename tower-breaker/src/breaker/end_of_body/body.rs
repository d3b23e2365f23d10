//! The body that carries a call to its end.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    NoStallLimit, StallLimit,
    future::Length,
    settle::{hint, settle},
};
use crate::{
    breaker::{permit::Admission, shared::Outcome},
    classify::ClassifyEnd,
};

pin_project! {
    /// The body of a response of an [`EndOfBodyService`](super::EndOfBodyService): the inner body, unchanged, and the call's admission, until the
    /// body ends. See [the module](super) for how it may end.
    ///
    /// Frames, trailers, size hint and `is_end_stream` are the inner body's. So is the error, unless there is a
    /// [stall limit](super::EndOfBodyLayer::stall_after). With one the type is not `Unpin`: pin it, or box it, to read frame by frame.
    pub struct JudgedBody<B, K, L = NoStallLimit>
    where
        L: StallLimit,
    {
        // Before the call: it lets go of all it holds before its call is over.
        #[pin]
        inner: B,
        // `None` once the verdict is recorded.
        call: Option<Call<K>>,
        // Of the announced length, where a body that has come so far has come whole.
        left: Option<u64>,
        #[pin]
        timer: L::Timer,
        stalled: bool,
    }
}

struct Call<K> {
    admission: Admission,
    judge: K,
}

impl<B, K, L: StallLimit> JudgedBody<B, K, L> {
    /// A body that belongs to no call, such as that of a fallback for a refused one
    /// ([`ErrorMode::refused`](crate::mode::ErrorMode::refused)). It has no stall limit.
    pub fn unjudged(body: B) -> Self {
        Self {
            inner: body,
            call: None,
            left: None,
            timer: L::Timer::default(),
            stalled: false,
        }
    }

    /// The body of a call that has been judged.
    pub(super) fn settled(inner: B, limit: L) -> Self {
        Self {
            timer: limit.timer(),
            ..Self::unjudged(inner)
        }
    }

    /// The body of a call that is to be judged by its end, which may be now. `length` is what its head says.
    pub(super) fn judged(
        inner: B,
        mut admission: Admission,
        judge: K,
        length: Length,
        limit: L,
    ) -> Self
    where
        B: Body,
        K: ClassifyEnd<B::Error>,
    {
        let left = match length {
            Length::NoBody => Some(0),
            Length::Announced(length) if !judge.reads_trailers() => Some(length),
            Length::Announced(_) | Length::Unknown => None,
        };
        let ended = admission.watch(|| inner.is_end_stream()) || left == Some(0);
        let mut call = Some(Call { admission, judge });
        if ended {
            finish(&mut call, Ok::<_, &B::Error>(None));
        }
        Self {
            call,
            left,
            ..Self::settled(inner, limit)
        }
    }

    /// The inner body.
    pub fn get_ref(&self) -> &B {
        &self.inner
    }
}

impl<B, K, L> Body for JudgedBody<B, K, L>
where
    B: Body,
    K: ClassifyEnd<B::Error>,
    L: StallLimit,
{
    type Data = B::Data;
    type Error = L::Error<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let mut this = self.project();
        if *this.stalled {
            return Poll::Ready(None);
        }
        let (polled, ended) = match this.call {
            Some(call) => call.admission.watch(|| {
                let polled = this.inner.as_mut().poll_frame(cx);
                (polled, this.inner.is_end_stream())
            }),
            None => (this.inner.as_mut().poll_frame(cx), false),
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                L::heard(this.timer);
                if let (Some(left), Some(data)) = (this.left.as_mut(), frame.data_ref()) {
                    *left = left.saturating_sub(data.remaining() as u64);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    finish(this.call, Ok::<_, &B::Error>(Some(trailers)));
                } else if ended || *this.left == Some(0) {
                    finish(this.call, Ok::<_, &B::Error>(None));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(err))) => {
                L::heard(this.timer);
                finish(this.call, Err(&err));
                Poll::Ready(Some(Err(L::inner_error(err))))
            }
            Poll::Ready(None) => {
                finish(this.call, Ok::<_, &B::Error>(None));
                Poll::Ready(None)
            }
            Poll::Pending => {
                let err = ready!(L::poll_stalled(this.timer, cx));
                *this.stalled = true;
                if let Some(mut call) = this.call.take() {
                    call.admission.settle(Outcome::Failure);
                }
                Poll::Ready(Some(Err(err)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stalled || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

// Judges once: what comes after that decides nothing. If the classifier panics, the call was abandoned.
fn finish<E, K: ClassifyEnd<E>>(call: &mut Option<Call<K>>, end: Result<Option<&HeaderMap>, &E>) {
    let Some(Call {
        mut admission,
        judge,
    }) = call.take()
    else {
        return;
    };
    let wait = hint(&admission, || judge.retry_after(end));
    settle(&mut admission, judge.end(end), wait);
}

/// A text that belongs to no call, for [`respond`](crate::CircuitBreakerLayer::respond).
impl<B: From<String>, K, L: StallLimit> From<String> for JudgedBody<B, K, L> {
    fn from(text: String) -> Self {
        Self::unjudged(text.into())
    }
}

impl<B: Default, K, L: StallLimit> Default for JudgedBody<B, K, L> {
    fn default() -> Self {
        Self::unjudged(B::default())
    }
}

impl<B: fmt::Debug, K, L: StallLimit> fmt::Debug for JudgedBody<B, K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JudgedBody")
            .field("inner", &self.inner)
            .field("judged", &self.call.is_none())
            .field("timer", &self.timer)
            .finish_non_exhaustive()
    }
}
