use std::fmt;

use serde::{Serialize, Serializer};

/// A price in whole cents.
///
/// Sums and comparisons are integer arithmetic. JSON shows units with the cents as decimals (`999.99`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(u64);

/// Why a number is not a price.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PriceError {
    /// Below zero, above [`Price::MAX`], or not a number.
    #[error("a price from 0 to {}", Price::MAX)]
    OutOfRange,
    /// A fraction of a cent.
    #[error("a price in whole cents (at most two decimals)")]
    FractionOfACent,
}

impl Price {
    /// The highest price: 999,999,999.99.
    ///
    /// With at most eleven digits every price has an `f64` of its own whose shortest decimal form is that price, so a
    /// price passes through JSON and TOML numbers unchanged.
    pub const MAX: Self = Self(99_999_999_999);

    /// The price of this many cents, or `None` above [`Price::MAX`].
    pub const fn from_cents(cents: u64) -> Option<Self> {
        if cents <= Self::MAX.0 {
            Some(Self(cents))
        } else {
            None
        }
    }

    /// The price written as this decimal number.
    pub fn from_units(units: f64) -> Result<Self, PriceError> {
        if !(0.0..=Self::MAX.as_units()).contains(&units) {
            return Err(PriceError::OutOfRange);
        }
        // In range after the check above, so the cast neither saturates nor loses digits.
        let price = Self((units * 100.0).round() as u64);
        if price.as_units() == units {
            Ok(price)
        } else {
            Err(PriceError::FractionOfACent)
        }
    }

    /// The price in cents.
    pub const fn cents(self) -> u64 {
        self.0
    }

    /// The price as the decimal number that clients see.
    pub const fn as_units(self) -> f64 {
        self.0 as f64 / 100.0
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_units())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(cents: u64) -> String {
        serde_json::to_string(&Price::from_cents(cents).unwrap()).unwrap()
    }

    #[test]
    fn json_shows_the_exact_decimal() {
        assert_eq!(json(99_999), "999.99");
        assert_eq!(json(2_999), "29.99");
        assert_eq!(json(1), "0.01");
        assert_eq!(json(1_990), "19.9");
        assert_eq!(json(100_000), "1000.0");
        assert_eq!(json(0), "0.0");
        assert_eq!(json(Price::MAX.cents()), "999999999.99");
    }

    #[test]
    fn every_price_survives_its_decimal_form() {
        // A stride that shares no factor with 100 visits every cent ending; the top of the range is where digits run out.
        let samples = (0..=1_000_000)
            .chain((0..=Price::MAX.cents()).step_by(999_983))
            .chain(99_999_000_000..=99_999_999_999);
        for cents in samples {
            let price = Price::from_cents(cents).unwrap();
            let text = price.to_string();
            assert_eq!(
                Price::from_units(text.parse().unwrap()),
                Ok(price),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_not_a_price() {
        for (units, expected) in [
            (-0.01, PriceError::OutOfRange),
            (f64::NAN, PriceError::OutOfRange),
            (f64::INFINITY, PriceError::OutOfRange),
            (1e9, PriceError::OutOfRange),
            (0.005, PriceError::FractionOfACent),
            (9.999, PriceError::FractionOfACent),
        ] {
            assert_eq!(Price::from_units(units), Err(expected), "{units}");
        }
    }
}
