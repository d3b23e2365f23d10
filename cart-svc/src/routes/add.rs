//! `POST /{variant}/cart/add`

use std::fmt;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize, de};
use service_kit::{extract::Json, problem::Problem};
use tower::ServiceExt;

use super::{App, problems};
use crate::{
    domain::{IdempotencyKey, Intent, ProductId, Quantity, Receipt, Timestamp, UserId},
    product::{Products, Wanted},
    store::{AddItem, Added},
};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The body as sent: the right members of the right types, their values not yet looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddRequest {
    user_id: TextOrInteger,
    product_id: i64,
    quantity: i64,
}

#[derive(Debug, Serialize)]
struct AddResponse {
    message: &'static str,
    #[serde(flatten)]
    receipt: Receipt,
}

pub(super) async fn add<P: Products>(
    State(app): State<App<P>>,
    headers: HeaderMap,
    Json(request): Json<AddRequest>,
) -> Result<Response, Problem> {
    let intent = intent(request, idempotency_key(&headers)?)?;

    // Before product-svc is asked: a repeated request is answered the same, whatever has become of the product.
    let now = Timestamp::now();
    if let Some(earlier) = app
        .store
        .replay(&intent, now)
        .await
        .map_err(problems::add)?
    {
        return Ok(answer(earlier));
    }

    let wanted = Wanted::new(intent.product);
    let offer = app
        .products
        .oneshot(wanted)
        .await
        .map_err(problems::product)?;
    let offer = offer.ok_or_else(|| problems::unknown_product(intent.product))?;
    let item = AddItem {
        intent,
        offer,
        at: Timestamp::now(),
    };
    let added = app.store.add(item).await.map_err(problems::add)?;
    Ok(answer(added))
}

fn answer(added: Added) -> Response {
    let mut response = Json(AddResponse {
        message: "Item added to cart",
        receipt: added.receipt,
    })
    .into_response();
    if added.replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::bad_request(
            "The request has more than one Idempotency-Key header",
        ));
    }
    let key = value
        .to_str()
        .ok()
        .and_then(IdempotencyKey::new)
        .ok_or_else(|| {
            Problem::bad_request(format!(
                "The Idempotency-Key header is not acceptable; allowed: {}",
                IdempotencyKey::ALLOWED
            ))
        })?;
    Ok(Some(key))
}

/// Checks every value and reports all that are wrong.
fn intent(request: AddRequest, key: Option<IdempotencyKey>) -> Result<Intent, Problem> {
    let AddRequest {
        user_id,
        product_id,
        quantity,
    } = request;
    let user = UserId::new(user_id.0.as_str());
    let product = ProductId::new(product_id);
    let amount = Quantity::new(quantity);
    if let (Some(user), Some(product), Some(quantity)) = (user.clone(), product, amount) {
        return Ok(Intent {
            user,
            product,
            quantity,
            key,
        });
    }

    let mut errors = Vec::new();
    if user.is_none() {
        errors.push(problems::Member::new(
            "user_id",
            user_id.shown(),
            UserId::ALLOWED,
        ));
    }
    if product.is_none() {
        errors.push(problems::Member::new(
            "product_id",
            product_id,
            ProductId::ALLOWED,
        ));
    }
    if amount.is_none() {
        errors.push(problems::Member::new(
            "quantity",
            quantity,
            Quantity::ALLOWED,
        ));
    }
    Err(problems::members(&errors))
}

/// A text, or an integer in its decimal spelling.
#[derive(Debug)]
struct TextOrInteger(String);

impl TextOrInteger {
    /// Enough of it to recognise: a refused value may be long.
    fn shown(&self) -> String {
        const SHOWN: usize = 40;
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &self.0[..end]),
            None => self.0.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for TextOrInteger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = TextOrInteger;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an integer")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOrInteger, E> {
                Ok(TextOrInteger(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<TextOrInteger, E> {
                Ok(TextOrInteger(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<TextOrInteger, E> {
                Ok(TextOrInteger(number.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
