//! Who may pass: the shared state behind every handle, permit and waiter of one bulkhead. Knows no time and no tower.
//!
//! What it relies on; `loom_tests` checks it:
//!
//! * the number of waiters in the word changes only under the lock, and equals the length of the line there;
//! * a newcomer takes a permit only when the word says that nobody waits, and joins the line only when it says that none is
//!   free or somebody waits, both with a compare-and-swap on the word that says so;
//! * so a permit that comes free while somebody waits stays free until the line is served, and whoever released it sees in
//!   the same atomic operation that it has to serve.

use std::{
    sync::{Arc, PoisonError},
    task::Waker,
    time::Duration,
};

use super::{
    adaptive::Adaptive,
    queue::{Left, Queue, Seat},
    snapshot::{Refusals, Snapshot, Waits},
    word::Word,
};
use crate::{
    Reason, Refused,
    ownership::Lender,
    refused::{Details, Label},
    striped::Striped,
    sync::{AtomicU64, Mutex, MutexGuard},
};

// What is counted.
const ADMITTED: usize = 0;
const FULL: usize = 1;
const QUEUE_FULL: usize = 2;
const WAITED: usize = 3;

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: Arc<str>,
    /// At the start; the word has what it is now.
    pub(super) max_concurrent: usize,
    pub(super) max_queue: usize,
    pub(super) max_wait: Option<Duration>,
}

impl Settings {
    /// What a call is told that finds neither a permit nor a place in the queue.
    pub(super) fn reason_when_full(&self) -> Reason {
        if self.max_queue == 0 {
            Reason::BulkheadFull
        } else {
            Reason::QueueFull
        }
    }
}

pub(super) struct Gate {
    word: AtomicU64,
    settings: Settings,
    label: Label,
    adaptive: Option<Adaptive>,
    counts: Striped<4>,
    line: Mutex<Line>,
}

// All that is only touched when somebody waits, or when somebody looks.
#[derive(Debug)]
struct Line {
    queue: Queue,
    waits: Waits,
}

/// What became of a call that is willing to wait.
pub(super) enum Entry {
    Admitted,
    Queued(Seat),
    Full,
}

// SAFETY: a permit is a loan, from the moment it is counted in flight, which is before it has the pointer, to the moment it no
// longer is, which is the last thing done with it (`permit`). The word is written by read-modify-writes that release, and read here
// with an acquiring load.
#[allow(unsafe_code)]
unsafe impl Lender for Gate {
    fn has_loans(&self) -> bool {
        self.load().in_flight() > 0
    }
}

impl Gate {
    #[cfg(test)]
    pub(super) fn new(settings: Settings) -> Self {
        Self::with(settings, None)
    }

    /// With a limit that finds itself, if there is an `adaptive`; `max_concurrent` is where it begins.
    pub(super) fn with(settings: Settings, adaptive: Option<Adaptive>) -> Self {
        // All the seats that will ever be needed, so that a growing limit allocates nothing.
        let largest = adaptive
            .as_ref()
            .map_or(settings.max_concurrent, Adaptive::max);
        Self {
            word: AtomicU64::new(Word::empty(settings.max_concurrent).0),
            label: Label::new(Arc::clone(&settings.name)),
            counts: Striped::new(),
            line: Mutex::new(Line {
                queue: Queue::with_seats(settings.seats_for(largest)),
                waits: Waits::default(),
            }),
            adaptive,
            settings,
        }
    }

    #[inline]
    pub(super) fn adaptive(&self) -> Option<&Adaptive> {
        self.adaptive.as_ref()
    }

    #[inline]
    pub(super) fn in_flight(&self) -> usize {
        self.load().in_flight()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    #[inline]
    fn load(&self) -> Word {
        Word::load(&self.word)
    }

    // No code of the caller runs under the lock, so a poisoned one still guards a consistent line.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a newcomer would have to wait or be refused.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        !self.load().has_room()
    }

    /// Takes a permit if one is free. The caller owes one end of it for every `true`.
    #[inline]
    pub(super) fn try_enter(&self) -> bool {
        let entered = Word::update(&self.word, |word| word.has_room().then(|| word.enter()));
        if entered.is_ok() {
            self.counts.add(ADMITTED);
        }
        entered.is_ok()
    }

    /// Takes a permit, or a seat in the queue. The caller owes one end of a permit for `Admitted`, and for `Queued` one
    /// [`pick_up`](Self::pick_up) that succeeds or one [`give_up`](Self::give_up).
    pub(super) fn enter_or_queue(&self) -> Entry {
        if self.try_enter() {
            return Entry::Admitted;
        }
        // So that refusing takes no lock, whether there is no queue or it is full.
        if self.load().queued() >= self.settings.max_queue {
            return Entry::Full;
        }

        let mut line = self.line();
        let mut admitted = false;
        let entered = Word::update(&self.word, |word| {
            admitted = word.has_room();
            if admitted {
                Some(word.enter())
            } else if word.queued() < self.settings.max_queue {
                Some(word.join_queue())
            } else {
                None
            }
        });
        match entered {
            Err(_) => Entry::Full,
            Ok(_) if admitted => {
                self.counts.add(ADMITTED);
                Entry::Admitted
            }
            Ok(_) => Entry::Queued(line.queue.push()),
        }
    }

