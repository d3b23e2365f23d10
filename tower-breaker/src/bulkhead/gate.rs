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
    queue::{Left, Queue, Seat},
    snapshot::{Refusals, Snapshot, Waits},
    word::Word,
};
use crate::{
    Reason,
    striped::Striped,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering},
};

/// How often the 32 bits of the word's count are carried into 64: four times before they repeat, so that a carry may be
/// late by three quarters of the range.
const CARRY_EVERY: u32 = 1 << 30;

// The counts of refusals.
const FULL: usize = 0;
const QUEUE_FULL: usize = 1;
const WAITED: usize = 2;

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: Arc<str>,
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
    refused: Striped<3>,
    line: Mutex<Line>,
}

// All that is only touched when somebody waits, or when somebody looks.
#[derive(Debug)]
struct Line {
    queue: Queue,
    // The word's count of admissions as last carried over, with the high half it lacks.
    admitted: u64,
    waits: Waits,
}

/// What became of a call that is willing to wait.
pub(super) enum Entry {
    Admitted,
    Queued(Seat),
    Full,
}

impl Gate {
    pub(super) fn new(settings: Settings) -> Self {
        Self::with_counters(settings, Striped::new())
    }

    /// For bulkheads of which there are thousands.
    pub(super) fn compact(settings: Settings) -> Self {
        Self::with_counters(settings, Striped::compact())
    }

    fn with_counters(settings: Settings, refused: Striped<3>) -> Self {
        // Without a queue nobody ever takes a seat.
        let seats = match settings.max_queue {
            0 => 0,
            waiting => waiting + settings.max_concurrent,
        };
        Self {
            word: AtomicU64::new(0),
            settings,
            refused,
            line: Mutex::new(Line {
                queue: Queue::with_seats(seats),
                admitted: 0,
                waits: Waits::default(),
            }),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn load(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    // Tries to replace `from`; gives the word found when another thread was faster.
    fn swap(&self, from: Word, to: Word) -> Result<(), Word> {
        self.word
            .compare_exchange_weak(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Word)
    }

    // No code of the caller runs under the lock, so a poisoned one still guards a consistent line.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a newcomer would have to wait or be refused.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        !self.load().has_room(self.settings.max_concurrent)
    }

    /// Whether nobody runs or waits. If so, this happens after whatever they did.
    pub(super) fn is_idle(&self) -> bool {
        let word = self.load();
        word.in_flight() == 0 && word.queued() == 0
    }

    /// Takes a permit if one is free. The caller owes one [`release`](Self::release) for every `true`.
    #[inline]
    pub(super) fn try_enter(&self) -> bool {
        let mut word = self.load();
        while word.has_room(self.settings.max_concurrent) {
            match self.swap(word, word.enter()) {
                Ok(()) => {
                    self.carry_if_due(word.enter());
                    return true;
                }
                Err(found) => word = found,
            }
        }
        false
    }

    /// Takes a permit, or a seat in the queue. The caller owes one [`release`](Self::release) for `Admitted`, and for
    /// `Queued` one [`pick_up`](Self::pick_up) that succeeds or one [`give_up`](Self::give_up).
    pub(super) fn enter_or_queue(&self) -> Entry {
        if self.try_enter() {
            return Entry::Admitted;
        }
        // So that refusing takes no lock, whether there is no queue or it is full.
        if self.load().queued() >= self.settings.max_queue {
            return Entry::Full;
        }

        let mut line = self.line();
        let mut word = self.load();
        loop {
            let has_room = word.has_room(self.settings.max_concurrent);
            if !has_room && word.queued() >= self.settings.max_queue {
                return Entry::Full;
            }
            let next = if has_room {
                word.enter()
            } else {
                word.join_queue()
            };
            match self.swap(word, next) {
                Ok(()) if has_room => {
                    line.carry_if_due(next);
                    return Entry::Admitted;
                }
                Ok(()) => return Entry::Queued(line.queue.push()),
                Err(found) => word = found,
            }
        }
    }

    /// Gives a permit back, and passes it on if somebody waits.
    #[inline]
    pub(super) fn release(&self) {
        let before = Word::leave(&self.word);
        if before.queued() > 0 {
            self.serve();
        }
    }

    // Grants a free permit to the first waiter. Finds nothing to do when that waiter has left, or when another permit has
    // come free at the same time and whoever released it was here first.
    #[cold]
    fn serve(&self) {
        let mut line = self.line();
        let mut word = self.load();
        while word.queued() > 0 && word.in_flight() < self.settings.max_concurrent {
            let next = word.quit_queue().enter();
            match self.swap(word, next) {
                Ok(()) => {
                    line.carry_if_due(next);
                    let waker = line.queue.grant_first();
                    drop(line);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                    return;
                }
                Err(found) => word = found,
            }
        }
    }

    /// Asks whether the permit waited for has come, and if not, whom to wake when it does. `waited` is for the books.
    /// Once this has answered yes, the seat is gone and the caller owes one [`release`](Self::release).
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

    /// Leaves the queue. When the permit has come in the meantime, this answers yes and the caller owes one
    /// [`release`](Self::release).
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
        let mut word = self.load();
        while let Err(found) = self.swap(word, word.quit_queue()) {
            word = found;
        }
        drop(line);
        drop(waker);
        false
    }

    #[inline]
    pub(super) fn count_refusal(&self, reason: Reason) {
        self.refused.add(match reason {
            Reason::QueueFull => QUEUE_FULL,
            Reason::WaitedTooLong => WAITED,
            _ => FULL,
        });
    }

    #[inline]
    fn carry_if_due(&self, word: Word) {
        if word.admitted().is_multiple_of(CARRY_EVERY) {
            self.carry();
        }
    }

    #[cold]
    fn carry(&self) {
        let mut line = self.line();
        line.carry(self.load());
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut line = self.line();
        // Read under the lock, so that no later reader carries over an older count.
        let word = self.load();
        line.carry(word);
        Snapshot {
            name: Arc::clone(&self.settings.name),
            max_concurrent: self.settings.max_concurrent,
            max_queue: self.settings.max_queue,
            max_wait: self.settings.max_wait,
            in_flight: word.in_flight(),
            queued: word.queued(),
            admitted: line.admitted,
            refused: Refusals {
                full: self.refused.sum(FULL),
                queue_full: self.refused.sum(QUEUE_FULL),
                waited_too_long: self.refused.sum(WAITED),
            },
            waits: line.waits,
        }
    }
}

impl Line {
    // Serial-number arithmetic: right as long as fewer than 2³² admissions lie between two carries.
    fn carry(&mut self, word: Word) {
        self.admitted += u64::from(word.admitted().wrapping_sub(self.admitted as u32));
    }

