//! The HTTP surface: one file per resource. What a role does not serve has no routes.

mod bounded;
mod health;
mod products;
mod recommendations;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::{config::Config, recommendations::Recommender};

/// Every route of the roles that this process has.
pub fn router(config: Config) -> Router {
    let Config {
        roles,
        catalog,
        recommendations: default_limit,
    } = config;
    let mut router = Router::new().route("/health", get(health::healthy));
    if roles.catalog {
        router = router
            .route("/product/health", get(health::healthy))
            .merge(products::routes(catalog.clone()));
    }
    if roles.recommendations {
        let recommender = Arc::new(Recommender::new(catalog));
        router = router.merge(recommendations::routes(recommender, default_limit));
    }
    router
}
