//! `GET /product-details/{id}`: a product and what goes with it, from two upstreams asked at once.
//!
//! Nothing here says what happens when one of them is slow or fails: that is decided by the stacks the two calls go
//! through, from configuration.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use service_kit::problem::{self, Problem};
use std::time::SystemTime;
use tower::{BoxError, ServiceExt};

use super::client::{Lookup, ProductId, Query, Resource, UselessAnswer};

/// The two sources of the page, each behind its stack.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Products.
    pub product: Query<Lookup<Product>>,
    /// What goes with a product.
    pub recommendations: Query<Recommendations>,
}

/// A product as its upstream describes it, passed on as it is: the gateway has no opinion on its members.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Product(Box<RawValue>);

impl Resource for Product {
    fn path(id: ProductId) -> String {
        format!("/products/{}", id.0)
    }

    fn makes_sense(&self) -> bool {
        self.0.get().starts_with('{')
    }
}

/// The answer of the recommendations upstream, of which the page takes the list.
#[derive(Debug, Clone, Deserialize)]
pub struct Recommended {
    recommendations: Vec<Box<RawValue>>,
}

impl Resource for Recommended {
    fn path(id: ProductId) -> String {
        format!("/recommendations/{}", id.0)
    }
}

/// The page's part about recommendations.
#[derive(Debug, Clone, Default)]
pub struct Recommendations {
    list: Vec<Box<RawValue>>,
    degraded: bool,
}

impl Recommendations {
    /// None, because nobody could be asked.
    #[must_use]
    pub fn unavailable() -> Self {
        Self {
            list: Vec::new(),
            degraded: true,
        }
    }
}

impl From<Lookup<Recommended>> for Recommendations {
    fn from(lookup: Lookup<Recommended>) -> Self {
        match lookup {
            Lookup::Found(answer) => Self {
                list: answer.recommendations,
                degraded: false,
            },
            // An upstream that knows nothing about a product has answered the question.
            Lookup::Missing => Self::default(),
        }
    }
}

/// The page.
#[derive(Debug, Serialize)]
pub struct ProductDetails {
    product: Product,
    recommendations: Vec<Box<RawValue>>,
    degraded_mode: bool,
    timestamp: String,
}

/// The path it answers. Its capture has a name of its own, because the routes around this one capture an `id` too.
pub const PATH: &str = "/product-details/{product}";

/// What is captured from the path.
#[derive(Debug, Deserialize)]
pub struct Params {
    product: String,
}

/// Answers `GET /product-details/{id}`.
///
/// # Errors
/// The problem to answer with.
pub async fn show(
    State(sources): State<Sources>,
    Path(Params { product: id }): Path<Params>,
) -> Result<Json<ProductDetails>, Problem> {
    let id = parse_id(&id).ok_or_else(not_an_id)?;
    let product = async {
        match sources.product.oneshot(id).await.map_err(problem)? {
            Lookup::Found(product) => Ok(product),
            Lookup::Missing => Err(Problem::not_found(format!(
                "There is no product with id {}",
                id.0
            ))),
        }
    };
    let recommendations = async { sources.recommendations.oneshot(id).await.map_err(problem) };
    let (product, recommendations) = tokio::try_join!(product, recommendations)?;
    Ok(Json(ProductDetails {
        product,
        recommendations: recommendations.list,
        degraded_mode: recommendations.degraded,
        timestamp: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
    }))
}

/// The rule of product-svc, whose ids these are: anything else cannot be the id of a product.
const LARGEST_ID: u64 = i64::MAX as u64;

fn parse_id(text: &str) -> Option<ProductId> {
    let is_written_plainly =
        !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = is_written_plainly
        .then(|| text.parse().ok())
        .flatten()
        .filter(|id| (1..=LARGEST_ID).contains(id))?;
    Some(ProductId(id))
}

fn not_an_id() -> Problem {
    Problem::bad_request(format!(
        "A product id is a whole number from 1 to {LARGEST_ID}, written in digits without a leading zero"
    ))
}

fn problem(error: BoxError) -> Problem {
    match error.downcast_ref::<UselessAnswer>() {
        Some(answer) => answer.problem(),
        None => problem::from_stack_error(&error),
    }
}
