//! The registry.

use std::{
    borrow::Borrow,
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::{BuildHasher, Hash},
    mem,
    sync::{Arc, PoisonError},
};

use super::{
    exclusion::{Parts, Turn},
    guard::Guard,
    labels::Labels,
    shard::{SEARCHES, Shard, Slot},
};
use crate::{
    Bulkhead, BulkheadPermit, CircuitBreaker, Permit, Refused,
    bulkhead::Acquire,
    striped::Striped,
    sync::{AtomicU64, Mutex, Ordering},
};

/// In how many parts a registry of this capacity is kept: so many that writers seldom meet, so few that each has enough to choose from.
fn parts(capacity: usize) -> usize {
    let wanted = (capacity / 64).clamp(1, 64);
    // The largest power of two that is no more than that.
    1 << wanted.ilog2()
}

const OVERFLOWED: usize = 0;
const KEYLESS: usize = 1;
const UNBUILDABLE: usize = 2;

/// A bounded set of guards, one for each key: host, route, tenant. Clones share it.
///
/// See the [module](super) for what it promises.
pub struct Keyed<K, G: Guard, S = RandomState> {
    inner: Arc<Inner<K, G, S>>,
}

pub(super) type Make<K, G> = Box<dyn Fn(&K) -> <G as Guard>::Builder + Send + Sync>;

pub(super) struct Inner<K, G: Guard, S> {
    parts: Parts<Shard<K, G>>,
    hasher: S,
    capacity: u64,
    // Entries, and room that is being made for one.
    len: AtomicU64,
    // Goes on with every entry that is made: fine enough to tell who was used before whom, and it costs those that are used nothing.
    time: AtomicU64,
    // Where to look for room when there is none where it is needed.
    elsewhere: AtomicU64,
    settings: Settings<K, G>,
    labels: Mutex<Labels>,
    counts: Striped<3>,
}

/// How a registry was built.
pub(super) struct Settings<K, G: Guard> {
    pub(super) make: Make<K, G>,
    pub(super) overrides: HashMap<K, Make<K, G>>,
    pub(super) overflow: G,
    pub(super) compact: bool,
}

/// How full a registry is, and what has become of those that are no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many entries there are. One that is just being made may be among them.
    pub entries: usize,
    /// How many there may be.
    pub capacity: usize,
    /// Entries thrown out to make room.
    pub evicted: u64,
    /// Of these: circuits that had counted failures, which are forgotten with them.
    pub evicted_with_memory: u64,
    /// Entries taken out by [`remove`](Keyed::remove) and [`retain`](Keyed::retain).
    pub removed: u64,
    /// Calls that went by the overflow guard, because there was no room for their key and nothing that could be thrown out.
    pub overflowed: u64,
    /// Calls that went by the overflow guard, because they had no key.
    pub keyless: u64,
    /// Calls that went by the overflow guard, because the guard for their key could not be built.
    pub unbuildable: u64,
}

/// An entry of a registry, as [`Keyed::iter`] gives it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry<K, G> {
    /// The key.
    pub key: K,
    /// A handle of the guard. As long as it is held, the entry stays.
    pub guard: G,
    /// The label for metrics; see [`Keyed::label`].
    pub label: Arc<str>,
}

/// A registry that can look this form of a key up. Implemented by [`Keyed`]; not for others to implement.
pub trait Registry<Q: ?Sized> {
    /// What it holds.
    type Guard: Guard;

    // `quick` is asked first, and must not run any code that could come back here; if it gives nothing, `full` is asked.
    #[doc(hidden)]
    fn pass<R>(
        &self,
        key: Option<&Q>,
        quick: impl FnOnce(&Self::Guard) -> Option<R>,
        full: impl FnOnce(&Self::Guard) -> R,
    ) -> R;
}

impl<K, G, S, Q> Registry<Q> for Keyed<K, G, S>
where
    K: Borrow<Q> + Hash + Eq,
    G: Guard,
    S: BuildHasher,
    Q: Hash + Eq + ToOwned<Owned: Into<K>> + ?Sized,
{
    type Guard = G;

    #[inline]
    fn pass<R>(
        &self,
        key: Option<&Q>,
        quick: impl FnOnce(&G) -> Option<R>,
        full: impl FnOnce(&G) -> R,
    ) -> R {
        let inner = &*self.inner;
        let Some(key) = key else {
            inner.counts.add(KEYLESS);
            return full(&inner.settings.overflow);
        };
        let hash = inner.hasher.hash_one(key);
        let part = inner.part_of(hash);
        let found = inner.parts.read(part, |shard| {
            let slot = shard.find(hash, key)?;
            slot.touch(inner.time.load(Ordering::Relaxed));
            // A handle keeps the entry where it is until `full` is done, and so does a call that has been let in.
            Some(quick(&slot.guard).ok_or_else(|| slot.guard.clone()))
        });
        match found {
            Some(Ok(passed)) => passed,
            Some(Err(guard)) => full(&guard),
            None => full(
                inner
                    .newcomer(part, hash, key)
                    .as_ref()
                    .unwrap_or(&inner.settings.overflow),
            ),
        }
    }
}

