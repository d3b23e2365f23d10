use std::sync::Arc;

use super::{gate::Gate, snapshot::Refusals};
use crate::{
    Reason, Refused, stripe,
    sync::{AtomicU64, Ordering},
};

/// One of several ways to one gate. What a call writes to besides the gate's word, it writes to in the lane of its thread:
/// how many hold the lane, how many hold the name, how many were refused.
// Twice the size of a cache line, since processors fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Lane {
    gate: Arc<Gate>,
    name: Arc<str>,
    full: AtomicU64,
    queue_full: AtomicU64,
    waited_too_long: AtomicU64,
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
            // A copy of its own, for the count in it.
            name: Arc::from(&*gate.settings().name),
            full: AtomicU64::new(0),
            queue_full: AtomicU64::new(0),
            waited_too_long: AtomicU64::new(0),
        };
        (0..stripe::count()).map(|_| Arc::new(lane())).collect()
    }

    #[inline]
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Counts a refusal and gives it a name.
    #[inline]
    pub(super) fn reject(&self, reason: Reason) -> Rejection {
        let counter = match reason {
            Reason::QueueFull => &self.queue_full,
            Reason::WaitedTooLong => &self.waited_too_long,
            _ => &self.full,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Rejection {
            name: Arc::clone(&self.name),
            reason,
        }
    }

    pub(super) fn add_to(&self, total: &mut Refusals) {
        total.full += self.full.load(Ordering::Relaxed);
        total.queue_full += self.queue_full.load(Ordering::Relaxed);
        total.waited_too_long += self.waited_too_long.load(Ordering::Relaxed);
    }
}

impl From<Rejection> for Refused {
    #[inline]
    fn from(Rejection { name, reason }: Rejection) -> Self {
        Self::new(name, reason, None)
    }
}
