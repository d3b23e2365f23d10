//! The HTTP surface. Handlers call services and the store; what happens when product-svc fails is none of their business.

mod add;
mod health;
mod problems;
mod view;

use axum::{
    Router,
    routing::{get, post},
};
use tower_breaker::CircuitBreaker;

use crate::{config::Variant, product::Products, store::Store};

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct App<P> {
    /// Answers questions about products.
    pub products: P,
    /// Keeps the carts.
    pub store: Store,
    /// Which variant this process is.
    pub variant: Variant,
    /// The circuit whose state `/health` reports, if there is one.
    pub circuit: Option<CircuitBreaker>,
    /// Questions about products that one cart view asks at the same time.
    pub view_fan_out: usize,
}

/// Everything under `/{variant}`.
pub fn router<P: Products>(app: App<P>) -> Router {
    let routes = Router::new()
        .route("/health", get(health::health::<P>))
        .route("/cart/add", post(add::add::<P>))
        .route("/cart/view", get(view::view::<P>));
    let prefix = format!("/{}", app.variant.as_str());
    Router::new().nest(&prefix, routes).with_state(app)
}
