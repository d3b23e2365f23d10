//! How long a trial may take: a lease for each, so that one that hangs does not keep its slot for ever.
//!
//! A cell holds the lease of one trial: whose episode it is of, and when it ends. A trial gives its lease back before its
//! result counts; whoever notices that a lease is over takes it away, and thereby the right to decide. Both are a
//! compare-and-swap of the same cell, so it is one or the other. There are as many cells as trials may be in flight, and a trial
//! is counted in the state word before it looks for a cell and until after it has left it: there is always one free.
//!
//! A lease may be set aside while it is not the trial that takes its time but its reader. Its end stays, so that the slot is free then, but is
//! nobody's failure; and it is put off by as much when the lease is taken up again.
//!
//! Ends are rounded up to the millisecond.

use super::word::GENERATION_MASK;
use crate::sync::{AtomicU64, Ordering};

pub(super) struct Leases {
    cells: Box<[AtomicU64]>,
    time: u64,
}

/// A trial's hold on its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) cell: u8,
    pub(super) held: u64,
}

/// What a lease was doing when it was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revoked {
    Running,
    Aside,
}

const FREE: u64 = 0;
const END_BITS: u32 = 40;
const ASIDE: u64 = 1 << 39;
// Seventeen years.
const MAX_END: u64 = ASIDE - 1;
const NANOS: u64 = 1_000_000;

impl Leases {
    /// For `trials` at once, of `time` nanoseconds.
    pub(super) fn new(trials: u32, time: u64) -> Self {
        Self {
            cells: (0..trials).map(|_| AtomicU64::new(FREE)).collect(),
            time,
        }
    }

    /// A lease for a trial of this episode, which the state word counts already.
    pub(super) fn take(&self, generation: u32, now: u64) -> Option<Lease> {
        let held = pack(generation, now.saturating_add(self.time));
        // Others may take cells and leave them while this looks, but a round in which it finds none saw one of them succeed.
        for _ in 0..=self.cells.len() {
            for (index, cell) in self.cells.iter().enumerate() {
                let old = cell.load(Ordering::Acquire);
                // A lease of a later episode is not touched either: this trial has only been too slow to notice.
                if !is_taken(old, generation)
                    && cell
                        .compare_exchange(old, held, Ordering::AcqRel, Ordering::Acquire)
                        .is_ok()
                {
                    let cell = index as u8;
                    return Some(Lease { cell, held });
                }
            }
        }
        None
    }

    /// Whether the trial still had its lease. It has it no more.
    pub(super) fn give_back(&self, lease: Lease) -> bool {
        self.exchange(lease, FREE)
    }

    /// Sets a lease aside, if the trial still has it.
    #[cfg(any(feature = "http", test))]
    pub(super) fn set_aside(&self, lease: Lease) {
        // If not, whoever takes it up or gives it back sees that.
        self.exchange(lease, lease.held | ASIDE);
    }

    /// Takes a lease up that was set aside, and puts its end off by `own` nanoseconds, if the trial still has it. Gives what it has now.
    #[cfg(any(feature = "http", test))]
    pub(super) fn take_up(&self, lease: Lease, own: u64) -> Lease {
        let aside = Lease {
            held: lease.held | ASIDE,
            ..lease
        };
        let put_off = lease.held & MAX_END;
        let put_off = put_off.saturating_add(own.div_ceil(NANOS)).min(MAX_END);
        let held = lease.held & !(ASIDE | MAX_END) | put_off;
        if self.exchange(aside, held) {
            Lease { held, ..lease }
        } else {
            // It was taken away. Its end is before that of any lease that came into the cell since, so it is never taken for that one.
            lease
        }
    }

