//! The calls of the last while, lock-free, at the same cost whatever the traffic.
//!
//! The window is divided into slices of equal length. A ring of slots holds the counts of a slice each, and the head says which
//! slice is the latest. A slot carries the number of the slice that it counts, so nobody has to empty it: who finds an older
//! number in it begins at zero. Recording is one compare-and-swap of a slot, plus one of the head by whoever comes first in a
//! new slice; reading sums the slots whose numbers are still within the window.
//!
//! The numbers are not the time itself but go on with it: by as many as slices have passed, at most by all of them, and by all
//! of them when the window begins afresh. So they never stand still and never come back (not before 2^28 of them), however
//! long nobody calls.
//!
//! A sum is read slot by slot. Before a rule acts on it, it is read until two readings agree ([`TimeWindow::settled`]): since slots
//! only ever grow or begin a later slice, it is then what the window held at one moment.

use super::Tally;
use crate::sync::{AtomicU64, Ordering, fence, give_way};

/// The largest number of slices.
pub(in crate::breaker) const MAX_SLICES: u32 = 64;

pub(crate) struct TimeWindow {
    head: AtomicU64,
    // A power of two of them, and so at least as many as slices.
    slots: Box<[AtomicU64]>,
    slices: u32,
    slice: Divisor,
    // Of which slice (28 bits), and how many calls the slices before it held when it began.
    before: AtomicU64,
}

impl TimeWindow {
    /// A window of `slices` slices, together `length` nanoseconds long.
    pub(crate) fn new(length: u64, slices: u32) -> Self {
        let slices = slices.clamp(1, MAX_SLICES);
        // The first number is not zero, or empty slots would seem to be of it.
        let head = Head {
            number: 2 * MAX_SLICES,
            slice: 0,
        };
        Self {
            head: AtomicU64::new(head.pack()),
            slots: (0..slices.next_power_of_two())
                .map(|_| AtomicU64::new(0))
                .collect(),
            slices,
            slice: Divisor::new((length / u64::from(slices)).max(1)),
            before: AtomicU64::new(0),
        }
    }

    /// Counts a call, and whether it is a hit; gives what the window holds with it. `None` if it is not `current` any more, or
    /// if it can have raised no rate among those that need no more than `enough` calls: no hit, not the first call in its
    /// slice, and there were enough before it.
    #[inline]
    pub(in crate::breaker) fn record(
        &self,
        now: u64,
        hit: bool,
        enough: u32,
        current: impl Fn() -> bool,
    ) -> Option<Tally> {
        let (number, before) = self.insert(now, hit, current)?;
        let is_first = before.number != number;
        if !hit && !is_first && self.had_enough(before, enough) {
            return None;
        }
        Some(self.look(number, is_first))
    }

    /// Counts a call, and whether it is a hit, and does not ask what the window holds with it.
    #[inline]
    pub(crate) fn count(&self, now: u64, hit: bool) {
        self.insert(now, hit, || true);
    }

