use std::{fmt, sync::Arc};

use super::{
    Acquire, BulkheadBuilder, BulkheadPermit, Snapshot, builder::limit_problem, gate::Gate,
};
use crate::{BuildError, Problem, Reason, Refused, ownership::Owner};

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
    gate: Owner<Gate>,
}

impl Bulkhead {
    /// Starts a bulkhead of this name, which shows in refusals and snapshots. It may be any text but the empty one.
    pub fn builder(name: impl Into<Arc<str>>) -> BulkheadBuilder {
        BulkheadBuilder::new(name.into())
    }

    pub(super) fn from_gate(gate: Gate) -> Self {
        Self {
            gate: Owner::new(gate),
        }
    }

    /// The name it was built with.
    pub fn name(&self) -> &str {
        &self.gate.settings().name
    }

    /// How it is set, and how it stands.
    pub fn snapshot(&self) -> Snapshot {
        self.gate.snapshot()
    }

    /// Changes how many calls may run at once, for all handles: 1 to 250,000. Never blocks.
    ///
    /// With a higher limit those who wait are served at once, in their order. With a lower one nobody who runs is disturbed: as
    /// calls end, no others are admitted until fewer run than may.
    ///
    /// ```
    /// use tower_breaker::Bulkhead;
    ///
    /// let bulkhead = Bulkhead::builder("reports").max_concurrent(2).build()?;
    /// let (first, second) = (bulkhead.try_acquire()?, bulkhead.try_acquire()?);
    /// bulkhead.resize(1)?;
    /// assert_eq!(bulkhead.snapshot().in_flight, 2);
    ///
    /// drop(first);
    /// assert!(bulkhead.try_acquire().is_err());
    /// drop(second);
    /// assert!(bulkhead.try_acquire().is_ok());
    /// # Ok::<(), tower_breaker::BoxError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the number is out of range, or the limit finds itself ([`adaptive`](BulkheadBuilder::adaptive)). Nothing has changed
    /// then.
    pub fn resize(&self, max_concurrent: usize) -> Result<(), BuildError> {
        let mut problems: Vec<_> = limit_problem(max_concurrent).into_iter().collect();
        if self.gate.adaptive().is_some() {
            let allowed = "nothing, because this limit finds itself (`adaptive`)";
            problems.push(Problem::new("max_concurrent", max_concurrent, allowed));
        }
        BuildError::check("bulkhead", self.name(), problems)?;
        self.gate.set_limit(max_concurrent);
        Ok(())
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
        Acquire::new(&self.gate)
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.gate.is_full()
    }

    // Like `try_acquire`, for a caller that has another use for a refusal than to count it.
    #[inline]
    pub(super) fn try_enter(&self) -> Option<BulkheadPermit> {
        self.gate
            .try_enter()
            .then(|| BulkheadPermit::new(&self.gate))
    }

    #[inline]
    pub(super) fn reject(&self, reason: Reason) -> Refused {
        self.gate.reject(reason)
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bulkhead").field(&self.snapshot()).finish()
    }
}
