//! `GET /{variant}/cart/view?user_id=`

use axum::extract::State;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use service_kit::{
    extract::{Json, Query},
    problem::Problem,
};
use tower::ServiceExt;

use super::{App, problems};
use crate::{
    domain::{Cart, Cents, Freshness, Line, LineQuantity, Offer, ProductId, UserId},
    product::{Products, Wanted},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewQuery {
    user_id: String,
}

#[derive(Debug, Serialize)]
pub(super) struct CartView {
    user_id: UserId,
    items: Vec<ItemView>,
    /// Over the items that are available.
    total: Cents,
    /// Whether any item's product data is an older copy.
    degraded: bool,
}

#[derive(Debug, Serialize)]
struct ItemView {
    product_id: ProductId,
    name: String,
    price: Cents,
    quantity: LineQuantity,
    subtotal: Cents,
    /// `false` when product-svc says that there is no such product any more.
    available: bool,
    #[serde(flatten)]
    freshness: Freshness,
}

pub(super) async fn view<P: Products>(
    State(app): State<App<P>>,
    Query(query): Query<ViewQuery>,
) -> Result<Json<CartView>, Problem> {
    let user = UserId::new(query.user_id).ok_or_else(|| {
        Problem::bad_request(format!(
            "The query parameter `user_id` is not acceptable; allowed: {}",
            UserId::ALLOWED
        ))
        .with("parameter", "user_id")
    })?;
    let cart = app
        .store
        .cart(user.clone())
        .await
        .map_err(problems::store)?;
    let offers = offers(&app, &cart).await?;
    Ok(Json(CartView::new(user, cart, offers)))
}

/// What is known of the product of each line, in the order of the lines.
async fn offers<P: Products>(app: &App<P>, cart: &Cart) -> Result<Vec<Option<Offer>>, Problem> {
    let questions: Vec<_> = cart
        .lines
        .iter()
        .map(|line| app.products.clone().oneshot(Wanted::of_line(line)))
        .collect();
    stream::iter(questions)
        .buffered(app.view_fan_out)
        .try_collect()
        .await
        .map_err(problems::product)
}

impl CartView {
    fn new(user_id: UserId, cart: Cart, offers: Vec<Option<Offer>>) -> CartView {
        let items: Vec<_> = cart
            .lines
            .into_iter()
            .zip(offers)
            .map(|(line, offer)| ItemView::new(line, offer))
            .collect();
        CartView {
            user_id,
            total: items
                .iter()
                .filter(|item| item.available)
                .fold(Cents::ZERO, |sum, item| sum.plus(item.subtotal)),
            degraded: items.iter().any(|item| item.freshness.is_stale()),
            items,
        }
    }
}

impl ItemView {
    fn new(line: Line, offer: Option<Offer>) -> ItemView {
        let available = offer.is_some();
        // Of a product that is gone, the line's own record is all there is to show.
        let Offer { product, freshness } = offer.unwrap_or(Offer::live(line.product));
        ItemView {
            product_id: product.id,
            subtotal: product.price.times(line.quantity.get()),
            name: product.name,
            price: product.price,
            quantity: line.quantity,
            available,
            freshness,
        }
    }
}
