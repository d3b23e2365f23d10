use std::sync::Arc;

use serde::Serialize;

use super::{Price, ProductId};

/// The longest product name, in characters.
pub const MAX_NAME_LENGTH: usize = 200;
/// The longest category name, in characters.
pub const MAX_CATEGORY_LENGTH: usize = 64;
/// The highest stock of one product.
pub const MAX_STOCK: u32 = 1_000_000_000;

/// One product, serialised as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Product {
    /// Unique within a catalog.
    pub id: ProductId,
    /// What customers call it.
    pub name: String,
    /// The price of one piece.
    pub price: Price,
    /// Pieces that can be sold now.
    pub stock: u32,
    /// Groups similar products for recommendations. Not part of the public representation, which clients know by its
    /// four fields.
    #[serde(skip)]
    pub category: Option<Arc<str>>,
}