    fn carry_if_due(&mut self, word: Word) {
        if word.admitted().is_multiple_of(CARRY_EVERY) {
            self.carry(word);
        }
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    // As if so many calls had been admitted, and the count carried over then.
    fn gate_after(admitted: u64) -> Gate {
        let settings = Settings {
            name: "test".into(),
            max_concurrent: 1,
            max_queue: 1,
            max_wait: None,
        };
        let gate = Gate::new(settings);
        gate.word
            .store(Word::with_admitted(admitted as u32).0, Ordering::Relaxed);
        gate.line().admitted = admitted;
        gate
    }

    fn admit_directly(gate: &Gate) {
        assert!(gate.try_enter());
        gate.release();
    }

    // Admits two: one that finds the permit free, and one that waits for it.
    fn admit_through_the_queue(gate: &Gate) {
        assert!(gate.try_enter());
        let Entry::Queued(seat) = gate.enter_or_queue() else {
            panic!("not queued");
        };
        gate.release();
        assert!(gate.pick_up(seat, Waker::noop(), Duration::ZERO));
        gate.release();
    }

    #[test]
    fn admissions_are_counted_beyond_32_bits() {
        for start in [u64::from(u32::MAX) - 2, (1 << 40) - 3] {
            let gate = gate_after(start);
            admit_directly(&gate);
            admit_through_the_queue(&gate);
            admit_directly(&gate);
            admit_through_the_queue(&gate);
            assert_eq!(gate.snapshot().admitted, start + 6);
        }
    }

    #[test]
    fn the_count_is_carried_over_even_if_nobody_ever_looks() {
        for quarter in 1..=4 {
            let boundary = quarter * u64::from(CARRY_EVERY);
            let gate = gate_after(boundary - 2);
            admit_directly(&gate);
            assert_eq!(gate.line().admitted, boundary - 2, "too early");
            admit_directly(&gate);
            assert_eq!(gate.line().admitted, boundary);

            let gate = gate_after(boundary - 2);
            admit_through_the_queue(&gate);
            assert_eq!(gate.line().admitted, boundary);
        }
    }

    #[test]
    fn a_permit_that_comes_at_the_time_limit_counts_as_a_wait() {
        let gate = gate_after(0);
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
