//! One partition's permits, in a word of its own beside the common pool's.
//!
//! Of the `n` calls that run in a partition with `g` guaranteed permits, the pool carries what is beyond: `n - g`, or none. So
//! nobody has to remember which kind of permit he has, a permit that comes back is one of the pool's as long as any is, and when
//! the guarantee changes only the pool's count has to follow.

use super::{
    partition::{Part, Partition},
    word,
};
use crate::{
    striped::Striped,
    sync::{AtomicU32, AtomicU64, Ordering},
};

const IN_FLIGHT_BITS: u32 = 24;
const SHARE_BITS: u32 = 18;
const GUARANTEED_SHIFT: u32 = IN_FLIGHT_BITS;
const AT_MOST_SHIFT: u32 = GUARANTEED_SHIFT + SHARE_BITS;
// Somebody waits for a permit of this partition.
const WAITED_FOR: u64 = 1 << (AT_MOST_SHIFT + SHARE_BITS);
// Whoever gives a guaranteed permit back has to look further for another reason.
const WATCHED: u64 = WAITED_FOR << 1;
const FLAGS: u64 = WAITED_FOR | WATCHED;
const SHARE: u64 = (1 << SHARE_BITS) - 1;

/// `flags: 2 | at most: 18 | guaranteed: 18 | in flight: 24`, from the high bits to the low ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u64);

impl State {
    fn empty(part: Part) -> Self {
        Self((part.at_most as u64) << AT_MOST_SHIFT | (part.guaranteed as u64) << GUARANTEED_SHIFT)
    }

    pub(super) fn in_flight(self) -> usize {
        (self.0 & ((1 << IN_FLIGHT_BITS) - 1)) as usize
    }

    pub(super) fn guaranteed(self) -> usize {
        (self.0 >> GUARANTEED_SHIFT & SHARE) as usize
    }

    pub(super) fn at_most(self) -> usize {
        (self.0 >> AT_MOST_SHIFT & SHARE) as usize
    }

    /// How many of its calls the pool carries.
    pub(super) fn borrowed(self) -> usize {
        self.in_flight().saturating_sub(self.guaranteed())
    }

    pub(super) fn has_guaranteed(self) -> bool {
        self.in_flight() < self.guaranteed()
    }

    /// Whether somebody waits for a permit of this partition. A newcomer does not overtake him.
    pub(super) fn is_waited_for(self) -> bool {
        self.0 & WAITED_FOR != 0
    }

    /// Whether giving a guaranteed permit back is all there is to do for whoever does.
    pub(super) fn needs_no_attention(self) -> bool {
        self.0 & FLAGS == 0
    }

    pub(super) fn enter(self) -> Self {
        Self(self.0 + 1)
    }

    pub(super) fn leave(self) -> Self {
        Self(self.0 - 1)
    }

    fn with(self, part: Part) -> Self {
        let kept = self.0 & (FLAGS | ((1 << IN_FLIGHT_BITS) - 1));
        Self(kept | Self::empty(part).0)
    }
}

// Counts of a partition.
pub(super) const ADMITTED: usize = 0;
pub(super) const FULL: usize = 1;
pub(super) const QUEUE_FULL: usize = 2;
pub(super) const WAITED: usize = 3;
pub(super) const DISPLACED: usize = 4;

pub(super) struct Compartment {
    pub(super) partition: Partition,
    word: AtomicU64,
    /// Its part of the queue; it never changes.
    pub(super) places: Part,
    /// As the gate's own, for calls of this partition.
    pub(super) door: AtomicU32,
    pub(super) counts: Striped<5>,
}

impl Compartment {
    pub(super) fn new(partition: Partition, permits: Part, places: Part) -> Self {
        Self {
            partition,
            word: AtomicU64::new(State::empty(permits).0),
            places,
            door: AtomicU32::new(0),
            counts: Striped::new(),
        }
    }

    pub(super) fn load(&self) -> State {
        State(self.word.load(Ordering::Acquire))
    }

    /// As [`Word::update`](super::word::Word::update).
    #[inline]
    pub(super) fn update(
        &self,
        mut next: impl FnMut(State) -> Option<State>,
    ) -> Result<State, State> {
        word::update(&self.word, |bits| next(State(bits)).map(|to| to.0))
            .map(State)
            .map_err(State)
    }

    /// Changes its part, and gives what it was before.
    pub(super) fn set(&self, part: Part) -> State {
        match self.update(|state| Some(state.with(part))) {
            Ok(before) | Err(before) => before,
        }
    }

    /// For whom those who give permits back have to look.
    pub(super) fn set_flags(&self, is_waited_for: bool, is_watched: bool) {
        let flags = (u64::from(is_waited_for) * WAITED_FOR) | (u64::from(is_watched) * WATCHED);
        let _ = self.update(|state| {
            let bits = state.0 & !FLAGS | flags;
            (bits != state.0).then_some(State(bits))
        });
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_fields_do_not_touch_each_other() {
        let most = Part {
            guaranteed: 250_000,
            at_most: 250_000,
        };
        let compartment = Compartment::new(Partition::new("a"), most, most);
        for _ in 0..300_000 {
            compartment
                .update(|state| Some(state.enter()))
                .ok()
                .unwrap();
        }
        let state = compartment.load();
        assert_eq!((state.in_flight(), state.borrowed()), (300_000, 50_000));
        assert!(!state.has_guaranteed() && state.needs_no_attention());
        compartment.set_flags(true, false);
        let part = Part {
            guaranteed: 3,
            at_most: 4,
        };
        assert_eq!(compartment.set(part).guaranteed(), 250_000);
        let state = compartment.load();
        assert_eq!((state.guaranteed(), state.at_most()), (3, 4));
        assert!(state.is_waited_for() && !state.needs_no_attention());
        compartment.set_flags(false, true);
        assert!(!compartment.load().is_waited_for());
        assert!(!compartment.load().needs_no_attention());
        compartment.set_flags(false, false);
        assert_eq!(compartment.load().in_flight(), 300_000);
        assert!(compartment.load().needs_no_attention());
    }
}
