//! How a body may end, and what its permit is told.
//!
//! What the answer says of the load was told when its head came: from then on the time is as much the reader's, and a slow reader
//! must not look like a slow service. Only a stall is still news, since it is the service that the reader waited for in vain.

use crate::bulkhead::{BulkheadPermit, Outcome};

/// How the body of an admitted call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It came whole, failed or panicked.
    Over,
    /// It was given up.
    Stalled,
}

/// Gives a permit back, if it has not been.
#[inline]
pub(super) fn end_call(permit: &mut Option<BulkheadPermit>, end: End) {
    let Some(permit) = permit.take() else { return };
    permit.finish(match end {
        End::Over => Outcome::Ignore,
        // As a call that ran into its time-out.
        End::Stalled => Outcome::Overload,
    });
}