    /// Gives a permit back if that is all there is to do. If so, this is the end of it, and whoever had it may not touch the gate
    /// any more.
    #[inline]
    pub(super) fn try_leave(&self) -> bool {
        Word::update(&self.word, |word| {
            word.needs_no_attention().then(|| word.leave())
        })
        .is_ok()
    }

    /// Gives a permit back, whatever else there is to do: the caller must [`serve`](Self::serve) afterwards.
    pub(super) fn leave(&self) {
        let _ = Word::update(&self.word, |word| Some(word.leave()));
    }

    /// Gives a permit back, and passes it on if somebody waits. Only for who has a share in the gate besides the permit.
    pub(super) fn release(&self) {
        if !self.try_leave() {
            self.leave();
            self.serve();
        }
    }

    /// Changes how many calls may run at once. If that makes room, those who wait are served; if it takes room away, nobody who
    /// runs is disturbed.
    pub(super) fn set_limit(&self, limit: usize) {
        let mut line = self.line();
        line.queue.prepare(self.settings.seats_for(limit));
        let _ = Word::update(&self.word, |word| Some(word.with_limit(limit)));
        drop(line);
        self.serve();
    }

    /// Grants what is free to those who wait.
    pub(super) fn serve(&self) {
        // Without the lock it can only be found too early that there is nothing to do, and whoever changes that serves after us.
        while self.load().queued() > 0 && self.load().has_permit() {
            let mut line = self.line();
            let granted = Word::update(&self.word, |word| {
                (word.queued() > 0 && word.has_permit()).then(|| word.quit_queue().enter())
            });
            if granted.is_err() {
                return;
            }
            self.counts.add(ADMITTED);
            let waker = line.queue.grant_first();
            drop(line);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Asks whether the permit waited for has come, and if not, whom to wake when it does. `waited` is for the books.
    /// Once this has answered yes, the seat is gone and the caller owes one end of a permit.
    pub(super) fn pick_up(&self, seat: Seat, waker: &Waker, waited: Duration) -> bool {
        // Wakers are made and dropped outside the lock: either may run code that comes back here.
        let waker = waker.clone();
        let mut line = self.line();
        if line.queue.is_granted(seat) {
            line.queue.take(seat);
            line.waits.record(waited);
            return true;
        }
        let spare = line.queue.set_waker(seat, waker);
        drop(line);
        drop(spare);
        false
    }

    /// Leaves the queue. When the permit has come in the meantime, this answers yes and the caller owes one end of it.
    pub(super) fn give_up(&self, seat: Seat, waited: Duration) -> bool {
        let mut line = self.line();
        let left = line.queue.take(seat);
        if let Left::Granted = left {
            line.waits.record(waited);
        }
        self.leave_line(line, left)
    }

    /// Leaves the queue for good. A permit that has come in the meantime is passed on.
    pub(super) fn abandon(&self, seat: Seat) {
        let mut line = self.line();
        line.waits.abandoned += 1;
        let left = line.queue.take(seat);
        if self.leave_line(line, left) {
            self.release();
        }
    }

    fn leave_line(&self, line: MutexGuard<'_, Line>, left: Left) -> bool {
        let Left::Waiting(waker) = left else {
            return true;
        };
        let _ = Word::update(&self.word, |word| Some(word.quit_queue()));
        drop(line);
        drop(waker);
        false
    }

    /// Counts a refusal and gives it a name.
    #[inline]
    pub(super) fn reject(&self, reason: Reason) -> Refused {
        self.counts.add(match reason {
            Reason::QueueFull => QUEUE_FULL,
            Reason::WaitedTooLong => WAITED,
            _ => FULL,
        });
        Refused::new(&self.label, Details::new(reason, None))
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let line = self.line();
        let word = self.load();
        Snapshot {
            name: Arc::clone(&self.settings.name),
            max_concurrent: word.limit(),
            max_queue: self.settings.max_queue,
            max_wait: self.settings.max_wait,
            in_flight: word.in_flight(),
            queued: word.queued(),
            admitted: self.counts.sum(ADMITTED),
            refused: Refusals {
                full: self.counts.sum(FULL),
                queue_full: self.counts.sum(QUEUE_FULL),
                waited_too_long: self.counts.sum(WAITED),
            },
            waits: line.waits,
            adaptive: self.adaptive().map(Adaptive::figures),
        }
    }
}

impl Settings {
    // For everybody who may wait, and everybody who has been granted a permit and has not picked it up yet. Without a queue nobody
    // ever takes a seat.
    fn seats_for(&self, max_concurrent: usize) -> usize {
        match self.max_queue {
            0 => 0,
            waiting => waiting + max_concurrent,
        }
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_permit_that_comes_at_the_time_limit_counts_as_a_wait() {
        let gate = Gate::new(Settings {
            name: "test".into(),
            max_concurrent: 1,
            max_queue: 1,
            max_wait: None,
        });
        assert!(gate.try_enter());
        let Entry::Queued(seat) = gate.enter_or_queue() else {
            panic!("not queued");
        };
        gate.release();
        let waited = Duration::from_millis(7);
        assert!(gate.give_up(seat, waited));
        let waits = gate.snapshot().waits;
        assert_eq!((waits.granted, waits.longest), (1, waited));
        gate.release();
    }
}
