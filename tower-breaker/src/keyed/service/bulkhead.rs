//! A call that passes a bulkhead.

use std::task::{Context, Poll};

use tower_service::Service;

use super::{Asked, KeyedService};
use crate::{
    Bulkhead, Refused,
    bulkhead::{Acquire, BulkheadPermit, Refuse, ResponseFuture, Wait, WaitingFuture},
    keyed::{Keyed, by::PickKey, registry::Registry},
    mode::ErrorMode,
};

impl<T, K, S, X, M, Req> Service<Req> for KeyedService<T, Keyed<K, Bulkhead, S>, X, Refuse, M>
where
    T: Service<Req>,
    Keyed<K, Bulkhead, S>: Registry<X::Key, Guard = Bulkhead>,
    X: PickKey<Req>,
    M: ErrorMode<T::Response, T::Error> + Clone,
{
    type Response = T::Response;
    type Error = M::Error;
    type Future = ResponseFuture<T::Future, M>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let mode = &self.mode;
        self.inner.poll_ready(cx).map_err(|err| mode.inner(err))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let mode = self.mode.clone();
        let entered = self.by.with_key(&request, |key| {
            let enter = |bulkhead: &Bulkhead| bulkhead.try_acquire();
            self.registry
                .pass(key, |bulkhead| Some(enter(bulkhead)), enter)
        });
        match entered {
            Ok(permit) => ResponseFuture::running(self.inner.call(request), permit, mode),
            Err(refused) => ResponseFuture::refused(refused, mode),
        }
    }
}

// How a call that may wait begins: at once, on the inner service that is ready, or not.
enum Entered {
    Now(BulkheadPermit),
    Later(Result<Acquire, Refused>),
}

impl<T, K, S, X, M, Req> Service<Req> for KeyedService<T, Keyed<K, Bulkhead, S>, X, Wait, M>
where
    T: Service<Req> + Clone,
    Keyed<K, Bulkhead, S>: Registry<X::Key, Guard = Bulkhead>,
    X: PickKey<Req>,
    M: ErrorMode<T::Response, T::Error> + Clone,
{
    type Response = T::Response;
    type Error = M::Error;
    type Future = WaitingFuture<T, Req, M>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        // Before asking, in case of a panic.
        self.asked = Asked::NotReady;
        let ready = self.inner.poll_ready(cx);
        if let Poll::Ready(Ok(())) = ready {
            self.asked = Asked::Ready;
        }
        let mode = &self.mode;
        ready.map_err(|err| mode.inner(err))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let mode = self.mode.clone();
        let is_ready = self.asked == Asked::Ready;
        let enter_now = |bulkhead: &Bulkhead| is_ready.then(|| bulkhead.try_enter()).flatten();
        let entered = self.by.with_key(&request, |key| {
            self.registry.pass(
                key,
                |bulkhead| enter_now(bulkhead).map(Entered::Now),
                |bulkhead| match enter_now(bulkhead) {
                    Some(permit) => Entered::Now(permit),
                    None => Entered::Later(bulkhead.acquire().unless_refused()),
                },
            )
        });
        let waiting = match entered {
            Entered::Now(permit) => {
                self.asked = Asked::Nothing;
                let call = self.inner.call(request);
                return WaitingFuture::calling(ResponseFuture::running(call, permit, mode));
            }
            Entered::Later(waiting) => waiting,
        };
        // Even a service that is not ready may have a place in a queue, and keep others from what comes to that place.
        if self.asked != Asked::Nothing {
            self.inner = self.inner.clone();
            self.asked = Asked::Nothing;
        }
        match waiting {
            Ok(permit) => WaitingFuture::waiting(permit, self.inner.clone(), request, mode),
            Err(refused) => WaitingFuture::calling(ResponseFuture::refused(refused, mode)),
        }
    }
}