    // Gives the slice in which the call was counted, and what its slot held before. `None` if the window is not `current` any more.
    #[inline]
    fn insert(&self, now: u64, hit: bool, current: impl Fn() -> bool) -> Option<(u32, Slot)> {
        let slice = self.slice.divide(now);
        let mut seen = self.head.load(Ordering::Acquire);
        let mut lost = 0;
        loop {
            let head = Head::unpack(seen);
            if head.is_before(slice) {
                // Somebody moves it on; and whoever it is not takes what he finds.
                let next = head.moved_to(slice, self.slices);
                if !current() {
                    return None;
                }
                match self.head.compare_exchange(
                    seen,
                    next.pack(),
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) {
                    Ok(_) => seen = next.pack(),
                    Err(actual) => seen = actual,
                }
                continue;
            }
            let slot = self.slot(head.number);
            let old = slot.load(Ordering::Acquire);
            let again = self.head.load(Ordering::Acquire);
            if !current() {
                return None;
            }
            if again != seen {
                seen = again;
                continue;
            }
            let before = Slot::unpack(old);
            let new = before.counting(head.number, hit);
            if slot
                .compare_exchange_weak(old, new.pack(), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
            {
                return Some((head.number, before));
            }
            give_way(lost);
            lost += 1;
        }
    }

    #[inline]
    fn slot(&self, number: u32) -> &AtomicU64 {
        &self.slots[number as usize & (self.slots.len() - 1)]
    }

    // Whether there were enough calls without the latest. Never says so wrongly: calls that came late into an earlier slice are
    // not counted here.
    #[inline]
    fn had_enough(&self, latest: Slot, enough: u32) -> bool {
        let before = self.before.load(Ordering::Relaxed);
        (before >> SLICE_BITS) as u32 == latest.number
            && (before & SLICE_MASK) + u64::from(latest.calls) >= u64::from(enough)
    }

    #[inline(never)]
    fn look(&self, number: u32, is_first: bool) -> Tally {
        // Two who record at the turn of a slice, each into his own, must not both miss the other: whose fence comes second
        // sees the other's call, and that the head has moved.
        fence(Ordering::SeqCst);
        let latest = Head::unpack(self.head.load(Ordering::Acquire)).number;
        let tally = self.sum(latest, 0);
        if is_first && latest == number {
            // Others may have come into this slice by now.
            let own = Slot::unpack(self.slot(number).load(Ordering::Acquire));
            let others = tally.calls.saturating_sub(own.calls);
            let before = u64::from(number) << SLICE_BITS | u64::from(others);
            self.before.store(before, Ordering::Relaxed);
        }
        tally
    }

    // What the slices up to `number` hold, of which the oldest `expired` are over.
    #[inline]
    fn sum(&self, number: u32, expired: u32) -> Tally {
        let mut tally = Tally::default();
        for slot in &self.slots {
            let slot = Slot::unpack(slot.load(Ordering::Acquire));
            let age = number.wrapping_sub(slot.number) & NUMBER_MASK;
            // Without a branch: which slots are within is a matter of chance.
            let within = 0_u32.wrapping_sub(u32::from(age + expired < self.slices));
            tally.calls += slot.calls & within;
            tally.failures += slot.hits & within;
        }
        tally
    }

    /// What the window holds at this moment, as its newest record left it: hits are counted as `failures`. Exact, whatever other
    /// threads do: it is read until two readings agree. Each that does not saw somebody else get something done.
    #[cold]
    pub(in crate::breaker) fn settled(&self) -> Tally {
        let read = || {
            let head = self.head.load(Ordering::Acquire);
            let slots: [u64; MAX_SLICES as usize] = std::array::from_fn(|index| {
                self.slots
                    .get(index)
                    .map_or(0, |slot| slot.load(Ordering::Acquire))
            });
            (head, slots)
        };
        let mut before = read();
        loop {
            let after = read();
            if after == before {
                break;
            }
            before = after;
        }
        let number = Head::unpack(before.0).number;
        let mut tally = Tally::default();
        for slot in before.1.map(Slot::unpack) {
            if number.wrapping_sub(slot.number) & NUMBER_MASK < self.slices {
                tally.calls += slot.calls;
                tally.failures += slot.hits;
            }
        }
        tally
    }

    /// What the window holds at this time. For looking at; records may be under way.
    pub(crate) fn tally(&self, now: u64) -> Tally {
        let head = Head::unpack(self.head.load(Ordering::Acquire));
        let slice = self.slice.divide(now);
        let expired = if head.is_before(slice) {
            head.distance_to(slice).min(u64::from(self.slices)) as u32
        } else {
            0
        };
        self.sum(head.number, expired)
    }

    /// Begins afresh, as long as it is `called_for`. Called before results of the new episode are recorded.
    pub(in crate::breaker) fn clear(&self, called_for: impl Fn() -> bool) {
        let mut seen = self.head.load(Ordering::Acquire);
        while called_for() {
            let head = Head::unpack(seen);
            let next = Head {
                number: head.number.wrapping_add(MAX_SLICES) & NUMBER_MASK,
                ..head
            };
            match self
                .head
                .compare_exchange(seen, next.pack(), Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(actual) => seen = actual,
            }
        }
    }
}

const NUMBER_BITS: u32 = 28;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;
const SLICE_BITS: u32 = 64 - NUMBER_BITS;
const SLICE_MASK: u64 = (1 << SLICE_BITS) - 1;
const COUNT_BITS: u32 = 18;
const MAX_COUNT: u32 = (1 << COUNT_BITS) - 1;

/// `bits 36..64` the number of the latest slice, `0..36` which slice of time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    number: u32,
    slice: u64,
}

