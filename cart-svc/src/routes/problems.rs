//! The one place where errors become answers.

use std::time::Duration;

use serde_json::{Value, json};
use service_kit::problem::{self, Problem};
use tower_breaker::BoxError;

use crate::{
    domain::{LineQuantity, ProductId, Refusal},
    product::ProductError,
    store::{AddError, StoreError},
};

/// A busy store has worked off its queue long before.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// A member of a body whose value is not acceptable.
#[derive(Debug)]
pub(super) struct Member {
    name: &'static str,
    value: Value,
    allowed: String,
}

impl Member {
    pub(super) fn new(
        name: &'static str,
        value: impl Into<Value>,
        allowed: impl Into<String>,
    ) -> Member {
        Member {
            name,
            value: value.into(),
            allowed: allowed.into(),
        }
    }
}

/// 422 that names every unacceptable member, its value and what is allowed.
pub(super) fn members(errors: &[Member]) -> Problem {
    let detail: Vec<_> = errors
        .iter()
        .map(|error| {
            format!(
                "Member `{}` is {}; allowed: {}",
                error.name, error.value, error.allowed
            )
        })
        .collect();
    let listed: Vec<_> = errors
        .iter()
        .map(|error| json!({"pointer": format!("/{}", error.name), "value": error.value, "allowed": error.allowed}))
        .collect();
    let problem = Problem::unprocessable(detail.join(". ")).with("errors", listed);
    match errors {
        [only] => problem.with("pointer", format!("/{}", only.name)),
        _ => problem,
    }
}

/// 404 for a product that product-svc does not know.
pub(super) fn unknown_product(id: ProductId) -> Problem {
    Problem::not_found(format!("There is no product {id}")).with("product_id", id.get())
}

/// A failed question about a product.
pub(super) fn product(error: BoxError) -> Problem {
    tracing::debug!(
        error = &*error as &dyn std::error::Error,
        "product-svc gave no product"
    );
    match error.downcast_ref::<ProductError>() {
        Some(ProductError::Status(status)) => Problem::bad_gateway(format!(
            "The product service failed to answer (status {}); nothing was changed",
            status.as_u16()
        ))
        .with("upstream_status", status.as_u16()),
        Some(ProductError::Transport(_)) => {
            Problem::bad_gateway("The product service could not be reached; nothing was changed")
        }
        Some(ProductError::Body(_) | ProductError::Unusable { .. }) => {
            Problem::bad_gateway("The product service sent an unusable answer; nothing was changed")
        }
        None => problem::from_stack_error(&error),
    }
}

/// A failed write.
pub(super) fn add(error: AddError) -> Problem {
    match error {
        AddError::Refused(refusal) => refused(&refusal),
        AddError::Store(error) => store(error),
    }
}

/// A store that could not serve.
pub(super) fn store(error: StoreError) -> Problem {
    match error {
        StoreError::Busy { .. } => Problem::unavailable(
            "Too many requests are waiting for the cart store; nothing was stored",
        )
        .retry_after(STORE_RETRY),
        StoreError::Closed => {
            Problem::unavailable("This service is shutting down; the request was not carried out")
                .retry_after(STORE_RETRY)
        }
        StoreError::Failed(reason) => {
            tracing::error!(%reason, "the cart store failed a request");
            Problem::unavailable("The cart store cannot serve this request now; nothing was stored")
                .retry_after(STORE_RETRY)
        }
    }
}

fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::LineFull { in_cart, asked } => {
            let allowed = match LineQuantity::MAX.saturating_sub(*in_cart) {
                0 => format!(
                    "none: the cart holds the limit of {} of this product",
                    LineQuantity::MAX
                ),
                left => format!(
                    "at most {left}: the cart holds {in_cart} of this product, the limit is {}",
                    LineQuantity::MAX
                ),
            };
            members(&[Member::new("quantity", asked.get(), allowed)]).with("in_cart", *in_cart)
        }
        Refusal::CartFull | Refusal::KeyReused => {
            Problem::unprocessable(sentence(&refusal.to_string()))
        }
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
