use std::{
    mem,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{Throttle, ThrottleFuture, permit::Admission};
use crate::{
    classify::{AnyError, Classify},
    mode::{Boxed, ErrorMode},
};

/// A service behind a [`Throttle`]; made by a [`ThrottleLayer`](super::ThrottleLayer).
///
/// Readiness is the inner service's; its failure counts as a call that was not accepted. Each call is decided about in
/// `call`, by chance, so there is nothing to say about it in `poll_ready`. A call that is refused makes no use of the inner
/// service, which stays ready for the next one, with whatever it holds for that.
#[derive(Debug, Clone)]
pub struct ThrottleService<S, C = AnyError, M = Boxed> {
    inner: S,
    throttle: Throttle,
    classify: C,
    mode: M,
}

impl<S, C, M> ThrottleService<S, C, M> {
    pub(super) fn new(inner: S, throttle: Throttle, classify: C, mode: M) -> Self {
        Self {
            inner,
            throttle,
            classify,
            mode,
        }
    }

    /// The throttle.
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// The service behind the throttle.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind the throttle.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service behind the throttle.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

/// Counts a failure when dropped: the inner service failed, or panicked, before there was a call to blame.
struct Unready<'a>(&'a Throttle);

impl Drop for Unready<'_> {
    fn drop(&mut self) {
        self.0.shared.unready();
    }
}

impl<S, Req, C, M> Service<Req> for ThrottleService<S, C, M>
where
    S: Service<Req>,
    C: Classify<Req, S::Response, S::Error>,
    M: ErrorMode<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = ThrottleFuture<S::Future, C::Call, M>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let unready = Unready(&self.throttle);
        let polled = self.inner.poll_ready(cx);
        if let Poll::Pending | Poll::Ready(Ok(())) = polled {
            mem::forget(unready);
        }
        polled.map_err(|err| self.mode.inner(err))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let shared = &self.throttle.shared;
        match shared.admit() {
            Ok(()) => {
                let mut admission = Admission::new(shared.lend());
                let judge = self.classify.begin(&request);
                let inner = admission.watch(|| self.inner.call(request));
                ThrottleFuture::running(inner, admission, judge, self.mode.clone())
            }
            Err(refused) => ThrottleFuture::refused(refused, self.mode.clone()),
        }
    }
}
