//! The future of a call whose permit lasts to the end of its response's body.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{PermitBody, StallLimit, TunnelPermit};
use crate::{
    Refused,
    bulkhead::{
        BulkheadPermit, Outcome,
        future::{Ending, Guarded},
    },
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
    pub(crate) fn new(call: F, asked: Asked, mode: M, limit: L) -> Self {
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
    F: Guarded<Response = Response<B>, Error = Err>,
    B: Body,
    L: StallLimit,
    M: ErrorMode<Response<PermitBody<B, L>>, Err>,
{
    type Output = Result<Response<PermitBody<B, L>>, M::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let ending = AtEndOfBody {
            asked: *this.asked,
            mode: &*this.mode,
            limit: *this.limit,
            permit: None,
            left: 0,
        };
        this.call.poll_to(cx, ending)
    }
}

/// The permit goes on into the body.
struct AtEndOfBody<'a, M, L> {
    asked: Asked,
    mode: &'a M,
    limit: L,
    permit: Option<BulkheadPermit>,
    // Of the body, while the permit is held.
    left: u64,
}

// `N` is the mode of the service inside, which is not asked.
impl<N, M, L, B, Err> Ending<N, Response<B>, Err> for AtEndOfBody<'_, M, L>
where
    B: Body,
    L: StallLimit,
    M: ErrorMode<Response<PermitBody<B, L>>, Err>,
{
    type Output = Result<Response<PermitBody<B, L>>, M::Error>;

    #[inline]
    fn ended(
        &mut self,
        result: &mut Result<Response<B>, Err>,
        permit: Option<BulkheadPermit>,
        outcome: Outcome,
    ) {
        self.permit = permit;
        if let Some(permit) = &self.permit {
            permit.tell(outcome);
        }
        match result {
            Ok(response) => self.left = head_has_come(response, self.asked, &mut self.permit),
            Err(_) => self.permit = None,
        }
    }

    #[inline]
    fn answer(self, result: Result<Response<B>, Err>, _: &N) -> Self::Output {
        let Self {
            limit,
            permit,
            left,
            ..
        } = self;
        match result {
            Ok(response) => Ok(response.map(|body| PermitBody::new(body, permit, left, limit))),
            Err(err) => Err(self.mode.inner(err)),
        }
    }

    #[inline]
    fn refused(self, refused: Refused, _: &N) -> Self::Output {
        self.mode.refused(refused)
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
