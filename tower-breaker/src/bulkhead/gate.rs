//! Who may pass: the shared state behind every handle, permit and waiter of one bulkhead. Knows no time and no tower.
//!
//! The word has the permits that are guaranteed to nobody: all of them, as long as there are no partitions. Each partition has a word
//! of its own for its calls ([`compartment`](super::compartment)).
//!
//! What it relies on; `loom_tests` checks it:
//!
//! * the number of waiters in the word changes only under the lock, and so do the flags of all words;
//! * a newcomer takes a permit only when the words he takes it from say that nobody waits for one, in the same compare-and-swap;
//! * who joins the line says so in the words first and then looks again whether there is a permit for somebody in the line;
//! * who gives a permit back sees in the same atomic operation whether somebody waits, and if so serves the line. So either he
//!   sees the waiter or the waiter sees the permit.

mod leave;
mod report;
mod resize;
mod take;
mod wait;
mod watch;

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

pub(super) use self::{
    leave::{Leaving, Left},
    wait::{Answer, Entry},
};
use super::{
    adaptive::Adaptive,
    compartment::{self, Compartment},
    journal::{Journal, Listener},
    partition::{Division, Partition, PriorityShares},
    place::{Place, Priority},
    queue::Queue,
    snapshot::WaitBooks,
    watchers::Watchers,
    word::Word,
};
use crate::{
    Reason, Refused,
    label::Label,
    ownership::Lender,
    refused::Details,
    striped::Striped,
    sync::{AtomicU32, AtomicU64, Mutex, MutexGuard},
};

// What is counted.
const ADMITTED: usize = 0;
const FULL: usize = 1;
const QUEUE_FULL: usize = 2;
const WAITED: usize = 3;
const DISPLACED: usize = 4;
const WOULD_FULL: usize = 5;
const WOULD_QUEUE_FULL: usize = 6;
const WOULD_WAIT: usize = 7;
const LOW_ADMITTED: usize = 8;
const LOW_REFUSED: usize = 9;
const HIGH_ADMITTED: usize = 10;
const HIGH_REFUSED: usize = 11;
const COUNTS: usize = 12;

/// What a bulkhead is built from.
pub(super) struct Settings {
    pub(super) name: Arc<str>,
    /// At the start; `total` has what it is now.
    pub(super) max_concurrent: usize,
    pub(super) max_queue: usize,
    pub(super) max_wait: Option<Duration>,
    pub(super) partitions: Vec<Partition>,
    pub(super) priority_shares: PriorityShares,
    pub(super) dry_run: bool,
    pub(super) listeners: Vec<Listener>,
}

pub(super) struct Gate {
    word: AtomicU64,
    compartments: Box<[Compartment]>,
    shares: PriorityShares,
    id: u64,
    name: Arc<str>,
    label: Label,
    max_queue: usize,
    max_wait: Option<Duration>,
    // Places in the queue that are guaranteed to nobody.
    common_places: usize,
    dry_run: AtomicBool,
    // The limit, of which the words have their parts. Written under the lock.
    total: AtomicU32,
    // The lowest priority, as a number, with which a call of no partition may come to the queue: any while it has a place, and then
    // those for whom somebody might have to make room. Written under the lock; a look without it may be a little late.
    door: AtomicU32,
    // Apart, since it is large and most limits are fixed.
    adaptive: Option<Box<Adaptive>>,
    counts: Striped<COUNTS>,
    journal: Journal,
    line: Mutex<Line>,
}

// All that is only touched when somebody waits, or when somebody looks.
struct Line {
    queue: Queue,
    watchers: Watchers,
    waits: WaitBooks,
}

// SAFETY: a permit is a loan. It is counted as in flight, in the word or in its partition's, before it has the pointer, until the
// last thing done with it (`permit`): one in a partition first takes itself off the partition's word and then, if the pool carries
// it, off the pool's; so the partitions are looked at first. All words are written by read-modify-writes that release, and read here
// with acquiring loads.
#[allow(unsafe_code)]
unsafe impl Lender for Gate {
    type Ending<'a> = Leaving<'a>;
    type Rest = Left;

