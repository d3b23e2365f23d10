//! Products, as carts get them: one service, a [`Wanted`] in, an [`Offer`] out.
//!
//! [`stack()`] is the one place that decides what stands between a handler and product-svc.

mod cache;
mod client;
mod error;
mod fallback;
mod stack;
mod verdict;
mod warm_up;

use tower::Service;
use tower_breaker::BoxError;

pub use cache::ProductCache;
pub use client::ProductClient;
pub use error::ProductError;
pub use fallback::{Fallback, FallbackLayer};
pub use stack::stack;
pub use warm_up::WarmUp;

use crate::domain::{Line, Offer, Product, ProductId, Timestamp};

/// A question about one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub id: ProductId,
    /// What the asker itself knows of it, and since when.
    pub recorded: Option<(Product, Timestamp)>,
}

impl Wanted {
    /// A product that the asker knows nothing of.
    pub fn new(id: ProductId) -> Wanted {
        Wanted { id, recorded: None }
    }

    /// The product of a cart line, which wrote it down.
    pub fn of_line(line: &Line) -> Wanted {
        Wanted {
            id: line.product.id,
            recorded: Some((line.product.clone(), line.recorded_at)),
        }
    }
}

/// Anything that answers questions about products. `Ok(None)`: product-svc says that there is no such product.
pub trait Products:
    Service<Wanted, Response = Option<Offer>, Error = BoxError, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Products for S where
    S: Service<Wanted, Response = Option<Offer>, Error = BoxError, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

#[cfg(test)]
mod tests;
