//! A call that passes a bulkhead.

use std::task::{Context, Poll};

use tower_service::Service;

use super::{Asked, KeyedService};
use crate::{
    Bulkhead, Refused,
    bulkhead::{Acquire, BulkheadPermit, Refuse, ResponseFuture, Wait, WaitingFuture},
    classify::Classify,
    keyed::{Admit, Keyed, by::PickKey, registry::Registry},
    mode::ErrorMode,
};

impl<T, K, S, X, C, M, Req> Service<Req>
    for KeyedService<T, Keyed<K, Bulkhead, S>, X, Admit<Refuse, C>, M>
where
    T: Service<Req>,
    Keyed<K, Bulkhead, S>: Registry<X::Key, Guard = Bulkhead>,
    X: PickKey<Req>,
    C: Classify<Req, T::Response, T::Error>,
    M: ErrorMode<T::Response, T::Error> + Clone,
{
    type Response = T::Response;
    type Error = M::Error;
    type Future = ResponseFuture<T::Future, M, C::Call>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let ready = self.poll_inner(cx);
        ready.map_err(|err| self.mode.inner(err))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let (mode, classify) = (self.mode.clone(), &self.action.classify);
        call_or_refuse(
            &mut self.inner,
            &self.registry,
            &self.by,
            classify,
            request,
            mode,
        )
    }
}

impl<T, K, S, X, C, M, Req> Service<Req>
    for KeyedService<T, Keyed<K, Bulkhead, S>, X, Admit<Wait, C>, M>
where
    T: Service<Req> + Clone,
    Keyed<K, Bulkhead, S>: Registry<X::Key, Guard = Bulkhead>,
    X: PickKey<Req>,
    C: Classify<Req, T::Response, T::Error>,
    M: ErrorMode<T::Response, T::Error> + Clone,
{
    type Response = T::Response;
    type Error = M::Error;
    type Future = WaitingFuture<T, Req, M, C::Call>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let ready = self.poll_inner(cx);
        ready.map_err(|err| self.mode.inner(err))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let (mode, classify) = (self.mode.clone(), &self.action.classify);
        let inner = (&mut self.inner, &mut self.asked);
        call_or_wait(inner, &self.registry, &self.by, classify, request, mode)
    }
}

impl<T, R, X, A, M> KeyedService<T, R, X, A, M> {
    #[inline]
    pub(super) fn poll_inner<Req>(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), T::Error>>
    where
        T: Service<Req>,
    {
        // Before asking, in case of a panic.
        self.asked = Asked::NotReady;
        let ready = self.inner.poll_ready(cx);
        if let Poll::Ready(Ok(())) = ready {
            self.asked = Asked::Ready;
        }
        ready
    }
}

#[inline]
pub(super) fn call_or_refuse<T, K, S, X, C, M, Req>(
    inner: &mut T,
    registry: &Keyed<K, Bulkhead, S>,
    by: &X,
    classify: &C,
    request: Req,
    mode: M,
) -> ResponseFuture<T::Future, M, C::Call>
where
    T: Service<Req>,
    Keyed<K, Bulkhead, S>: Registry<X::Key, Guard = Bulkhead>,
    X: PickKey<Req>,
    C: Classify<Req, T::Response, T::Error>,
{
    let entered = by.with_key(&request, |key| {
        registry.pass(key, Bulkhead::try_acquire_quietly, Bulkhead::try_acquire)
    });
    match entered {
        Ok(permit) => {
            let judge = classify.begin(&request);
            ResponseFuture::running(inner.call(request), permit, judge, mode)
        }
        Err(refused) => ResponseFuture::refused(refused, mode),
    }
}

// How a call that may wait begins: at once, on the inner service that is ready, or not.
enum Entered {
    Now(BulkheadPermit),
    Later(Result<Acquire, Refused>),
}

#[inline]
pub(super) fn call_or_wait<T, K, S, X, C, M, Req>(
    (inner, asked): (&mut T, &mut Asked),
    registry: &Keyed<K, Bulkhead, S>,
    by: &X,
    classify: &C,
    request: Req,
    mode: M,
) -> WaitingFuture<T, Req, M, C::Call>
where
    T: Service<Req> + Clone,
    Keyed<K, Bulkhead, S>: Registry<X::Key, Guard = Bulkhead>,
    X: PickKey<Req>,
    C: Classify<Req, T::Response, T::Error>,
{
    let is_ready = *asked == Asked::Ready;
    let enter_now = |bulkhead: &Bulkhead| is_ready.then(|| bulkhead.try_enter(true)).flatten();
    let entered = by.with_key(&request, |key| {
        registry.pass(
            key,
            |bulkhead| {
                let permit = is_ready.then(|| bulkhead.try_enter_quietly()).flatten();
                permit.map(Entered::Now)
            },
            |bulkhead| match enter_now(bulkhead) {
                Some(permit) => Entered::Now(permit),
                None => Entered::Later(bulkhead.acquire().unless_refused()),
            },
        )
    });
    let waiting = match entered {
        Entered::Now(permit) => {
            *asked = Asked::Nothing;
            let judge = classify.begin(&request);
            let call = inner.call(request);
            return WaitingFuture::calling(ResponseFuture::running(call, permit, judge, mode));
        }
        Entered::Later(waiting) => waiting,
    };
    // Even a service that is not ready may have a place in a queue, and keep others from what comes to that place.
    if *asked != Asked::Nothing {
        *inner = inner.clone();
        *asked = Asked::Nothing;
    }
    match waiting {
        Ok(permit) => {
            let judge = classify.begin(&request);
            WaitingFuture::waiting(permit, inner.clone(), request, judge, mode)
        }
        Err(refused) => WaitingFuture::calling(ResponseFuture::refused(refused, mode)),
    }
}
