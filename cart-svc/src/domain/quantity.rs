//! How many of a product: in one request, and in one line of a cart.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many one request may add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(u32);

impl Quantity {
    /// The most that one request may add.
    pub const MAX: u32 = 999;

    /// What a request may say, for a message.
    pub const ALLOWED: &'static str = "an integer from 1 to 999";

    /// `None` outside 1 to [`Quantity::MAX`].
    pub fn new(count: i64) -> Option<Quantity> {
        let count = u32::try_from(count).ok()?;
        (1..=Self::MAX).contains(&count).then_some(Quantity(count))
    }

    /// The count itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many of a product one cart line holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LineQuantity(u32);

impl LineQuantity {
    /// The most that one line may hold.
    pub const MAX: u32 = 9_999;

    /// `None` above [`LineQuantity::MAX`]. Zero is a line that does not exist yet.
    pub fn new(count: i64) -> Option<LineQuantity> {
        let count = u32::try_from(count).ok()?;
        (count <= Self::MAX).then_some(LineQuantity(count))
    }

    /// The line after adding `more`; `None` when that is over the limit.
    pub fn plus(self, more: Quantity) -> Option<LineQuantity> {
        Self::new(i64::from(self.0) + i64::from(more.get()))
    }

    /// The count itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_between_one_and_its_maximum() {
        for (count, allowed) in [
            (i64::MIN, false),
            (-1, false),
            (0, false),
            (1, true),
            (999, true),
            (1_000, false),
            (i64::from(u32::MAX) + 2, false),
        ] {
            assert_eq!(Quantity::new(count).is_some(), allowed, "{count}");
        }
        assert!(Quantity::ALLOWED.contains(&Quantity::MAX.to_string()));
    }

    #[test]
    fn a_line_takes_exactly_up_to_its_limit() {
        let line = LineQuantity::new(9_998).unwrap();
        assert_eq!(line.plus(Quantity(1)), LineQuantity::new(9_999));
        assert_eq!(line.plus(Quantity(2)), None);
    }
}
