//! From a verdict to what the circuit records.

use std::time::Duration;

use crate::{
    breaker::{permit::Admission, shared::Outcome},
    classify::Verdict,
};

/// How long the service behind asks to be left alone, if the circuit wants to know.
#[inline]
pub(super) fn hint(
    admission: &Admission,
    ask: impl FnOnce() -> Option<Duration>,
) -> Option<Duration> {
    if admission.wants_retry_after() {
        ask()
    } else {
        None
    }
}

#[inline]
pub(super) fn settle(admission: &mut Admission, verdict: Verdict, hint: Option<Duration>) {
    admission.settle_hinted(Outcome::from(verdict), hint);
}
