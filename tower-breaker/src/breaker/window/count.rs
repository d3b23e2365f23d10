//! The last N calls, lock-free and exact.
//!
//! One word, the head, holds where the next result goes, how many of the results in the window are failures and how many
//! are slow, and the latest results themselves, up to a *chunk* of them. The results before those lie in a ring of slots, a
//! chunk in each. Recording is one compare-and-swap of the head, which adds the new result and takes away the one that it
//! pushes out; that one is in the slot of the chunk being replaced.
//!
//! For that the slot must have been written, a lap ago. It is written by whoever comes first after its chunk became complete:
//! nobody moves the head into the next chunk before he has made sure of it ("helping"). A helper that comes late must not
//! write over a newer lap, so he compares: he reads the slot, makes sure that the head has not moved, and swaps the slot only
//! if it still holds what he read. Slots carry the generation and the lap, so what they hold never comes back.
//!
//! So the totals in the head are those of the last N results at every single step, and a rule that is evaluated on what a record
//! gives is evaluated on the window as of that very result, whatever other threads do. (An earlier design that wrote slots
//! after the head had moved was off by one while a recorder was suspended; see `a_rate_that_no_interleaving_reaches_never_trips`.)
//!
//! The head could come back to a value that it had only after a multiple of 2^25 records or more, all of them while one recorder
//! is suspended between two instructions.

use super::{Mark, Tally};
use crate::sync::{AtomicU64, Ordering, give_way};

/// The largest window.
pub(in crate::breaker) const MAX_CALLS: u32 = 100_000;

const LARGEST_CHUNK: u32 = 8;
// Position and lap together, at least: how many records it takes for a head to come back.
const SEQUENCE_BITS: u32 = 25;

pub(in crate::breaker) struct CountWindow {
    head: AtomicU64,
    slots: Box<[AtomicU64]>,
    layout: Layout,
}

impl CountWindow {
    pub(in crate::breaker) fn new(calls: u32) -> Self {
        let layout = Layout::new(calls);
        let slots = calls.div_ceil(layout.chunk());
        Self {
            head: AtomicU64::new(layout.pack(Head::default())),
            slots: (0..slots).map(|_| AtomicU64::new(Slot::NEVER)).collect(),
            layout,
        }
    }

