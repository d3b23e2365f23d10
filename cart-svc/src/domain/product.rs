//! What the cart knows of a product. product-svc owns products; here are copies, and each says how old it is.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Cents, Timestamp};

/// A product's number, 1 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct ProductId(i64);

impl ProductId {
    /// What a request may say, for a message.
    pub const ALLOWED: &'static str = "an integer of 1 or more";

    /// `None` below 1.
    pub const fn new(id: i64) -> Option<ProductId> {
        if id < 1 { None } else { Some(ProductId(id)) }
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for ProductId {
    type Error = String;

    fn try_from(id: i64) -> Result<Self, Self::Error> {
        ProductId::new(id)
            .ok_or_else(|| format!("{id} is not a product id; allowed: {}", Self::ALLOWED))
    }
}

impl From<ProductId> for i64 {
    fn from(id: ProductId) -> i64 {
        id.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a cart needs to know of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its number.
    pub id: ProductId,
    /// What the customer calls it.
    pub name: String,
    /// For one.
    pub price: Cents,
}

/// A product together with how far to trust it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The product.
    pub product: Product,
    /// Whether product-svc said so just now.
    pub freshness: Freshness,
}

impl Offer {
    /// What product-svc answered just now.
    pub fn live(product: Product) -> Offer {
        Offer {
            product,
            freshness: Freshness::Live,
        }
    }
}

/// Where a stale product came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The last good answer of product-svc that this process remembers.
    Cache,
    /// What the cart itself wrote down when the product was added.
    Cart,
}

impl Source {
    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Cache => "cache",
            Source::Cart => "cart",
        }
    }
}

/// How current a product is. On the wire: `degraded`, and when that is true `product_as_of`, `product_age_ms` and `product_source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub enum Freshness {
    /// product-svc answered for this very request.
    Live,
    /// An older copy stands in.
    Stale {
        /// When product-svc last said so.
        as_of: Timestamp,
        /// How long before this answer that was.
        age: Duration,
        /// Who remembered it.
        source: Source,
    },
}

impl Freshness {
    /// Whether an older copy stands in.
    pub const fn is_stale(&self) -> bool {
        matches!(self, Freshness::Stale { .. })
    }

    /// When product-svc said so, if the answer is given at `now`.
    pub const fn as_of(&self, now: Timestamp) -> Timestamp {
        match self {
            Freshness::Live => now,
            Freshness::Stale { as_of, .. } => *as_of,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    degraded: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product_as_of: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product_age_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product_source: Option<Source>,
}

impl From<Freshness> for Wire {
    fn from(freshness: Freshness) -> Wire {
        match freshness {
            Freshness::Live => Wire {
                degraded: false,
                product_as_of: None,
                product_age_ms: None,
                product_source: None,
            },
            Freshness::Stale { as_of, age, source } => Wire {
                degraded: true,
                product_as_of: Some(as_of),
                product_age_ms: Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
                product_source: Some(source),
            },
        }
    }
}

impl TryFrom<Wire> for Freshness {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Freshness, Self::Error> {
        match (
            wire.degraded,
            wire.product_as_of,
            wire.product_age_ms,
            wire.product_source,
        ) {
            (false, ..) => Ok(Freshness::Live),
            (true, Some(as_of), Some(age), Some(source)) => Ok(Freshness::Stale {
                as_of,
                age: Duration::from_millis(age),
                source,
            }),
            (true, ..) => Err("a degraded product must say as of when, how old, and from where"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_reads_back_as_it_was_written() {
        let stale = Freshness::Stale {
            as_of: Timestamp::from_millis(0),
            age: Duration::from_millis(1_500),
            source: Source::Cache,
        };
        assert_eq!(
            serde_json::to_string(&Freshness::Live).unwrap(),
            r#"{"degraded":false}"#
        );
        assert_eq!(
            serde_json::to_string(&stale).unwrap(),
            r#"{"degraded":true,"product_as_of":"1970-01-01T00:00:00.000Z","product_age_ms":1500,"product_source":"cache"}"#
        );
        for freshness in [Freshness::Live, stale] {
            let json = serde_json::to_string(&freshness).unwrap();
            assert_eq!(serde_json::from_str::<Freshness>(&json).unwrap(), freshness);
        }
        assert!(serde_json::from_str::<Freshness>(r#"{"degraded":true}"#).is_err());
    }

    #[test]
    fn a_product_number_starts_at_one() {
        assert!(ProductId::new(1).is_some());
        assert!(ProductId::new(0).is_none());
        assert!(serde_json::from_str::<ProductId>("-3").is_err());
    }
}