    fn has_loans(&self) -> bool {
        let in_a_partition = |compartment: &Compartment| compartment.load().in_flight() > 0;
        self.compartments.iter().any(in_a_partition) || self.load().in_flight() > 0
    }
}

impl Gate {
    #[cfg(test)]
    pub(super) fn new(settings: Settings) -> Self {
        let label = Label::counted(Arc::clone(&settings.name));
        Self::with(settings, None, false, label)
    }

    /// With a limit that finds itself, if there is an `adaptive`; `max_concurrent` is where it begins. `compact`: for bulkheads of which
    /// there are thousands, with what is there for each thread in one place for all.
    pub(super) fn with(
        settings: Settings,
        adaptive: Option<Adaptive>,
        compact: bool,
        label: Label,
    ) -> Self {
        // All the seats that will ever be needed, so that a growing limit allocates nothing.
        let largest = adaptive
            .as_ref()
            .map_or(settings.max_concurrent, Adaptive::max);
        let permits = Division::of(settings.max_concurrent);
        let places = Division::of(settings.max_queue);
        let common = permits.common(settings.partitions.iter());
        let common_places = places.common(settings.partitions.iter());
        let compartment = |partition: Partition| {
            let (permits, places) = (permits.part(&partition), places.part(&partition));
            Compartment::new(partition, permits, places)
        };
        let compartments: Box<[_]> = settings.partitions.into_iter().map(compartment).collect();
        let gate = Self {
            word: AtomicU64::new(Word::empty(common).0),
            label,
            journal: Journal::new(Arc::clone(&settings.name), settings.listeners),
            id: crate::id::next(),
            name: settings.name,
            max_queue: settings.max_queue,
            max_wait: settings.max_wait,
            common_places,
            shares: settings.priority_shares,
            dry_run: AtomicBool::new(settings.dry_run),
            total: AtomicU32::new(settings.max_concurrent as u32),
            door: AtomicU32::new(0),
            counts: if compact {
                Striped::compact()
            } else {
                Striped::new()
            },
            line: Mutex::new(Line {
                queue: Queue::new(compartments.len(), 0),
                watchers: Watchers::default(),
                waits: WaitBooks::default(),
            }),
            compartments,
            adaptive: adaptive.map(Box::new),
        };
        let mut line = gate.line();
        line.queue.prepare(gate.seats_for(largest));
        gate.publish(&line);
        drop(line);
        gate
    }

    // For everybody who may wait, and everybody who has been answered and has not picked that up yet. Without a queue nobody waits.
    fn seats_for(&self, max_concurrent: usize) -> usize {
        match self.max_queue {
            0 => 0,
            waiting => waiting + max_concurrent,
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn max_wait(&self) -> Option<Duration> {
        self.max_wait
    }

    /// What a call is told that finds neither a permit nor a place in the queue.
    pub(super) fn reason_when_full(&self) -> Reason {
        if self.max_queue == 0 {
            Reason::BulkheadFull
        } else {
            Reason::QueueFull
        }
    }

    /// Where a call belongs of which nothing is known.
    pub(super) fn plain_place(&self) -> Place {
        if self.shares.has_share(Priority::Normal) {
            Place::metered()
        } else {
            Place::default()
        }
    }

    /// The index of the partition of this name.
    pub(super) fn partition(&self, name: &str) -> Option<usize> {
        let is_it = |compartment: &Compartment| &*compartment.partition.name == name;
        self.compartments.iter().position(is_it)
    }

    fn compartment(&self, place: Place) -> Option<&Compartment> {
        self.compartments.get(place.partition()?)
    }

    fn load(&self) -> Word {
        Word::load(&self.word)
    }

    fn total(&self) -> usize {
        self.total.load(Ordering::Acquire) as usize
    }

    // Every permit that is out. Exact under the lock while nobody gives one back.
    pub(super) fn in_flight(&self) -> usize {
        let guaranteed = |compartment: &Compartment| {
            let state = compartment.load();
            state.in_flight() - state.borrowed()
        };
        let guaranteed: usize = self.compartments.iter().map(guaranteed).sum();
        self.load().in_flight() + guaranteed
    }

    // No code of the caller runs under the lock, so a poisoned one still guards a consistent line.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn adaptive(&self) -> Option<&Adaptive> {
        self.adaptive.as_deref()
    }

    #[inline]
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run.load(Ordering::Relaxed)
    }

