//! The last N calls, lock-free.
//!
//! A ring of N slots holds one outcome each, and one word holds where the next outcome goes and how many of the outcomes
//! are failures. Recording reads the slot that is about to be forgotten, moves the word on by one compare-and-swap that
//! adds the new outcome and takes away the forgotten one, and then writes the slot (not even that if it would not change:
//! in a run of successes a record costs one read-modify-write).
//!
//! So the word's total is exact at every step, as long as nobody is overtaken by a whole lap of the ring between the two.
//! If somebody is, the slot does not hold what its next user assumed; whoever finds that out corrects the total by the
//! difference. The total is therefore always the sum of the slots plus what is in flight, and never drifts. It may be
//! negative for a moment, which is why it is signed.
//!
//! The window belongs to one generation of the state word. The first record of a newer generation starts it afresh, without
//! touching the slots: their own generation tag says that they are of the past. A record of an older generation is refused.

use super::Tally;
use crate::{
    breaker::word::GENERATION_MASK,
    sync::{AtomicU32, AtomicU64, Ordering},
};

/// The largest window.
pub(in crate::breaker) const MAX_CALLS: u32 = 100_000;

pub(in crate::breaker) struct CountWindow {
    head: AtomicU64,
    slots: Box<[AtomicU32]>,
}

impl CountWindow {
    pub(in crate::breaker) fn new(calls: u32) -> Self {
        Self {
            head: AtomicU64::new(Head::start(0).pack()),
            slots: (0..calls).map(|_| AtomicU32::new(Slot::NEVER.0)).collect(),
        }
    }

    pub(in crate::breaker) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Records an outcome and gives what the window holds with it; `None` if the window has moved on to a newer generation.
    pub(in crate::breaker) fn record(&self, generation: u32, failed: bool) -> Option<Tally> {
        let mut seen = self.head.load(Ordering::Acquire);
        loop {
            let mut head = Head::unpack(seen);
            if head.generation != short(generation) {
                if is_just_before(generation, head.generation) {
                    return None;
                }
                head = Head::start(generation);
            }
            let slot = &self.slots[head.position as usize];
            let forgotten = Slot(slot.load(Ordering::Acquire));
            let new = Slot::new(generation, failed);
            let next = head.advance(
                self.len(),
                new.failures_in(generation) - forgotten.failures_in(generation),
            );
            match self.head.compare_exchange_weak(
                seen,
                next.pack(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    self.replace(slot, forgotten, new, generation);
                    return Some(next.tally(self.len()));
                }
                Err(actual) => seen = actual,
            }
        }
    }

    fn replace(&self, slot: &AtomicU32, mut assumed: Slot, new: Slot, generation: u32) {
        // An outcome equal to the forgotten one added nothing to the total, so writing nothing keeps the sum.
        while assumed != new {
            match slot.compare_exchange(assumed.0, new.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(actual) => {
                    let actual = Slot(actual);
                    if actual != Slot::NEVER && is_just_before(generation, actual.generation()) {
                        return;
                    }
                    self.correct(
                        generation,
                        assumed.failures_in(generation) - actual.failures_in(generation),
                    );
                    assumed = actual;
                }
            }
        }
    }

    fn correct(&self, generation: u32, difference: i32) {
        if difference == 0 {
            return;
        }
        let mut seen = self.head.load(Ordering::Acquire);
        loop {
            let mut head = Head::unpack(seen);
            if head.generation != short(generation) {
                return;
            }
            head.failures += difference;
            match self.head.compare_exchange_weak(
                seen,
                head.pack(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return,
                Err(actual) => seen = actual,
            }
        }
    }

    /// What the window holds for this generation.
    pub(in crate::breaker) fn tally(&self, generation: u32) -> Tally {
        let head = Head::unpack(self.head.load(Ordering::Acquire));
        if head.generation == short(generation) {
            head.tally(self.len())
        } else {
            Tally {
                calls: 0,
                failures: 0,
            }
        }
    }

    /// The total, and what it must be when nobody is recording: the failures in the slots.
    #[cfg(test)]
    pub(in crate::breaker) fn audit(&self, generation: u32) -> (i32, i32) {
        let in_slots = self
            .slots
            .iter()
            .map(|slot| Slot(slot.load(Ordering::Acquire)).failures_in(generation));
        (
            Head::unpack(self.head.load(Ordering::Acquire)).failures,
            in_slots.sum(),
        )
    }
}

const SHORT_BITS: u32 = 27;
const POSITION_BITS: u32 = 17;
const FAILURES_BITS: u32 = 19;

// What of the generation fits into the head.
fn short(generation: u32) -> u32 {
    generation & ((1 << SHORT_BITS) - 1)
}

// Whether `a` ended when `b` began, or a little earlier. Only such a generation can still have a record on its way. One
// that seems to be far behind is ahead: the window is not told of the transitions of a long outage, which may be millions.
fn is_just_before(a: u32, b: u32) -> bool {
    let behind = short(b.wrapping_sub(a));
    behind != 0 && behind < 1 << 16
}

/// `bits 37..64` generation, `36` whether the ring has been filled once, `19..36` position, `0..19` failures (signed).
#[derive(Clone, Copy)]
struct Head {
    generation: u32,
    filled: bool,
    position: u32,
    failures: i32,
}

impl Head {
    fn start(generation: u32) -> Self {
        Self {
            generation: short(generation),
            filled: false,
            position: 0,
            failures: 0,
        }
    }

