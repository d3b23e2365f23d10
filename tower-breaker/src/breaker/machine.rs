//! The state machine on atomics. Pure: no clock of its own, no events, no counters, no tower.
//!
//! Every decision is one compare-and-swap of the state word ([`Word`]). Whoever wins the one that changes the state gets
//! the [`Change`] to announce, so each transition is announced by exactly one caller.

use super::{
    deadline::Deadline,
    policy::Policy,
    transition::{Cause, State},
    window::{CountWindow, Tally},
    word::{MAX_CONSECUTIVE, Phase, Word},
};
use crate::{
    Reason,
    sync::{AtomicU64, Ordering},
};

pub(super) struct Machine {
    word: AtomicU64,
    deadline: Deadline,
    window: Option<CountWindow>,
    policy: Policy,
}

/// What an admitted call must show when it reports its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) generation: u32,
    pub(super) trial: bool,
}

/// A refusal. `wait` is what is left of the open wait in nanoseconds, when that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) reason: Reason,
    pub(super) wait: Option<u64>,
}

impl Denied {
    /// The open wait is over, but this call is not the one to try.
    pub(super) const WAIT_OVER: Self = Self {
        reason: Reason::CircuitOpen,
        wait: Some(0),
    };
}

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

/// What became of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    /// The call was admitted in an earlier episode: the result decided nothing.
    pub(super) stale: bool,
    pub(super) change: Option<Change>,
}

impl Settled {
    const STALE: Self = Self {
        stale: true,
        change: None,
    };

    fn current(change: Option<Change>) -> Self {
        Self {
            stale: false,
            change,
        }
    }
}

/// What is done by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manual {
    ForceOpen,
    ForceClosed,
    Reset,
}

/// What the word holds, for snapshots.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) generation: u32,
    pub(super) phase: Phase,
    /// When the open wait ends, if the circuit is open and not held.
    pub(super) open_until: Option<u64>,
    pub(super) window: Option<Tally>,
}

