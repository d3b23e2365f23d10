use std::{
    fmt, mem,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{Bulkhead, Refuse, ResponseFuture, Wait, WaitingFuture, guarded::Guarded};
use crate::{
    Reason,
    classify::{Classify, EveryError},
    mode::{Boxed, ErrorMode},
};

/// A service behind a [`Bulkhead`]; made by a [`BulkheadLayer`](super::BulkheadLayer).
///
/// # Readiness
///
/// While a permit is free, `poll_ready` is that of the inner service, and so is an error of it. While the bulkhead is full,
/// `poll_ready` answers at once, **without polling the inner service**: `call` will refuse the call or let it wait, and
/// need not reserve anything of the inner service for that. This is decided afresh at each `poll_ready`. What it decided
/// binds the next `call` one way only:
///
/// * it found the bulkhead full, and a permit has come free since: a [`Refuse`] service still refuses, unless the inner
///   service had said that it is ready before; a [`Wait`] service takes the permit;
/// * it found a permit free, and others have taken the last one since: the call is refused or waits.
///
/// A permit is taken in `call`, never in `poll_ready`: a service that is ready and not called holds none. A caller who calls
/// without having asked for readiness is admitted if a permit is free: a [`Refuse`] service hands the call to the inner
/// service, which makes of it what it will; a [`Wait`] service makes a clone of the inner service ready first.
///
/// # What a refused caller keeps of the inner service
///
/// An inner service may reserve something for a caller that asks whether it is ready, or give it a place in a queue for that
/// (tower's `ConcurrencyLimit` and `Buffer` do). When a call is refused or has to wait after a `poll_ready` that did ask,
///
/// * a [`Wait`] service gives it all back before it waits or refuses, by replacing the inner service with a fresh clone;
/// * a [`Refuse`] service, which cannot clone, keeps it. If the inner service was *ready*, that is what it reserved. If it
///   was *pending*, it is the place in the queue, and what is reserved for that place when its turn comes. Nobody else
///   can use either, until this service is admitted to a call or dropped.
///
/// A service that is dropped after its call (`oneshot`, a clone for each request) keeps nothing for long either way. Where
/// services live long, stand idle and share an inner service that reserves, use
/// [`waiting`](super::BulkheadLayer::waiting), with a `max_queue` of 0 if no call is to wait.
pub struct BulkheadService<S, M = Boxed, W = Refuse, C = EveryError> {
    inner: S,
    asked: Asked,
    // The last `poll_ready` was answered by the full bulkhead alone, and the inner service may not be called on its account.
    ready_because_full: bool,
    bulkhead: Bulkhead,
    mode: M,
    when_full: W,
    classify: C,
}

/// What the inner service has been asked since it was last called. Once asked, it may hold something for its caller.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Nothing,
    NotReady,
    Ready,
}

impl<S, M, W, C> BulkheadService<S, M, W, C> {
    pub(super) fn new(inner: S, bulkhead: Bulkhead, mode: M, when_full: W, classify: C) -> Self {
        Self {
            inner,
            asked: Asked::Nothing,
            ready_because_full: false,
            bulkhead,
            mode,
            when_full,
            classify,
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
            self.ready_because_full = self.asked != Asked::Ready;
            return Poll::Ready(Ok(()));
        }
        self.ready_because_full = false;
        // Before asking, in case of a panic.
        self.asked = Asked::NotReady;
        let ready = self.inner.poll_ready(cx);
        if let Poll::Ready(Ok(())) = ready {
            self.asked = Asked::Ready;
        }
        ready
    }
}

impl<S, M, W, C> Guarded for BulkheadService<S, M, W, C> {
    fn handle(&mut self) -> &mut Bulkhead {
        &mut self.bulkhead
    }

    fn is_ready_to_refuse(&self) -> bool {
        self.ready_because_full
    }
}

impl<S, M, C, Req> Service<Req> for BulkheadService<S, M, Refuse, C>
where
    S: Service<Req>,
    M: ErrorMode<S::Response, S::Error> + Clone,
    C: Classify<Req, S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = ResponseFuture<S::Future, M, C::Call>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_inner_unless_full(cx)
            .map_err(|err| self.mode.inner(err))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        if !mem::take(&mut self.ready_because_full) {
            if let Some(permit) = self.bulkhead.try_enter(false) {
                self.asked = Asked::Nothing;
                let judge = self.classify.begin(&request);
                let call = self.inner.call(request);
                return ResponseFuture::running(call, permit, judge, self.mode.clone());
            }
        }
        ResponseFuture::refused(
            self.bulkhead.reject(Reason::BulkheadFull),
            self.mode.clone(),
        )
    }
}

impl<S, M, C, Req> Service<Req> for BulkheadService<S, M, Wait, C>
where
    S: Service<Req> + Clone,
    M: ErrorMode<S::Response, S::Error> + Clone,
    C: Classify<Req, S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = WaitingFuture<S, Req, M, C::Call>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_inner_unless_full(cx)
            .map_err(|err| self.mode.inner(err))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        self.ready_because_full = false;
        if self.asked == Asked::Ready {
            if let Some(permit) = self.bulkhead.try_enter(true) {
                self.asked = Asked::Nothing;
                let judge = self.classify.begin(&request);
                let call = self.inner.call(request);
                return WaitingFuture::calling(ResponseFuture::running(
                    call,
                    permit,
                    judge,
                    self.mode.clone(),
                ));
            }
        }
        // Even a service that is not ready may have a place in a queue, and keep others from what comes to that place.
        if self.asked != Asked::Nothing {
            self.inner = self.inner.clone();
            self.asked = Asked::Nothing;
        }
        match self.bulkhead.acquire().unless_refused() {
            Ok(permit) => {
                let judge = self.classify.begin(&request);
                let service = self.inner.clone();
                WaitingFuture::waiting(permit, service, request, judge, self.mode.clone())
            }
            Err(refused) => {
                WaitingFuture::calling(ResponseFuture::refused(refused, self.mode.clone()))
            }
        }
    }
}

// A clone of the inner service is a service of its own, which nobody has asked yet whether it is ready.
impl<S: Clone, M: Clone, W: Clone, C: Clone> Clone for BulkheadService<S, M, W, C> {
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            self.bulkhead.clone(),
            self.mode.clone(),
            self.when_full.clone(),
            self.classify.clone(),
        )
    }
}

impl<S: fmt::Debug, M, W, C> fmt::Debug for BulkheadService<S, M, W, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadService")
            .field("inner", &self.inner)
            .field("bulkhead", &self.bulkhead)
            .finish_non_exhaustive()
    }
}
