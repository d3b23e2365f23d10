//! The state word: everything that decides about a call, in one atomic.
//!
//! ```text
//! bits 62..64  tag         closed, open, half-open, closed with a duty (ramping, or held by hand)
//! bits 32..62  generation  one more with every transition
//! bits  0..32  payload     closed:    failures in a row (20) | next attempt (6) | fresh (1) | duty (3)
//!                          open:      attempt (6) | held (1) | deadline published (1)
//!                          half-open: in flight (8) | succeeded (8) | failed (8) | attempt (6)
//! ```
//!
//! Because a transition changes the generation in the same instruction that changes the state, there is no moment in which
//! an admission or a result could mistake one episode for another. A plain closed circuit has a tag of its own, zero, so that an
//! admission is one load and one comparison.

use std::fmt;

const GENERATION_BITS: u32 = 30;
pub(super) const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;
const TAG_SHIFT: u32 = 62;
const GENERATION_SHIFT: u32 = 32;

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
const CLOSED_WITH_DUTY: u64 = 3;

const FAILURES_BITS: u32 = 20;
const FAILURES_MASK: u32 = (1 << FAILURES_BITS) - 1;
const ATTEMPT_MASK: u32 = 0b11_1111;
const FRESH: u32 = 1 << 26;
const DUTY_SHIFT: u32 = 27;
const HELD: u32 = 1 << 31;
const PUBLISHED: u32 = 1 << 30;

/// The largest count of consecutive failures that the word can hold; it stays there.
pub(super) const MAX_CONSECUTIVE: u32 = FAILURES_MASK;
/// The largest number of trials that the word can count.
pub(super) const MAX_TRIALS: u32 = u8::MAX as u32;
/// The largest number of failed recoveries that the word can count; it stays there.
pub(super) const MAX_ATTEMPT: u32 = ATTEMPT_MASK;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// What a closed circuit has to do besides letting calls pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Nothing: the rules alone decide.
    Rules,
    /// The rules decide, but only a growing share of the calls is admitted.
    Ramp,
    /// Held by hand: results decide nothing.
    Hold,
    /// Held by hand until the deadline, which may be read once it is `published`.
    HoldUntil { published: bool },
    /// Switched off.
    Disabled,
}

/// A word taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// `next`: which attempt the next opening is, if it comes too soon. `fresh`: the windows still hold an earlier episode.
    Closed {
        failures: u32,
        next: u32,
        fresh: bool,
        duty: Duty,
    },
    /// `held`: by hand, with no deadline. `published`: the deadline may be read.
    Open {
        held: bool,
        published: bool,
        attempt: u32,
    },
    HalfOpen {
        in_flight: u32,
        successes: u32,
        failures: u32,
        attempt: u32,
    },
}

impl Duty {
    fn pack(self) -> u32 {
        match self {
            Self::Rules => 0,
            Self::Ramp => 1,
            Self::Hold => 2,
            Self::HoldUntil { published: false } => 3,
            Self::HoldUntil { published: true } => 4,
            Self::Disabled => 5,
        }
    }

    fn unpack(bits: u32) -> Self {
        match bits {
            0 => Self::Rules,
            1 => Self::Ramp,
            2 => Self::Hold,
            3 => Self::HoldUntil { published: false },
            4 => Self::HoldUntil { published: true },
            _ => Self::Disabled,
        }
    }

    /// Whether results feed the rules.
    pub(super) fn is_ruled(self) -> bool {
        matches!(self, Self::Rules | Self::Ramp)
    }
}

impl Word {
    #[inline]
    pub(super) fn new(generation: u32, phase: Phase) -> Self {
        let (tag, payload) = match phase {
            Phase::Closed {
                failures,
                next,
                fresh,
                duty,
            } => {
                let tag = match duty {
                    Duty::Rules => CLOSED,
                    _ => CLOSED_WITH_DUTY,
                };
                let payload = failures
                    | next << FAILURES_BITS
                    | flag(fresh, FRESH)
                    | duty.pack() << DUTY_SHIFT;
                (tag, payload)
            }
            Phase::Open {
                held,
                published,
                attempt,
            } => (
                OPEN,
                flag(held, HELD) | flag(published, PUBLISHED) | attempt,
            ),
            Phase::HalfOpen {
                in_flight,
                successes,
                failures,
                attempt,
            } => (
                HALF_OPEN,
                in_flight | successes << 8 | failures << 16 | attempt << 24,
            ),
        };
        let generation = u64::from(generation & GENERATION_MASK);
        Self(tag << TAG_SHIFT | generation << GENERATION_SHIFT | u64::from(payload))
    }