    /// Records a result and gives what the window holds with it. `None` if it is not `current` any more, or if it can have
    /// raised no rate.
    #[inline]
    pub(in crate::breaker) fn record(
        &self,
        generation: u32,
        mark: Mark,
        current: impl Fn() -> bool,
    ) -> Option<Tally> {
        let mut seen = self.head.load(Ordering::Acquire);
        let mut lost = 0;
        loop {
            if !current() {
                return None;
            }
            let Some(next) = self.after(seen, generation, bits(mark)) else {
                seen = self.head.load(Ordering::Acquire);
                continue;
            };
            match self
                .head
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                // With a full window, a success can only have lowered the rates.
                Ok(_) if bits(mark) == 0 && self.layout.is_filled(seen) => return None,
                Ok(_) => return Some(self.layout.tally(next)),
                Err(_) => {
                    give_way(lost);
                    lost += 1;
                    seen = self.head.load(Ordering::Acquire);
                }
            }
        }
    }

    /// Records a success in a full window, which can have raised no rate, as long as it is `current`. Tries once: `false` if
    /// nothing was recorded.
    ///
    /// Inlined is the case that nothing but successes is in the window, and that the head is in the middle of a chunk: then all
    /// that changes is the position, whatever is pushed out.
    #[inline]
    pub(in crate::breaker) fn step(&self, generation: u32, current: impl FnOnce() -> bool) -> bool {
        let layout = &self.layout;
        let seen = self.head.load(Ordering::Acquire);
        if !layout.is_filled(seen) || !current() {
            return false;
        }
        if seen & layout.hits_mask != 0 || !layout.is_in_the_middle(seen) {
            return self.step_from(seen, generation);
        }
        let next = seen.wrapping_add(layout.one_further);
        let moved = self
            .head
            .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire);
        if moved.is_err() {
            give_way_once();
        }
        moved.is_ok()
    }

    #[inline(never)]
    fn step_from(&self, seen: u64, generation: u32) -> bool {
        self.after(seen, generation, 0).is_some_and(|next| {
            self.head
                .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        })
    }

    // The head after `seen` and one more result, for which the chunk before must lie in its slot. `None`: look again.
    #[inline]
    fn after(&self, seen: u64, generation: u32, new: u32) -> Option<u64> {
        let layout = &self.layout;
        let position = layout.position(seen);
        let within = position & (layout.chunk() - 1);
        if within == 0 && !self.finish_chunk(generation, seen) {
            return None;
        }
        let pushed_out = if layout.is_filled(seen) {
            let slot = self.slot_of(position).load(Ordering::Acquire);
            Slot::mark(slot, within)
        } else {
            0
        };
        Some(if layout.is_in_the_middle(seen) {
            layout.advance(seen, within, new, pushed_out)
        } else {
            let next = layout.unpack(seen).advance(layout, within, new, pushed_out);
            layout.pack(next)
        })
    }

    #[inline]
    fn slot_of(&self, position: u32) -> &AtomicU64 {
        &self.slots[(position >> self.layout.chunk_shift) as usize]
    }

    // Makes sure that the chunk before the head's position, which is complete, lies in its slot. `false`: look again.
    #[inline(never)]
    fn finish_chunk(&self, generation: u32, seen: u64) -> bool {
        let head = self.layout.unpack(seen);
        // What is complete: of this lap, or the last chunk of the lap before, which may be a short one.
        let (position, lap) = match head.position.checked_sub(1) {
            Some(before) => (before, head.lap),
            None if head.filled => (
                self.layout.calls - 1,
                head.lap.wrapping_sub(1) & self.layout.lap_mask(),
            ),
            None => return true,
        };
        let slot = self.slot_of(position);
        let old = slot.load(Ordering::Acquire);
        if self.head.load(Ordering::Acquire) != seen {
            return false;
        }
        let new = Slot::pack(generation, lap, head.recent);
        // If the swap fails, somebody else has been here; but not always to the same end: he may be a helper of the last episode
        // who comes late. So it is looked at again.
        old == new
            || slot
                .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// Begins afresh, as long as it is `called_for`. Called before results of the new episode are recorded.
    pub(in crate::breaker) fn clear(&self, called_for: impl Fn() -> bool) {
        let mut seen = self.head.load(Ordering::Acquire);
        while called_for() {
            // The lap goes on, so that nobody takes the new head for one he has seen.
            let next = Head {
                lap: self.layout.unpack(seen).lap.wrapping_add(1) & self.layout.lap_mask(),
                ..Head::default()
            };
            match self.head.compare_exchange(
                seen,
                self.layout.pack(next),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return,
                Err(actual) => seen = actual,
            }
        }
    }

    /// What the window holds.
    pub(in crate::breaker) fn tally(&self) -> Tally {
        self.layout.tally(self.head.load(Ordering::Acquire))
    }
}

#[cold]
#[inline(never)]
fn give_way_once() {
    give_way(0);
}

fn bits(mark: Mark) -> u32 {
    u32::from(mark.failed) | u32::from(mark.slow) << 1
}

