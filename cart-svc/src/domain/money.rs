//! Money as whole cents, so that a sum is exact.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of money, never negative. On the wire it is a decimal number: `999.99`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cents(i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Cents = Cents(0);

    /// The highest price accepted. A full cart of such lines still sums within `i64`.
    pub const MAX_PRICE: Cents = Cents(100_000_000_000);

    /// `cents` as money; `None` when negative.
    pub const fn new(cents: i64) -> Option<Cents> {
        if cents < 0 { None } else { Some(Cents(cents)) }
    }

    /// The amount in cents.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// `self` × `count`. Saturates, which no valid price and line quantity can reach.
    #[must_use]
    pub const fn times(self, count: u32) -> Cents {
        Cents(self.0.saturating_mul(count as i64))
    }

    /// `self` + `other`, saturating like [`times`](Cents::times).
    #[must_use]
    pub const fn plus(self, other: Cents) -> Cents {
        Cents(self.0.saturating_add(other.0))
    }

    /// A decimal number of currency units; `None` when negative, not finite, over `i64`'s exact range as a double, or not whole cents.
    fn from_units(units: f64) -> Option<Cents> {
        // Up to here a double tells neighbouring cents apart, so rounding recovers exactly the decimal that was written.
        const EXACT: f64 = 9_007_199_254_740_992.0 / 128.0;
        if !(0.0..=EXACT).contains(&units) {
            return None;
        }
        let cents = (units * 100.0).round();
        // The double nearest to a written two-digit decimal is also the one that the division yields.
        (cents / 100.0 == units).then_some(Cents(cents as i64))
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 100.0)
    }
}

impl<'de> Deserialize<'de> for Cents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let units = f64::deserialize(deserializer)?;
        Cents::from_units(units).ok_or_else(|| {
            de::Error::invalid_value(
                de::Unexpected::Float(units),
                &"an amount of 0 or more with at most two decimals",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_price_reads_as_whole_cents_and_writes_as_it_was() {
        for (text, cents) in [
            ("999.99", 99_999),
            ("29.99", 2_999),
            ("0.29", 29),
            ("0.0", 0),
            ("1.1", 110),
        ] {
            let read: Cents = serde_json::from_str(text).unwrap();
            assert_eq!(read.get(), cents, "{text}");
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        assert_eq!(serde_json::from_str::<Cents>("80").unwrap().get(), 8_000);
    }

    #[test]
    fn what_is_not_money_is_refused() {
        for text in ["-0.01", "1.005", "0.001", "1e300", "\"5\"", "null"] {
            assert!(serde_json::from_str::<Cents>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_full_cart_of_the_dearest_products_does_not_overflow() {
        let line = Cents::MAX_PRICE.times(crate::domain::LineQuantity::MAX);
        let total = line.get().checked_mul(crate::domain::MAX_LINES as i64);
        assert!(total.is_some());
    }

    proptest! {
        #[test]
        fn every_amount_survives_json(cents in 0..=Cents::MAX_PRICE.get() * 100) {
            let written = serde_json::to_string(&Cents(cents)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Cents>(&written).unwrap(), Cents(cents));
        }
    }
}
