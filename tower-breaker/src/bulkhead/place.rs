use std::fmt;

/// How important a call is. Those who wait are served by priority first, and first come, first served within one.
///
/// After the criticality of the SRE book ("Handling Overload") and the prioritised load shedding of Netflix: under overload what
/// matters least goes first. A priority by itself changes the order only; with
/// [`priority_share`](super::BulkheadBuilder::priority_share) a lower one is refused before the bulkhead is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// May be lost: prefetching, batches, what is tried again anyway.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Somebody's order or payment.
    High,
}

impl Priority {
    /// From the lowest to the highest.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// A short, stable name for logs and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in a bulkhead a call belongs: its partition, if any, and its priority. Two bytes; see [`Bulkhead::place`](super::Bulkhead::place)
/// and [`BulkheadLayer::place_by`](super::BulkheadLayer::place_by).
///
/// A place is one of the bulkhead it was got from. In another bulkhead it may be another partition; where that has fewer, it is
/// none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Place(u16);

// The partition in the lower byte: 0 for none, else its index plus 1. Then two bits for the priority, such that all zeros is a call
// of normal priority without a partition, and a flag.
const LOW: u16 = 1 << 8;
const HIGH: u16 = 2 << 8;
const PRIORITY: u16 = 3 << 8;
// Goes the long way although it is of normal priority, because that has a share.
const METERED: u16 = 1 << 10;
// Not known before there is a request.
const UNDECIDED: u16 = u16::MAX;

impl Place {
    /// Of no partition, and of normal priority.
    #[cfg(all(test, breaker_loom))]
    pub(super) const PLAIN: Self = Self(0);
    pub(super) const UNDECIDED: Self = Self(UNDECIDED);

    pub(super) const fn to_word(self) -> u64 {
        self.0 as u64
    }

    pub(super) const fn from_word(word: u64) -> Self {
        Self(word as u16)
    }

    pub(super) const fn metered() -> Self {
        Self(METERED)
    }

    /// The same place, with another priority.
    #[must_use]
    pub const fn with_priority(self, priority: Priority) -> Self {
        let bits = match priority {
            Priority::Low => LOW,
            Priority::Normal => 0,
            Priority::High => HIGH,
        };
        Self(self.0 & !PRIORITY | bits)
    }

    pub(super) fn with_partition(self, index: usize) -> Self {
        Self(self.0 & !0xFF | (index as u16 + 1))
    }

    /// The priority.
    pub const fn priority(self) -> Priority {
        match self.0 & PRIORITY {
            LOW => Priority::Low,
            HIGH => Priority::High,
            _ => Priority::Normal,
        }
    }

    /// Whether there is nothing to know about it.
    #[inline]
    pub(super) const fn is_plain(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn is_undecided(self) -> bool {
        self.0 == UNDECIDED
    }

    /// The index of its partition, if there is one.
    #[inline]
    pub(super) const fn partition(self) -> Option<usize> {
        match self.0 & 0xFF {
            0 => None,
            number => Some(number as usize - 1),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("partition", &self.partition())
            .field("priority", &self.priority())
            .finish()
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn partition_and_priority_are_told_apart() {
        assert!(Place::default().is_plain());
        for start in [Place::default(), Place::metered()] {
            for priority in Priority::ALL {
                let place = start.with_priority(Priority::High).with_priority(priority);
                assert_eq!((place.partition(), place.priority()), (None, priority));
                for index in [0, 15] {
                    let place = place.with_partition(3).with_partition(index);
                    assert_eq!(
                        (place.partition(), place.priority()),
                        (Some(index), priority)
                    );
                    assert!(!place.is_plain() && !place.is_undecided());
                }
            }
        }
        assert!(!Place::metered().is_plain());
    }
}
