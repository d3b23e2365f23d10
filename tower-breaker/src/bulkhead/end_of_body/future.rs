//! The future of a call whose permit lasts to the end of its response's body.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    PermitBody, StallLimit, TunnelPermit,
    settle::{End, end_call},
};
use crate::{
    Error,
    bulkhead::{BulkheadPermit, future::LeavesPermit},
    http::body::{Asked, Length},
    mode::ErrorMode,
};

pin_project! {
    /// The future of an [`EndOfBodyService`](super::EndOfBodyService).
    ///
    /// Dropped before it is done, it gives the permit back, or leaves the queue. So it does if the inner future panics, and the
    /// panic goes on. Once it has given a response, the response's body has the permit.
    #[must_use = "futures do nothing unless polled"]
    pub struct EndOfBodyFuture<F, M, L> {
        #[pin]
        call: F,
        asked: Asked,
        mode: M,
        limit: L,
    }
}

impl<F, M, L> EndOfBodyFuture<F, M, L> {
    #[inline]
    pub(super) fn new(call: F, asked: Asked, mode: M, limit: L) -> Self {
        Self {
            call,
            asked,
            mode,
            limit,
        }
    }
}

impl<F, M, L, B, Err> Future for EndOfBodyFuture<F, M, L>
where
    F: LeavesPermit<Output = Result<Response<B>, Error<Err>>>,
    B: Body,
    L: StallLimit,
    M: ErrorMode<Response<PermitBody<B, L>>, Err>,
{
    type Output = Result<Response<PermitBody<B, L>>, M::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut permit = None;
        Poll::Ready(match ready!(this.call.poll_keeping(&mut permit, cx)) {
            Ok(response) => Ok(hand_over(permit, response, *this.asked, *this.limit)),
            Err(Error::Inner(err)) => {
                if let Some(permit) = permit {
                    end_call(permit, End::Failed);
                }
                Err(this.mode.inner(err))
            }
            Err(Error::Refused(refused)) => this.mode.refused(refused),
        })
    }
}

#[inline]
fn hand_over<B: Body, L: StallLimit>(
    permit: Option<BulkheadPermit>,
    mut response: Response<B>,
    asked: Asked,
    limit: L,
) -> Response<PermitBody<B, L>> {
    let Some(permit) = permit else {
        return response.map(|body| PermitBody::free(body, limit));
    };
    if asked.gets_tunnel(response.status()) {
        TunnelPermit::put_into(response.extensions_mut(), permit);
        return response.map(|body| PermitBody::free(body, limit));
    }
    let length = Length::of(&response, asked);
    response.map(|body| PermitBody::holding(body, permit, length, limit))
}

impl<F: fmt::Debug, M, L> fmt::Debug for EndOfBodyFuture<F, M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndOfBodyFuture")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}
