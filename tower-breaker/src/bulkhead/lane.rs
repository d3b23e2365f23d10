use std::sync::Arc;

use super::gate::Gate;
use crate::{
    Reason, Refused,
    refused::{Details, Label},
};

/// One of several ways to one gate, so that threads do not all write to the same two reference counts: the one that a
/// permit keeps the bulkhead alive with, and that of the name in a refusal.
// Twice the size of a cache line, since processors fetch lines in pairs.
#[repr(align(128))]
pub(super) struct Lane {
    gate: Arc<Gate>,
    // One of its own, not a clone: the count is in it.
    label: Label,
}

impl Lane {
    pub(super) fn lay_out(gate: &Arc<Gate>, copies: usize) -> Arc<[Arc<Self>]> {
        let lane = || Self {
            gate: Arc::clone(gate),
            label: Label::new(gate.settings().name.clone()),
        };
        (0..copies).map(|_| Arc::new(lane())).collect()
    }

    #[inline]
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Counts a refusal and gives it a name.
    #[inline]
    pub(super) fn reject(&self, reason: Reason) -> Refused {
        self.gate.count_refusal(reason);
        Refused::new(&self.label, Details::new(reason, None))
    }
}
