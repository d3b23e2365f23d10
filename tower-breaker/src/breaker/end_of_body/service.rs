//! The guarded service.

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{EndOfBodyFuture, JudgedBody, NoStallLimit, StallLimit};
use crate::{
    breaker::{CircuitBreaker, gate::Gate},
    classify::{AnyError, Classify, ClassifyBody},
    http::body::Asked,
    mode::{Boxed, ErrorMode},
};

/// A service behind a circuit that judges its calls at the end of the response's body. Made by [`EndOfBodyLayer`](super::EndOfBodyLayer).
///
/// Up to the head of the response it is a [`CircuitBreakerService`](crate::breaker::CircuitBreakerService), whose documentation says how readiness works.
#[derive(Debug, Clone)]
pub struct EndOfBodyService<S, C = AnyError, M = Boxed, L = NoStallLimit> {
    inner: S,
    gate: Gate,
    classify: C,
    mode: M,
    limit: L,
}

impl<S, C, M, L> EndOfBodyService<S, C, M, L> {
    pub(super) fn new(inner: S, gate: Gate, classify: C, mode: M, limit: L) -> Self {
        Self {
            inner,
            gate,
            classify,
            mode,
            limit,
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

impl<S, ReqBody, B, C, M, L> Service<Request<ReqBody>> for EndOfBodyService<S, C, M, L>
where
    S: Service<Request<ReqBody>, Response = Response<B>>,
    B: Body,
    C: Classify<Request<ReqBody>, Response<B>, S::Error>,
    C::Call: ClassifyBody<B, S::Error>,
    L: StallLimit,
    M: ErrorMode<Judged<B, C::Call, S::Error, L>, S::Error> + Clone,
{
    type Response = Judged<B, C::Call, S::Error, L>;
    type Error = M::Error;
    type Future = EndOfBodyFuture<S::Future, C::Call, M, L>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.gate
            .poll_ready(cx, |cx| self.inner.poll_ready(cx))
            .map_err(|err| self.mode.inner(err))
    }

    #[inline(always)]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let mode = self.mode.clone();
        match self.gate.enter() {
            Ok(mut admission) => {
                let judge = self.classify.begin(&request);
                let asked = Asked::by(request.method());
                let watched = admission.watched();
                let inner = self.inner.call(request);
                watched.did_not_panic();
                EndOfBodyFuture::running(inner, admission, judge, asked, mode, self.limit)
            }
            Err(refused) => EndOfBodyFuture::refused(refused, mode, self.limit),
        }
    }
}

// A response whose body carries the call.
type Judged<B, K, Err, L> = Response<JudgedBody<B, <K as ClassifyBody<B, Err>>::End, L>>;
