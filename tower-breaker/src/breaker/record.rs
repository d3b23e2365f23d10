//! Verdicts for permits.

use super::Permit;
use crate::classify::Verdict;

impl Permit {
    /// The call ended with this verdict: [`success`](Self::success), [`failure`](Self::failure) or [`ignore`](Self::ignore).
    pub fn record(self, verdict: Verdict) {
        match verdict {
            Verdict::Success => self.success(),
            Verdict::Failure => self.failure(),
            Verdict::Ignore => self.ignore(),
        }
    }
}
