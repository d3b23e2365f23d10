use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use service_kit::{
    extract::{Path, Query},
    problem::Problem,
};

use super::bounded::Bounded;
use crate::catalog::{Catalog, ProductId};

/// The most products in one answer of `GET /products`, and as many as it holds unless asked for fewer.
const MAX_PAGE: usize = 1000;
/// Far beyond any catalog: an offset past the end is an empty page, not an error.
const MAX_OFFSET: usize = 1_000_000_000;

pub(super) fn routes(catalog: Catalog) -> Router {
    Router::new()
        .route("/products", get(list))
        .route("/products/{id}", get(one))
        .with_state(catalog)
}

#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<Bounded<1, MAX_PAGE>>,
    offset: Option<Bounded<0, MAX_OFFSET>>,
}

async fn list(State(catalog): State<Catalog>, Query(page): Query<Page>) -> Response {
    let limit = page.limit.map_or(MAX_PAGE, Bounded::get);
    let offset = page.offset.map_or(0, Bounded::get);
    let total = catalog.products().len();
    let mut headers = HeaderMap::new();
    headers.insert("x-total-count", HeaderValue::from(total));
    let next = offset.saturating_add(limit);
    if next < total {
        // Relative to the request, so that it stays right behind a gateway.
        let link = format!("<?offset={next}&limit={limit}>; rel=\"next\"");
        headers.extend(
            HeaderValue::try_from(link)
                .ok()
                .map(|link| (header::LINK, link)),
        );
    }
    (headers, Json(catalog.page(offset, limit))).into_response()
}

async fn one(State(catalog): State<Catalog>, Path(id): Path<ProductId>) -> Response {
    match catalog.get(id) {
        Some(product) => Json(product).into_response(),
        None => unknown(id).into_response(),
    }
}

pub(super) fn unknown(id: ProductId) -> Problem {
    Problem::not_found(format!("There is no product with the id {id}"))
}
