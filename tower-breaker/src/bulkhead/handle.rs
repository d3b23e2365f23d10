use std::{fmt, sync::Arc};

use super::{Acquire, BulkheadBuilder, BulkheadPermit, Snapshot, gate::Gate, lane::Lane};
use crate::{Reason, Refused, striped};

/// A named limit on how many calls run at once. A handle: cheap to clone, and every clone shares the same permits.
///
/// It works without tower too: hold a permit for as long as the guarded work lasts.
///
/// ```
/// use tower_breaker::Bulkhead;
///
/// let bulkhead = Bulkhead::builder("reports").max_concurrent(2).build()?;
/// let first = bulkhead.try_acquire()?;
/// let second = bulkhead.try_acquire()?;
/// assert!(bulkhead.try_acquire().is_err());
///
/// drop(first);
/// assert!(bulkhead.try_acquire().is_ok());
/// assert_eq!(bulkhead.snapshot().refused.full, 1);
/// # drop(second);
/// # Ok::<(), tower_breaker::BoxError>(())
/// ```
#[derive(Clone)]
pub struct Bulkhead {
    gate: Arc<Gate>,
    lanes: Arc<[Arc<Lane>]>,
}

impl Bulkhead {
    /// Starts a bulkhead of this name, which shows in refusals and snapshots. It may be any text but the empty one.
    pub fn builder(name: impl Into<Arc<str>>) -> BulkheadBuilder {
        BulkheadBuilder::new(name.into())
    }

    pub(super) fn from_gate(gate: Gate, lanes: usize) -> Self {
        let gate = Arc::new(gate);
        let lanes = Lane::lay_out(&gate, lanes);
        Self { gate, lanes }
    }

    #[inline]
    fn lane(&self) -> &Arc<Lane> {
        striped::copy_for_this_thread(&self.lanes)
    }

    /// The name it was built with.
    pub fn name(&self) -> &str {
        &self.gate.settings().name
    }

    /// How it is set, and how it stands.
    pub fn snapshot(&self) -> Snapshot {
        self.gate.snapshot()
    }

    /// Takes a permit if one is free. Never waits, and never overtakes a call that does.
    ///
    /// # Errors
    ///
    /// [`Reason::BulkheadFull`] when as many calls run as may.
    pub fn try_acquire(&self) -> Result<BulkheadPermit, Refused> {
        self.try_enter()
            .ok_or_else(|| self.reject(Reason::BulkheadFull))
    }

    /// Takes a permit, waiting for one in the queue if there is room in it.
    ///
    /// The place in the queue is taken at once, not at the first poll; dropping the future gives it up.
    ///
    /// # Errors
    ///
    /// The future ends with [`Reason::QueueFull`] when as many calls wait as may, with [`Reason::BulkheadFull`] when none
    /// may wait at all, and with [`Reason::WaitedTooLong`] when the permit did not come within
    /// [`max_wait`](BulkheadBuilder::max_wait).
    ///
    /// # Panics
    ///
    /// The future panics when it must wait, there is a `max_wait` and no tokio timer is running.
    pub fn acquire(&self) -> Acquire {
        Acquire::new(self.lane())
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.gate.is_full()
    }

    /// Whether nobody runs or waits, and this is the only handle.
    pub(crate) fn is_idle(&self) -> bool {
        self.gate.is_idle() && Arc::strong_count(&self.lanes) == 1
    }

    /// Whether both are handles of one bulkhead.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.gate, &other.gate)
    }

    // Like `try_acquire`, for a caller that has another use for a refusal than to count it.
    #[inline]
    pub(crate) fn try_enter(&self) -> Option<BulkheadPermit> {
        self.gate
            .try_enter()
            .then(|| BulkheadPermit::new(Arc::clone(self.lane())))
    }

    #[inline]
    pub(crate) fn reject(&self, reason: Reason) -> Refused {
        self.lane().reject(reason)
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bulkhead").field(&self.snapshot()).finish()
    }
}