impl Head {
    fn pack(self) -> u64 {
        u64::from(self.number) << SLICE_BITS | self.slice & SLICE_MASK
    }

    fn unpack(word: u64) -> Self {
        Self {
            number: (word >> SLICE_BITS) as u32,
            slice: word & SLICE_MASK,
        }
    }

    fn distance_to(self, slice: u64) -> u64 {
        slice.wrapping_sub(self.slice) & SLICE_MASK
    }

    // In the half of the circle that lies ahead.
    fn is_before(self, slice: u64) -> bool {
        let distance = self.distance_to(slice);
        distance != 0 && distance <= SLICE_MASK / 2
    }

    fn moved_to(self, slice: u64, slices: u32) -> Self {
        let by = self.distance_to(slice).min(u64::from(slices)) as u32;
        Self {
            number: self.number.wrapping_add(by) & NUMBER_MASK,
            slice: slice & SLICE_MASK,
        }
    }
}

/// `bits 36..64` the number of the slice, `18..36` calls in it, `0..18` hits among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    number: u32,
    calls: u32,
    hits: u32,
}

impl Slot {
    fn pack(self) -> u64 {
        u64::from(self.number) << (2 * COUNT_BITS)
            | u64::from(self.calls) << COUNT_BITS
            | u64::from(self.hits)
    }

    #[inline]
    fn unpack(word: u64) -> Self {
        Self {
            number: (word >> (2 * COUNT_BITS)) as u32,
            calls: (word >> COUNT_BITS) as u32 & MAX_COUNT,
            hits: word as u32 & MAX_COUNT,
        }
    }

    // Beyond what a slot can count, both counts are halved: the rate stays, and later calls weigh a little more.
    fn counting(self, number: u32, hit: bool) -> Self {
        let (calls, hits) = match self {
            Self { number: own, .. } if own != number => (0, 0),
            Self { calls, hits, .. } if calls == MAX_COUNT => (calls / 2, hits / 2),
            Self { calls, hits, .. } => (calls, hits),
        };
        Self {
            number,
            calls: calls + 1,
            hits: hits + u32::from(hit),
        }
    }
}

/// Divides without a division, which would cost as much as the rest: by the reciprocal, which is at most one too little.
#[derive(Debug, Clone, Copy)]
struct Divisor {
    by: u64,
    reciprocal: u64,
}

impl Divisor {
    fn new(by: u64) -> Self {
        Self {
            by,
            reciprocal: u64::MAX / by,
        }
    }

