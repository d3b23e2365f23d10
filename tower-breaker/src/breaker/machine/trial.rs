//! Trials: how many, what their results decide, and what becomes of those that take too long.

use super::{Denied, Effect, Machine, Report, SOON, Settled};
use crate::{
    Reason,
    breaker::{
        leases::{Lease, Revoked},
        policy::{LeaseExpired, TrialRule},
        ramp::Share,
        transition::Cause,
        word::{Duty, MAX_ATTEMPT, Phase, Word},
    },
    sync::Ordering,
};

impl Machine {
    /// Whether another trial may begin, with so many in flight and so many decided.
    pub(super) fn has_room(&self, in_flight: u32, decided: u32) -> bool {
        in_flight < self.policy.half_open_trials
            && match self.policy.trial_rule {
                TrialRule::Successes(_) => true,
                TrialRule::Rate { trials, .. } => in_flight + decided < trials,
            }
    }

    pub(super) fn settle_trial(
        &self,
        generation: u32,
        lease: Option<Lease>,
        report: Report,
        at: Option<u64>,
        now: impl Fn() -> u64,
    ) -> Settled {
        // Before the lease is given back: after that, nobody else would finish what a panicking clock left undone.
        let at = at.unwrap_or_else(now);
        let leased = self.leases.as_ref().zip(lease);
        if leased.is_some_and(|(leases, lease)| !leases.give_back(lease)) {
            return Settled::STALE;
        }
        self.decide(
            generation,
            report.effect,
            report.hint,
            Cause::TrialFailed,
            at,
        )
    }

    /// Whether there are trials whose leases could be over.
    #[inline]
    pub(in crate::breaker) fn has_leases(&self) -> bool {
        self.leases.is_some() && self.load().is_half_open()
    }

    /// Takes a lease away that is over. `None` if there is none.
    pub(in crate::breaker) fn expire_lease(&self, now: impl Fn() -> u64) -> Option<Settled> {
        let (leases, lease) = self.leases.as_ref().zip(self.policy.lease)?;
        let word = self.load();
        let Phase::HalfOpen { in_flight: 1.., .. } = word.phase() else {
            return None;
        };
        let at = now();
        let revoked = leases.revoke_one(word.generation(), at)?;
        let effect = match (lease.expired, revoked) {
            (LeaseExpired::Failure, Revoked::Running) => Effect::Failure,
            // Of a lease that is aside it is the reader who takes so long.
            (LeaseExpired::Ignore, _) | (_, Revoked::Aside) => Effect::Nothing,
        };
        let settled = self.decide(word.generation(), effect, None, Cause::LeaseExpired, at);
        Some(Settled {
            failed_trial: effect == Effect::Failure,
            ..settled
        })
    }

    /// The time of the trial that holds this is its reader's own for now.
    #[cfg(any(feature = "http", test))]
    pub(in crate::breaker) fn set_lease_aside(&self, lease: Lease) {
        if let Some(leases) = &self.leases {
            leases.set_aside(lease);
        }
    }

    /// The trial's time goes on. `own` is how much of it was its reader's. Gives what it holds from now on.
    #[cfg(any(feature = "http", test))]
    pub(in crate::breaker) fn take_lease_up(&self, lease: Lease, own: u64) -> Lease {
        match &self.leases {
            Some(leases) => leases.take_up(lease, own),
            None => lease,
        }
    }

    /// When the first lease of the running trials is over.
    pub(in crate::breaker) fn first_lease_end(&self) -> Option<u64> {
        self.leases.as_ref()?.first_end(self.load().generation())
    }

    fn decide(
        &self,
        generation: u32,
        effect: Effect,
        hint: Option<u64>,
        if_failed: Cause,
        at: u64,
    ) -> Settled {
        let mut chosen = None;
        let mut word = self.load();
        loop {
            let Phase::HalfOpen {
                in_flight,
                successes,
                failures,
                attempt,
            } = word.phase()
            else {
                return Settled::STALE;
            };
            if word.generation() != generation {
                return Settled::STALE;
            }
            let successes = successes + u32::from(effect == Effect::Success);
            let failures = failures + u32::from(effect == Effect::Failure);
            let made = match self.verdict(successes, failures) {
                Some(true) => {
                    let duty = match self.ramping {
                        Some(_) => Duty::Ramp,
                        None => Duty::Rules,
                    };
                    let next = word.next(self.closed((attempt + 1).min(MAX_ATTEMPT), duty));
                    self.begin_closed(word, next, at, Cause::TrialsSucceeded)
                        .map(Some)
                }
                Some(false) => {
                    let attempt = (attempt + 1).min(MAX_ATTEMPT);
                    let wait = self
                        .waits
                        .choose_once(&mut chosen, &self.policy, attempt, hint);
                    self.open_for(word, attempt, wait, if_failed, at).map(Some)
                }
                None => {
                    let next = word.with(Phase::HalfOpen {
                        in_flight: in_flight.saturating_sub(1),
                        successes,
                        failures,
                        attempt,
                    });
                    self.swap(word, next).map(|()| None)
                }
            };
            match made {
                Ok(change) => return Settled::current(change),
                Err(actual) => word = actual,
            }
        }
    }

    // Whether so many results close the circuit or open it again. `None`: more are needed.
    fn verdict(&self, successes: u32, failures: u32) -> Option<bool> {
        match self.policy.trial_rule {
            TrialRule::Successes(needed) => {
                if failures > 0 {
                    return Some(false);
                }
                (successes >= needed).then_some(true)
            }
            TrialRule::Rate {
                trials,
                failures: too_many,
            } => {
                if failures >= too_many {
                    return Some(false);
                }
                // As soon as even nothing but failures would not be too many any more.
                (trials.saturating_sub(successes) < too_many).then_some(true)
            }
        }
    }

    /// Whether the ramp lets this call pass. `Ok(false)`: look again, the ramp is over.
    pub(super) fn admit_ramping(&self, word: Word, now: u64) -> Result<bool, Denied> {
        let since = self.closed_at.load(Ordering::Acquire);
        let elapsed = now.saturating_sub(since);
        match self.ramping.as_ref().map(|ramping| ramping.share(elapsed)) {
            Some(Share::Admitted) => Ok(true),
            Some(Share::Refused { left }) => {
                Err(Denied::new(Reason::Ramping, Some(left.min(SOON))))
            }
            Some(Share::Over) | None => {
                if let Phase::Closed {
                    failures,
                    next,
                    fresh,
                    ..
                } = word.phase()
                {
                    let plain = word.with(Phase::Closed {
                        failures,
                        next,
                        fresh,
                        duty: Duty::Rules,
                    });
                    // If it fails, the word is looked at again all the same.
                    let _: Result<(), Word> = self.swap(word, plain);
                }
                Ok(false)
            }
        }
    }
}
