use std::{
    fmt,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{FallbackFuture, Instead, Keep, Mark, Snapshot, When, future::Plan, snapshot::Shared};
use crate::striped::Spread;

/// A service with a fallback; made by a [`FallbackLayer`](super::FallbackLayer).
///
/// Readiness is the inner service's, error included.
#[derive(Clone)]
pub struct FallbackService<S, W, K, I, M> {
    pub(super) inner: S,
    pub(super) shared: Spread<Shared>,
    pub(super) when: W,
    pub(super) keep: K,
    pub(super) instead: I,
    pub(super) mark: M,
}

impl<S, W, K, I, M> FallbackService<S, W, K, I, M> {
    /// What the fallback has done so far, in all services made from the same layer.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// The service behind the fallback.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind the fallback.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service behind the fallback.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Req, W, K, I, M> Service<Req> for FallbackService<S, W, K, I, M>
where
    S: Service<Req>,
    W: When<Req, S::Response, S::Error>,
    K: Keep<Req>,
    I: Instead<K::Kept, S::Response, S::Error> + Clone,
    M: Mark<S::Response> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = FallbackFuture<S::Future, I::Future, W::Call, K::Kept, I, M>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let plan = Plan {
            judge: self.when.begin(&request),
            kept: self.keep.keep(&request),
            instead: self.instead.clone(),
        };
        let call = self.inner.call(request);
        FallbackFuture::new(call, plan, self.mark.clone(), self.shared.lend())
    }
}

impl<S: fmt::Debug, W, K, I, M> fmt::Debug for FallbackService<S, W, K, I, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackService")
            .field("name", &self.shared.name)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