impl<K, G: Guard, S> Keyed<K, G, S> {
    pub(super) fn assemble(
        capacity: usize,
        hasher: S,
        labels: usize,
        settings: Settings<K, G>,
    ) -> Self {
        let inner = Inner {
            parts: Parts::new((0..parts(capacity)).map(|_| Shard::new())),
            hasher,
            capacity: capacity as u64,
            len: AtomicU64::new(0),
            time: AtomicU64::new(0),
            elsewhere: AtomicU64::new(0),
            settings,
            labels: Mutex::new(Labels::new(labels)),
            counts: Striped::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// How many entries there are. One that is just being made may be among them.
    pub fn len(&self) -> usize {
        self.inner.len.load(Ordering::Relaxed) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries there may be.
    pub fn capacity(&self) -> usize {
        self.inner.capacity as usize
    }

    /// The guard that calls share for whose key there is no room, or that have none.
    pub fn overflow(&self) -> &G {
        &self.inner.settings.overflow
    }

    /// How full it is, and what has become of those that are no longer there.
    pub fn stats(&self) -> Stats {
        let inner = &*self.inner;
        let mut stats = Stats {
            entries: self.len(),
            capacity: self.capacity(),
            evicted: 0,
            evicted_with_memory: 0,
            removed: 0,
            overflowed: inner.counts.sum(OVERFLOWED),
            keyless: inner.counts.sum(KEYLESS),
            unbuildable: inner.counts.sum(UNBUILDABLE),
        };
        for part in 0..inner.parts.len() {
            inner.parts.turn(part).look(|shard| {
                stats.evicted += shard.gone.evicted;
                stats.evicted_with_memory += shard.gone.evicted_with_memory;
                stats.removed += shard.gone.removed;
            });
        }
        stats
    }

    /// What all guards have counted: those that are there, the overflow guard, and those that have been thrown out. So it never goes
    /// back, whatever is thrown out.
    ///
    /// Of an entry that was taken out by hand it has what was counted until then. It looks at every entry.
    pub fn totals(&self) -> G::Totals {
        let inner = &*self.inner;
        let mut totals = inner.settings.overflow.totals();
        for part in 0..inner.parts.len() {
            // In one turn, so that an entry that goes is either still there or counted among those that have gone.
            inner.parts.turn(part).look(|shard| {
                totals += shard.gone.totals.clone();
                for slot in shard.entries() {
                    totals += slot.guard.totals();
                }
            });
        }
        totals
    }

    /// The label for metrics of the guard with this name: the name itself for the first so many that came (100, unless
    /// [set otherwise](super::KeyedBuilder::labels)), and `other` for the rest. A name that has got a label keeps it, even if its entry is
    /// thrown out and comes back; so metrics have no more labels than that, however many keys there are.
    pub fn label(&self, name: &str) -> Arc<str> {
        self.inner.labels().of(name)
    }
}

impl<K: Hash + Eq, G: Guard, S: BuildHasher> Keyed<K, G, S> {
    /// A handle of the guard for this key, if there is one. Does not count as a use. As long as the handle is held, the entry stays.
    pub fn get<Q>(&self, key: &Q) -> Option<G>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, part) = self.inner.place_of(key);
        let guard = |shard: &Shard<K, G>| shard.find(hash, key).map(|slot| slot.guard.clone());
        self.inner.parts.read(part, guard)
    }

    /// A handle of the guard for this key, which is made if there is none; the overflow guard if there is no room for it. As long as the
    /// handle is held, the entry stays.
    pub fn get_or_make<Q>(&self, key: &Q) -> G
    where
        Self: Registry<Q, Guard = G>,
        Q: ?Sized,
    {
        self.pass(Some(key), |_| None, G::clone)
    }

    /// Takes an entry out, whatever its state, and gives its guard. The next call with this key makes another.
    ///
    /// Calls that are under way end on the guard that was taken out, and who has a handle of it may go on using it. What it counts from
    /// now on is not among the [`totals`](Self::totals).
    pub fn remove<Q>(&self, key: &Q) -> Option<G>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.inner.remove(key, None)
    }

