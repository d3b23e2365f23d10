//! The future of a call whose permit lasts to the end of its response's body.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
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
    http::body::{Asked, left_of},
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
        let limit = *this.limit;
        let mut permit = None;
        let mut polled = this.call.poll_keeping(&mut permit, cx);
        let left = match &mut polled {
            Poll::Ready(Ok(response)) => head_has_come(response, *this.asked, &mut permit),
            _ => 0,
        };
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(
                response.map(|body| PermitBody::new(body, permit, left, limit))
            )),
            Poll::Ready(Err(Error::Inner(err))) => {
                if let Some(permit) = permit {
                    end_call(permit, End::Failed);
                }
                Poll::Ready(Err(this.mode.inner(err)))
            }
            Poll::Ready(Err(Error::Refused(refused))) => Poll::Ready(this.mode.refused(refused)),
        }
    }
}

// Gives how much of the body is to come while the permit is held. If that is nothing, the permit has been given back.
#[inline]
fn head_has_come<B: Body>(
    response: &mut Response<B>,
    asked: Asked,
    permit: &mut Option<BulkheadPermit>,
) -> u64 {
    if asked.gets_tunnel(response.status()) {
        if let Some(permit) = permit.take() {
            TunnelPermit::put_into(response.extensions_mut(), permit);
        }
        return 0;
    }
    left_of(response, asked, permit)
}

impl<F: fmt::Debug, M, L> fmt::Debug for EndOfBodyFuture<F, M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndOfBodyFuture")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}
