//! The bulkhead's state in one atomic word, so that one compare-and-swap decides an admission.

use crate::sync::{AtomicU64, Ordering, give_way};

/// The most calls that fit the word's field for the limit, rounded down to a number one can remember.
pub(super) const MAX_CONCURRENT: usize = 250_000;
/// The most waiters that fit the word's field, rounded down likewise.
pub(super) const MAX_QUEUE: usize = 16_000;

const IN_FLIGHT_BITS: u32 = 24;
const QUEUED_BITS: u32 = 14;
const LIMIT_BITS: u32 = 18;

const QUEUED_SHIFT: u32 = IN_FLIGHT_BITS;
const FLAGS_SHIFT: u32 = QUEUED_SHIFT + QUEUED_BITS;
const LIMIT_SHIFT: u32 = 64 - LIMIT_BITS;

const ONE_IN_FLIGHT: u64 = 1;
const ONE_QUEUED: u64 = 1 << QUEUED_SHIFT;
// Somebody wants to know when a permit comes free, without waiting in the line.
const WATCHED: u64 = 1 << FLAGS_SHIFT;
// It is written down that the bulkhead is full.
const SATURATED: u64 = 1 << (FLAGS_SHIFT + 1);
const LOAD: u64 = (1 << FLAGS_SHIFT) - 1;
// Whoever gives a permit back has more to do than that.
const ATTENTION: u64 = (1 << LIMIT_SHIFT) - ONE_QUEUED;

const _: () = assert!(MAX_CONCURRENT < 1 << LIMIT_BITS && MAX_QUEUE < 1 << QUEUED_BITS);

/// As [`Word::update`], for any word.
#[inline]
pub(super) fn update(
    word: &AtomicU64,
    mut next: impl FnMut(u64) -> Option<u64>,
) -> Result<u64, u64> {
    let mut lost = 0;
    let mut found = word.load(Ordering::Acquire);
    while let Some(to) = next(found) {
        match word.compare_exchange_weak(found, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(found),
            Err(actual) => {
                give_way(lost);
                lost += 1;
                found = actual;
            }
        }
    }
    Err(found)
}

/// `limit: 18 | flags: 8 | queued: 14 | in flight: 24`, from the high bits to the low ones.
///
/// The limit is in it so that a call is never admitted by a limit that has been lowered since. There is room for more calls than
/// any limit, because they may be running when it is lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    pub(super) fn empty(limit: usize) -> Self {
        debug_assert!(limit <= MAX_CONCURRENT);
        Self((limit as u64) << LIMIT_SHIFT)
    }

    #[inline]
    pub(super) fn load(word: &AtomicU64) -> Self {
        Self(word.load(Ordering::Acquire))
    }

    /// Replaces it by what `next` makes of it, and gives it as it was; if that makes nothing of it, gives it as it is.
    #[inline]
    pub(super) fn update(
        word: &AtomicU64,
        mut next: impl FnMut(Self) -> Option<Self>,
    ) -> Result<Self, Self> {
        update(word, |bits| next(Self(bits)).map(|to| to.0))
            .map(Self)
            .map_err(Self)
    }

    #[inline]
    pub(super) fn in_flight(self) -> usize {
        (self.0 & (ONE_QUEUED - 1)) as usize
    }

    pub(super) fn queued(self) -> usize {
        ((self.0 & LOAD) >> QUEUED_SHIFT) as usize
    }

    pub(super) fn limit(self) -> usize {
        (self.0 >> LIMIT_SHIFT) as usize
    }

    /// Whether a newcomer may take a permit. He never overtakes a waiter.
    #[inline]
    pub(super) fn has_room(self) -> bool {
        // A single waiter makes this number larger than any limit.
        self.0 & LOAD < self.0 >> LIMIT_SHIFT
    }

    /// Whether a permit is free, for a newcomer or for a waiter.
    pub(super) fn has_permit(self) -> bool {
        self.in_flight() < self.limit()
    }

    /// Whether giving a permit back is all that there is to do for whoever does.
    #[inline]
    pub(super) fn needs_no_attention(self) -> bool {
        self.0 & ATTENTION == 0
    }

    #[inline]
    pub(super) fn enter(self) -> Self {
        Self(self.0 + ONE_IN_FLIGHT)
    }

    #[inline]
    pub(super) fn leave(self) -> Self {
        Self(self.0 - ONE_IN_FLIGHT)
    }

    pub(super) fn join_queue(self) -> Self {
        Self(self.0 + ONE_QUEUED)
    }

    pub(super) fn quit_queue(self) -> Self {
        Self(self.0 - ONE_QUEUED)
    }

    /// As many more, or fewer, in flight.
    pub(super) fn shift(self, calls: isize) -> Self {
        Self(self.0.wrapping_add_signed(calls as i64))
    }

    pub(super) fn is_overdrawn(self) -> bool {
        self.in_flight() > self.limit()
    }

    pub(super) fn is_watched(self) -> bool {
        self.0 & WATCHED != 0
    }

    pub(super) fn watched(self, watched: bool) -> Self {
        if watched {
            Self(self.0 | WATCHED)
        } else {
            Self(self.0 & !WATCHED)
        }
    }

    pub(super) fn is_saturated(self) -> bool {
        self.0 & SATURATED != 0
    }

    pub(super) fn saturated(self, saturated: bool) -> Self {
        if saturated {
            Self(self.0 | SATURATED)
        } else {
            Self(self.0 & !SATURATED)
        }
    }

    pub(super) fn with_limit(self, limit: usize) -> Self {
        Self(self.0 & ((1 << LIMIT_SHIFT) - 1) | Self::empty(limit).0)
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    fn fields(word: Word) -> (usize, usize, usize) {
        (word.in_flight(), word.queued(), word.limit())
    }

    #[test]
    fn the_fields_do_not_touch_each_other() {
        let mut word = Word::empty(MAX_CONCURRENT);
        for _ in 0..MAX_CONCURRENT {
            assert!(word.has_room());
            word = word.enter();
        }
        assert!(!word.has_room() && word.needs_no_attention());
        for _ in 0..MAX_QUEUE {
            word = word.join_queue();
        }
        assert!(!word.needs_no_attention());
        assert_eq!(fields(word), (MAX_CONCURRENT, MAX_QUEUE, MAX_CONCURRENT));
        word = word.with_limit(1);
        assert_eq!(fields(word), (MAX_CONCURRENT, MAX_QUEUE, 1));
        for _ in 0..MAX_QUEUE {
            word = word.quit_queue();
        }
        for in_flight in (0..MAX_CONCURRENT).rev() {
            word = word.leave();
            assert_eq!(fields(word), (in_flight, 0, 1));
        }
        assert_eq!(word, Word::empty(1));
    }

    #[test]
    fn a_newcomer_has_no_room_while_somebody_waits() {
        let word = Word::empty(MAX_CONCURRENT).join_queue();
        assert!(!word.has_room() && word.has_permit());
        assert!(word.quit_queue().has_room());
    }
}
