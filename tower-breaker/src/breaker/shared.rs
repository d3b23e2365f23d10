//! What all handles of one circuit share: the state machine, and around it the clock, the totals and the journal.

use std::{
    convert::Infallible,
    mem,
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    clock::Time,
    counters::{Count, Counters},
    journal::{Journal, shielded},
    machine::{Change, Denied, Effect, Machine, Manual, Report, Ticket, WAIT_OVER},
    policy::{Abandoned, Recovery, nanos},
    transition::{Cause, Episode, State, Transition},
};
use crate::{
    Refused,
    classify::Verdict,
    label::Label,
    ownership::{Addition, Lender},
};

// In this order: what every call needs of one of thousands of circuits is in one cache line, from the last two counters to the head of the
// machine.
#[repr(C)]
pub(super) struct Shared {
    pub(super) id: u64,
    pub(super) label: Label,
    // In nanoseconds; without a rule about slow calls, no call is slow.
    pub(super) slow_call: u64,
    /// Woken by every transition, and by every trial that ends.
    pub(super) changed: Notify,
    pub(super) counters: Counters,
    // What an admitted call's start must be known for: a rule about slow calls, or an abandonment that depends on its age.
    pub(super) times_calls: bool,
    // Whether the end of a success must be known, for a rule about slow calls or for a window of time.
    pub(super) reads_the_end: bool,
    pub(super) ways: Ways,
    pub(super) recovery: Recovery,
    pub(super) machine: Machine,
    pub(super) time: Time,
    pub(super) on_abandoned: Abandoned,
    pub(super) journal: Journal,
}

// Loom's atomics have other sizes.
#[cfg(not(breaker_loom))]
const _: () = {
    // The two words before it in a block are `ownership`'s.
    let machine = 16 + mem::offset_of!(Shared, machine);
    let counters = 16 + mem::offset_of!(Shared, counters) + size_of::<Counters>();
    // The counters end with the words for the stripes. The machine begins with its word and what tells how many windows it has.
    let (first, last) = (counters - 16 - 16, machine + 24);
    assert!(first % 64 == 0 && last - first <= 64);
};

/// What a refusal must look at first, all in one place.
pub(super) struct Ways(AtomicU8);

impl Ways {
    /// Nothing is refused.
    const DRY_RUN: u8 = 1;
    /// The time does not come from tokio's clock.
    const OTHER_CLOCK: u8 = 2;

    pub(super) fn new(dry_run: bool, time: &Time) -> Self {
        let is_other = !time.is_of_tokio();
        let ways = u8::from(dry_run) * Self::DRY_RUN + u8::from(is_other) * Self::OTHER_CLOCK;
        Self(AtomicU8::new(ways))
    }

    #[inline]
    fn are_usual(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    #[inline]
    fn have(&self, way: u8) -> bool {
        self.0.load(Ordering::Relaxed) & way != 0
    }

    pub(super) fn set_dry_run(&self, dry_run: bool) {
        if dry_run {
            self.0.fetch_or(Self::DRY_RUN, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!Self::DRY_RUN, Ordering::Relaxed);
        }
    }
}

/// An admitted call, as the machine and the abandonment policy need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) ticket: Ticket,
    /// Zero unless calls are timed.
    pub(super) admitted_at: u64,
}

/// How a call ended, in the words of those who run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
    Ignore,
    Abandoned,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::Success,
            Verdict::Failure => Self::Failure,
            Verdict::Ignore => Self::Ignore,
        }
    }
}

/// Whether a success could be taken without looking at more than the windows.
pub(super) enum Quietly {
    Done,
    /// Its record broke a rule: the circuit is to open.
    Tripped(Cause),
    /// Not taken: it is more than that.
    No,
}

/// What is left to do when a result has been taken: its end must still be counted.
pub(super) struct Ending {
    pub(super) count: Count,
    pub(super) change: Option<Change>,
    // A waiter for a trial's slot may go on.
    pub(super) frees_a_slot: bool,
}

