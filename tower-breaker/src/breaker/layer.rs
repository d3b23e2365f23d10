//! The layer.

use tower_layer::Layer;

use super::{CircuitBreaker, CircuitBreakerService, gate::Gate};
use crate::{
    classify::AnyError,
    mode::{Boxed, Typed},
};

/// Puts a [`CircuitBreaker`] in front of a service. Every service made from it, and every clone of those, shares the one
/// circuit.
///
/// By default every error is a failure (see [`AnyError`]), and the error type is [`BoxError`](crate::BoxError).
#[derive(Debug, Clone)]
pub struct CircuitBreakerLayer<C = AnyError, M = Boxed> {
    pub(super) breaker: CircuitBreaker,
    pub(super) classify: C,
    pub(super) mode: M,
    pub(super) back_pressure: bool,
}

impl CircuitBreakerLayer {
    /// Guards with this circuit.
    pub fn new(breaker: CircuitBreaker) -> Self {
        Self {
            breaker,
            classify: AnyError,
            mode: Boxed,
            back_pressure: false,
        }
    }
}

impl<C, M> CircuitBreakerLayer<C, M> {
    /// Judges results with `classify`, a [`Classify`](crate::classify::Classify).
    pub fn classify<C2>(self, classify: C2) -> CircuitBreakerLayer<C2, M> {
        CircuitBreakerLayer {
            breaker: self.breaker,
            classify,
            mode: self.mode,
            back_pressure: self.back_pressure,
        }
    }

    /// Makes a service whose circuit refuses not ready, instead of ready to refuse: `poll_ready` is pending, and wakes when the
    /// open wait is over, when a trial's slot comes free, or when the circuit changes by hand.
    ///
    /// For services under a balancer, which then avoids the endpoint, and for callers who would rather wait than be refused.
    /// A [`Ramp`](super::Ramp) still refuses in `call`, since it is a matter of the single call: under a balancer, leave it out.
    /// Waiting allocates once, and needs tokio's timer. Not for the outermost layer of a server: its callers would queue up.
    pub fn back_pressure(self) -> Self {
        Self {
            back_pressure: true,
            ..self
        }
    }

    /// Keeps the inner error type: the service's error is [`Error<E>`](crate::Error).
    pub fn typed(self) -> CircuitBreakerLayer<C, Typed> {
        self.mode(Typed)
    }

    /// Answers a refused call with a response: see [`refused_response`](crate::http::refused_response). The service's error
    /// is the inner one, so the layer fits wherever the inner service does, such as into axum's `Router::layer`.
    #[cfg(feature = "http")]
    pub fn respond(self) -> CircuitBreakerLayer<C, crate::mode::Respond> {
        self.mode(crate::mode::Respond)
    }

    /// Shows refusals and errors in a form of your own, an [`ErrorMode`](crate::mode::ErrorMode).
    pub fn mode<M2>(self, mode: M2) -> CircuitBreakerLayer<C, M2> {
        CircuitBreakerLayer {
            breaker: self.breaker,
            classify: self.classify,
            mode,
            back_pressure: self.back_pressure,
        }
    }
}

impl<S, C: Clone, M: Clone> Layer<S> for CircuitBreakerLayer<C, M> {
    type Service = CircuitBreakerService<S, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService::new(
            inner,
            Gate::new(self.breaker.clone(), self.back_pressure),
            self.classify.clone(),
            self.mode.clone(),
        )
    }
}
