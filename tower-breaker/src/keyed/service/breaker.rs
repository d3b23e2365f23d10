//! A call that passes a circuit.

use std::task::{Context, Poll};

use tower_service::Service;

use super::KeyedService;
use crate::{
    CircuitBreaker, Refused,
    breaker::{Admission, CircuitBreakerFuture},
    classify::Classify,
    keyed::{Judge, Keyed, by::PickKey, registry::Registry},
    mode::ErrorMode,
};

/// Lets a call pass the circuit of its key, or refuses it.
#[inline]
pub(super) fn enter<K, S, X, Req>(
    registry: &Keyed<K, CircuitBreaker, S>,
    by: &X,
    request: &Req,
) -> Result<Admission, Refused>
where
    Keyed<K, CircuitBreaker, S>: Registry<X::Key, Guard = CircuitBreaker>,
    X: PickKey<Req>,
{
    by.with_key(request, |key| {
        registry.pass(key, CircuitBreaker::enter_quietly, CircuitBreaker::enter)
    })
}

impl<T, K, S, X, C, M, Req> Service<Req>
    for KeyedService<T, Keyed<K, CircuitBreaker, S>, X, Judge<C>, M>
where
    T: Service<Req>,
    Keyed<K, CircuitBreaker, S>: Registry<X::Key, Guard = CircuitBreaker>,
    X: PickKey<Req>,
    C: Classify<Req, T::Response, T::Error>,
    M: ErrorMode<T::Response, T::Error> + Clone,
{
    type Response = T::Response;
    type Error = M::Error;
    type Future = CircuitBreakerFuture<T::Future, C::Call, M>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let mode = &self.mode;
        self.inner.poll_ready(cx).map_err(|err| mode.inner(err))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        match enter(&self.registry, &self.by, &request) {
            Ok(mut admission) => {
                let judge = self.action.0.begin(&request);
                let watched = admission.watched();
                let inner = self.inner.call(request);
                watched.did_not_panic();
                CircuitBreakerFuture::running(inner, admission, judge, self.mode.clone())
            }
            Err(refused) => CircuitBreakerFuture::refused(refused, self.mode.clone()),
        }
    }
}
