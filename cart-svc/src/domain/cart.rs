//! A cart and what happens to it.

use serde::{Deserialize, Serialize};

use super::{
    Cents, Freshness, IdempotencyKey, LineQuantity, Product, ProductId, Quantity, Refusal,
    Timestamp, UserId,
};

/// The most different products in one cart. Bounds the work of showing it.
pub const MAX_LINES: usize = 100;

/// What a user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Whose cart.
    pub user: UserId,
    /// Which product.
    pub product: ProductId,
    /// How many to add.
    pub quantity: Quantity,
    /// The client's name for this write, if it gave one.
    pub key: Option<IdempotencyKey>,
}

impl Intent {
    /// What must be equal for a repeated key to mean a repeated request (user and key are compared apart).
    pub fn fingerprint(&self) -> String {
        format!("add product={} quantity={}", self.product, self.quantity)
    }
}

/// One product in a cart, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The product as product-svc last described it to this cart: what is shown when nobody can say better.
    pub product: Product,
    /// How many.
    pub quantity: LineQuantity,
    /// When product-svc said so.
    pub recorded_at: Timestamp,
}

impl Line {
    /// The line with `quantity` more, at the newest description known. Refuses what the limits do not allow.
    pub fn plus(
        current: Option<Line>,
        product: Product,
        as_of: Timestamp,
        quantity: Quantity,
    ) -> Result<Line, Refusal> {
        let held = current
            .as_ref()
            .map(|line| line.quantity)
            .unwrap_or_default();
        let total = held.plus(quantity).ok_or(Refusal::LineFull {
            in_cart: held.get(),
            asked: quantity,
        })?;
        Ok(match current {
            // A cached copy must not overwrite what the cart learned later.
            Some(line) if line.recorded_at > as_of => Line {
                quantity: total,
                ..line
            },
            _ => Line {
                product,
                quantity: total,
                recorded_at: as_of,
            },
        })
    }
}

/// A user's cart, lines in the order in which they were first added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cart {
    /// At most [`MAX_LINES`], one for a product.
    pub lines: Vec<Line>,
}

/// A cart in three numbers, at the prices that the cart recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Different products.
    pub lines: u32,
    /// Items, all products together.
    pub quantity: u64,
    /// Sum of price × quantity.
    pub total: Cents,
}

/// What an add did. Stored with the idempotency key, so that a repeated request gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whose cart.
    pub user_id: UserId,
    /// The line after the add.
    pub item: ReceiptItem,
    /// The whole cart after the add.
    pub cart: Totals,
    /// How current the product's name and price are.
    #[serde(flatten)]
    pub freshness: Freshness,
}

/// The line that an add changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptItem {
    /// Which product.
    pub product_id: ProductId,
    /// Its name.
    pub name: String,
    /// For one.
    pub price: Cents,
    /// How many this request added.
    pub added: Quantity,
    /// How many the line holds now.
    pub quantity: LineQuantity,
    /// price × quantity.
    pub subtotal: Cents,
}

impl Receipt {
    /// The receipt for adding `added` to what is now `line`.
    pub fn new(
        user_id: UserId,
        line: &Line,
        added: Quantity,
        cart: Totals,
        freshness: Freshness,
    ) -> Receipt {
        Receipt {
            user_id,
            item: ReceiptItem {
                product_id: line.product.id,
                name: line.product.name.clone(),
                price: line.product.price,
                added,
                quantity: line.quantity,
                subtotal: line.product.price.times(line.quantity.get()),
            },
            cart,
            freshness,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str) -> Product {
        Product {
            id: ProductId::new(1).unwrap(),
            name: name.into(),
            price: Cents::new(500).unwrap(),
        }
    }

    #[test]
    fn adding_keeps_the_newest_description_of_the_product() {
        let quantity = Quantity::new(2).unwrap();
        let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        let line = Line::plus(None, product("late"), late, quantity).unwrap();

        let line = Line::plus(Some(line), product("early"), early, quantity).unwrap();
        assert_eq!(
            (line.product.name.as_str(), line.recorded_at),
            ("late", late)
        );
        assert_eq!(line.quantity.get(), 4);
    }

    #[test]
    fn a_line_over_its_limit_is_refused_with_what_it_holds() {
        let current = Line {
            product: product("x"),
            quantity: LineQuantity::new(9_999).unwrap(),
            recorded_at: Timestamp::from_millis(0),
        };
        let asked = Quantity::new(1).unwrap();
        assert_eq!(
            Line::plus(
                Some(current),
                product("x"),
                Timestamp::from_millis(1),
                asked
            ),
            Err(Refusal::LineFull {
                in_cart: 9_999,
                asked
            })
        );
    }
}
