//! The guarded service.

use std::{
    mem,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{
    CircuitBreaker, CircuitBreakerFuture, machine::Denied, permit::Admission, shared::Outcome,
};
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
/// Otherwise readiness is the inner service's, whose error counts as a failed call. Being ready reserves nothing of the circuit:
/// trial slots are taken in `call`. What follows from that:
///
/// * If the circuit opens after the inner service was asked, `call` refuses. The inner service keeps what it holds for being
///   ready, or its place in the queue for that, until the next call or until it is dropped.
/// * A caller that waits for the inner service's readiness is not woken when the circuit opens, is no trial while it is
///   half-open, and is not recorded when it gives up. Where readiness itself may hang, bound the wait for it from outside.
#[derive(Debug)]
pub struct CircuitBreakerService<S, C = AnyError, M = Boxed> {
    inner: S,
    breaker: CircuitBreaker,
    classify: C,
    mode: M,
    readiness: Readiness,
}

#[derive(Debug, Clone, Copy)]
enum Readiness {
    // Not asked since the last call. A caller who calls all the same gets what the inner service makes of that.
    Unknown,
    // The circuit refused in the episode of this generation, and the inner service was not asked.
    Refusing(Denied, u64),
    // The inner service is ready.
    Inner,
}

/// Records a failure when dropped: the inner service failed, or panicked, before there was a call to blame.
struct Unready<'a>(&'a CircuitBreaker);

impl Drop for Unready<'_> {
    fn drop(&mut self) {
        // If the circuit refuses by now, it needs no telling.
        if let Some(mut admission) = Admission::unasked(&self.0.shared) {
            admission.settle(Outcome::Failure);
        }
    }
}

impl<S, C, M> CircuitBreakerService<S, C, M> {
    pub(super) fn new(inner: S, breaker: CircuitBreaker, classify: C, mode: M) -> Self {
        Self {
            inner,
            breaker,
            classify,
            mode,
            readiness: Readiness::Unknown,
        }
    }

    /// The circuit.
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
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

impl<S: Clone, C: Clone, M: Clone> Clone for CircuitBreakerService<S, C, M> {
    fn clone(&self) -> Self {
        // A clone of the inner service is not ready because the original is.
        Self::new(
            self.inner.clone(),
            self.breaker.clone(),
            self.classify.clone(),
            self.mode.clone(),
        )
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

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        if let Some(denied) = self.breaker.shared.denied() {
            if !matches!(self.readiness, Readiness::Inner) {
                let generation = self.breaker.shared.generation();
                self.readiness = Readiness::Refusing(denied, generation);
            }
            return Poll::Ready(Ok(()));
        }
        self.readiness = Readiness::Unknown;
        let unready = Unready(&self.breaker);
        let polled = self.inner.poll_ready(cx);
        if let Poll::Pending | Poll::Ready(Ok(())) = polled {
            mem::forget(unready);
        }
        if let Poll::Ready(Ok(())) = polled {
            self.readiness = Readiness::Inner;
        }
        polled.map_err(|err| self.mode.inner(err))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let shared = &self.breaker.shared;
        let admission = match self.readiness {
            Readiness::Refusing(denied, generation) => {
                // However long ago that was: the caller is told how things are now.
                let denied = if generation == shared.generation() {
                    denied
                } else {
                    shared.denied().unwrap_or(Denied::WAIT_OVER)
                };
                Err(shared.refuse(denied.reason, denied.wait))
            }
            Readiness::Unknown | Readiness::Inner => Admission::acquire(shared),
        };
        match admission {
            Ok(mut admission) => {
                self.readiness = Readiness::Unknown;
                let judge = self.classify.begin(&request);
                let inner = admission.watch(|| self.inner.call(request));
                CircuitBreakerFuture::running(inner, admission, judge, self.mode.clone())
            }
            Err(refused) => {
                if let Readiness::Refusing(..) = self.readiness {
                    self.readiness = Readiness::Unknown;
                }
                CircuitBreakerFuture::refused(refused, self.mode.clone())
            }
        }
    }
}
