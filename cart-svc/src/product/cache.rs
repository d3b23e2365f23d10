//! The last good answer of product-svc for each product.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use tokio::time::Instant;

use crate::domain::{Freshness, Offer, Product, ProductId, Source, Timestamp};

/// A bounded memory of products. Clones are one memory.
///
/// Unlike a response cache it never answers in place of a healthy product-svc: it is asked only when that fails.
#[derive(Debug, Clone)]
pub struct ProductCache {
    products: Cache<ProductId, Arc<Remembered>>,
    max_age: Duration,
}

#[derive(Debug)]
struct Remembered {
    product: Product,
    /// Age is measured on the monotonic clock: setting the wall clock must neither spoil nor revive a product.
    at: Instant,
    as_of: Timestamp,
}

impl ProductCache {
    /// Remembers up to `capacity` products, each for at most `max_age` after product-svc last confirmed it.
    pub fn new(capacity: u64, max_age: Duration) -> ProductCache {
        ProductCache {
            products: Cache::new(capacity),
            max_age,
        }
    }

    /// Takes note of what product-svc says just now.
    pub fn remember(&self, product: Product) {
        let remembered = Remembered {
            at: Instant::now(),
            as_of: Timestamp::now(),
            product,
        };
        self.products
            .insert(remembered.product.id, Arc::new(remembered));
    }

    /// Drops a product that product-svc says is gone.
    pub fn forget(&self, id: ProductId) {
        self.products.invalidate(&id);
    }

    /// The product as last known, unless that is too long ago.
    pub fn recall(&self, id: ProductId) -> Option<Offer> {
        let remembered = self.products.get(&id)?;
        let age = remembered.at.elapsed();
        (age <= self.max_age).then(|| Offer {
            product: remembered.product.clone(),
            freshness: Freshness::Stale {
                as_of: remembered.as_of,
                age,
                source: Source::Cache,
            },
        })
    }
}

#[cfg(test)]
impl ProductCache {
    /// Evicts at once what moka would evict soon.
    pub(super) fn settle(&self) {
        self.products.run_pending_tasks();
    }
}
