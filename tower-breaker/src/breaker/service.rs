//! The guarded service.

use std::task::{Context, Poll};

use tower_service::Service;

use super::{CircuitBreaker, CircuitBreakerFuture, gate::Gate};
use crate::{
    classify::{AnyError, Classify},
    mode::{Boxed, ErrorMode},
};

/// A service behind a circuit. Made by [`CircuitBreakerLayer`](super::CircuitBreakerLayer).
///
/// A circuit that refuses is ready: it does not poll the inner service, and refuses in `call`, so that a caller who waits
/// for readiness is told at once. That is decided afresh by each `poll_ready`. If the circuit would admit a call again by
/// the time of `call`, it still refuses this one, because the inner service has not been asked whether it is ready.
///
/// With [back-pressure](super::CircuitBreakerLayer::back_pressure), a circuit that refuses is not ready instead: `poll_ready` is
/// pending until the circuit would admit a call, and wakes at that time. A call may still be refused, if others came first.
///
/// Otherwise readiness is the inner service's, whose error counts as a failed call. Being ready reserves nothing of the circuit:
/// trial slots are taken in `call`. What follows from that:
///
/// * If the circuit opens after the inner service was asked, `call` refuses. The inner service keeps what it holds for being
///   ready, or its place in the queue for that, until the next call or until it is dropped.
/// * A caller that waits for the inner service's readiness is not woken when the circuit opens, is no trial while it is
///   half-open, and is not recorded when it gives up. Where readiness itself may hang, bound the wait for it from outside.
#[derive(Debug, Clone)]
pub struct CircuitBreakerService<S, C = AnyError, M = Boxed> {
    inner: S,
    gate: Gate,
    classify: C,
    mode: M,
}

impl<S, C, M> CircuitBreakerService<S, C, M> {
    pub(super) fn new(inner: S, gate: Gate, classify: C, mode: M) -> Self {
        Self {
            inner,
            gate,
            classify,
            mode,
        }
    }

    /// The circuit.
    pub fn breaker(&self) -> &CircuitBreaker {
        self.gate.breaker()
    }

    /// The service behind the circuit.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind the circuit.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service behind the circuit.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Req, C, M> Service<Req> for CircuitBreakerService<S, C, M>
where
    S: Service<Req>,
    C: Classify<Req, S::Response, S::Error>,
    M: ErrorMode<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = CircuitBreakerFuture<S::Future, C::Call, M>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let (inner, mode) = (&mut self.inner, &self.mode);
        self.gate
            .poll_ready(cx, |cx| inner.poll_ready(cx))
            .map_err(|err| mode.inner(err))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        match self.gate.enter() {
            Ok(mut admission) => {
                let judge = self.classify.begin(&request);
                let watched = admission.watched();
                let inner = self.inner.call(request);
                watched.did_not_panic();
                CircuitBreakerFuture::running(inner, admission, judge, self.mode.clone())
            }
            Err(refused) => CircuitBreakerFuture::refused(refused, self.mode.clone()),
        }
    }
}
