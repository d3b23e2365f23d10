use std::sync::Arc;

use super::gate::Gate;
use crate::{Reason, Refused, striped};

/// One of several ways to one gate, so that threads do not all write to the same two reference counts: the one that a
/// permit keeps the bulkhead alive with, and that of the name in a refusal.
// Twice the size of a cache line, since processors fetch lines in pairs.
#[repr(align(128))]
pub(super) struct Lane {
    gate: Arc<Gate>,
    // A copy of its own, not a clone: the count is in it.
    name: Arc<str>,
}

/// A refusal on its way to the caller. It becomes a [`Refused`] where it arrives, because moving the larger type on its
/// way costs as much as an atomic operation.
pub(super) struct Rejection {
    name: Arc<str>,
    reason: Reason,
}

impl Lane {
    pub(super) fn lay_out(gate: &Arc<Gate>) -> Arc<[Arc<Self>]> {
        let lane = || Self {
            gate: Arc::clone(gate),
            name: Arc::from(&*gate.settings().name),
        };
        (0..striped::copies()).map(|_| Arc::new(lane())).collect()
    }

    #[inline]
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Counts a refusal and gives it a name.
    #[inline]
    pub(super) fn reject(&self, reason: Reason) -> Rejection {
        self.gate.count_refusal(reason);
        Rejection {
            name: Arc::clone(&self.name),
            reason,
        }
    }
}

impl From<Rejection> for Refused {
    #[inline]
    fn from(Rejection { name, reason }: Rejection) -> Self {
        Self::new(&name, reason, None)
    }
}