    /// Begins or ends a dry run. When it begins nobody has to wait any more.
    pub(super) fn set_dry_run(&self, dry_run: bool) {
        // Under the lock, under which everybody joins the line: so either he sees that there is no need to, or he is seen and served.
        let line = self.line();
        self.dry_run.store(dry_run, Ordering::Relaxed);
        drop(line);
        if dry_run {
            self.serve();
        }
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    #[inline]
    fn count_admitted(&self, place: Place) {
        self.counts.add(ADMITTED);
        if !place.is_plain() {
            self.count_placed(place, LOW_ADMITTED, HIGH_ADMITTED, compartment::ADMITTED);
        }
    }

    fn count_placed(&self, place: Place, low: usize, high: usize, in_partition: usize) {
        match place.priority() {
            Priority::Low => self.counts.add(low),
            Priority::High => self.counts.add(high),
            // The rest.
            Priority::Normal => {}
        }
        if let Some(compartment) = self.compartment(place) {
            compartment.counts.add(in_partition);
        }
    }

    /// Counts a refusal and gives it a name.
    #[inline]
    pub(super) fn reject(&self, place: Place, reason: Reason) -> Refused {
        let (count, in_partition) = match reason {
            Reason::QueueFull => (QUEUE_FULL, compartment::QUEUE_FULL),
            Reason::WaitedTooLong => (WAITED, compartment::WAITED),
            Reason::Displaced => (DISPLACED, compartment::DISPLACED),
            _ => (FULL, compartment::FULL),
        };
        self.counts.add(count);
        if !place.is_plain() {
            self.count_placed(place, LOW_REFUSED, HIGH_REFUSED, in_partition);
        }
        self.notice_saturation();
        Refused::new(&self.label, Details::new(reason, None))
    }
}

// Whose waker it is may not be a friend: its panic is his, and must not cost whoever gives a permit, or waits for one.
fn wake(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        // Dropping it could panic in its turn.
        mem::forget(payload);
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;
    use crate::bulkhead::word::MAX_QUEUE;

    fn gate(max_queue: usize, priority_shares: PriorityShares) -> Gate {
        Gate::new(Settings {
            name: "test".into(),
            max_concurrent: 1,
            max_queue,
            max_wait: None,
            partitions: Vec::new(),
            priority_shares,
            dry_run: false,
            listeners: Vec::new(),
        })
    }

    #[test]
    fn a_permit_that_comes_at_the_time_limit_counts_as_a_wait() {
        let gate = gate(1, PriorityShares::NONE);
        let place = Place::default();
        assert!(gate.try_enter(place, false));
        let Entry::Queued(seat) = gate.enter_or_queue(place) else {
            panic!("not queued");
        };
        assert_eq!(
            gate.pick_up(seat, Waker::noop(), Duration::ZERO),
            Answer::NotYet
        );
        gate.release(place);
        let waited = Duration::from_millis(7);
        assert_eq!(gate.give_up(seat, waited), Answer::Granted);
        let waits = gate.snapshot().waits;
        assert_eq!((waits.granted, waits.longest), (1, waited));
        gate.release(place);
    }

    #[test]
    fn who_asks_whose_turn_it_is_does_not_join_the_line() {
        let gate = gate(MAX_QUEUE, PriorityShares::NONE);
        let place = Place::default();
        assert!(gate.try_enter(place, false));
        let mut seats = Vec::new();
        for _ in 0..MAX_QUEUE {
            match gate.enter_or_queue(place) {
                Entry::Queued(seat) => seats.push(seat),
                _ => panic!("not queued"),
            }
        }
        assert!(!gate.ask(place) && !gate.ask(place.with_priority(Priority::High)));
        assert_eq!(gate.load().queued(), MAX_QUEUE);
        seats
            .into_iter()
            .rev()
            .for_each(|seat| gate.abandon(seat, place));
        gate.release(place);
        assert_eq!(gate.load(), Word::empty(1));
    }
}
