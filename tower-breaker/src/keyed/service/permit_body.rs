//! A call that passes a bulkhead and keeps its permit until its response's body has ended.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    KeyedService,
    bulkhead::{call_or_refuse, call_or_wait},
};
use crate::{
    Bulkhead,
    bulkhead::{
        Refuse, ResponseFuture, Wait, WaitingFuture,
        end_of_body::{EndOfBodyFuture, NoStallLimit, PermitBody, StallAfter, StallLimit},
    },
    classify::{Classify, EveryError},
    http::body::Asked,
    keyed::{Admit, Keyed, KeyedLayer, by::PickKey, registry::Registry},
    mode::ErrorMode,
};

type Bulkheads<K, S, X, A, M> = KeyedLayer<Keyed<K, Bulkhead, S>, X, A, M>;

/// As [`Admit`], but a call keeps its permit until the body of its response has ended. Made by [`KeyedLayer::until_end_of_body`].
#[derive(Debug, Clone, Copy)]
pub struct HoldPermit<W = Refuse, C = EveryError, L = NoStallLimit> {
    admit: Admit<W, C>,
    limit: L,
}

impl<K, S, X, W, C, M> KeyedLayer<Keyed<K, Bulkhead, S>, X, Admit<W, C>, M> {
    /// Keeps a call's permit until the body of its response has ended, as
    /// [`BulkheadLayer::until_end_of_body`](crate::BulkheadLayer::until_end_of_body) does. Set the classifier and
    /// [`waiting`](Self::waiting) before this.
    pub fn until_end_of_body(self) -> KeyedLayer<Keyed<K, Bulkhead, S>, X, HoldPermit<W, C>, M> {
        self.action(|admit| HoldPermit {
            admit,
            limit: NoStallLimit,
        })
    }
}

impl<K, S, X, W, C, L, M> KeyedLayer<Keyed<K, Bulkhead, S>, X, HoldPermit<W, C, L>, M> {
    /// Gives a body up that stalls, as
    /// [`EndOfBodyLayer::stall_after`](crate::bulkhead::end_of_body::EndOfBodyLayer::stall_after) does.
    pub fn stall_after(
        self,
        limit: Duration,
    ) -> Bulkheads<K, S, X, HoldPermit<W, C, StallAfter>, M> {
        self.action(|action| HoldPermit {
            admit: action.admit,
            limit: StallAfter::new(limit),
        })
    }
}

impl<T, K, S, X, C, L, M, ReqBody, B> Service<Request<ReqBody>>
    for KeyedService<T, Keyed<K, Bulkhead, S>, X, HoldPermit<Refuse, C, L>, M>
where
    T: Service<Request<ReqBody>, Response = Response<B>>,
    B: Body,
    Keyed<K, Bulkhead, S>: Registry<X::Key, Guard = Bulkhead>,
    X: PickKey<Request<ReqBody>>,
    C: Classify<Request<ReqBody>, Response<B>, T::Error>,
    L: StallLimit,
    M: ErrorMode<Response<PermitBody<B, L>>, T::Error> + Clone,
{
    type Response = Response<PermitBody<B, L>>;
    type Error = M::Error;
    type Future = EndOfBodyFuture<ResponseFuture<T::Future, (), C::Call>, M, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let ready = self.poll_inner(cx);
        ready.map_err(|err| self.mode.inner(err))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let asked = Asked::by(request.method());
        let HoldPermit { admit, limit } = &self.action;
        let call = call_or_refuse(
            &mut self.inner,
            &self.registry,
            &self.by,
            &admit.classify,
            request,
            (),
        );
        EndOfBodyFuture::new(call, asked, self.mode.clone(), *limit)
    }
}

impl<T, K, S, X, C, L, M, ReqBody, B> Service<Request<ReqBody>>
    for KeyedService<T, Keyed<K, Bulkhead, S>, X, HoldPermit<Wait, C, L>, M>
where
    T: Service<Request<ReqBody>, Response = Response<B>> + Clone,
    B: Body,
    Keyed<K, Bulkhead, S>: Registry<X::Key, Guard = Bulkhead>,
    X: PickKey<Request<ReqBody>>,
    C: Classify<Request<ReqBody>, Response<B>, T::Error>,
    L: StallLimit,
    M: ErrorMode<Response<PermitBody<B, L>>, T::Error> + Clone,
{
    type Response = Response<PermitBody<B, L>>;
    type Error = M::Error;
    type Future = EndOfBodyFuture<WaitingFuture<T, Request<ReqBody>, (), C::Call>, M, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let ready = self.poll_inner(cx);
        ready.map_err(|err| self.mode.inner(err))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let asked = Asked::by(request.method());
        let HoldPermit { admit, limit } = &self.action;
        let inner = (&mut self.inner, &mut self.asked);
        let call = call_or_wait(
            inner,
            &self.registry,
            &self.by,
            &admit.classify,
            request,
            (),
        );
        EndOfBodyFuture::new(call, asked, self.mode.clone(), *limit)
    }
}
