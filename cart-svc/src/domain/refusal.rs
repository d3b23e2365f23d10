//! Why a cart does not take an item. A refusal changes nothing.

use thiserror::Error;

use super::{LineQuantity, MAX_LINES, Quantity};

/// A rule of the cart that a valid request ran into.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The line would hold too many.
    #[error(
        "the cart already holds {in_cart} of this product; {asked} more would pass the limit of {} per product",
        LineQuantity::MAX
    )]
    LineFull {
        /// What the line holds.
        in_cart: u32,
        /// What was to be added.
        asked: Quantity,
    },
    /// The cart would have too many lines.
    #[error("the cart already holds {MAX_LINES} different products, which is the limit")]
    CartFull,
    /// The key belongs to a different request.
    #[error("this Idempotency-Key was used before for a different request of this user")]
    KeyReused,
}
