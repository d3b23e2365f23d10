//! The layers around product-svc, each alone and then together, on paused time.

mod client;
mod fallback;
mod stack;
mod warm_up;

use tower_breaker::BoxError;

use super::*;
use crate::domain::Cents;

fn id(number: i64) -> ProductId {
    ProductId::new(number).unwrap()
}

fn product(number: i64) -> Product {
    Product {
        id: id(number),
        name: format!("product {number}"),
        price: Cents::new(number * 100).unwrap(),
    }
}

fn live(number: i64) -> Option<Offer> {
    Some(Offer::live(product(number)))
}

fn outage() -> BoxError {
    ProductError::Status(http::StatusCode::SERVICE_UNAVAILABLE).into()
}
