//! The bulkhead's state in one atomic word, so that one compare-and-swap decides an admission.

use crate::sync::{AtomicU64, Ordering};

/// The most calls that fit the word's field, rounded down to a number one can remember.
pub(super) const MAX_CONCURRENT: usize = 250_000;
/// The most waiters that fit the word's field, rounded down likewise.
pub(super) const MAX_QUEUE: usize = 16_000;

const IN_FLIGHT_BITS: u32 = 18;
const QUEUED_BITS: u32 = 14;
const QUEUED_SHIFT: u32 = IN_FLIGHT_BITS;
const ADMITTED_SHIFT: u32 = IN_FLIGHT_BITS + QUEUED_BITS;

const ONE_IN_FLIGHT: u64 = 1;
const ONE_QUEUED: u64 = 1 << QUEUED_SHIFT;
const ONE_ADMITTED: u64 = 1 << ADMITTED_SHIFT;

const _: () = assert!(MAX_CONCURRENT < 1 << IN_FLIGHT_BITS && MAX_QUEUE < 1 << QUEUED_BITS);

/// `admitted: 32 | queued: 14 | in flight: 18`, from the high bits to the low ones.
///
/// `admitted` counts modulo 2³²; `gate` extends it to 64 bits. It sits in the word so that counting a call costs no
/// atomic operation of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    #[cfg(all(test, not(breaker_loom)))]
    pub(super) fn with_admitted(admitted: u32) -> Self {
        Self(u64::from(admitted) << ADMITTED_SHIFT)
    }

    pub(super) fn in_flight(self) -> usize {
        (self.0 & (ONE_QUEUED - 1)) as usize
    }

    pub(super) fn queued(self) -> usize {
        ((self.0 & (ONE_ADMITTED - 1)) >> QUEUED_SHIFT) as usize
    }

    pub(super) fn admitted(self) -> u32 {
        (self.0 >> ADMITTED_SHIFT) as u32
    }

    // A newcomer never overtakes a waiter.
    pub(super) fn has_room(self, max_concurrent: usize) -> bool {
        self.in_flight() < max_concurrent && self.queued() == 0
    }

    pub(super) fn enter(self) -> Self {
        Self(self.0.wrapping_add(ONE_ADMITTED + ONE_IN_FLIGHT))
    }

    /// One fewer in flight, whatever else changes meanwhile. Gives the word as it was.
    pub(super) fn leave(word: &AtomicU64) -> Self {
        Self(word.fetch_sub(ONE_IN_FLIGHT, Ordering::AcqRel))
    }

    pub(super) fn join_queue(self) -> Self {
        Self(self.0 + ONE_QUEUED)
    }

    pub(super) fn quit_queue(self) -> Self {
        Self(self.0 - ONE_QUEUED)
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_fields_do_not_touch_each_other() {
        let mut word = Word(0);
        for _ in 0..MAX_CONCURRENT {
            word = word.enter();
        }
        for _ in 0..MAX_QUEUE {
            word = word.join_queue();
        }
        let seen = (word.in_flight(), word.queued(), word.admitted() as usize);
        assert_eq!(seen, (MAX_CONCURRENT, MAX_QUEUE, MAX_CONCURRENT));

        for _ in 0..MAX_QUEUE {
            word = word.quit_queue();
        }
        let shared = AtomicU64::new(word.0);
        for in_flight in (1..=MAX_CONCURRENT).rev() {
            assert_eq!(Word::leave(&shared).in_flight(), in_flight);
        }
        let word = Word(shared.into_inner());
        let seen = (word.in_flight(), word.queued(), word.admitted() as usize);
        assert_eq!(seen, (0, 0, MAX_CONCURRENT));
    }

    #[test]
    fn the_count_of_admissions_wraps_without_touching_the_rest() {
        let word = Word::with_admitted(u32::MAX).join_queue().join_queue();
        assert_eq!(word.admitted(), u32::MAX);
        let word = word.enter();
        assert_eq!(
            (word.in_flight(), word.queued(), word.admitted()),
            (1, 2, 0)
        );
    }
}
