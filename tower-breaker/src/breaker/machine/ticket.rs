//! What an admitted call carries with it.

use std::fmt;

use crate::breaker::leases::Lease;

/// What an admitted call must show when it reports its result.
///
/// Two whole words: a call moves its ticket about a few times, and a word that is written in parts and then read as a whole
/// makes a processor wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::breaker) struct Ticket {
    // `bits 0..30` generation, `32..34` standing, `34` taken during a panic, `40..48` the cell of a trial's lease.
    bits: u64,
    // What is in that cell.
    held: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::breaker) enum Standing {
    Call,
    Trial(Option<Lease>),
    /// Admitted although it would have been refused: a dry run. Decides nothing.
    Shadow,
}

const TRIAL: u64 = 1 << 32;
const TRIAL_WITH_LEASE: u64 = 2 << 32;
const SHADOW: u64 = 3 << 32;
const STANDING: u64 = 3 << 32;
const IN_PANIC_SHIFT: u32 = 34;
const CELL_SHIFT: u32 = 40;

impl Ticket {
    #[inline]
    pub(in crate::breaker) fn call(generation: u32) -> Self {
        Self {
            bits: u64::from(generation),
            held: 0,
        }
    }

    pub(in crate::breaker) fn trial(generation: u32, lease: Option<Lease>) -> Self {
        match lease {
            Some(Lease { cell, held }) => Self {
                bits: u64::from(generation) | TRIAL_WITH_LEASE | u64::from(cell) << CELL_SHIFT,
                held,
            },
            None => Self {
                bits: u64::from(generation) | TRIAL,
                held: 0,
            },
        }
    }

    pub(in crate::breaker) fn shadow() -> Self {
        Self {
            bits: SHADOW,
            held: 0,
        }
    }

    #[inline]
    pub(in crate::breaker) fn generation(self) -> u32 {
        self.bits as u32
    }

    #[inline]
    pub(in crate::breaker) fn standing(self) -> Standing {
        match self.bits & STANDING {
            0 => Standing::Call,
            TRIAL => Standing::Trial(None),
            TRIAL_WITH_LEASE => Standing::Trial(Some(Lease {
                cell: (self.bits >> CELL_SHIFT) as u8,
                held: self.held,
            })),
            _ => Standing::Shadow,
        }
    }

    /// Notes whether its thread was panicking already when it got it.
    #[inline]
    pub(in crate::breaker) fn in_panic(self, in_panic: bool) -> Self {
        Self {
            bits: self.bits | u64::from(in_panic) << IN_PANIC_SHIFT,
            ..self
        }
    }

    #[inline]
    pub(in crate::breaker) fn was_in_panic(self) -> bool {
        self.bits >> IN_PANIC_SHIFT & 1 != 0
    }

    /// An ordinary call: anything else has bits above the generation.
    #[inline]
    pub(in crate::breaker) fn is_call(self) -> bool {
        self.bits <= u64::from(u32::MAX)
    }

    #[inline]
    pub(in crate::breaker) fn is_trial(self) -> bool {
        matches!(self.bits & STANDING, TRIAL | TRIAL_WITH_LEASE)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {:?}", self.generation(), self.standing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::word::GENERATION_MASK;

    #[test]
    fn a_ticket_is_what_it_was_made_as() {
        let lease = Lease {
            cell: u8::MAX,
            held: u64::MAX,
        };
        for generation in [0, 1, GENERATION_MASK] {
            let call = Ticket::call(generation);
            assert_eq!(call.standing(), Standing::Call);
            assert!(call.is_call() && !call.is_trial());
            for lease in [None, Some(lease)] {
                let trial = Ticket::trial(generation, lease);
                assert_eq!(trial.standing(), Standing::Trial(lease));
                assert_eq!(trial.generation(), generation);
                assert!(trial.is_trial() && !trial.is_call());
            }
        }
        let shadow = Ticket::shadow();
        assert_eq!(shadow.standing(), Standing::Shadow);
        // Not even of the first episode, whose generation it shows.
        assert!(!shadow.is_call() && !shadow.is_trial());
    }
}