/// How the head is divided, which depends on the size of the window. From below: failures, slow, position (`width` bits
/// each), filled (1), the latest results (2 for each of a chunk), and the lap in what is left.
#[derive(Debug, Clone, Copy)]
struct Layout {
    calls: u32,
    width: u32,
    chunk_shift: u32,
    // What follows from the width, worked out once.
    mask: u32,
    position_shift: u32,
    one_further: u64,
    filled: u64,
    // Of failures and slow calls.
    hits_mask: u64,
    position_mask: u64,
    last_position: u64,
    // Of the part of the position within its chunk.
    within_mask: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Head {
    failures: u32,
    slow: u32,
    position: u32,
    // Whether the ring has been filled once since it began afresh.
    filled: bool,
    // Two bits for each result of the chunk that the position is in, or of the complete one before if it is at its start.
    recent: u32,
    lap: u64,
}

impl Layout {
    fn new(calls: u32) -> Self {
        // Wide enough for the number of calls itself.
        let width = u32::BITS - calls.leading_zeros();
        let mut chunk = LARGEST_CHUNK;
        while 3 * width + 1 + 2 * chunk + SEQUENCE_BITS.saturating_sub(width) > u64::BITS {
            chunk /= 2;
        }
        Self {
            calls,
            width,
            chunk_shift: chunk.trailing_zeros(),
            mask: (1 << width) - 1,
            position_shift: 2 * width,
            one_further: 1 << (2 * width),
            filled: 1 << (3 * width),
            hits_mask: (1 << (2 * width)) - 1,
            position_mask: ((1 << width) - 1) << (2 * width),
            last_position: u64::from(calls - 1) << (2 * width),
            // A small ring has positions for a part of a chunk only.
            within_mask: u64::from((chunk - 1) & ((1 << width) - 1)) << (2 * width),
        }
    }

    #[inline]
    fn chunk(&self) -> u32 {
        1 << self.chunk_shift
    }

    #[inline]
    fn lap_shift(&self) -> u32 {
        3 * self.width + 1 + (2 << self.chunk_shift)
    }

    #[inline]
    fn lap_mask(&self) -> u64 {
        u64::MAX >> self.lap_shift()
    }

    #[inline]
    fn field(&self, word: u64, at: u32) -> u32 {
        (word >> (at * self.width)) as u32 & self.mask
    }

    #[inline]
    fn position(&self, word: u64) -> u32 {
        (word >> self.position_shift) as u32 & self.mask
    }

    #[inline]
    fn is_filled(&self, word: u64) -> bool {
        word & self.filled != 0
    }

    // Neither at the beginning of a chunk nor before the end of the ring.
    #[inline]
    fn is_in_the_middle(&self, word: u64) -> bool {
        word & self.within_mask != 0 && word & self.position_mask != self.last_position
    }

    #[inline]
    fn tally(&self, word: u64) -> Tally {
        Tally {
            calls: if self.is_filled(word) {
                self.calls
            } else {
                self.position(word)
            },
            failures: self.field(word, 0),
            slow: self.field(word, 1),
        }
    }

    /// [`Head::advance`] on the word as it is, in the middle of a chunk, where no field overflows into the next.
    #[inline]
    fn advance(&self, word: u64, within: u32, new: u32, pushed_out: u32) -> u64 {
        if new | pushed_out == 0 {
            return word.wrapping_add(self.one_further);
        }
        // What is pushed out was added before, unless the slot is of a later lap: see `Head::advance`.
        let spread = |bits: u32| u64::from(bits & 1) | u64::from(bits >> 1) << self.width;
        word.wrapping_add(spread(new))
            .wrapping_sub(spread(pushed_out))
            .wrapping_add(self.one_further)
            .wrapping_add(u64::from(new) << (3 * self.width + 1 + 2 * within))
    }

    #[inline]
    fn pack(&self, head: Head) -> u64 {
        u64::from(head.failures)
            | u64::from(head.slow) << self.width
            | u64::from(head.position) << (2 * self.width)
            | u64::from(head.filled) << (3 * self.width)
            | u64::from(head.recent) << (3 * self.width + 1)
            | head.lap << self.lap_shift()
    }

