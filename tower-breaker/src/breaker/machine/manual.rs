//! What is done by hand.

use super::{Change, Machine, change};
use crate::breaker::{
    transition::Cause,
    word::{Duty, Phase},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::breaker) enum Manual {
    ForceOpen,
    /// Nanoseconds.
    ForceOpenFor(u64),
    ForceClosed,
    /// Nanoseconds.
    ForceClosedFor(u64),
    Disable,
    Reset,
    /// Ends an open wait.
    HalfOpen,
}

impl Machine {
    /// Changes the state by hand. `None` if there is nothing to change: it is held there already, or `HalfOpen` was asked of
    /// a circuit that is not open.
    pub(in crate::breaker) fn manual(
        &self,
        action: Manual,
        now: impl Fn() -> u64,
    ) -> Option<Change> {
        let at = now();
        let mut word = self.load();
        loop {
            let made = match (action, word.phase()) {
                (Manual::ForceOpen, Phase::Open { held: true, .. })
                | (
                    Manual::ForceClosed,
                    Phase::Closed {
                        duty: Duty::Hold, ..
                    },
                )
                | (
                    Manual::Disable,
                    Phase::Closed {
                        duty: Duty::Disabled,
                        ..
                    },
                ) => return None,
                (Manual::ForceOpen, _) => {
                    let next = word.next(Phase::Open {
                        held: true,
                        published: false,
                        attempt: 0,
                    });
                    self.swap(word, next)
                        .map(|()| change(word, next, at, Cause::ForcedOpen))
                }
                (Manual::ForceOpenFor(wait), _) => {
                    self.open_for(word, 0, wait, Cause::ForcedOpen, at)
                }
                (Manual::ForceClosed, _) => {
                    let next = word.next(self.closed(0, Duty::Hold));
                    self.begin_closed(word, next, at, Cause::ForcedClosed)
                }
                (Manual::ForceClosedFor(time), _) => {
                    let held = |published| self.closed(0, Duty::HoldUntil { published });
                    let next = word.next(held(false));
                    let made = self.begin_closed(word, next, at, Cause::ForcedClosed);
                    if made.is_ok() {
                        // By then its windows have been cleared, and the word may say so.
                        let begun = self.load();
                        let is_ours = begun.generation() == next.generation();
                        if let (true, Phase::Closed { fresh, .. }) = (is_ours, begun.phase()) {
                            let until = at.saturating_add(time);
                            let published = begun.with(Phase::Closed {
                                failures: 0,
                                next: 0,
                                fresh,
                                duty: Duty::HoldUntil { published: true },
                            });
                            self.publish(begun, published, until);
                        }
                    }
                    made
                }
                (Manual::Disable, _) => {
                    let next = word.next(self.closed(0, Duty::Disabled));
                    self.begin_closed(word, next, at, Cause::Disabled)
                }
                (Manual::Reset, _) => {
                    let next = word.next(self.closed(0, Duty::Rules));
                    self.begin_closed(word, next, at, Cause::Reset)
                }
                (Manual::HalfOpen, Phase::Open { attempt, .. }) => {
                    let next = word.next(Phase::HalfOpen {
                        in_flight: 0,
                        successes: 0,
                        failures: 0,
                        attempt,
                    });
                    self.swap(word, next)
                        .map(|()| change(word, next, at, Cause::WaitEndedByHand))
                }
                (Manual::HalfOpen, _) => return None,
            };
            match made {
                Ok(change) => return Some(change),
                Err(actual) => word = actual,
            }
        }
    }
}