    #[inline]
    pub(super) fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32 & GENERATION_MASK
    }

    /// Closed, and with nothing to ask but the rules.
    #[inline]
    pub(super) fn is_plainly_closed(self) -> bool {
        self.0 >> TAG_SHIFT == CLOSED
    }

    /// Open, not held, and with a deadline that may be read.
    #[inline]
    pub(super) fn is_waiting(self) -> bool {
        const LOOKED_AT: u64 = 0b11 << TAG_SHIFT | (HELD | PUBLISHED) as u64;
        self.0 & LOOKED_AT == OPEN << TAG_SHIFT | PUBLISHED as u64
    }

    #[inline]
    pub(super) fn is_half_open(self) -> bool {
        self.0 >> TAG_SHIFT == HALF_OPEN
    }

    /// Plainly closed in this very episode, with windows that are its own, and no failure since the last success.
    #[inline]
    pub(super) fn is_untroubled(self, generation: u32) -> bool {
        let untroubled = self.0 as u32 & (FAILURES_MASK | FRESH) == 0;
        // The tag of a plainly closed word is zero, so this compares it too.
        untroubled && (self.0 >> GENERATION_SHIFT) as u32 == generation
    }

    /// Whether a result of this generation feeds the windows.
    #[inline]
    pub(super) fn feeds_windows(self, generation: u32) -> bool {
        if self.0 as u32 & FRESH == 0 && (self.0 >> GENERATION_SHIFT) as u32 == generation {
            return true;
        }
        self.generation() == generation
            && matches!(self.phase(), Phase::Closed { fresh: false, duty, .. } if duty.is_ruled())
    }

    pub(super) fn phase(self) -> Phase {
        let payload = self.0 as u32;
        match self.0 >> TAG_SHIFT {
            OPEN => Phase::Open {
                held: payload & HELD != 0,
                published: payload & PUBLISHED != 0,
                attempt: payload & ATTEMPT_MASK,
            },
            HALF_OPEN => Phase::HalfOpen {
                in_flight: payload & 0xFF,
                successes: payload >> 8 & 0xFF,
                failures: payload >> 16 & 0xFF,
                attempt: payload >> 24 & ATTEMPT_MASK,
            },
            _ => Phase::Closed {
                failures: payload & FAILURES_MASK,
                next: payload >> FAILURES_BITS & ATTEMPT_MASK,
                fresh: payload & FRESH != 0,
                duty: Duty::unpack(payload >> DUTY_SHIFT & 0b111),
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

    fn closed(failures: u32, next: u32, fresh: bool, duty: Duty) -> Phase {
        Phase::Closed {
            failures,
            next,
            fresh,
            duty,
        }
    }

    #[test]
    fn every_phase_survives_the_round_trip_with_extreme_values() {
        let mut phases = vec![
            closed(0, 0, false, Duty::Rules),
            closed(MAX_CONSECUTIVE, MAX_ATTEMPT, true, Duty::Rules),
            closed(MAX_CONSECUTIVE, 0, false, Duty::Ramp),
            closed(0, MAX_ATTEMPT, true, Duty::Hold),
            closed(1, 2, false, Duty::HoldUntil { published: false }),
            closed(1, 2, true, Duty::HoldUntil { published: true }),
            closed(1, 2, true, Duty::Disabled),
        ];
        for (held, published, attempt) in [(false, true, 0), (true, false, MAX_ATTEMPT)] {
            phases.push(Phase::Open {
                held,
                published,
                attempt,
            });
        }
        for at in 0..3 {
            let max = |this| if this == at { MAX_TRIALS } else { 0 };
            phases.push(Phase::HalfOpen {
                in_flight: max(0),
                successes: max(1),
                failures: max(2),
                attempt: MAX_ATTEMPT,
            });
        }
        for phase in phases {
            for generation in [0, 1, GENERATION_MASK] {
                let word = Word::new(generation, phase);
                assert_eq!((word.generation(), word.phase()), (generation, phase));
            }
        }
    }

    #[test]
    fn only_a_plain_closed_word_of_the_generation_is_untroubled() {
        let word = |phase| Word::new(5, phase);
        let plain = word(closed(0, 3, false, Duty::Rules));
        assert!(plain.is_untroubled(5) && plain.is_plainly_closed() && plain.feeds_windows(5));
        assert!(!plain.is_untroubled(6) && !plain.feeds_windows(4));
        assert!(!word(closed(1, 0, false, Duty::Rules)).is_untroubled(5));
        assert!(word(closed(1, 0, false, Duty::Rules)).feeds_windows(5));
        let fresh = word(closed(0, 0, true, Duty::Rules));
        assert!(!fresh.is_untroubled(5) && !fresh.feeds_windows(5));
        let ramp = word(closed(0, 0, false, Duty::Ramp));
        assert!(!ramp.is_untroubled(5) && ramp.feeds_windows(5));
        assert!(!word(closed(0, 0, false, Duty::Hold)).feeds_windows(5));
        let open = word(Phase::Open {
            held: false,
            published: false,
            attempt: 0,
        });
        assert!(!open.is_untroubled(5) && !open.feeds_windows(5) && !open.is_plainly_closed());
        // Generations go round, so there is an open circuit of each.
        let phase = open.phase();
        for generation in [0, 1, GENERATION_MASK] {
            let open = Word::new(generation, phase);
            assert!(!open.is_untroubled(generation) && !open.feeds_windows(generation));
        }
    }

    #[test]
    fn the_generation_wraps_without_touching_the_tag() {
        let last = Word::new(GENERATION_MASK, closed(1, 2, false, Duty::Ramp));
        let next = last.next(Phase::HalfOpen {
            in_flight: 1,
            successes: 0,
            failures: 0,
            attempt: 0,
        });
        assert_eq!(next.generation(), 0);
        assert!(matches!(next.phase(), Phase::HalfOpen { in_flight: 1, .. }));
    }
}