impl Machine {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            word: AtomicU64::new(
                Word::new(
                    0,
                    Phase::Closed {
                        held: false,
                        failures: 0,
                    },
                )
                .0,
            ),
            deadline: Deadline::new(),
            window: policy.failure_rate.map(|rate| CountWindow::new(rate.calls)),
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
        word.is_closed().then(|| Ticket {
            generation: word.generation(),
            trial: false,
        })
    }

    /// Whether a success changes nothing: the whole of [`settle`](Self::settle) on the fast path.
    #[inline]
    pub(super) fn success_is_no_news(&self, ticket: Ticket) -> bool {
        let untroubled = Phase::Closed {
            held: false,
            failures: 0,
        };
        // A trial's ticket is of another generation than any closed episode.
        self.window.is_none() && self.load() == Word::new(ticket.generation, untroubled)
    }

    /// Admits a call, as a trial if the state asks for one and the caller `may_try`.
    pub(super) fn admit(
        &self,
        may_try: bool,
        now: impl Fn() -> u64,
    ) -> Result<(Ticket, Option<Change>), Denied> {
        let mut word = self.load();
        loop {
            let (next, change) = match word.phase() {
                Phase::Closed { .. } => {
                    return Ok((
                        Ticket {
                            generation: word.generation(),
                            trial: false,
                        },
                        None,
                    ));
                }
                Phase::Open { held, published } => {
                    let at = self.expired(held, published, &now)?;
                    if !may_try {
                        return Err(Denied::WAIT_OVER);
                    }
                    let next = word.next(Phase::HalfOpen {
                        in_flight: 1,
                        successes: 0,
                    });
                    (next, Some(change(word, next, at, Cause::WaitElapsed)))
                }
                Phase::HalfOpen {
                    in_flight,
                    successes,
                } => {
                    if !may_try || in_flight >= self.policy.half_open_trials {
                        return Err(Denied {
                            reason: Reason::HalfOpenFull,
                            wait: None,
                        });
                    }
                    (
                        word.with(Phase::HalfOpen {
                            in_flight: in_flight + 1,
                            successes,
                        }),
                        None,
                    )
                }
            };
            match self.swap(word, next) {
                Ok(()) => {
                    return Ok((
                        Ticket {
                            generation: next.generation(),
                            trial: true,
                        },
                        change,
                    ));
                }
                Err(actual) => word = actual,
            }
        }
    }

    /// What [`admit`](Self::admit) would refuse with at this moment. Changes nothing.
    pub(super) fn denied(&self, may_try: bool, now: impl Fn() -> u64) -> Option<Denied> {
        match self.load().phase() {
            Phase::Closed { .. } => None,
            Phase::Open { held, published } => match self.expired(held, published, now) {
                Ok(_) if may_try => None,
                Ok(_) => Some(Denied::WAIT_OVER),
                Err(denied) => Some(denied),
            },
            Phase::HalfOpen { in_flight, .. } => {
                (!may_try || in_flight >= self.policy.half_open_trials).then_some(Denied {
                    reason: Reason::HalfOpenFull,
                    wait: None,
                })
            }
        }
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.load().is_closed()
    }

    // The time, if the open wait is over by now.
    //
    // The deadline read here may already belong to a later episode. Then the word has changed too, so that the swap that
    // would act on it fails; a refusal that quotes it is off by no more than it is late.
    fn expired(&self, held: bool, published: bool, now: impl Fn() -> u64) -> Result<u64, Denied> {
        let wait = if held {
            None
        } else if !published {
            Some(self.policy.open_for)
        } else {
            let (now, until) = (now(), self.deadline.get());
            if now >= until {
                return Ok(now);
            }
            Some(until - now)
        };
        Err(Denied {
            reason: Reason::CircuitOpen,
            wait,
        })
    }

    /// Takes the result of an admitted call.
    pub(super) fn settle(&self, ticket: Ticket, effect: Effect, now: impl Fn() -> u64) -> Settled {
        if ticket.trial {
            self.settle_trial(ticket, effect, now)
        } else {
            self.settle_call(ticket, effect, now)
        }
    }

    fn settle_call(&self, ticket: Ticket, effect: Effect, now: impl Fn() -> u64) -> Settled {
        let mut word = self.load();
        loop {
            let Phase::Closed { held, failures } = word.phase() else {
                return Settled::STALE;
            };
            if word.generation() != ticket.generation {
                return Settled::STALE;
            }
            let next = match effect {
                _ if held => return Settled::current(None),
                Effect::Nothing => return Settled::current(None),
                Effect::Success if failures == 0 => break,
                Effect::Success => word.with(Phase::Closed { held, failures: 0 }),
                Effect::Failure => {
                    let failures = (failures + 1).min(MAX_CONSECUTIVE);
                    if self
                        .policy
                        .consecutive_failures
                        .is_some_and(|limit| failures >= limit)
                    {
                        opened(word)
                    } else {
                        word.with(Phase::Closed { held, failures })
                    }
                }
            };
            let at = Self::time_of_change(word, next, &now);
            match (self.swap(word, next), at) {
                (Ok(()), Some(at)) => {
                    let change = self.publish(word, next, Cause::ConsecutiveFailures, at);
                    return Settled::current(Some(change));
                }
                (Ok(()), None) => break,
                (Err(actual), _) => word = actual,
            }
        }
        Settled::current(self.record(ticket, effect == Effect::Failure, now))
    }

    fn record(&self, ticket: Ticket, failed: bool, now: impl Fn() -> u64) -> Option<Change> {
        let (window, rate) = (self.window.as_ref()?, self.policy.failure_rate.as_ref()?);
        if !rate.trips(window.record(ticket.generation, failed)?) {
            return None;
        }
        let at = now();
        let mut word = self.load();
        loop {
            let Phase::Closed { held: false, .. } = word.phase() else {
                return None;
            };
            if word.generation() != ticket.generation {
                return None;
            }
            let next = opened(word);
            match self.swap(word, next) {
                Ok(()) => return Some(self.publish(word, next, Cause::FailureRate, at)),
                Err(actual) => word = actual,
            }
        }
    }

    fn settle_trial(&self, ticket: Ticket, effect: Effect, now: impl Fn() -> u64) -> Settled {
        let mut word = self.load();
        loop {
            let Phase::HalfOpen {
                in_flight,
                successes,
            } = word.phase()
            else {
                return Settled::STALE;
            };
            if word.generation() != ticket.generation {
                return Settled::STALE;
            }
            let in_flight = in_flight.saturating_sub(1);
            let next = match effect {
                Effect::Nothing => word.with(Phase::HalfOpen {
                    in_flight,
                    successes,
                }),
                Effect::Failure => opened(word),
                Effect::Success if successes + 1 >= self.policy.success_threshold => {
                    word.next(Phase::Closed {
                        held: false,
                        failures: 0,
                    })
                }
                Effect::Success => word.with(Phase::HalfOpen {
                    in_flight,
                    successes: successes + 1,
                }),
            };
            let at = Self::time_of_change(word, next, &now);
            match (self.swap(word, next), at) {
                (Ok(()), Some(at)) => {
                    return Settled::current(Some(if effect == Effect::Failure {
                        self.publish(word, next, Cause::TrialFailed, at)
                    } else {
                        change(word, next, at, Cause::TrialsSucceeded)
                    }));
                }
                (Ok(()), None) => return Settled::current(None),
                (Err(actual), _) => word = actual,
            }
        }
    }

    /// Changes the state by hand. `None` if it is held there already.
    pub(super) fn manual(&self, action: Manual, now: impl Fn() -> u64) -> Option<Change> {
        let at = now();
        let mut word = self.load();
        loop {
            let (next, cause) = match (action, word.phase()) {
                (Manual::ForceOpen, Phase::Open { held: true, .. })
                | (Manual::ForceClosed, Phase::Closed { held: true, .. }) => return None,
                (Manual::ForceOpen, _) => (
                    Phase::Open {
                        held: true,
                        published: false,
                    },
                    Cause::ForcedOpen,
                ),
                (Manual::ForceClosed, _) => (
                    Phase::Closed {
                        held: true,
                        failures: 0,
                    },
                    Cause::ForcedClosed,
                ),
                (Manual::Reset, _) => (
                    Phase::Closed {
                        held: false,
                        failures: 0,
                    },
                    Cause::Reset,
                ),
            };
            let next = word.next(next);
            match self.swap(word, next) {
                Ok(()) => return Some(change(word, next, at, cause)),
                Err(actual) => word = actual,
            }
        }
    }

    // The time, if this swap would be a transition. Read before the swap: the clock is the user's, and if it panics nothing
    // must have been changed that somebody would have to finish.
    fn time_of_change(word: Word, next: Word, now: impl Fn() -> u64) -> Option<u64> {
        (next.generation() != word.generation()).then(now)
    }

    // `opened` has just become the word: starts the wait, and lets everybody see when it ends.
    fn publish(&self, before: Word, opened: Word, cause: Cause, at: u64) -> Change {
        let still_ours = || self.load() == opened;
        if self
            .deadline
            .set(at.saturating_add(self.policy.open_for), still_ours)
        {
            // If this fails, somebody has forced the circuit on, and nobody will ask for this deadline.
            let _ = self.swap(
                opened,
                opened.with(Phase::Open {
                    held: false,
                    published: true,
                }),
            );
        }
        change(before, opened, at, cause)
    }

    pub(super) fn view(&self) -> View {
        let mut word = self.load();
        loop {
            let open_until = match word.phase() {
                Phase::Open {
                    held: false,
                    published: true,
                } => Some(self.deadline.get()),
                _ => None,
            };
            let window = self
                .window
                .as_ref()
                .map(|window| window.tally(word.generation()));
            let again = self.load();
            if again.generation() == word.generation() {
                return View {
                    generation: word.generation(),
                    phase: word.phase(),
                    open_until,
                    window,
                };
            }
            word = again;
        }
    }

    pub(super) fn generation(&self) -> u64 {
        u64::from(self.load().generation())
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

fn opened(word: Word) -> Word {
    word.next(Phase::Open {
        held: false,
        published: false,
    })
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