    fn exchange(&self, lease: Lease, held: u64) -> bool {
        self.cells.get(usize::from(lease.cell)).is_some_and(|cell| {
            cell.compare_exchange(lease.held, held, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        })
    }

    /// Takes away one lease of this episode that is over. `None` if there was none.
    pub(super) fn revoke_one(&self, generation: u32, now: u64) -> Option<Revoked> {
        self.cells.iter().find_map(|cell| {
            let held = cell.load(Ordering::Acquire);
            let is_revoked = held != FREE
                && is_of(held, generation)
                && end(held) <= now
                && cell
                    .compare_exchange(held, FREE, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok();
            is_revoked.then_some(match held & ASIDE {
                0 => Revoked::Running,
                _ => Revoked::Aside,
            })
        })
    }

    /// When the first lease of this episode is over.
    pub(super) fn first_end(&self, generation: u32) -> Option<u64> {
        self.cells
            .iter()
            .map(|cell| cell.load(Ordering::Acquire))
            .filter(|held| *held != FREE && is_of(*held, generation))
            .map(end)
            .min()
    }
}

fn pack(generation: u32, end: u64) -> u64 {
    let end = end.div_ceil(NANOS).min(MAX_END);
    // The end is never zero, so neither is the whole: see `FREE`.
    u64::from(generation & GENERATION_MASK) << END_BITS | end.max(1)
}

fn is_of(held: u64, generation: u32) -> bool {
    held >> END_BITS == pack(generation, 0) >> END_BITS
}

// By a trial of this episode, or of a later one. Generations go round.
fn is_taken(held: u64, generation: u32) -> bool {
    let ahead = (held >> END_BITS).wrapping_sub(pack(generation, 0) >> END_BITS) << END_BITS;
    held != FREE && ahead <= u64::MAX / 2
}

fn end(held: u64) -> u64 {
    (held & MAX_END).saturating_mul(NANOS)
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    const MS: u64 = NANOS;

    #[test]
    fn a_lease_is_either_given_back_or_revoked() {
        let leases = Leases::new(2, 10 * MS);
        let first = leases.take(3, 0).unwrap();
        let second = leases.take(3, MS).unwrap();
        assert_eq!(leases.take(3, MS), None);
        assert_eq!(leases.first_end(3), Some(10 * MS));
        assert_eq!(leases.revoke_one(3, 10 * MS - 1), None);
        assert_eq!(leases.revoke_one(3, 10 * MS), Some(Revoked::Running));
        assert!(!leases.give_back(first));
        assert!(leases.give_back(second));
        assert!(!leases.give_back(second));
        assert_eq!(leases.revoke_one(3, u64::MAX), None);
    }

    #[test]
    fn a_lease_that_is_aside_ends_too_and_is_put_off_when_it_is_taken_up() {
        let leases = Leases::new(1, 10 * MS);
        let lease = leases.take(3, 0).unwrap();
        leases.set_aside(lease);
        assert_eq!(leases.first_end(3), Some(10 * MS));
        let lease = leases.take_up(lease, 4 * MS);
        assert_eq!(leases.first_end(3), Some(14 * MS));
        assert_eq!(leases.revoke_one(3, 14 * MS - 1), None);
        leases.set_aside(lease);
        assert_eq!(leases.revoke_one(3, 14 * MS), Some(Revoked::Aside));
        // Another one in the same cell is not touched, whenever it ends.
        let other = leases.take(3, 5 * MS).unwrap();
        let lease = leases.take_up(lease, MS);
        assert_eq!(leases.first_end(3), Some(15 * MS));
        assert!(!leases.give_back(lease));
        assert!(leases.give_back(other));

        let last = leases.take(3, 0).unwrap();
        leases.set_aside(last);
        let last = leases.take_up(last, u64::MAX);
        assert_eq!(leases.revoke_one(3, MAX_END), None);
        assert!(leases.give_back(last));
    }

    #[test]
    fn leases_of_an_earlier_episode_are_in_nobodys_way() {
        let leases = Leases::new(1, 10 * MS);
        let old = leases.take(3, 0).unwrap();
        assert_eq!(leases.revoke_one(5, u64::MAX), None);
        let new = leases.take(5, 0).unwrap();
        assert!(!leases.give_back(old));
        assert!(leases.give_back(new));
    }

    #[test]
    fn a_straggler_of_an_earlier_episode_takes_nothing_away() {
        for last in [3, GENERATION_MASK - 1, (1 << 24) - 1] {
            let next = last.wrapping_add(2) & GENERATION_MASK;
            let leases = Leases::new(1, 10 * MS);
            let new = leases.take(next, 0).unwrap();
            assert_eq!(leases.take(last, 0), None);
            assert!(leases.give_back(new));
            // Nor is it in the way if it comes first.
            let late = leases.take(last, 0).unwrap();
            let new = leases.take(next, 0).unwrap();
            assert!(!leases.give_back(late));
            assert!(leases.give_back(new));
        }
    }

    #[test]
    fn ends_are_rounded_up_and_the_latest_is_borne() {
        let leases = Leases::new(1, 1);
        let lease = leases.take(0, 5 * MS).unwrap();
        assert_eq!(leases.first_end(0), Some(6 * MS));
        assert!(leases.give_back(lease));
        let latest = MAX_END * MS;
        for generation in [0, 5, GENERATION_MASK] {
            let lease = leases.take(generation, u64::MAX).unwrap();
            assert_eq!(leases.first_end(generation), Some(latest));
            assert_eq!(leases.revoke_one(generation, latest - 1), None);
            assert!(leases.give_back(lease));
        }
    }

    #[test]
    fn the_first_end_is_of_a_lease_of_this_episode() {
        let leases = Leases::new(3, 10 * MS);
        assert_eq!(leases.first_end(0), None);
        leases.take(3, 5 * MS).unwrap();
        leases.take(3, 2 * MS).unwrap();
        assert_eq!(leases.first_end(3), Some(12 * MS));
        assert_eq!(leases.first_end(2), None);
        assert_eq!(leases.first_end(0), None);
    }
}
