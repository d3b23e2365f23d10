use std::{num::NonZeroUsize, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use service_kit::extract::{Path, Query};

use super::{bounded::Bounded, products::unknown};
use crate::{
    catalog::{Product, ProductId},
    config::MAX_RECOMMENDATIONS,
    recommendations::Recommender,
};

pub(super) fn routes(recommender: Arc<Recommender>, default_limit: NonZeroUsize) -> Router {
    Router::new()
        .route("/recommendations/{product_id}", get(similar))
        .with_state(Recommendations {
            recommender,
            default_limit: default_limit.get(),
        })
}

#[derive(Clone)]
struct Recommendations {
    recommender: Arc<Recommender>,
    default_limit: usize,
}

#[derive(Debug, Deserialize)]
struct Size {
    limit: Option<Bounded<1, MAX_RECOMMENDATIONS>>,
}

#[derive(Serialize)]
struct Similar<'a> {
    product_id: ProductId,
    recommendations: Vec<&'a Product>,
}

async fn similar(
    State(state): State<Recommendations>,
    Path(product_id): Path<ProductId>,
    Query(size): Query<Size>,
) -> Response {
    let limit = size.limit.map_or(state.default_limit, Bounded::get);
    match state.recommender.similar_to(product_id, limit) {
        Some(recommendations) => Json(Similar {
            product_id,
            recommendations,
        })
        .into_response(),
        None => unknown(product_id).into_response(),
    }
}
