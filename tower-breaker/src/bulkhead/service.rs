use std::{
    fmt,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{Bulkhead, Refuse, ResponseFuture, Wait, WaitingFuture};
use crate::{
    Reason,
    mode::{Boxed, ErrorMode},
};

/// A service behind a [`Bulkhead`]; made by a [`BulkheadLayer`](super::BulkheadLayer).
///
/// # Readiness
///
/// While a permit is free, `poll_ready` is that of the inner service, and so is an error of it. While the bulkhead is full,
/// `poll_ready` answers at once, **without polling the inner service**: `call` will refuse the call or let it wait, and
/// neither may hold what the inner service reserves for a ready caller. This is decided afresh at each `poll_ready`. What
/// it decided binds the next `call` one way only:
///
/// * it found the bulkhead full, and a permit has come free since: a [`Refuse`] service still refuses, because the inner
///   service was not asked whether it is ready; a [`Wait`] service takes the permit;
/// * it found a permit free, and others have taken the last one since: the call is refused or waits. A [`Wait`] service
///   gives back the inner readiness it had waited for, by replacing the inner service with a fresh clone of it; a
///   [`Refuse`] service, which cannot clone, keeps it for its next call, or until it is dropped.
///
/// A permit is taken in `call`, never in `poll_ready`: a service that is ready and not called holds none.
pub struct BulkheadService<S, M = Boxed, W = Refuse> {
    inner: S,
    // The inner service has said that it is ready, and has not been called since.
    inner_is_ready: bool,
    bulkhead: Bulkhead,
    mode: M,
    when_full: W,
}

impl<S, M, W> BulkheadService<S, M, W> {
    pub(super) fn new(inner: S, bulkhead: Bulkhead, mode: M, when_full: W) -> Self {
        Self {
            inner,
            inner_is_ready: false,
            bulkhead,
            mode,
            when_full,
        }
    }

    /// The bulkhead that guards it.
    pub fn bulkhead(&self) -> &Bulkhead {
        &self.bulkhead
    }

    /// The service behind the bulkhead.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind the bulkhead. Calling it does not pass the bulkhead.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service behind the bulkhead.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn poll_inner_unless_full<Req>(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Req>,
    {
        if self.bulkhead.is_full() {
            return Poll::Ready(Ok(()));
        }
        let ready = self.inner.poll_ready(cx);
        self.inner_is_ready = matches!(ready, Poll::Ready(Ok(())));
        ready
    }
}

impl<S, M, Req> Service<Req> for BulkheadService<S, M, Refuse>
where
    S: Service<Req>,
    M: ErrorMode<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = ResponseFuture<S::Future, M>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_inner_unless_full(cx)
            .map_err(|err| self.mode.inner(err))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        if self.inner_is_ready
            && let Some(permit) = self.bulkhead.try_enter()
        {
            self.inner_is_ready = false;
            return ResponseFuture::running(self.inner.call(request), permit, self.mode.clone());
        }
        ResponseFuture::refused(
            self.bulkhead.reject(Reason::BulkheadFull),
            self.mode.clone(),
        )
    }
}

impl<S, M, Req> Service<Req> for BulkheadService<S, M, Wait>
where
    S: Service<Req> + Clone,
    M: ErrorMode<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = WaitingFuture<S, Req, M>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_inner_unless_full(cx)
            .map_err(|err| self.mode.inner(err))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let was_ready = std::mem::take(&mut self.inner_is_ready);
        if was_ready && let Some(permit) = self.bulkhead.try_enter() {
            let call = self.inner.call(request);
            return WaitingFuture::calling(ResponseFuture::running(
                call,
                permit,
                self.mode.clone(),
            ));
        }
        if was_ready {
            self.inner = self.inner.clone();
        }
        match self.bulkhead.acquire().unless_refused() {
            Ok(permit) => {
                WaitingFuture::waiting(permit, self.inner.clone(), request, self.mode.clone())
            }
            Err(rejection) => {
                WaitingFuture::calling(ResponseFuture::refused(rejection, self.mode.clone()))
            }
        }
    }
}

// A clone of the inner service is a service of its own, which nobody has asked yet whether it is ready.
impl<S: Clone, M: Clone, W: Clone> Clone for BulkheadService<S, M, W> {
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            self.bulkhead.clone(),
            self.mode.clone(),
            self.when_full.clone(),
        )
    }
}

impl<S: fmt::Debug, M, W> fmt::Debug for BulkheadService<S, M, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadService")
            .field("inner", &self.inner)
            .field("bulkhead", &self.bulkhead)
            .finish_non_exhaustive()
    }
}
