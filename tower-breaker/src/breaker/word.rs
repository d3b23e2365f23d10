//! The state word: everything that decides about a call, in one atomic.
//!
//! ```text
//! bits 62..64  tag         closed, open, half-open
//! bits 32..62  generation  one more with every transition
//! bits  0..32  payload     closed:    held (1) | consecutive failures (31)
//!                          open:      held (1) | deadline published (1)
//!                          half-open: trials in flight (16) | trials succeeded (16)
//! ```
//!
//! Because a transition changes the generation in the same instruction that changes the state, there is no moment in which
//! an admission or a result could mistake one episode for another.

use std::fmt;

const GENERATION_BITS: u32 = 30;
pub(super) const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;
const TAG_SHIFT: u32 = 62;
const GENERATION_SHIFT: u32 = 32;

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;

const HELD: u32 = 1 << 31;
const PUBLISHED: u32 = 1;

/// The largest count of consecutive failures that the word can hold; it stays there.
pub(super) const MAX_CONSECUTIVE: u32 = HELD - 1;
/// The largest number of trials that the word can count.
pub(super) const MAX_TRIALS: u32 = u16::MAX as u32;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// A word taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// `held`: by hand, until told otherwise; results decide nothing.
    Closed {
        held: bool,
        failures: u32,
    },
    /// `held`: by hand, with no deadline. `published`: the deadline may be read.
    Open {
        held: bool,
        published: bool,
    },
    HalfOpen {
        in_flight: u32,
        successes: u32,
    },
}

impl Word {
    #[inline]
    pub(super) fn new(generation: u32, phase: Phase) -> Self {
        let (tag, payload) = match phase {
            Phase::Closed { held, failures } => (CLOSED, flag(held, HELD) | failures),
            Phase::Open { held, published } => {
                (OPEN, flag(held, HELD) | flag(published, PUBLISHED))
            }
            Phase::HalfOpen {
                in_flight,
                successes,
            } => (HALF_OPEN, in_flight << 16 | successes),
        };
        let generation = u64::from(generation & GENERATION_MASK);
        Self(tag << TAG_SHIFT | generation << GENERATION_SHIFT | u64::from(payload))
    }

    #[inline]
    pub(super) fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32 & GENERATION_MASK
    }

    #[inline]
    pub(super) fn is_closed(self) -> bool {
        self.0 >> TAG_SHIFT == CLOSED
    }

    pub(super) fn phase(self) -> Phase {
        let payload = self.0 as u32;
        match self.0 >> TAG_SHIFT {
            CLOSED => Phase::Closed {
                held: payload & HELD != 0,
                failures: payload & !HELD,
            },
            OPEN => Phase::Open {
                held: payload & HELD != 0,
                published: payload & PUBLISHED != 0,
            },
            _ => Phase::HalfOpen {
                in_flight: payload >> 16,
                successes: payload & 0xFFFF,
            },
        }
    }

    /// The same episode with another payload.
    pub(super) fn with(self, phase: Phase) -> Self {
        Self::new(self.generation(), phase)
    }

    /// The first word of the next episode.
    pub(super) fn next(self, phase: Phase) -> Self {
        Self::new(self.generation().wrapping_add(1), phase)
    }
}

fn flag(set: bool, bit: u32) -> u32 {
    if set { bit } else { 0 }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {:?}", self.generation(), self.phase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_survives_the_round_trip_with_extreme_values() {
        let phases = [
            Phase::Closed {
                held: false,
                failures: 0,
            },
            Phase::Closed {
                held: true,
                failures: MAX_CONSECUTIVE,
            },
            Phase::Open {
                held: false,
                published: false,
            },
            Phase::Open {
                held: true,
                published: true,
            },
            Phase::HalfOpen {
                in_flight: MAX_TRIALS,
                successes: 0,
            },
            Phase::HalfOpen {
                in_flight: 0,
                successes: MAX_TRIALS,
            },
        ];
        for phase in phases {
            for generation in [0, 1, GENERATION_MASK] {
                let word = Word::new(generation, phase);
                assert_eq!((word.generation(), word.phase()), (generation, phase));
            }
        }
    }

    #[test]
    fn the_generation_wraps_without_touching_the_tag() {
        let last = Word::new(
            GENERATION_MASK,
            Phase::Open {
                held: false,
                published: true,
            },
        );
        let next = last.next(Phase::HalfOpen {
            in_flight: 1,
            successes: 0,
        });
        assert_eq!(next.generation(), 0);
        assert_eq!(
            next.phase(),
            Phase::HalfOpen {
                in_flight: 1,
                successes: 0
            }
        );
    }
}
