//! The state machine on atomics. Pure: no clock of its own, no events, no counters, no tower.
//!
//! Every decision is one compare-and-swap of the state word ([`Word`]). Whoever wins the one that changes the state gets
//! the [`Change`] to announce, so each transition is announced by exactly one caller.
//!
//! The clock and the function for the open wait are the user's and may panic. They are asked before the swap that their answer
//! is for, so that nothing is left half done. How a closed episode begins is in `fresh`, what is done by hand in `manual`.

mod fresh;
mod manual;
mod rest;
mod ticket;
mod trial;

use super::{
    deadline::Deadline,
    gauge::Gauge,
    leases::Leases,
    policy::{Policy, RateRule},
    ramp::Ramping,
    transition::{Cause, State},
    wait::{Chosen, Waits},
    window::Mark,
    word::{Duty, MAX_CONSECUTIVE, Phase, Word},
};
use crate::{
    Reason,
    refused::Details,
    sync::{AtomicU64, Ordering},
};

pub(super) use self::{
    manual::Manual,
    rest::Rest,
    ticket::{Standing, Ticket},
};

// In this order: what every call needs is together, at the beginning.
#[repr(C)]
pub(super) struct Machine {
    word: AtomicU64,
    gauges: Box<[Gauge]>,
    reads_the_clock: bool,
    // When the open wait ends, or the hold of a circuit forced closed for a time.
    deadline: Deadline,
    // When the last closed episode began. Never goes back.
    closed_at: AtomicU64,
    leases: Option<Leases>,
    ramping: Option<Ramping>,
    waits: Waits,
    policy: Policy,
}

/// A refusal: why, and what is left of the open wait, when that is known.
pub(super) type Denied = Details;

/// The open wait is over, but this call is not the one to try.
pub(super) const WAIT_OVER: Denied = Details::new(Reason::CircuitOpen, Some(0));
/// When nobody knows how long: trials decide soon, and while the circuit ramps up, the next call may well be admitted. Not less,
/// since `Retry-After` cannot say less.
const SOON: u64 = 1_000_000_000;

/// A transition that the caller has just made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: State,
    pub(super) to: State,
    /// Of the episode that begins.
    pub(super) generation: u32,
    pub(super) at: u64,
    pub(super) cause: Cause,
}

/// What a finished call means for the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Success,
    Failure,
    /// Nothing; a trial's slot is returned.
    Nothing,
}

/// A finished call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub(super) effect: Effect,
    pub(super) slow: bool,
    /// How long the server asks to be left alone, in nanoseconds.
    pub(super) hint: Option<u64>,
}

/// What became of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    /// The call was admitted in an earlier episode, or its lease was over: the result decided nothing.
    pub(super) stale: bool,
    pub(super) change: Option<Change>,
    /// It was the end of a trial's lease, and counts as a failure of the trial.
    pub(super) failed_trial: bool,
}

impl Settled {
    const STALE: Self = Self {
        stale: true,
        change: None,
        failed_trial: false,
    };

    fn current(change: Option<Change>) -> Self {
        Self {
            stale: false,
            change,
            failed_trial: false,
        }
    }
}

/// What the word holds, for snapshots.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) generation: u32,
    pub(super) phase: Phase,
    /// When the open wait, or the hold of a circuit forced closed for a time, is over.
    pub(super) until: Option<u64>,
    /// What each rate rule sees, in the order of the policy.
    pub(super) readings: Vec<(RateRule, u32, u32)>,
}

