//! What all handles of one circuit share: the state machine, and around it the clock, the totals and the journal.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    clock::Clock,
    counters::{Count, Counters},
    journal::Journal,
    machine::{Change, Denied, Effect, Machine, Manual, Ticket},
    policy::{Abandoned, Recovery},
    snapshot::{Snapshot, WindowSnapshot},
    transition::{State, Transition},
    word::Phase,
};
use crate::{Reason, Refused};

pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) machine: Machine,
    pub(super) counters: Counters,
    pub(super) journal: Journal,
    pub(super) clock: Box<dyn Clock>,
    pub(super) origin: Instant,
    pub(super) on_abandoned: Abandoned,
    pub(super) recovery: Recovery,
    /// Woken by every transition.
    pub(super) changed: Notify,
}

/// An admitted call, as the machine and the abandonment policy need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    ticket: Ticket,
    // Zero unless the policy asks for it.
    admitted_at: u64,
}

/// How a call ended, in the words of those who run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Ignore,
    Abandoned,
}

impl Shared {
    /// Nanoseconds since the circuit was built: enough for five centuries.
    pub(super) fn now(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.origin);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn may_try(&self) -> bool {
        self.recovery == Recovery::Lazy
    }

    #[inline]
    pub(super) fn admit(&self) -> Result<Entry, Refused> {
        match self.machine.admit_closed() {
            Some(ticket) => Ok(self.enter(ticket)),
            None => self.admit_slowly(),
        }
    }

    #[cold]
    fn admit_slowly(&self) -> Result<Entry, Refused> {
        self.admit_as(self.may_try())
            .map_err(|denied| self.refuse(denied.reason, denied.wait))
    }

    pub(super) fn admit_trial(&self) -> Option<Entry> {
        if self.machine.is_closed() {
            return None;
        }
        // A circuit that closes just now gives an ordinary entry, which is as good for a check.
        self.admit_as(true).ok()
    }

    /// As [`admit`](Self::admit), but nobody asked: a refusal is not counted.
    pub(super) fn admit_unasked(&self) -> Option<Entry> {
        self.admit_as(self.may_try()).ok()
    }

    fn admit_as(&self, may_try: bool) -> Result<Entry, Denied> {
        let (ticket, change) = self.machine.admit(may_try, || self.now())?;
        let entry = self.enter(ticket);
        self.announce(change);
        Ok(entry)
    }

    #[inline]
    fn enter(&self, ticket: Ticket) -> Entry {
        self.counters.add(Count::Admitted);
        let admitted_at = match self.on_abandoned {
            Abandoned::FailureAfter(_) => self.now(),
            Abandoned::Ignore | Abandoned::Failure => 0,
        };
        Entry {
            ticket,
            admitted_at,
        }
    }

    /// What an ordinary call would be refused with just now. Counts nothing.
    #[inline]
    pub(super) fn denied(&self) -> Option<Denied> {
        if self.machine.is_closed() {
            return None;
        }
        self.denied_slowly()
    }

    #[cold]
    fn denied_slowly(&self) -> Option<Denied> {
        self.machine.denied(self.may_try(), || self.now())
    }

    pub(super) fn refuse(&self, reason: Reason, wait: Option<u64>) -> Refused {
        self.counters.add(Count::Refused);
        Refused::new(self.name.clone(), reason, wait.map(Duration::from_nanos))
    }

    #[inline]
    pub(super) fn settle(&self, entry: &Entry, outcome: Outcome) {
        if outcome == Outcome::Success && self.machine.success_is_no_news(entry.ticket) {
            self.counters.add(Count::Succeeded);
        } else {
            self.settle_slowly(*entry, outcome);
        }
    }

