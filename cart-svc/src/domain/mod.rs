//! What a cart is, with every rule about it. No HTTP, no SQL, no clock: values go in, values or refusals come out.

mod cart;
mod idempotency;
mod money;
mod product;
mod quantity;
mod refusal;
mod timestamp;
mod user;

pub use cart::{Cart, Intent, Line, MAX_LINES, Receipt, ReceiptItem, Totals};
pub use idempotency::IdempotencyKey;
pub use money::Cents;
pub use product::{Freshness, Offer, Product, ProductId, Source};
pub use quantity::{LineQuantity, Quantity};
pub use refusal::Refusal;
pub use timestamp::Timestamp;
pub use user::UserId;