    /// Takes out all entries for which `keep` says `false`, as [`remove`](Self::remove) does. It is called without a lock, so it may
    /// use the registry.
    ///
    /// The registry throws no open circuit out, however long ago its key was last seen. This is the way to do it: see the example in the
    /// [module](super#what-stays).
    pub fn retain(&self, mut keep: impl FnMut(&K, &G) -> bool)
    where
        K: Clone,
    {
        for Entry { key, guard, .. } in self.iter() {
            if !keep(&key, &guard) {
                self.inner.remove(&key, Some(&guard));
            }
        }
    }
}

impl<K, S> Keyed<K, CircuitBreaker, S> {
    /// Asks the circuit of this key for permission for one call, as [`CircuitBreaker::try_acquire`] does. Makes it if there is none; asks the
    /// overflow guard if there is no room for it.
    ///
    /// # Errors
    ///
    /// The circuit refuses.
    pub fn try_acquire<Q>(&self, key: &Q) -> Result<Permit, Refused>
    where
        Self: Registry<Q, Guard = CircuitBreaker>,
        Q: ?Sized,
    {
        self.pass(
            Some(key),
            CircuitBreaker::enter_quietly,
            CircuitBreaker::enter,
        )
        .map(Permit::new)
    }
}

impl<K, S> Keyed<K, Bulkhead, S> {
    /// Takes a permit of this key's bulkhead if one is free, as [`Bulkhead::try_acquire`] does. Makes the bulkhead if there is none; asks the
    /// overflow guard if there is no room for it.
    ///
    /// # Errors
    ///
    /// The bulkhead is full.
    pub fn try_acquire<Q>(&self, key: &Q) -> Result<BulkheadPermit, Refused>
    where
        Self: Registry<Q, Guard = Bulkhead>,
        Q: ?Sized,
    {
        self.pass(
            Some(key),
            Bulkhead::try_acquire_quietly,
            Bulkhead::try_acquire,
        )
    }

    /// Takes a permit of this key's bulkhead, waiting for one in its queue if there is room in it, as [`Bulkhead::acquire`] does. Makes the
    /// bulkhead if there is none; asks the overflow guard if there is no room for it.
    ///
    /// # Panics
    ///
    /// The future panics when it must wait, there is a `max_wait` and no tokio timer is running.
    pub fn acquire<Q>(&self, key: &Q) -> Acquire
    where
        Self: Registry<Q, Guard = Bulkhead>,
        Q: ?Sized,
    {
        self.pass(Some(key), |_| None, Bulkhead::acquire)
    }
}

impl<K: Clone, G: Guard, S> Keyed<K, G, S> {
    /// All entries, in no order. Each part of the registry is copied when the iterator comes to it, so what is added or thrown out
    /// meanwhile may be missing. The overflow guard is not among them.
    pub fn iter(&self) -> impl Iterator<Item = Entry<K, G>> {
        (0..self.inner.parts.len()).flat_map(|part| {
            let copy = |slot: &Slot<K, G>| (slot.key.clone(), slot.guard.clone());
            let copies = |shard: &Shard<K, G>| shard.entries().iter().map(copy).collect();
            let copies: Vec<_> = self.inner.parts.turn(part).look(copies);
            copies.into_iter().map(|(key, guard)| Entry {
                label: self.label(guard.name()),
                key,
                guard,
            })
        })
    }

    /// A snapshot of every entry, as [`iter`](Self::iter) gives them.
    pub fn snapshots(&self) -> impl Iterator<Item = (K, G::Snapshot)> {
        self.iter().map(|entry| (entry.key, entry.guard.snapshot()))
    }
}

impl<K, G: Guard, S> Inner<K, G, S> {
    #[inline]
    fn part_of(&self, hash: u64) -> usize {
        // Other bits than the table within looks at first.
        (hash >> 32) as usize & (self.parts.len() - 1)
    }