    fn settle_slowly(&self, entry: Entry, outcome: Outcome) {
        let (ending, effect) = match outcome {
            Outcome::Success => (Count::Succeeded, Effect::Success),
            Outcome::Failure => (Count::Failed, Effect::Failure),
            Outcome::Ignore => (Count::Ignored, Effect::Nothing),
            Outcome::Abandoned => (Count::Abandoned, self.effect_of_abandoning(entry)),
        };
        let settled = self.machine.settle(entry.ticket, effect, || self.now());
        self.counters.add(ending);
        if settled.stale {
            self.counters.add(Count::Stale);
        } else if entry.ticket.trial {
            match effect {
                Effect::Success => self.counters.add(Count::TrialSucceeded),
                Effect::Failure => self.counters.add(Count::TrialFailed),
                Effect::Nothing => {}
            }
        }
        self.announce(settled.change);
    }

    fn effect_of_abandoning(&self, entry: Entry) -> Effect {
        match self.on_abandoned {
            Abandoned::Ignore => Effect::Nothing,
            Abandoned::Failure => Effect::Failure,
            Abandoned::FailureAfter(limit) => {
                let lived = Duration::from_nanos(self.now().saturating_sub(entry.admitted_at));
                if lived >= limit {
                    Effect::Failure
                } else {
                    Effect::Nothing
                }
            }
        }
    }

    /// Of the current episode.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.machine.generation()
    }

    pub(super) fn manual(&self, action: Manual) {
        let change = self.machine.manual(action, || self.now());
        self.announce(change);
    }

    fn announce(&self, change: Option<Change>) {
        if let Some(change) = change {
            self.write_down(change);
        }
    }

    #[cold]
    fn write_down(&self, change: Change) {
        self.journal.enter(Transition {
            name: self.name.clone(),
            from: change.from,
            to: change.to,
            generation: u64::from(change.generation),
            at: self.origin + Duration::from_nanos(change.at),
            cause: change.cause,
        });
        // Last, because it runs wakers, which are the user's.
        self.changed.notify_waiters();
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let view = self.machine.view();
        let now = self.now();
        let (mut held, mut consecutive_failures, mut trials_in_flight, mut trial_successes) =
            (false, 0, 0, 0);
        let mut open_remaining = None;
        let state = match view.phase {
            Phase::Closed {
                held: by_hand,
                failures,
            } => {
                (held, consecutive_failures) = (by_hand, failures);
                State::Closed
            }
            Phase::Open { held: by_hand, .. } => {
                held = by_hand;
                if !by_hand {
                    let until = view
                        .open_until
                        .unwrap_or_else(|| now.saturating_add(self.machine.policy().open_for));
                    open_remaining = Some(Duration::from_nanos(until.saturating_sub(now)));
                }
                State::Open
            }
            Phase::HalfOpen {
                in_flight,
                successes,
            } => {
                (trials_in_flight, trial_successes) = (in_flight, successes);
                State::HalfOpen
            }
        };
        let rule = self.machine.policy().failure_rate;
        let window = view.window.zip(rule).map(|(tally, rule)| WindowSnapshot {
            calls: tally.calls,
            failures: tally.failures,
            rate: rule.rate(tally),
        });
        let (succeeded, failed, ignored, abandoned) = (
            self.counters.get(Count::Succeeded),
            self.counters.get(Count::Failed),
            self.counters.get(Count::Ignored),
            self.counters.get(Count::Abandoned),
        );
        // Read after the endings: whatever has ended among them has been admitted here.
        let admitted = self.counters.get(Count::Admitted);
        Snapshot {
            name: self.name.clone(),
            state,
            held,
            generation: u64::from(view.generation),
            consecutive_failures,
            window,
            open_remaining,
            trials_in_flight,
            trial_successes,
            admitted,
            succeeded,
            failed,
            ignored,
            abandoned,
            refused: self.counters.get(Count::Refused),
            stale: self.counters.get(Count::Stale),
            trials_succeeded: self.counters.get(Count::TrialSucceeded),
            trials_failed: self.counters.get(Count::TrialFailed),
            transitions: self.journal.total(),
            time_in_state: self
                .journal
                .time_in_state(self.origin + Duration::from_nanos(now)),
        }
    }
}
