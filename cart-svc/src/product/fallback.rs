//! The outermost layer around product-svc: when the call fails or is refused, the best older copy answers instead.
//!
//! In this order: the cache's copy, if not too old; what the asker itself recorded; the error. That a product does not exist is an answer,
//! not a failure: it passes through, and the cache forgets the product.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tower_breaker::BoxError;

use super::{ProductCache, Wanted};
use crate::domain::{Freshness, Offer, Source, Timestamp};

/// Makes [`Fallback`]s that share one cache.
#[derive(Debug, Clone)]
pub struct FallbackLayer {
    cache: ProductCache,
}

impl FallbackLayer {
    /// Falls back to `cache`, and fills it.
    pub fn new(cache: ProductCache) -> FallbackLayer {
        FallbackLayer { cache }
    }
}

impl<S> Layer<S> for FallbackLayer {
    type Service = Fallback<S>;

    fn layer(&self, inner: S) -> Fallback<S> {
        Fallback {
            inner,
            cache: self.cache.clone(),
            unready: None,
        }
    }
}

/// A product service that answers with an older copy where the inner one fails.
#[derive(Debug)]
pub struct Fallback<S> {
    inner: S,
    cache: ProductCache,
    /// Why the inner service cannot be called. It fails the next call only, which can be answered from a copy.
    unready: Option<BoxError>,
}

impl<S: Clone> Clone for Fallback<S> {
    fn clone(&self) -> Self {
        Fallback {
            inner: self.inner.clone(),
            cache: self.cache.clone(),
            unready: None,
        }
    }
}

impl<S> Service<Wanted> for Fallback<S>
where
    S: Service<Wanted, Response = Option<Offer>, Error = BoxError>,
{
    type Response = Option<Offer>;
    type Error = BoxError;
    type Future = FallbackFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.unready.is_none() {
            self.unready = ready!(self.inner.poll_ready(cx)).err();
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, wanted: Wanted) -> Self::Future {
        FallbackFuture {
            call: match self.unready.take() {
                None => Call::Made {
                    future: self.inner.call(wanted.clone()),
                },
                Some(error) => Call::Unready { error: Some(error) },
            },
            wanted,
            cache: self.cache.clone(),
        }
    }
}

pin_project! {
    /// The future of a [`Fallback`] call.
    #[must_use = "futures do nothing unless polled"]
    pub struct FallbackFuture<F> {
        #[pin]
        call: Call<F>,
        wanted: Wanted,
        cache: ProductCache,
    }
}

pin_project! {
    #[project = CallProj]
    enum Call<F> {
        Made { #[pin] future: F },
        Unready { error: Option<BoxError> },
    }
}

impl<F> Future for FallbackFuture<F>
where
    F: Future<Output = Result<Option<Offer>, BoxError>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = match this.call.project() {
            CallProj::Made { future } => ready!(future.poll(cx)),
            CallProj::Unready { error } => Err(error
                .take()
                .unwrap_or_else(|| "polled after its end".into())),
        };
        Poll::Ready(match result {
            Ok(Some(offer)) => {
                this.cache.remember(offer.product.clone());
                Ok(Some(offer))
            }
            Ok(None) => {
                this.cache.forget(this.wanted.id);
                Ok(None)
            }
            Err(error) => match stand_in(this.cache, this.wanted) {
                Some((offer, source)) => {
                    metrics::counter!("cart_product_fallbacks_total", "source" => source.as_str())
                        .increment(1);
                    tracing::debug!(product = %this.wanted.id, source = source.as_str(), %error, "an older copy of a product stands in");
                    Ok(Some(offer))
                }
                None => Err(error),
            },
        })
    }
}

fn stand_in(cache: &ProductCache, wanted: &mut Wanted) -> Option<(Offer, Source)> {
    if let Some(offer) = cache.recall(wanted.id) {
        return Some((offer, Source::Cache));
    }
    let (product, as_of) = wanted.recorded.take()?;
    let freshness = Freshness::Stale {
        as_of,
        age: as_of.age_at(Timestamp::now()),
        source: Source::Cart,
    };
    Some((Offer { product, freshness }, Source::Cart))
}