impl Machine {
    pub(super) fn new(policy: Policy, seed: u64) -> Self {
        let first = Phase::Closed {
            failures: 0,
            next: 0,
            fresh: false,
            duty: Duty::Rules,
        };
        let gauges = Gauge::all(&policy);
        Self {
            word: AtomicU64::new(Word::new(0, first).0),
            deadline: Deadline::new(),
            closed_at: AtomicU64::new(0),
            reads_the_clock: gauges.iter().any(Gauge::reads_the_clock),
            gauges,
            leases: policy
                .lease
                .map(|lease| Leases::new(policy.half_open_trials, lease.time)),
            ramping: policy.ramp.map(Ramping::new),
            waits: Waits::new(seed),
            policy,
        }
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Admits a call if the circuit is closed: the whole of [`admit`](Self::admit) on the fast path.
    #[inline]
    pub(super) fn admit_closed(&self) -> Option<Ticket> {
        let word = self.load();
        word.is_plainly_closed()
            .then(|| Ticket::call(word.generation()))
    }

    /// Admits a call if the circuit is closed, be it ramping or held.
    pub(super) fn admit_closed_by_any_duty(&self) -> Option<Ticket> {
        let word = self.load();
        matches!(word.phase(), Phase::Closed { .. }).then(|| Ticket::call(word.generation()))
    }

    /// Takes a success if it changes nothing, or makes the only window, one of calls, take a step past a success: the whole of
    /// [`settle`](Self::settle) on the fast path. `false`: nothing was done.
    #[inline]
    pub(super) fn succeed_at_once(&self, ticket: Ticket) -> bool {
        match &*self.gauges {
            [] => self.is_untroubled_by(ticket),
            [gauge] => gauge.succeed_at_once(ticket.generation(), || self.is_untroubled_by(ticket)),
            _ => false,
        }
    }

    /// Whether the windows must know when a call ended.
    pub(super) fn reads_the_clock(&self) -> bool {
        self.reads_the_clock
    }

    /// Whether a success of this call concerns the windows at most.
    #[inline]
    pub(super) fn is_untroubled_by(&self, ticket: Ticket) -> bool {
        ticket.is_call() && self.load().is_untroubled(ticket.generation())
    }

    /// Lets the windows hear of such a success; gives why the circuit must open, if it must.
    #[inline]
    pub(super) fn record_success(&self, ticket: Ticket, slow: bool, at: u64) -> Option<Cause> {
        let mark = Mark {
            failed: false,
            slow,
        };
        self.record(ticket.generation(), mark, at)
    }

    #[inline]
    fn record(&self, generation: u32, mark: Mark, at: u64) -> Option<Cause> {
        let current = || self.load().feeds_windows(generation);
        self.gauges
            .iter()
            .find_map(|gauge| gauge.record(generation, mark, at, current))
    }

    /// Admits a call, as a trial if the state asks for one and the caller `may_try`.
    pub(super) fn admit(
        &self,
        may_try: bool,
        now: impl Fn() -> u64,
    ) -> Result<(Ticket, Option<Change>), Denied> {
        let mut word = self.load();
        loop {
            let call = Ticket::call(word.generation());
            let (next, at, cause) = match word.phase() {
                Phase::Closed {
                    duty: Duty::Ramp, ..
                } => {
                    if self.admit_ramping(word, now())? {
                        return Ok((call, None));
                    }
                    word = self.load();
                    continue;
                }
                Phase::Closed {
                    duty: Duty::HoldUntil { published: true },
                    ..
                } => {
                    let at = now();
                    if at < self.deadline.get() {
                        return Ok((call, None));
                    }
                    let next = word.next(self.closed(0, Duty::Rules));
                    match self.begin_closed(word, next, at, Cause::HoldElapsed) {
                        Ok(change) => {
                            return Ok((Ticket::call(next.generation()), Some(change)));
                        }
                        Err(actual) => word = actual,
                    }
                    continue;
                }
                Phase::Closed { .. } => return Ok((call, None)),
                Phase::Open {
                    held,
                    published,
                    attempt,
                } => {
                    let at = self.expired(held, published, &now)?;
                    if !may_try {
                        return Err(WAIT_OVER);
                    }
                    let next = word.next(Phase::HalfOpen {
                        in_flight: 1,
                        successes: 0,
                        failures: 0,
                        attempt,
                    });
                    (next, Some(at), Some(Cause::WaitElapsed))
                }
                Phase::HalfOpen {
                    in_flight,
                    successes,
                    failures,
                    attempt,
                } => {
                    if !may_try || !self.has_room(in_flight, successes + failures) {
                        return Err(self.half_open_full());
                    }
                    let next = word.with(Phase::HalfOpen {
                        in_flight: in_flight + 1,
                        successes,
                        failures,
                        attempt,
                    });
                    (next, self.leases.is_some().then(&now), None)
                }
            };
            match self.swap(word, next) {
                Ok(()) => {
                    let generation = next.generation();
                    let lease = self
                        .leases
                        .as_ref()
                        .zip(at)
                        .and_then(|(leases, at)| leases.take(generation, at));
                    let ticket = Ticket::trial(generation, lease);
                    let change = at
                        .zip(cause)
                        .map(|(at, cause)| change(word, next, at, cause));
                    return Ok((ticket, change));
                }
                Err(actual) => word = actual,
            }
        }
    }

    /// What [`admit`](Self::admit) refuses with, if the circuit is open, as this state word says, and its wait is not over: the whole of
    /// it for most that are refused.
    #[inline]
    pub(super) fn denied_outright(&self, word: u64, now: impl FnOnce() -> u64) -> Option<Denied> {
        if !Word(word).is_waiting() {
            return None;
        }
        let now = now();
        Details::with_wait(Reason::CircuitOpen, self.deadline.get().wrapping_sub(now))
    }

    /// What [`admit`](Self::admit) would refuse with at this moment, but for the ramp, which is a matter of the single call.
    /// Changes nothing.
    pub(super) fn denied(&self, may_try: bool, now: impl Fn() -> u64) -> Option<Denied> {
        match self.load().phase() {
            Phase::Closed { .. } => None,
            Phase::Open {
                held, published, ..
            } => match self.expired(held, published, now) {
                Ok(_) if may_try => None,
                Ok(_) => Some(WAIT_OVER),
                Err(denied) => Some(denied),
            },
            Phase::HalfOpen {
                in_flight,
                successes,
                failures,
                ..
            } => (!may_try || !self.has_room(in_flight, successes + failures))
                .then(|| self.half_open_full()),
        }
    }

    // Or sooner, where every trial is decided by then.
    fn half_open_full(&self) -> Denied {
        let lease = self.policy.lease.map_or(SOON, |lease| lease.time);
        Denied::new(Reason::HalfOpenFull, Some(lease.min(SOON)))
    }

    /// Whether this state word is of a closed circuit, with nothing to ask but the rules.
    #[inline]
    pub(super) fn is_plainly_closed(word: u64) -> bool {
        Word(word).is_plainly_closed()
    }

    // The time, if the open wait is over by now.
    //
    // The deadline read here may already belong to a later episode. Then the word has changed too, so that the swap that
    // would act on it fails; a refusal that quotes it is off by no more than it is late.
    fn expired(&self, held: bool, published: bool, now: impl Fn() -> u64) -> Result<u64, Denied> {
        if held {
            return Err(Details::new(Reason::ForcedOpen, None));
        }
        let mut wait = None;
        if published {
            let (now, until) = (now(), self.deadline.get());
            if now >= until {
                return Ok(now);
            }
            wait = Some(until - now);
        }
        Err(Details::new(Reason::CircuitOpen, wait))
    }

    /// Ends an open wait that is over, without a call. For recovery by a timer.
    pub(super) fn elapse(&self, now: impl Fn() -> u64) -> Option<Change> {
        let mut word = self.load();
        loop {
            let Phase::Open {
                held,
                published,
                attempt,
            } = word.phase()
            else {
                return None;
            };
            let at = self.expired(held, published, &now).ok()?;
            let next = word.next(Phase::HalfOpen {
                in_flight: 0,
                successes: 0,
                failures: 0,
                attempt,
            });
            match self.swap(word, next) {
                Ok(()) => return Some(change(word, next, at, Cause::WaitElapsed)),
                Err(actual) => word = actual,
            }
        }
    }

    /// Takes the result of an admitted call. `at` is when it ended, if that is known already.
    pub(super) fn settle(
        &self,
        ticket: Ticket,
        report: Report,
        at: Option<u64>,
        now: impl Fn() -> u64,
    ) -> Settled {
        match ticket.standing() {
            Standing::Call => self.settle_call(ticket.generation(), report, at, now),
            Standing::Trial(lease) => {
                self.settle_trial(ticket.generation(), lease, report, at, now)
            }
            Standing::Shadow => Settled::current(None),
        }
    }

    fn settle_call(
        &self,
        generation: u32,
        report: Report,
        at: Option<u64>,
        now: impl Fn() -> u64,
    ) -> Settled {
        let is_no_news = report.effect == Effect::Success && self.load().is_untroubled(generation);
        if !is_no_news {
            match self.count_in_a_row(generation, report, &now) {
                Ok(()) => {}
                Err(settled) => return settled,
            }
        }
        let mark = Mark {
            failed: report.effect == Effect::Failure,
            slow: report.slow,
        };
        let at = match at {
            None if self.reads_the_clock => now(),
            at => at.unwrap_or(0),
        };
        Settled::current(
            self.record(generation, mark, at)
                .and_then(|cause| self.trip(generation, report.hint, cause, now)),
        )
    }

    // The part of a result that concerns the word. `Ok` if the windows are to hear of it.
    fn count_in_a_row(
        &self,
        generation: u32,
        report: Report,
        now: impl Fn() -> u64,
    ) -> Result<(), Settled> {
        let mut chosen = None;
        let mut word = self.load();
        loop {
            let Phase::Closed {
                failures,
                next,
                fresh,
                duty,
            } = word.phase()
            else {
                return Err(Settled::STALE);
            };
            if word.generation() != generation {
                return Err(Settled::STALE);
            }
            if report.effect == Effect::Nothing || !duty.is_ruled() {
                return Err(Settled::current(None));
            }
            if fresh {
                self.freshen(generation);
                word = self.load();
                continue;
            }
            let failures = match report.effect {
                Effect::Failure => (failures + 1).min(MAX_CONSECUTIVE),
                _ if failures == 0 => return Ok(()),
                _ => 0,
            };
            // At least one, so that a success never reaches it.
            let limit = self.policy.consecutive_failures;
            if limit.is_some_and(|limit| failures >= limit) {
                let cause = Cause::ConsecutiveFailures;
                match self.open(word, next, report.hint, &mut chosen, cause, now()) {
                    Ok(change) => return Err(Settled::current(Some(change))),
                    Err(actual) => word = actual,
                }
                continue;
            }
            let counted = word.with(Phase::Closed {
                failures,
                next,
                fresh,
                duty,
            });
            match self.swap(word, counted) {
                Ok(()) => return Ok(()),
                Err(actual) => word = actual,
            }
        }
    }

    // A rule about a rate has been broken: opens the circuit, unless the episode is over.
    #[cold]
    pub(super) fn trip(
        &self,
        generation: u32,
        hint: Option<u64>,
        cause: Cause,
        now: impl Fn() -> u64,
    ) -> Option<Change> {
        let at = now();
        let mut chosen = None;
        let mut word = self.load();
        loop {
            if word.generation() != generation {
                return None;
            }
            let Phase::Closed { next, duty, .. } = word.phase() else {
                return None;
            };
            if !duty.is_ruled() {
                return None;
            }
            match self.open(word, next, hint, &mut chosen, cause, at) {
                Ok(change) => return Some(change),
                Err(actual) => word = actual,
            }
        }
    }

    // Opens a closed circuit. `next` is which attempt it is, if the circuit was not closed for long enough.
    fn open(
        &self,
        word: Word,
        next: u32,
        hint: Option<u64>,
        chosen: &mut Chosen,
        cause: Cause,
        at: u64,
    ) -> Result<Change, Word> {
        let closed_for = at.saturating_sub(self.closed_at.load(Ordering::Acquire));
        let attempt = if closed_for >= self.policy.stable_after {
            0
        } else {
            next
        };
        let wait = self.waits.choose_once(chosen, &self.policy, attempt, hint);
        self.open_for(word, attempt, wait, cause, at)
    }

    fn open_for(
        &self,
        word: Word,
        attempt: u32,
        wait: u64,
        cause: Cause,
        at: u64,
    ) -> Result<Change, Word> {
        let opened = |published| Phase::Open {
            held: false,
            published,
            attempt,
        };
        let next = word.next(opened(false));
        self.swap(word, next)?;
        self.publish(next, next.with(opened(true)), at.saturating_add(wait));
        Ok(change(word, next, at, cause))
    }

    // `begun` has just become the word: lets everybody see until when it lasts.
    fn publish(&self, begun: Word, published: Word, until: u64) {
        if self.deadline.set(until, || self.load() == begun) {
            // If this fails, somebody has forced the circuit on, and nobody will ask for this deadline.
            let _ = self.swap(begun, published);
        }
    }

    pub(super) fn view(&self, now: u64) -> View {
        let mut word = self.load();
        loop {
            let until = match word.phase() {
                Phase::Open {
                    held: false,
                    published: true,
                    ..
                }
                | Phase::Closed {
                    duty: Duty::HoldUntil { published: true },
                    ..
                } => Some(self.deadline.get()),
                _ => None,
            };
            let is_fresh = matches!(word.phase(), Phase::Closed { fresh: true, .. });
            let mut readings: Vec<_> = self
                .gauges
                .iter()
                .flat_map(|gauge| gauge.readings(now))
                .collect();
            readings.sort_by_key(|(index, ..)| *index);
            let again = self.load();
            if again.generation() == word.generation() {
                let seen = |count: u32| if is_fresh { 0 } else { count };
                return View {
                    generation: word.generation(),
                    phase: word.phase(),
                    until,
                    readings: readings
                        .into_iter()
                        .map(|(_, rule, calls, hits)| (rule, seen(calls), seen(hits)))
                        .collect(),
                };
            }
            word = again;
        }
    }

    /// When the open wait is over; `None` unless the circuit is open, not held, and its deadline is known.
    pub(super) fn open_until(&self) -> Option<u64> {
        match self.load().phase() {
            Phase::Open {
                held: false,
                published: true,
                ..
            } => Some(self.deadline.get()),
            _ => None,
        }
    }

    /// For how long to leave a backend alone of which a check found out nothing, in nanoseconds.
    pub(super) fn pause(&self) -> u64 {
        self.waits.choose(&self.policy, 0, None)
    }

    /// The state word, to be compared with.
    #[inline]
    pub(super) fn word(&self) -> u64 {
        self.load().0
    }

    /// Whether the circuit is still in the episode in which its state word was this one.
    pub(super) fn is_of_this_episode(&self, word: u64) -> bool {
        Word(word).generation() == self.load().generation()
    }

    pub(super) fn state(&self) -> State {
        state(self.load())
    }

    #[inline]
    fn load(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    fn swap(&self, from: Word, to: Word) -> Result<(), Word> {
        match self
            .word
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Ok(()),
            Err(actual) => Err(Word(actual)),
        }
    }
}

fn change(before: Word, after: Word, at: u64, cause: Cause) -> Change {
    Change {
        from: state(before),
        to: state(after),
        generation: after.generation(),
        at,
        cause,
    }
}

fn state(word: Word) -> State {
    match word.phase() {
        Phase::Closed { .. } => State::Closed,
        Phase::Open { .. } => State::Open,
        Phase::HalfOpen { .. } => State::HalfOpen,
    }
}
