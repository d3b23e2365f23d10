//! A call that passes a circuit and is judged at the end of its response's body.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{KeyedService, breaker::enter};
use crate::{
    CircuitBreaker,
    breaker::end_of_body::{EndOfBodyFuture, JudgedBody, NoStallLimit, StallAfter, StallLimit},
    classify::{Classify, ClassifyBody},
    http::body::Asked,
    keyed::{Judge, Keyed, KeyedLayer, by::PickKey, registry::Registry},
    mode::ErrorMode,
};

/// Passes a circuit, which hears what the classifier `C` makes of the response once its body has ended. Made by
/// [`KeyedLayer::until_end_of_body`].
#[derive(Debug, Clone, Copy)]
pub struct JudgeBody<C, L = NoStallLimit> {
    classify: C,
    limit: L,
}

impl<K, S, X, C, M> KeyedLayer<Keyed<K, CircuitBreaker, S>, X, Judge<C>, M> {
    /// Judges a call at the end of its response's body, as
    /// [`CircuitBreakerLayer::until_end_of_body`](crate::CircuitBreakerLayer::until_end_of_body) does. Set the classifier before this.
    pub fn until_end_of_body(self) -> KeyedLayer<Keyed<K, CircuitBreaker, S>, X, JudgeBody<C>, M> {
        self.action(|Judge(classify)| JudgeBody {
            classify,
            limit: NoStallLimit,
        })
    }
}

impl<K, S, X, C, L, M> KeyedLayer<Keyed<K, CircuitBreaker, S>, X, JudgeBody<C, L>, M> {
    /// Gives a body up that stalls, as [`EndOfBodyLayer::stall_after`](crate::breaker::EndOfBodyLayer::stall_after) does.
    pub fn stall_after(
        self,
        limit: Duration,
    ) -> KeyedLayer<Keyed<K, CircuitBreaker, S>, X, JudgeBody<C, StallAfter>, M> {
        self.action(|action| JudgeBody {
            classify: action.classify,
            limit: StallAfter::new(limit),
        })
    }
}

impl<T, K, S, X, C, L, M, ReqBody, B> Service<Request<ReqBody>>
    for KeyedService<T, Keyed<K, CircuitBreaker, S>, X, JudgeBody<C, L>, M>
where
    T: Service<Request<ReqBody>, Response = Response<B>>,
    B: Body,
    Keyed<K, CircuitBreaker, S>: Registry<X::Key, Guard = CircuitBreaker>,
    X: PickKey<Request<ReqBody>>,
    C: Classify<Request<ReqBody>, Response<B>, T::Error>,
    C::Call: ClassifyBody<B, T::Error>,
    L: StallLimit,
    M: ErrorMode<Judged<B, C::Call, T::Error, L>, T::Error> + Clone,
{
    type Response = Judged<B, C::Call, T::Error, L>;
    type Error = M::Error;
    type Future = EndOfBodyFuture<T::Future, C::Call, M, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let mode = &self.mode;
        self.inner.poll_ready(cx).map_err(|err| mode.inner(err))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let mode = self.mode.clone();
        let JudgeBody { classify, limit } = &self.action;
        match enter(&self.registry, &self.by, &request) {
            Ok(mut admission) => {
                let judge = classify.begin(&request);
                let asked = Asked::by(request.method());
                let watched = admission.watched();
                let inner = self.inner.call(request);
                watched.did_not_panic();
                EndOfBodyFuture::running(inner, admission, judge, asked, mode, *limit)
            }
            Err(refused) => EndOfBodyFuture::refused(refused, mode, *limit),
        }
    }
}

// A response whose body carries the call.
type Judged<B, J, Err, L> = Response<JudgedBody<B, <J as ClassifyBody<B, Err>>::End, L>>;