    fn advance(self, len: u32, failures: i32) -> Self {
        let last = self.position + 1 == len;
        Self {
            generation: self.generation,
            filled: self.filled || last,
            position: if last { 0 } else { self.position + 1 },
            failures: self.failures + failures,
        }
    }

    fn tally(self, len: u32) -> Tally {
        let calls = if self.filled { len } else { self.position };
        Tally {
            calls,
            failures: (self.failures.max(0) as u32).min(calls),
        }
    }

    fn pack(self) -> u64 {
        let failures = self.failures as u32 & ((1 << FAILURES_BITS) - 1);
        u64::from(self.generation) << (64 - SHORT_BITS)
            | u64::from(self.filled) << (FAILURES_BITS + POSITION_BITS)
            | u64::from(self.position) << FAILURES_BITS
            | u64::from(failures)
    }

    fn unpack(word: u64) -> Self {
        let unused = 32 - FAILURES_BITS;
        Self {
            generation: (word >> (64 - SHORT_BITS)) as u32,
            filled: word >> (FAILURES_BITS + POSITION_BITS) & 1 == 1,
            position: (word >> FAILURES_BITS) as u32 & ((1 << POSITION_BITS) - 1),
            // Shifting up and down again extends the sign.
            failures: ((word as u32) << unused) as i32 >> unused,
        }
    }
}

/// `bits 2..32` generation, `0` failed. Bit 1 is for the slow-call rule.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot(u32);

impl Slot {
    // Of the last generation before the counter wraps, and no outcome that can be recorded.
    const NEVER: Self = Self(u32::MAX);

    fn new(generation: u32, failed: bool) -> Self {
        Self((generation & GENERATION_MASK) << 2 | u32::from(failed))
    }

    fn generation(self) -> u32 {
        self.0 >> 2
    }

    fn failures_in(self, generation: u32) -> i32 {
        i32::from(self.0 & 0b11 == 1 && self.generation() == generation & GENERATION_MASK)
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use std::{collections::VecDeque, sync::Barrier, thread};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_outcome_is_forgotten_first() {
        let window = CountWindow::new(4);
        for (failed, failures) in [
            (true, 1),
            (false, 1),
            (false, 1),
            (false, 1),
            (false, 0),
            (true, 1),
            (true, 2),
            (true, 3),
            (false, 3),
            (false, 2),
        ] {
            assert_eq!(window.record(7, failed).unwrap().failures, failures);
        }
    }

    #[test]
    fn an_older_generation_is_refused_and_a_newer_one_starts_afresh() {
        let window = CountWindow::new(3);
        for _ in 0..5 {
            window.record(4, true);
        }
        assert_eq!(
            window.record(5, false),
            Some(Tally {
                calls: 1,
                failures: 0
            })
        );
        assert_eq!(window.record(4, true), None);
        assert_eq!(
            window.tally(5),
            Tally {
                calls: 1,
                failures: 0
            }
        );
        assert_eq!(
            window.tally(4),
            Tally {
                calls: 0,
                failures: 0
            }
        );
    }

    #[test]
    fn an_outage_of_millions_of_transitions_does_not_stop_the_window() {
        let window = CountWindow::new(3);
        let mut generation = 0_u32;
        for distance in [
            1,
            1 << 20,
            1 << 25,
            1 << 26,
            (1 << 27) - (1 << 16),
            (1 << 29) + 1,
        ] {
            generation = generation.wrapping_add(distance) & GENERATION_MASK;
            let expected = Tally {
                calls: 1,
                failures: 1,
            };
            assert_eq!(
                window.record(generation, true),
                Some(expected),
                "after {distance}"
            );
        }
    }

    #[test]
    fn the_head_survives_the_round_trip_with_extreme_values() {
        for failures in [-200_000, -1, 0, 1, 200_000] {
            let head = Head {
                generation: short(u32::MAX),
                filled: true,
                position: MAX_CALLS - 1,
                failures,
            };
            let back = Head::unpack(head.pack());
            assert_eq!(
                (back.generation, back.filled, back.position, back.failures),
                (head.generation, true, MAX_CALLS - 1, failures)
            );
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_queue(len in 1u32..40, outcomes in prop::collection::vec((any::<bool>(), 0u32..20), 0..300)) {
            let window = CountWindow::new(len);
            let mut queue = VecDeque::new();
            let mut generation = 0;
            for (failed, dice) in outcomes {
                if dice == 0 {
                    generation += 1;
                    queue.clear();
                }
                queue.push_back(failed);
                if queue.len() > len as usize {
                    queue.pop_front();
                }
                let failures = queue.iter().filter(|failed| **failed).count() as u32;
                prop_assert_eq!(window.record(generation, failed), Some(Tally { calls: queue.len() as u32, failures }));
            }
        }
    }

    #[test]
    fn totals_do_not_drift_when_threads_overtake_each_other() {
        for len in [1, 2, 3, 7, 64] {
            let window = CountWindow::new(len);
            let start = Barrier::new(2);
            thread::scope(|scope| {
                for thread in 0..2u32 {
                    let (window, start) = (&window, &start);
                    scope.spawn(move || {
                        start.wait();
                        for call in 0..100_000u32 {
                            window.record(call / 10_000, (call ^ thread) % 3 == 0);
                        }
                    });
                }
            });
            let (total, in_slots) = window.audit(9);
            assert_eq!(total, in_slots, "window of {len}");
            assert_eq!(window.tally(9).calls, len);
        }
    }
}