    #[inline]
    fn divide(self, value: u64) -> u64 {
        let mut quotient = ((u128::from(value) * u128::from(self.reciprocal)) >> 64) as u64;
        let mut rest = value - quotient * self.by;
        while rest >= self.by {
            quotient += 1;
            rest -= self.by;
        }
        quotient
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use std::{sync::Barrier, thread};

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn counts(tally: Tally) -> (u32, u32) {
        (tally.calls, tally.failures)
    }

    #[test]
    fn a_slice_as_old_as_the_window_is_dropped() {
        let window = TimeWindow::new(10 * SECOND, 10);
        for second in 0..10 {
            window.record(second * SECOND, false, u32::MAX, || true);
        }
        assert_eq!(window.tally(10 * SECOND - 1).calls, 10);
        assert_eq!(window.tally(10 * SECOND).calls, 9);
        assert_eq!(window.tally(11 * SECOND).calls, 8);
        assert_eq!(window.tally(u64::MAX).calls, 0);
    }

    #[test]
    fn a_success_is_looked_at_until_there_were_enough_calls_before_it() {
        let window = TimeWindow::new(10 * SECOND, 10);
        let success = |second, enough| {
            window
                .record(second * SECOND, false, enough, || true)
                .map(counts)
        };
        assert_eq!(success(0, 3), Some((1, 0)), "the first of its slice");
        assert_eq!(success(0, 3), Some((2, 0)), "one before it");
        assert_eq!(success(0, 3), Some((3, 0)), "two before it");
        assert_eq!(success(0, 3), None, "three before it");
        // Those of earlier slices count, too.
        assert_eq!(success(1, 3), Some((5, 0)), "the first of its slice");
        assert_eq!(success(1, 6), Some((6, 0)), "five before it");
        assert_eq!(success(1, 6), None, "six before it");
        // What is known of another slice says nothing about this one.
        let other = 1 << SLICE_BITS | SLICE_MASK;
        window.before.store(other, Ordering::Relaxed);
        assert_eq!(success(1, 6), Some((8, 0)));
    }

    #[test]
    fn no_head_is_seen_twice_however_often_the_window_moves_or_is_cleared() {
        for slices in [1, 3, 64] {
            let window = TimeWindow::new(u64::from(slices) * SECOND, slices);
            let mut seen = std::collections::HashSet::from([window.head.load(Ordering::Relaxed)]);
            for second in 1..1_000 {
                window.record(second * SECOND, false, 0, || true);
                assert!(seen.insert(window.head.load(Ordering::Relaxed)), "{slices}");
                if second % 13 == 0 {
                    window.clear(|| true);
                    assert!(seen.insert(window.head.load(Ordering::Relaxed)), "{slices}");
                }
            }
        }
    }

    #[test]
    fn clearing_forgets_the_slice_that_is_still_running_too() {
        let window = TimeWindow::new(SECOND, 10);
        window.record(5, true, u32::MAX, || true);
        window.clear(|| false);
        assert_eq!(counts(window.tally(5)), (1, 1));
        window.clear(|| true);
        assert_eq!(counts(window.tally(5)), (0, 0));
        assert_eq!(
            counts(window.record(6, false, u32::MAX, || true).unwrap()),
            (1, 0)
        );
        assert_eq!(window.record(6, false, u32::MAX, || false), None);
    }

    #[test]
    fn more_calls_than_a_slice_can_count_keep_their_rate() {
        let window = TimeWindow::new(SECOND, 1);
        for call in 0..2 * MAX_COUNT {
            window.record(0, call % 4 == 0, u32::MAX, || true);
            if call == MAX_COUNT {
                assert_eq!(window.settled().calls, MAX_COUNT / 2 + 1);
            }
        }
        let tally = window.settled();
        assert!(tally.calls > MAX_COUNT / 2);
        let rate = f64::from(tally.failures) / f64::from(tally.calls);
        assert!((rate - 0.25).abs() < 0.001, "{rate}");
    }

    proptest! {
        #[test]
        fn the_reciprocal_divides_exactly(by in 1u64.., value: u64) {
            prop_assert_eq!(Divisor::new(by).divide(value), value / by);
            let by = by >> 40 | 1_000;
            prop_assert_eq!(Divisor::new(by).divide(value), value / by);
        }

        #[test]
        fn agrees_with_a_plain_list(
            slices in 1u32..=64,
            calls in prop::collection::vec((0u64..40_000_000, any::<bool>(), 0u32..50), 0..300),
        ) {
            let slice = 7_000_000;
            let window = TimeWindow::new(u64::from(slices) * slice, slices);
            let mut list: Vec<(u64, bool)> = Vec::new();
            let mut now = 3;
            for (step, hit, dice) in calls {
                now += if dice == 1 { step * 100 } else { step };
                if dice == 0 {
                    window.clear(|| true);
                    list.clear();
                }
                list.push((now / slice, hit));
                let within = |list: &[(u64, bool)], now: u64| {
                    let held: Vec<_> = list.iter().filter(|(at, _)| at + u64::from(slices) > now / slice).collect();
                    (held.len() as u32, held.iter().filter(|(_, hit)| *hit).count() as u32)
                };
                let tally = window.record(now, hit, u32::MAX, || true).unwrap();
                prop_assert_eq!(counts(tally), within(&list, now));
                prop_assert_eq!(counts(window.settled()), within(&list, now));
                let later = now + step;
                prop_assert_eq!(counts(window.tally(later)), within(&list, later));
            }
        }
    }

    #[test]
    fn threads_lose_no_call_and_make_none_up() {
        let window = TimeWindow::new(10 * SECOND, 10);
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                let (window, start) = (&window, &start);
                scope.spawn(move || {
                    start.wait();
                    for call in 0..100_000u64 {
                        window.record(call * 70_000, call % 5 == 0, u32::MAX, || true);
                    }
                });
            }
        });
        assert_eq!(counts(window.settled()), (200_000, 40_000));
    }
}
