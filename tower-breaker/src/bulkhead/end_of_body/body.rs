//! The body that carries a permit to its end.

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
    settle::{End, end_call},
};
use crate::{
    bulkhead::BulkheadPermit,
    http::body::{Carried, CarryingBody},
};

pin_project! {
    /// The body of a response of an [`EndOfBodyService`](super::EndOfBodyService): the inner body, unchanged, and the call's permit, until the body
    /// ends. See [the module](super) for when that is.
    ///
    /// Frames, trailers, size hint and `is_end_stream` are the inner body's. So is the error, unless there is a
    /// [stall limit](super::EndOfBodyLayer::stall_after). With one the type is not `Unpin`: pin it, or box it, to read frame by
    /// frame.
    pub struct PermitBody<B, L = NoStallLimit>
    where
        L: StallLimit,
    {
        #[pin]
        body: CarryingBody<B, BulkheadPermit, L>,
    }
}

impl<B, L: StallLimit> PermitBody<B, L> {
    /// A body that holds no permit, such as that of a fallback for a refused call
    /// ([`ErrorMode::refused`](crate::mode::ErrorMode::refused)). It has no stall limit.
    pub fn without_permit(body: B) -> Self {
        Self {
            body: CarryingBody::empty(body, L::Timer::default()),
        }
    }

    /// The body of a response that keeps its permit, if it has it still, until `left` bytes have come.
    #[inline]
    pub(super) fn new(inner: B, permit: Option<BulkheadPermit>, left: u64, limit: L) -> Self {
        Self {
            body: CarryingBody::new(inner, permit, left, limit.timer()),
        }
    }

    /// The inner body.
    pub fn get_ref(&self) -> &B {
        self.body.get_ref()
    }

    /// Whether it holds a permit: it had one, and has not come to its end.
    pub fn holds_permit(&self) -> bool {
        self.body.is_carrying()
    }
}

impl<B, L> Body for PermitBody<B, L>
where
    B: Body,
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

impl<E> Carried<E> for BulkheadPermit {
    #[inline]
    fn reads_trailers(&self) -> bool {
        false
    }

    #[inline]
    fn ended(permit: &mut Option<Self>, _: Result<Option<&HeaderMap>, &E>) {
        end_call(permit, End::Over);
    }

    fn stalled(permit: &mut Option<Self>) {
        end_call(permit, End::Stalled);
    }

    fn panicked(permit: &mut Option<Self>) {
        end_call(permit, End::Over);
    }
}

/// A text that holds no permit, for [`respond`](crate::BulkheadLayer::respond).
impl<B: From<String>, L: StallLimit> From<String> for PermitBody<B, L> {
    fn from(text: String) -> Self {
        Self::without_permit(text.into())
    }
}

impl<B: Default, L: StallLimit> Default for PermitBody<B, L> {
    fn default() -> Self {
        Self::without_permit(B::default())
    }
}

impl<B: fmt::Debug, L: StallLimit> fmt::Debug for PermitBody<B, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitBody")
            .field("inner", self.body.get_ref())
            .field("holds_permit", &self.holds_permit())
            .field("timer", self.body.timer())
            .finish_non_exhaustive()
    }
}
