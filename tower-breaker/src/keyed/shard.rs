//! A part of the registry: a table of entries, and which of them goes first. Knows no locks and no tower.

use std::borrow::Borrow;

use super::{
    guard::{Guard, Idleness},
    index::Index,
};
use crate::sync::{AtomicU64, Ordering};

/// How many entries are looked at at once for one to throw out.
const LOOKS: usize = 16;

/// How many times that is done: all the work that a newcomer is worth.
pub(super) const SEARCHES: usize = 4;

pub(super) struct Shard<K, G: Guard> {
    // By the hash of the key.
    index: Index,
    entries: Vec<Slot<K, G>>,
    // Where to look next for one to throw out. Only for those whose turn it is.
    hand: AtomicU64,
    pub(super) gone: Gone<G>,
}

/// What is left of those that have been thrown out or removed.
pub(super) struct Gone<G: Guard> {
    pub(super) totals: G::Totals,
    pub(super) evicted: u64,
    pub(super) evicted_with_memory: u64,
    pub(super) removed: u64,
}

// With a `String` it is one cache line.
#[repr(align(64))]
pub(super) struct Slot<K, G> {
    hash: u64,
    pub(super) key: K,
    pub(super) guard: G,
    // When it was used last, in the registry's time.
    used: AtomicU64,
}

impl<K, G> Slot<K, G> {
    pub(super) fn new(hash: u64, key: K, guard: G) -> Self {
        Self {
            hash,
            key,
            guard,
            used: AtomicU64::new(0),
        }
    }

    /// Notes that it is being used. Writes only when that is news, so that those who use it at once do not disturb each other.
    #[inline]
    pub(super) fn touch(&self, now: u64) {
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::Relaxed);
        }
    }
}

/// An entry that may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Victim {
    at: usize,
    idleness: Idleness,
}

impl<K, G: Guard> Shard<K, G> {
    pub(super) fn new() -> Self {
        Self {
            index: Index::new(),
            entries: Vec::new(),
            hand: AtomicU64::new(0),
            gone: Gone {
                totals: G::Totals::default(),
                evicted: 0,
                evicted_with_memory: 0,
                removed: 0,
            },
        }
    }

