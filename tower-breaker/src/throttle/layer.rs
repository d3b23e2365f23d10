use tower_layer::Layer;

use super::{Throttle, ThrottleService};
use crate::{
    classify::AnyError,
    mode::{Boxed, Typed},
};

/// Puts a [`Throttle`] in front of a service. Every service made from it, and every clone of those, shares the one window.
///
/// By default every error is a call that was not accepted (see [`AnyError`]), and the error type is
/// [`BoxError`](crate::BoxError).
#[derive(Debug, Clone)]
pub struct ThrottleLayer<C = AnyError, M = Boxed> {
    throttle: Throttle,
    classify: C,
    mode: M,
}

impl ThrottleLayer {
    /// Throttles with this one.
    pub fn new(throttle: Throttle) -> Self {
        Self {
            throttle,
            classify: AnyError,
            mode: Boxed,
        }
    }
}

impl<C, M> ThrottleLayer<C, M> {
    /// Judges results with `classify`, a [`Classify`](crate::classify::Classify): a success was accepted, a failure was not, and
    /// what is ignored is not counted.
    pub fn classify<C2>(self, classify: C2) -> ThrottleLayer<C2, M> {
        ThrottleLayer {
            throttle: self.throttle,
            classify,
            mode: self.mode,
        }
    }

    /// Keeps the inner error type: the service's error is [`Error<E>`](crate::Error).
    pub fn typed(self) -> ThrottleLayer<C, Typed> {
        self.mode(Typed)
    }

    /// Answers a refused call with a `503` response, without `Retry-After`, since the wait is not known. The error type stays the
    /// inner one.
    #[cfg(feature = "http")]
    pub fn respond(self) -> ThrottleLayer<C, crate::mode::Respond> {
        self.mode(crate::mode::Respond)
    }

    /// Shows refusals and errors in a form of your own, an [`ErrorMode`](crate::mode::ErrorMode).
    pub fn mode<M2>(self, mode: M2) -> ThrottleLayer<C, M2> {
        ThrottleLayer {
            throttle: self.throttle,
            classify: self.classify,
            mode,
        }
    }
}

impl<S, C: Clone, M: Clone> Layer<S> for ThrottleLayer<C, M> {
    type Service = ThrottleService<S, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        ThrottleService::new(
            inner,
            self.throttle.clone(),
            self.classify.clone(),
            self.mode.clone(),
        )
    }
}