    fn labels(&self) -> crate::sync::MutexGuard<'_, Labels> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Room for one more entry, if the registry is not full.
    fn room(&self) -> Option<Room<'_>> {
        let grow = |len| (len < self.capacity).then_some(len + 1);
        self.len
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow)
            .is_ok()
            .then(|| Room(&self.len))
    }

    // Whether there is room for one more entry, or something that can be thrown out for it, at this moment.
    fn could_make_room(&self, part: usize) -> bool {
        if self.len.load(Ordering::Relaxed) < self.capacity {
            return true;
        }
        let is_there = |part| self.parts.turn(part).look(Shard::victim).is_some();
        let own = self.parts.turn(part).look(Shard::searches);
        (0..own).any(|_| is_there(part)) || (own..SEARCHES).any(|_| is_there(self.elsewhere()))
    }

    // There was no room, perhaps because others have just made an entry of the same newcomer.
    fn overflow_unless(&self, find: impl FnOnce() -> Option<G>) -> Option<G> {
        let found = find();
        if found.is_none() {
            self.counts.add(OVERFLOWED);
        }
        found
    }

    fn elsewhere(&self) -> usize {
        self.elsewhere.fetch_add(1, Ordering::Relaxed) as usize & (self.parts.len() - 1)
    }

    // Makes room in this part. What has been thrown out is the user's to drop, so not before the turn is over.
    fn evict(&self, turn: &mut Turn<'_, Shard<K, G>>) -> Option<(Room<'_>, Slot<K, G>)> {
        let victim = turn.look(Shard::victim)?;
        let gone = turn.change(|shard| shard.evict(victim))?;
        Some((Room(&self.len), gone))
    }
}

impl<K: Hash + Eq, G: Guard, S: BuildHasher> Inner<K, G, S> {
    fn place_of<Q: Hash + ?Sized>(&self, key: &Q) -> (u64, usize) {
        let hash = self.hasher.hash_one(key);
        (hash, self.part_of(hash))
    }

    // The guard for a key that has just been looked for in vain. `None` if the overflow guard must do.
    #[cold]
    #[inline(never)]
    fn newcomer<Q>(&self, part: usize, hash: u64, key: &Q) -> Option<G>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned: Into<K>> + ?Sized,
    {
        let find = |shard: &Shard<K, G>| shard.find(hash, key).map(|slot| slot.guard.clone());
        // Others may have the same newcomer at the same time.
        if let Some(guard) = self.parts.turn(part).look(find) {
            return Some(guard);
        }
        // Before anything is made for it.
        if !self.could_make_room(part) {
            return self.overflow_unless(|| self.parts.turn(part).look(find));
        }
        // The user's code, and so without a lock. Perhaps in vain, if others have the same newcomer.
        let owned: K = key.to_owned().into();
        let make = self.settings.overrides.get::<K>(&owned);
        let builder = make.unwrap_or(&self.settings.make)(&owned);
        let Ok(guard) = G::build(builder, self.settings.compact) else {
            self.counts.add(UNBUILDABLE);
            return None;
        };
        self.labels().give(guard.name());
        let slot = Slot::new(hash, owned, guard.clone());

        // In one turn, as long as there is room in this part: then others with the same newcomer find it.
        let mut turn = self.parts.turn(part);
        if let Some(first) = turn.look(find) {
            // Dropping what was made in vain is the user's code too.
            drop(turn);
            return Some(first);
        }
        let own = turn.look(Shard::searches);
        let mut made = self.room().map(|room| (room, None));
        // More often than there is to look at, since what is found may come to life before it is thrown out.
        for _ in 0..if own > 0 { SEARCHES } else { 0 } {
            if made.is_none() {
                made = self.evict(&mut turn).map(|(room, gone)| (room, Some(gone)));
            }
        }
        if made.is_none() {
            drop(turn);
            made = (own..SEARCHES).find_map(|_| {
                let mut turn = self.parts.turn(self.elsewhere());
                let (room, gone) = self.evict(&mut turn)?;
                Some((room, Some(gone)))
            });
            turn = self.parts.turn(part);
            if let Some(first) = turn.look(find) {
                drop(turn);
                return Some(first);
            }
        }
        let Some((room, gone)) = made else {
            drop(turn);
            return self.overflow_unless(|| self.parts.turn(part).look(find));
        };
        let now = self.time.fetch_add(1, Ordering::Relaxed) + 1;
        slot.touch(now);
        turn.change(|shard| shard.insert(slot));
        room.take();
        drop(turn);
        drop(gone);
        Some(guard)
    }

    fn remove<Q>(&self, key: &Q, guard: Option<&G>) -> Option<G>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, part) = self.place_of(key);
        let mut turn = self.parts.turn(part);
        let removed = turn.change(|shard| shard.remove(hash, key, guard));
        drop(turn);
        let removed = removed?;
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(removed.guard)
    }
}

/// Room for an entry. Dropped, it is given back.
struct Room<'a>(&'a AtomicU64);

impl Room<'_> {
    // The entry is there.
    fn take(self) {
        mem::forget(self);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<K, G: Guard, S> Clone for Keyed<K, G, S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K, G: Guard, S> fmt::Debug for Keyed<K, G, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("overflow", self.overflow())
            .finish_non_exhaustive()
    }
}
