//! The body that carries a call to its end.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    NoStallLimit, StallLimit,
    settle::{hint, settle},
};
use crate::{
    breaker::{
        permit::{Admission, OwnTime},
        shared::Outcome,
    },
    classify::ClassifyEnd,
    http::body::{Carried, CarryingBody},
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
        #[pin]
        body: CarryingBody<B, Call<K>, L>,
    }
}

/// A call that is to be judged at the end of its body.
pub(super) struct Call<K> {
    admission: Admission,
    // `None` once it has been judged.
    unjudged: Option<Unjudged<K>>,
}

// Together, so that one word does for both and for whether they are there, with most judges: what is carried is moved with the response, and
// a few bytes less are moved much quicker, as long as no function need be called for it.
struct Unjudged<K> {
    judge: K,
    own_time: OwnTime,
}

impl<K> Call<K> {
    #[inline]
    pub(super) fn new(admission: Admission, judge: K) -> Self {
        Self {
            unjudged: Some(Unjudged {
                judge,
                own_time: OwnTime::of(&admission),
            }),
            admission,
        }
    }

    /// The reader has got the head, or a frame: what passes until it waits again is its own time.
    #[inline]
    pub(super) fn begin_own_time(&mut self) {
        if let Some(Unjudged { own_time, .. }) = &mut self.unjudged {
            own_time.begin(&mut self.admission);
        }
    }

    #[inline]
    fn end_own_time(&mut self) {
        if let Some(Unjudged { own_time, .. }) = &mut self.unjudged {
            own_time.end(&mut self.admission);
        }
    }
}

impl<K> Drop for Call<K> {
    // Before the admission says how long the call took.
    #[inline]
    fn drop(&mut self) {
        self.end_own_time();
    }
}

impl<B, K, L: StallLimit> JudgedBody<B, K, L> {
    /// A body that belongs to no call, such as that of a fallback for a refused one
    /// ([`ErrorMode::refused`](crate::mode::ErrorMode::refused)). It has no stall limit.
    pub fn unjudged(body: B) -> Self {
        Self {
            body: CarryingBody::empty(body, L::Timer::default()),
        }
    }

    /// The body of a call that is to be judged, if it has not been, when `left` bytes have come.
    #[inline]
    pub(super) fn new(inner: B, call: Option<Call<K>>, left: u64, limit: L) -> Self {
        Self {
            body: CarryingBody::new(inner, call, left, limit.timer()),
        }
    }

    /// The inner body.
    pub fn get_ref(&self) -> &B {
        self.body.get_ref()
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

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        self.project().body.poll_frame(cx)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<E, K: ClassifyEnd<E>> Carried<E> for Call<K> {
    #[inline]
    fn reads_trailers(&self) -> bool {
        let unjudged = self.unjudged.as_ref();
        unjudged.is_some_and(|Unjudged { judge, .. }| judge.reads_trailers())
    }

    #[inline]
    fn ended(call: &mut Option<Self>, end: Result<Option<&HeaderMap>, &E>) {
        // If the classifier panics, the call was abandoned.
        let call = Judging(call);
        if let Some(call) = call.0 {
            call.end_own_time();
            if let Some(Unjudged { judge, .. }) = call.unjudged.take() {
                let wait = hint(&call.admission, || judge.retry_after(end));
                settle(&mut call.admission, judge.end(end), wait);
            }
        }
    }

    #[inline]
    fn reader_waits(&mut self) {
        self.end_own_time();
    }

    #[inline]
    fn reader_has_got(&mut self) {
        self.begin_own_time();
    }

    fn stalled(call: &mut Option<Self>) {
        fail(call);
    }

    fn panicked(call: &mut Option<Self>) {
        fail(call);
    }
}

#[cold]
fn fail<K>(call: &mut Option<Call<K>>) {
    if let Some(mut call) = call.take() {
        call.end_own_time();
        call.admission.settle(Outcome::Failure);
    }
}

/// Lets go of the call when dropped.
struct Judging<'a, K>(&'a mut Option<Call<K>>);

impl<K> Drop for Judging<'_, K> {
    #[inline]
    fn drop(&mut self) {
        *self.0 = None;
    }
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
            .field("inner", self.body.get_ref())
            .field("judged", &!self.body.is_carrying())
            .field("timer", self.body.timer())
            .finish_non_exhaustive()
    }
}
