use std::time::Duration;

use super::{Classify, ClassifyCall, Verdict};
use crate::Error;

/// For a stack with a typed guard further in (`.typed()`): ignores that guard's refusals and leaves everything else to the classifier that
/// it wraps, which sees the error as it was before the guard wrapped it.
///
/// It asks nothing of the error type, unlike [`ErrorChain`](super::ErrorChain), and works for every classifier. For two typed guards, one in the
/// other, wrap twice.
///
/// ```
/// use std::future::ready;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_breaker::{
///     Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer,
///     classify::{AnyError, TypedGuard},
/// };
///
/// #[derive(Debug)]
/// struct Down; // not even a `std::error::Error`
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_breaker::BoxError> {
/// let breaker = CircuitBreaker::builder("stock").consecutive_failures(1).build()?;
/// let bulkhead = Bulkhead::builder("stock").max_concurrent(1).build()?;
/// let _full = bulkhead.try_acquire()?;
/// let stock = ServiceBuilder::new()
///     .layer(CircuitBreakerLayer::new(breaker.clone()).typed().classify(TypedGuard(AnyError)))
///     .layer(BulkheadLayer::new(bulkhead).typed())
///     .service(service_fn(|item: u32| ready(Err::<u32, _>(Down))));
/// stock.oneshot(7).await.unwrap_err();
/// assert_eq!(breaker.snapshot().ignored, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TypedGuard<C>(
    /// Judges what the guard let through.
    pub C,
);

impl<C, Req, Res, E> Classify<Req, Res, Error<E>> for TypedGuard<C>
where
    C: Classify<Req, Res, E>,
{
    type Call = TypedGuard<C::Call>;

    fn begin(&self, request: &Req) -> Self::Call {
        TypedGuard(self.0.begin(request))
    }
}

impl<K, Res, E> ClassifyCall<Res, Error<E>> for TypedGuard<K>
where
    K: ClassifyCall<Res, E>,
{
    fn verdict(self, result: Result<&Res, &Error<E>>) -> Verdict {
        match result {
            Ok(response) => self.0.verdict(Ok(response)),
            Err(Error::Inner(err)) => self.0.verdict(Err(err)),
            Err(Error::Refused(_)) => Verdict::Ignore,
        }
    }

    fn retry_after(&self, result: Result<&Res, &Error<E>>) -> Option<Duration> {
        match result {
            Ok(response) => self.0.retry_after(Ok(response)),
            Err(Error::Inner(err)) => self.0.retry_after(Err(err)),
            Err(Error::Refused(_)) => None,
        }
    }

    fn forbids_retry(&self, result: Result<&Res, &Error<E>>) -> bool {
        match result {
            Ok(response) => self.0.forbids_retry(Ok(response)),
            Err(Error::Inner(err)) => self.0.forbids_retry(Err(err)),
            Err(Error::Refused(_)) => false,
        }
    }
}

#[cfg(feature = "http")]
impl<K, B, E> super::ClassifyBody<B, Error<E>> for TypedGuard<K>
where
    B: http_body::Body,
    K: super::ClassifyBody<B, E>,
{
    type End = K::End;

    fn head(self, response: &http::Response<B>) -> super::Head<K::End> {
        self.0.head(response)
    }
}
