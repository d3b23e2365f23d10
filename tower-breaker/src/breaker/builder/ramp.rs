//! The way from closed to full load.

use std::time::Duration;

use super::check;
use crate::{
    Problem,
    breaker::policy::{RampRule, nanos},
};

/// Lets the load grow after a recovery, instead of sending all of it at once to a service that has just come back.
///
/// Begins when a half-open circuit closes; never when it is closed by hand. The share of calls that are admitted grows evenly
/// from [`from`](Self::from) to all of them. The others are refused with [`Reason::Ramping`](crate::Reason::Ramping). The rules
/// hold meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    over: Duration,
    from: f64,
}

impl Ramp {
    /// The time until every call is admitted: 1 ms to 30 days.
    pub fn over(time: Duration) -> Self {
        Self {
            over: time,
            from: 0.1,
        }
    }

    /// The share of calls that is admitted at first: more than 0, up to 1. The default is 0.1.
    pub fn from(mut self, share: f64) -> Self {
        self.from = share;
        self
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) -> RampRule {
        check::time(problems, "ramp.over", self.over, check::MILLISECOND);
        check::share(problems, "ramp.from", self.from);
        RampRule {
            over: nanos(self.over),
            from: self.from,
        }
    }
}
