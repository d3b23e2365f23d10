use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};

/// A product's number: a positive integer that fits TOML's and SQL's signed 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ProductId(u64);

/// A text or number is not a product id; the message says what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a product id is an integer from 1 to {}, written in decimal digits",
    ProductId::MAX
)]
pub struct ProductIdError;

impl ProductId {
    /// The highest id.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The id with this number, or `None` when it is 0 or above [`ProductId::MAX`].
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 || number > Self::MAX.0 {
            None
        } else {
            Some(Self(number))
        }
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ProductId {
    type Err = ProductIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Integer parsing alone takes "+1" and "001": one product must have one address.
        let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        if !canonical {
            return Err(ProductIdError);
        }
        text.parse().ok().and_then(Self::new).ok_or(ProductIdError)
    }
}

/// Ids are read out of paths, where everything is text.
impl<'de> Deserialize<'de> for ProductId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IdVisitor)
    }
}

/// Fails inside the visitor, where axum still knows which path parameter it reads.
struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = ProductId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ProductIdError}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ProductId, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_positive_integers_only() {
        assert_eq!("1".parse(), Ok(ProductId(1)));
        assert_eq!("9223372036854775807".parse(), Ok(ProductId::MAX));
        for text in [
            "",
            "0",
            "00",
            "01",
            "-1",
            "+1",
            "1.0",
            "1e3",
            "0x1",
            " 1",
            "1 ",
            "one",
            "1\0",
            "１",
            "9223372036854775808",
            "99999999999999999999999999",
        ] {
            assert_eq!(text.parse::<ProductId>(), Err(ProductIdError), "{text:?}");
        }
    }
}
