//! A growing share of the calls, after the circuit has closed.

use super::policy::RampRule;
use crate::sync::{AtomicU64, Ordering};

/// Spreads the admitted calls evenly instead of throwing dice: each call adds the share to an account, and is admitted when
/// that makes it reach the next whole number.
pub(super) struct Ramping {
    rule: RampRule,
    // In units of 1/2^32. Begins just below one, so that the first call is admitted.
    account: AtomicU64,
}

const WHOLE_BITS: u32 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    Admitted,
    Refused {
        /// Until it is over.
        left: u64,
    },
    /// The ramp is over: everything is admitted.
    Over,
}

impl Ramping {
    pub(super) fn new(rule: RampRule) -> Self {
        Self {
            rule,
            account: AtomicU64::new((1 << WHOLE_BITS) - 1),
        }
    }

    /// What becomes of the next call, so many nanoseconds after the circuit closed.
    pub(super) fn share(&self, elapsed: u64) -> Share {
        if elapsed >= self.rule.over {
            return Share::Over;
        }
        let progress = elapsed as f64 / self.rule.over as f64;
        let share = self.rule.from + (1.0 - self.rule.from) * progress;
        let step = (share * (1_u64 << WHOLE_BITS) as f64) as u64;
        let before = self.account.fetch_add(step, Ordering::Relaxed);
        if before.wrapping_add(step) >> WHOLE_BITS == before >> WHOLE_BITS {
            Share::Refused {
                left: self.rule.over - elapsed,
            }
        } else {
            Share::Admitted
        }
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_even_and_grows() {
        let ramping = Ramping::new(RampRule {
            over: 1_000,
            from: 0.25,
        });
        let admitted = |elapsed, calls| {
            (0..calls)
                .filter(|_| ramping.share(elapsed) == Share::Admitted)
                .count()
        };
        assert_eq!(ramping.share(0), Share::Admitted);
        assert_eq!(admitted(0, 4), 1);
        assert_eq!(admitted(0, 400), 100);
        assert_eq!(admitted(333, 1_000), 499);
        assert_eq!(ramping.share(1_000), Share::Over);
        assert_eq!(ramping.share(u64::MAX), Share::Over);
    }
}
