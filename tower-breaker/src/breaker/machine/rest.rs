//! Whether a circuit could be made anew without anybody noticing.

use super::Machine;
use crate::{
    breaker::word::{Duty, Phase},
    sync::Ordering,
};

/// What would be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::breaker) enum Rest {
    /// It does not admit everything by its rules, or will not.
    NotClosed,
    /// It is closed, but has failures in mind, or how the last recovery went.
    Remembers,
    /// Nothing.
    Nothing,
}

impl Machine {
    pub(in crate::breaker) fn rest(&self, now: impl Fn() -> u64) -> Rest {
        let Phase::Closed {
            failures,
            next,
            duty,
            ..
        } = self.load().phase()
        else {
            return Rest::NotClosed;
        };
        match duty {
            Duty::Rules => {}
            // It ends with the next call, which may never come.
            Duty::Ramp if self.is_ramp_over(&now) => {}
            Duty::HoldUntil { published: true } if now() >= self.deadline.get() => {}
            _ => return Rest::NotClosed,
        }
        let counts_openings = next > 0
            && self.policy.stable_after > 0
            && self.closed_for(&now) < self.policy.stable_after;
        if failures > 0 || counts_openings || self.windows_hold_hits(now) {
            Rest::Remembers
        } else {
            Rest::Nothing
        }
    }

    fn closed_for(&self, now: impl Fn() -> u64) -> u64 {
        now().saturating_sub(self.closed_at.load(Ordering::Acquire))
    }

    fn is_ramp_over(&self, now: impl Fn() -> u64) -> bool {
        let ramp = self.policy.ramp;
        ramp.is_none_or(|ramp| self.closed_for(now) >= ramp.over)
    }

    fn windows_hold_hits(&self, now: impl Fn() -> u64) -> bool {
        if self.gauges.is_empty() {
            return false;
        }
        let now = now();
        let mut readings = self.gauges.iter().flat_map(|gauge| gauge.readings(now));
        readings.any(|(_, _, _, hits)| hits > 0)
    }
}
