//! The guarded service.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{EndOfBodyFuture, NoStallLimit, PermitBody, StallLimit};
use crate::{
    Error,
    bulkhead::{Bulkhead, BulkheadService, Refuse, future, guarded::Guarded},
    classify::EveryError,
    http::body::Asked,
    mode::{Boxed, ErrorMode, Typed},
};

/// A service behind a bulkhead that keeps its permits to the end of the responses' bodies. Made by [`EndOfBodyLayer`](super::EndOfBodyLayer).
///
/// Up to the head of the response it is a [`BulkheadService`], whose documentation says how readiness works and what a refused
/// caller keeps; the bound on `BulkheadService` says that it asks of the inner service what that does: `Clone` if calls may
/// wait, and nothing otherwise.
pub struct EndOfBodyService<S, M = Boxed, W = Refuse, C = EveryError, L = NoStallLimit> {
    guarded: BulkheadService<S, Typed, W, C>,
    mode: M,
    limit: L,
}

impl<S, M, W, C, L> EndOfBodyService<S, M, W, C, L> {
    pub(super) fn new(guarded: BulkheadService<S, Typed, W, C>, mode: M, limit: L) -> Self {
        Self {
            guarded,
            mode,
            limit,
        }
    }

    /// The bulkhead that guards it.
    pub fn bulkhead(&self) -> &Bulkhead {
        self.guarded.bulkhead()
    }

    /// The service behind the bulkhead.
    pub fn get_ref(&self) -> &S {
        self.guarded.get_ref()
    }

    /// The service behind the bulkhead. Calling it does not pass the bulkhead.
    pub fn get_mut(&mut self) -> &mut S {
        self.guarded.get_mut()
    }

    /// The service behind the bulkhead.
    pub fn into_inner(self) -> S {
        self.guarded.into_inner()
    }
}

impl<S, ReqBody, B, Err, M, W, C, L> Service<Request<ReqBody>> for EndOfBodyService<S, M, W, C, L>
where
    BulkheadService<S, Typed, W, C>: Service<
            Request<ReqBody>,
            Response = Response<B>,
            Error = Error<Err>,
            Future: future::Guarded<Response = Response<B>, Error = Err>,
        >,
    B: Body,
    L: StallLimit,
    M: ErrorMode<Response<PermitBody<B, L>>, Err> + Clone,
{
    type Response = Response<PermitBody<B, L>>;
    type Error = M::Error;
    type Future = EndOfBodyFuture<
        <BulkheadService<S, Typed, W, C> as Service<Request<ReqBody>>>::Future,
        M,
        L,
    >;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.guarded.poll_ready(cx).map(|ready| match ready {
            Ok(()) => Ok(()),
            Err(Error::Inner(err)) => Err(self.mode.inner(err)),
            // A bulkhead refuses calls, not readiness. If it did, a mode that answers would have nobody to answer yet: the call
            // will be decided afresh.
            Err(Error::Refused(refused)) => self.mode.refused(refused).map(drop),
        })
    }

    #[inline]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let asked = Asked::by(request.method());
        let call = self.guarded.call(request);
        EndOfBodyFuture::new(call, asked, self.mode.clone(), self.limit)
    }
}

impl<S, M, W, C, L> Guarded for EndOfBodyService<S, M, W, C, L> {
    fn handle(&mut self) -> &mut Bulkhead {
        self.guarded.handle()
    }

    fn is_ready_to_refuse(&self) -> bool {
        self.guarded.is_ready_to_refuse()
    }
}

impl<S: Clone, M: Clone, W: Clone, C: Clone, L: Copy> Clone for EndOfBodyService<S, M, W, C, L> {
    fn clone(&self) -> Self {
        Self {
            guarded: self.guarded.clone(),
            mode: self.mode.clone(),
            limit: self.limit,
        }
    }
}

impl<S: fmt::Debug, M, W, C, L: fmt::Debug> fmt::Debug for EndOfBodyService<S, M, W, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndOfBodyService")
            .field("guarded", &self.guarded)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
