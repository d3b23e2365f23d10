//! The products the shop sells: what a product is, what makes one valid, and how one is found.

mod built_in;
mod price;
mod product;
mod product_id;
mod store;

pub use built_in::built_in;
pub use price::{Price, PriceError};
pub use product::{MAX_CATEGORY_LENGTH, MAX_NAME_LENGTH, MAX_STOCK, Product};
pub use product_id::{ProductId, ProductIdError};
pub use store::Catalog;