    pub(super) fn entries(&self) -> &[Slot<K, G>] {
        &self.entries
    }

    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Slot<K, G>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.position(hash, key).map(|at| &self.entries[at])
    }

    #[inline]
    fn position<Q>(&self, hash: u64, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.index
            .find(hash, |at| self.entries[at].key.borrow() == key)
    }

    /// The key must not be there.
    pub(super) fn insert(&mut self, slot: Slot<K, G>) {
        let hash_of = |at: usize| self.entries[at].hash;
        self.index.insert(slot.hash, self.entries.len(), hash_of);
        if self.entries.len() == self.entries.capacity() {
            // A quarter, not as much again: there may be thousands.
            self.entries.reserve_exact(self.entries.len() / 4 + 4);
        }
        self.entries.push(slot);
    }

    /// Removes the entry of this key, if its guard is this one.
    pub(super) fn remove<Q>(&mut self, hash: u64, key: &Q, guard: Option<&G>) -> Option<Slot<K, G>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let at = self.position(hash, key)?;
        if guard.is_some_and(|guard| !guard.is(&self.entries[at].guard)) {
            return None;
        }
        let slot = self.take(at);
        self.gone.removed += 1;
        self.gone.totals += slot.guard.totals();
        Some(slot)
    }

    /// Of the next few that may go: the one that was used least recently, of those that remember nothing if there are any.
    pub(super) fn victim(&self) -> Option<Victim> {
        let mut seen = [(0, 0); LOOKS];
        let looks = self.entries.len().min(LOOKS);
        let seen = &mut seen[..looks];
        let hand = self.hand.load(Ordering::Relaxed) as usize;
        for (look, seen) in seen.iter_mut().enumerate() {
            let at = (hand + look) % self.entries.len();
            *seen = (self.entries[at].used.load(Ordering::Relaxed), at);
        }
        // To ask is to fetch what the guard has counted, so the likeliest is asked first.
        seen.sort_unstable();
        let mut second = None;
        for &mut (_, at) in seen {
            let idleness = self.entries[at].guard.idleness();
            match idleness {
                Idleness::Idle => return Some(Victim { at, idleness }),
                Idleness::Remembers if second.is_none() => second = Some(Victim { at, idleness }),
                Idleness::Remembers | Idleness::Busy => {}
            }
        }
        if second.is_none() {
            self.advance();
        }
        second
    }

    // The next search begins with entries that this one has not looked at.
    fn advance(&self) {
        self.hand.fetch_add(LOOKS as u64, Ordering::Relaxed);
    }

    /// How many searches it takes to look at all entries, or as many as may be made.
    pub(super) fn searches(&self) -> usize {
        self.entries.len().div_ceil(LOOKS).min(SEARCHES)
    }

    /// Throws an entry out, if it still may go. Nobody must be looking anything up.
    pub(super) fn evict(&mut self, victim: Victim) -> Option<Slot<K, G>> {
        self.advance();
        let idleness = self.entries.get(victim.at)?.guard.idleness();
        if idleness == Idleness::Busy
            || (idleness == Idleness::Remembers && victim.idleness == Idleness::Idle)
        {
            return None;
        }
        let slot = self.take(victim.at);
        self.gone.evicted += 1;
        self.gone.evicted_with_memory += u64::from(idleness == Idleness::Remembers);
        self.gone.totals += slot.guard.totals();
        Some(slot)
    }

    // The last entry takes its place.
    fn take(&mut self, at: usize) -> Slot<K, G> {
        let hash_of = |at: usize| self.entries[at].hash;
        let last = self.entries.len() - 1;
        self.index.remove(hash_of(at), at, hash_of);
        if at != last {
            self.index.move_place(hash_of(last), last, at);
        }
        self.entries.swap_remove(at)
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;
    use crate::CircuitBreaker;

    #[allow(clippy::unwrap_used)]
    fn slot(hash: u64, key: u32, now: u64) -> Slot<u32, CircuitBreaker> {
        let builder = CircuitBreaker::builder("test").consecutive_failures(5);
        let slot = Slot::new(hash, key, builder.build().unwrap());
        slot.touch(now);
        slot
    }

    #[test]
    fn keys_of_one_hash_live_beside_each_other() {
        let mut shard = Shard::new();
        let keys = [1, 2, 3, 4, 5, 6];
        for key in keys {
            shard.insert(slot(u64::from(key % 2), key, 0));
        }
        for (gone, key) in [4, 1, 6, 3, 2, 5].into_iter().enumerate() {
            assert!(shard.find(u64::from(key % 2), &key).is_some());
            let removed = shard.remove(u64::from(key % 2), &key, None).unwrap();
            assert_eq!(removed.key, key);
            let left: Vec<_> = keys
                .into_iter()
                .filter(|key| shard.find(u64::from(key % 2), key).is_some())
                .collect();
            assert_eq!(left.len(), keys.len() - gone - 1);
        }
        assert!(shard.entries.is_empty());
        assert_eq!(shard.gone.removed, 6);
    }

    #[test]
    fn the_least_recently_used_goes_first_and_those_that_remember_only_for_want_of_others() {
        let mut shard = Shard::new();
        for (key, used) in [(1, 5), (2, 3), (3, 4), (4, 9)] {
            shard.insert(slot(u64::from(key), key, used));
        }
        let key_of = |shard: &mut Shard<u32, CircuitBreaker>| {
            let victim = shard.victim()?;
            shard.evict(victim).map(|slot| slot.key)
        };
        let guard_of = |shard: &Shard<u32, CircuitBreaker>, key| {
            shard.find(u64::from(key), &key).unwrap().guard.clone()
        };
        guard_of(&shard, 2).try_acquire().unwrap().failure();
        let held = guard_of(&shard, 3);
        assert_eq!(key_of(&mut shard), Some(1));
        assert_eq!(key_of(&mut shard), Some(4));
        assert_eq!(key_of(&mut shard), Some(2), "remembers a failure");
        assert_eq!(key_of(&mut shard), None, "somebody has a handle");
        let call = held.try_acquire().unwrap();
        drop(held);
        assert_eq!(key_of(&mut shard), None, "a call is under way");
        call.success();
        let open = guard_of(&shard, 3);
        open.force_open();
        drop(open);
        assert_eq!(key_of(&mut shard), None, "open");
        assert_eq!((shard.gone.evicted, shard.gone.evicted_with_memory), (3, 1));
    }

    #[test]
    fn a_search_goes_on_where_the_last_one_ended() {
        let mut shard = Shard::new();
        assert_eq!(shard.searches(), 0);
        for key in 0..40 {
            shard.insert(slot(u64::from(key), key, 0));
        }
        let _held: Vec<_> = (0..36)
            .map(|key| shard.find(u64::from(key), &key).unwrap().guard.clone())
            .collect();
        // 16 at once.
        assert_eq!(shard.searches(), 3);
        assert!(shard.victim().is_none() && shard.victim().is_none());
        let victim = shard.victim().unwrap();
        assert!((36..40).contains(&shard.evict(victim).unwrap().key));
        for key in 40..200 {
            shard.insert(slot(u64::from(key), key, 0));
        }
        assert_eq!(shard.searches(), SEARCHES);
    }

    #[test]
    fn room_is_made_for_a_quarter_more_at_a_time() {
        let mut shard = Shard::new();
        let (mut capacity, mut grown) = (0, 0);
        for key in 0..1_000 {
            shard.insert(slot(u64::from(key), key, 0));
            let (entries, now) = (shard.entries.len(), shard.entries.capacity());
            assert!(now <= entries + entries / 4 + 4, "{now} for {entries}");
            grown += u32::from(now != capacity);
            capacity = now;
        }
        assert!(grown < 32, "{grown} times");
    }

    #[test]
    fn what_came_to_life_since_it_was_chosen_stays() {
        let mut shard = Shard::new();
        shard.insert(slot(1, 1, 0));
        let victim = shard.victim().unwrap();
        let call = shard.find(1, &1).unwrap().guard.try_acquire().unwrap();
        assert!(shard.evict(victim).is_none());
        call.failure();
        assert!(
            shard.evict(victim).is_none(),
            "it remembers more than it did"
        );
        assert!(
            shard
                .victim()
                .is_some_and(|victim| shard.evict(victim).is_some())
        );
    }
}
