//! How a call may end, and what its permit is told.

use crate::bulkhead::{BulkheadPermit, Outcome};

/// How a call ended that was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The whole body has come.
    Whole,
    /// There was an error instead of a response, or the body failed.
    Failed,
    /// The body was given up.
    Stalled,
    /// The body panicked.
    Panicked,
}

/// Gives a permit back, if it has not been: the one place where the layer that lasts to the end of the body does so knowingly. A permit that is
/// only dropped is that of a call that was given up by its caller, or became a tunnel.
#[inline]
pub(super) fn end_call(permit: &mut Option<BulkheadPermit>, end: End) {
    let Some(permit) = permit.take() else { return };
    permit.finish(match end {
        End::Whole => Outcome::Success,
        // An error says nothing about the load unless somebody who knows errors says so.
        End::Failed | End::Panicked => Outcome::Ignore,
        // As a call that ran into its time-out.
        End::Stalled => Outcome::Overload,
    });
}