    #[inline]
    fn unpack(&self, word: u64) -> Head {
        let recent_mask = ((1_u64 << (2 << self.chunk_shift)) - 1) as u32;
        Head {
            failures: self.field(word, 0),
            slow: self.field(word, 1),
            position: self.position(word),
            filled: self.is_filled(word),
            recent: (word >> (3 * self.width + 1)) as u32 & recent_mask,
            lap: word >> self.lap_shift(),
        }
    }
}

impl Head {
    #[inline]
    fn advance(self, layout: &Layout, within: u32, new: u32, pushed_out: u32) -> Self {
        let is_last = self.position + 1 == layout.calls;
        let before = if within == 0 { 0 } else { self.recent };
        Self {
            // What is pushed out was added before, unless the slot is of a later lap than this head; then the head has moved on,
            // and what comes out here is thrown away.
            failures: (self.failures + (new & 1)).wrapping_sub(pushed_out & 1),
            slow: (self.slow + (new >> 1)).wrapping_sub(pushed_out >> 1),
            position: if is_last { 0 } else { self.position + 1 },
            filled: self.filled || is_last,
            recent: before | new << (2 * within),
            lap: if is_last {
                self.lap.wrapping_add(1) & layout.lap_mask()
            } else {
                self.lap
            },
        }
    }
}

/// A chunk of results: `bits 50..64` what fits of the generation, `16..50` of the lap, `0..16` the results.
struct Slot;

impl Slot {
    // If a chunk could be written that looks like this (after 2^34 laps), it would be in its slot already.
    const NEVER: u64 = u64::MAX;
    const LAP_BITS: u32 = 34;

    fn pack(generation: u32, lap: u64, recent: u32) -> u64 {
        let lap = lap & ((1 << Self::LAP_BITS) - 1);
        u64::from(generation) << (16 + Self::LAP_BITS) | lap << 16 | u64::from(recent)
    }

    #[inline]
    fn mark(slot: u64, within: u32) -> u32 {
        (slot >> (2 * within)) as u32 & 0b11
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use std::{
        collections::{HashSet, VecDeque},
        sync::Barrier,
        thread,
    };

    use proptest::prelude::*;

    use super::*;

    const OK: Mark = Mark {
        failed: false,
        slow: false,
    };
    const FAILED: Mark = Mark {
        failed: true,
        slow: false,
    };

    fn record(window: &CountWindow, mark: Mark) -> Tally {
        if mark == OK && window.step(7, || true) {
            return window.tally();
        }
        window
            .record(7, mark, || true)
            .unwrap_or_else(|| window.tally())
    }

    #[test]
    fn the_oldest_result_is_forgotten_first() {
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
            let mark = Mark { failed, ..OK };
            assert_eq!(record(&window, mark).failures, failures);
        }
    }

    #[test]
    fn a_result_that_is_not_current_is_refused_and_clearing_begins_afresh() {
        let window = CountWindow::new(3);
        for _ in 0..5 {
            record(&window, FAILED);
        }
        assert_eq!(window.record(7, FAILED, || false), None);
        assert!(!window.step(7, || false));
        window.clear(|| false);
        assert_eq!(window.tally().failures, 3);
        window.clear(|| true);
        assert_eq!(window.tally(), Tally::default());
        let expected = Tally {
            calls: 1,
            failures: 0,
            slow: 0,
        };
        assert_eq!(window.record(8, OK, || true), Some(expected));
    }

    #[test]
    fn every_layout_has_room_for_its_extremes_and_a_long_way_until_a_head_comes_back() {
        for calls in (1..=1_100).chain([4_096, 16_383, 65_535, 65_536, MAX_CALLS]) {
            let layout = Layout::new(calls);
            let head = Head {
                failures: calls,
                slow: calls,
                position: calls - 1,
                filled: true,
                recent: ((1_u64 << (2 * layout.chunk())) - 1) as u32,
                lap: layout.lap_mask(),
            };
            assert_eq!(layout.unpack(layout.pack(head)), head, "{calls}");
            let records = (u128::from(layout.lap_mask()) + 1) * u128::from(calls);
            assert!(records >= 1 << (SEQUENCE_BITS - 1), "{calls}: {records}");
            // Nor does what a slot holds come back sooner.
            let laps = (layout.lap_mask() + 1).min(1 << Slot::LAP_BITS);
            let records = u128::from(laps) * u128::from(calls);
            assert!(records >= 1 << (SEQUENCE_BITS - 1), "{calls}: {records}");
            let of = |lap| Slot::pack(3, lap & layout.lap_mask(), 0);
            assert!(
                (1..laps)
                    .step_by((laps / 64).max(1) as usize)
                    .all(|lap| of(lap) != of(0))
            );
            let near: HashSet<_> = (0..laps.min(64)).map(of).collect();
            assert_eq!(near.len() as u64, laps.min(64));
        }
    }