// SAFETY: a call is a loan. Its beginning is counted as admitted before it has the pointer, its end as one of four by the last
// thing that is done with the loan (`Admission`), with a releasing write; the sums are read with acquiring loads.
#[allow(unsafe_code)]
unsafe impl Lender for Shared {
    type Ending<'a> = Addition<'a>;
    type Rest = Infallible;

    fn has_loans(&self) -> bool {
        !self.counters.all_ended()
    }
}

/// Dropped when a clock has panicked: announces what had been changed, and returns the slot of a trial, which would be lost.
struct Unsettled<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    change: Option<Change>,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        let Self {
            shared,
            ticket,
            change,
        } = *self;
        // A second panic would be one too many.
        shielded(|| {
            if ticket.is_trial() {
                let nothing = Report {
                    effect: Effect::Nothing,
                    slow: false,
                    hint: None,
                };
                shared.machine.settle(ticket, nothing, Some(0), || 0);
            }
            shared.announce(change);
            shared.changed.notify_waiters();
        });
    }
}

impl Shared {
    /// Nanoseconds since the clock's origin: enough for five centuries.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.time.nanos()
    }

    pub(super) fn may_try(&self) -> bool {
        self.recovery != Recovery::Probed
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.ways.have(Ways::DRY_RUN)
    }

    #[inline]
    pub(super) fn admit(&self) -> Result<Entry, Refused> {
        match self.machine.admit_closed() {
            Some(ticket) => Ok(self.enter(ticket)),
            None => self.admit_slowly(),
        }
    }

    #[inline]
    pub(super) fn admit_if_closed(&self) -> Option<Entry> {
        Some(self.enter(self.machine.admit_closed()?))
    }

    #[inline(never)]
    fn admit_slowly(&self) -> Result<Entry, Refused> {
        if !self.is_dry_run() {
            if let Some(denied) = self.machine.denied_outright(self.word(), || self.now()) {
                return Err(self.refuse(denied));
            }
        }
        self.admit_or_refuse()
    }

    #[inline(never)]
    fn admit_or_refuse(&self) -> Result<Entry, Refused> {
        match self.admit_as(self.may_try()) {
            Ok(entry) => Ok(entry),
            Err(_) if self.is_dry_run() => {
                self.counters.add(Count::WouldRefuse);
                Ok(self.enter(Ticket::shadow()))
            }
            Err(denied) => Err(self.refuse(denied)),
        }
    }

    pub(super) fn admit_trial(&self) -> Option<Entry> {
        // Not asked for admission: that would use up a part of the ramp's.
        if self.machine.state() == State::Closed {
            return None;
        }
        let (ticket, change) = self.admit_and_expire(true).ok()?;
        if !ticket.is_trial() {
            // Closed after all, or just now: there is nothing to try.
            self.announce(change);
            return None;
        }
        Some(self.enter_and_announce(ticket, change))
    }

    /// As [`admit`](Self::admit), but nobody asked: a refusal is not counted, and a ramp neither refuses it nor is used up.
    pub(super) fn admit_unasked(&self) -> Option<Entry> {
        match self.machine.admit_closed_by_any_duty() {
            Some(ticket) => Some(self.enter(ticket)),
            None => self.admit_as(self.may_try()).ok(),
        }
    }

    fn admit_as(&self, may_try: bool) -> Result<Entry, Denied> {
        let (ticket, change) = self.admit_and_expire(may_try)?;
        Ok(self.enter_and_announce(ticket, change))
    }

    // The clock is the user's and may panic. Then there is no call, but what admitting it has changed is announced all the same.
    fn enter_and_announce(&self, ticket: Ticket, change: Option<Change>) -> Entry {
        let unsettled = Unsettled {
            shared: self,
            ticket,
            change,
        };
        let admitted_at = self.start();
        mem::forget(unsettled);
        let entry = self.count_in(ticket, admitted_at);
        self.announce(change);
        entry
    }

    fn admit_and_expire(&self, may_try: bool) -> Result<(Ticket, Option<Change>), Denied> {
        self.expire_leases();
        self.machine.admit(may_try, || self.now())
    }

    // Whoever comes while half-open notices the leases that are over.
    #[inline]
    fn expire_leases(&self) {
        if self.machine.has_leases() {
            self.expire_them();
        }
    }

    #[cold]
    fn expire_them(&self) {
        while let Some(settled) = self.machine.expire_lease(|| self.now()) {
            self.counters.add(Count::LeaseExpired);
            if settled.failed_trial && !settled.stale {
                self.counters.add(Count::TrialFailed);
            }
            self.announce(settled.change);
            self.changed.notify_waiters();
        }
    }

    #[inline]
    fn enter(&self, ticket: Ticket) -> Entry {
        // Before it is counted: the clock may panic.
        let admitted_at = self.start();
        self.count_in(ticket, admitted_at)
    }

    #[inline]
    fn start(&self) -> u64 {
        if self.times_calls {
            self.read_the_clock()
        } else {
            0
        }
    }

    // Where it is inlined into the user's code, reading the clock would be more than all the rest.
    #[inline(never)]
    fn read_the_clock(&self) -> u64 {
        self.now()
    }

    #[inline]
    fn count_in(&self, ticket: Ticket, admitted_at: u64) -> Entry {
        self.counters.add(Count::Admitted);
        Entry {
            ticket,
            admitted_at,
        }
    }

    /// What an ordinary call would be refused with just now. Counts nothing.
    #[inline]
    pub(super) fn denied(&self) -> Option<Denied> {
        self.denied_at().map(|(denied, _)| denied)
    }

    /// The same, and the state word from which on that was so.
    #[inline]
    pub(super) fn denied_at(&self) -> Option<(Denied, u64)> {
        let word = self.word();
        if Machine::is_plainly_closed(word) {
            return None;
        }
        Some((self.denied_slowly(word)?, word))
    }

    #[inline(never)]
    fn denied_slowly(&self, word: u64) -> Option<Denied> {
        if !self.ways.are_usual() {
            return self.denied_in_another_way(word);
        }
        let now = || self.time.nanos_of_tokio();
        match self.machine.denied_outright(word, now) {
            None => self.denied_for_some_reason(),
            denied => denied,
        }
    }

    #[cold]
    fn denied_in_another_way(&self, word: u64) -> Option<Denied> {
        if self.is_dry_run() {
            return None;
        }
        match self.machine.denied_outright(word, || self.now()) {
            None => self.denied_for_some_reason(),
            denied => denied,
        }
    }

    #[cold]
    fn denied_for_some_reason(&self) -> Option<Denied> {
        self.expire_leases();
        self.machine.denied(self.may_try(), || self.now())
    }

    #[inline]
    pub(super) fn refuse(&self, denied: Denied) -> Refused {
        self.counters.add_refusal(denied);
        Refused::new(&self.label, denied)
    }

    /// Takes a success, if no more than a step of a window comes of it, so that only its end is left to be counted.
    #[inline]
    pub(super) fn succeed_at_once(&self, entry: &Entry) -> bool {
        !self.reads_the_end && self.machine.succeed_at_once(entry.ticket)
    }

    /// Takes a success of a closed circuit that has no failure to forget, which is most of what a circuit with windows gets.
    /// The caller must count the end.
    #[inline]
    pub(super) fn succeed(&self, entry: Entry) -> Quietly {
        if !self.machine.is_untroubled_by(entry.ticket) {
            return Quietly::No;
        }
        let mut at = 0;
        let mut slow = false;
        if self.reads_the_end {
            at = self.now();
            let lived = at.saturating_sub(entry.admitted_at);
            slow = lived > self.slow_call;
            if slow {
                self.counters.add(Count::Slow);
            }
        }
        if !slow && self.machine.succeed_at_once(entry.ticket) {
            return Quietly::Done;
        }
        match self.machine.record_success(entry.ticket, slow, at) {
            Some(cause) => Quietly::Tripped(cause),
            None => Quietly::Done,
        }
    }

    /// Opens the circuit, for a rule that the record of this call broke.
    #[cold]
    pub(super) fn trip(&self, entry: Entry, cause: Cause) -> Option<Change> {
        let generation = entry.ticket.generation();
        self.machine.trip(generation, None, cause, || self.now())
    }

    /// Takes a result. `hint` is how long the server asks to be left alone, in nanoseconds, zero if it does not. The caller must
    /// count the end.
    pub(super) fn settle(&self, entry: Entry, outcome: Outcome, hint: u64) -> Ending {
        let unsettled = Unsettled {
            shared: self,
            ticket: entry.ticket,
            change: None,
        };
        let at = self.times_calls.then(|| self.now());
        let lived = at.map_or(0, |at| at.saturating_sub(entry.admitted_at));
        let (count, mut effect) = match outcome {
            Outcome::Success => (Count::Succeeded, Effect::Success),
            Outcome::Failure => (Count::Failed, Effect::Failure),
            Outcome::Ignore => (Count::Ignored, Effect::Nothing),
            Outcome::Abandoned => (Count::Abandoned, self.effect_of_abandoning(lived)),
        };
        let slow = effect != Effect::Nothing && lived > self.slow_call;
        if slow {
            self.counters.add(Count::Slow);
            if entry.ticket.is_trial() {
                effect = Effect::Failure;
            }
        }
        let report = Report {
            effect,
            slow,
            hint: (hint > 0).then_some(hint),
        };
        let settled = self.machine.settle(entry.ticket, report, at, || self.now());
        mem::forget(unsettled);
        if settled.stale {
            self.counters.add(Count::Stale);
        } else if entry.ticket.is_trial() {
            match effect {
                Effect::Success => self.counters.add(Count::TrialSucceeded),
                Effect::Failure => self.counters.add(Count::TrialFailed),
                Effect::Nothing => {}
            }
        }
        Ending {
            count,
            change: settled.change,
            frees_a_slot: entry.ticket.is_trial(),
        }
    }

    fn effect_of_abandoning(&self, lived: u64) -> Effect {
        match self.on_abandoned {
            Abandoned::Ignore => Effect::Nothing,
            Abandoned::Failure => Effect::Failure,
            Abandoned::FailureAfter(limit) if lived >= nanos(limit) => Effect::Failure,
            Abandoned::FailureAfter(_) => Effect::Nothing,
        }
    }

    /// The state word, to be compared with.
    #[inline]
    pub(super) fn word(&self) -> u64 {
        self.machine.word()
    }

    /// What a call is refused with that was told so at that state word.
    #[cold]
    pub(super) fn denied_since(&self, denied: Denied, word: u64) -> Denied {
        if self.machine.is_of_this_episode(word) {
            return denied;
        }
        self.denied().unwrap_or(WAIT_OVER)
    }

    /// Whether that changed anything.
    pub(super) fn manual(&self, action: Manual) -> bool {
        let change = self.machine.manual(action, || self.now());
        self.announce(change);
        change.is_some()
    }

    /// Ends an open wait that is over.
    pub(super) fn elapse(&self) -> bool {
        let change = self.machine.elapse(|| self.now());
        self.announce(change);
        change.is_some()
    }

    pub(super) fn announce(&self, change: Option<Change>) {
        if let Some(change) = change {
            self.write_down(change);
        }
    }

    #[cold]
    fn write_down(&self, change: Change) {
        let transition = Transition {
            name: self.label.name().clone(),
            from: change.from,
            to: change.to,
            generation: u64::from(change.generation),
            at: self.instant(change.at),
            cause: change.cause,
            ended: Episode::default(),
        };
        self.journal.enter(transition, || self.counters.totals());
        // Last, because it runs wakers, which are the user's.
        self.changed.notify_waiters();
    }

    /// Far beyond any clock: as late as it can say.
    pub(super) fn instant(&self, at: u64) -> Instant {
        self.time.origin() + Duration::from_nanos(at)
    }
}
