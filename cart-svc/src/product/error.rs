//! Why product-svc gave no usable answer.

use http::StatusCode;
use service_kit::client::JsonError;
use thiserror::Error;
use tower_breaker::BoxError;

use crate::domain::ProductId;

/// A call to product-svc that brought no product, nor the word that there is none.
#[derive(Debug, Error)]
pub enum ProductError {
    /// No answer: not connected, or the connection broke.
    #[error("product-svc could not be reached")]
    Transport(#[source] BoxError),
    /// An answer with another status than 200 and 404.
    #[error("product-svc answered {0}")]
    Status(StatusCode),
    /// An answer whose body is no product.
    #[error("product-svc sent an answer that does not read")]
    Body(#[from] JsonError),
    /// A product that cannot be sold.
    #[error("product-svc sent product {id} with an unusable {field}")]
    Unusable {
        /// The number in the answer.
        id: ProductId,
        /// What is wrong with it.
        field: &'static str,
    },
}