    #[test]
    fn no_head_is_seen_twice_however_often_the_window_is_filled_or_cleared() {
        for calls in [1, 2, 7, 8, 9, 100] {
            let window = CountWindow::new(calls);
            let mut seen = HashSet::from([window.head.load(Ordering::Relaxed)]);
            for record_number in 0..2_000 {
                if record_number % 13 == 0 {
                    window.clear(|| true);
                    assert!(seen.insert(window.head.load(Ordering::Relaxed)), "{calls}");
                }
                record(&window, OK);
                assert!(seen.insert(window.head.load(Ordering::Relaxed)), "{calls}");
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_queue(
            len in prop_oneof![1u32..40, Just(1_000), Just(20_000)],
            marks in prop::collection::vec(
                (any::<bool>(), any::<bool>(), 0u32..40, any::<bool>()),
                0..300,
            ),
            // Otherwise there is hardly ever a window without a failure.
            failures in prop_oneof![Just(2), Just(40)],
        ) {
            let window = CountWindow::new(len);
            let mut queue = VecDeque::new();
            let mut generation = 0;
            for (failed, slow, dice, in_steps) in marks {
                let (failed, slow) = (failed && dice < failures, slow && dice < failures);
                if dice == 0 {
                    generation += 1;
                    window.clear(|| true);
                    queue.clear();
                }
                let mark = Mark { failed, slow };
                queue.push_back(mark);
                if queue.len() > len as usize {
                    queue.pop_front();
                }
                let count = |of: fn(&Mark) -> bool| queue.iter().filter(|mark| of(mark)).count() as u32;
                let expected = Tally {
                    calls: queue.len() as u32,
                    failures: count(|mark| mark.failed),
                    slow: count(|mark| mark.slow),
                };
                // Of a full window, and alone, a step always succeeds.
                let is_step = in_steps && mark == OK && window.layout.is_filled(window.head.load(Ordering::Relaxed));
                prop_assert_eq!(in_steps && mark == OK && window.step(generation, || true), is_step);
                if !is_step {
                    prop_assert_eq!(window.record(generation, mark, || true).unwrap_or(expected), expected);
                }
                prop_assert_eq!(window.tally(), expected);
            }
        }
    }

    #[test]
    fn threads_that_overtake_each_other_do_not_disturb_the_totals() {
        for len in [1, 2, 3, 7, 9, 64, 100] {
            let window = CountWindow::new(len);
            let start = Barrier::new(2);
            thread::scope(|scope| {
                for thread in 0..2u32 {
                    let (window, start) = (&window, &start);
                    scope.spawn(move || {
                        start.wait();
                        for call in 0..100_000u32 {
                            let failed = (call + thread).is_multiple_of(3);
                            let tally = record(window, Mark { failed, ..OK });
                            assert!(!failed || tally.failures > 0);
                            // Of each thread the window holds a run of results, of which every third failed.
                            assert!(tally.failures <= (len + 4) / 3, "{tally:?} of {len}");
                        }
                    });
                }
            });
            // Whatever is in there is pushed out by as many successes, exactly.
            for _ in 0..len {
                record(&window, OK);
            }
            let expected = Tally {
                calls: len,
                ..Tally::default()
            };
            assert_eq!(window.tally(), expected, "window of {len}");
        }
    }
}
