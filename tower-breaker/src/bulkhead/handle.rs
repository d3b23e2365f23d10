use std::{fmt, sync::Arc, task::Waker};

use super::{
    Acquire, BulkheadBuilder, BulkheadPermit, Event, Events, Place, Priority, Snapshot,
    builder::limit_problem, gate::Gate, watchers::Post,
};
use crate::{BuildError, Problem, Reason, Refused, ownership::Owner};

/// A named limit on how many calls run at once. A handle: cheap to clone, and every clone shares the same permits.
///
/// A handle asks for permits for one place in the bulkhead: a partition or none, and a priority. That of the builder is for calls
/// of no partition and of normal priority; [`partition`](Self::partition) and [`with_priority`](Self::with_priority) make others.
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
    place: Place,
}

impl Bulkhead {
    /// Starts a bulkhead of this name, which shows in refusals and snapshots. It may be any text but the empty one.
    pub fn builder(name: impl Into<Arc<str>>) -> BulkheadBuilder {
        BulkheadBuilder::new(name.into())
    }

    pub(super) fn from_gate(gate: Gate) -> Self {
        Self {
            place: gate.plain_place(),
            gate: Owner::new(gate),
        }
    }

    /// The name it was built with.
    pub fn name(&self) -> &str {
        self.gate.name()
    }

    /// A handle that asks for permits of this partition; `None` if there is none of this name.
    pub fn partition(&self, name: &str) -> Option<Self> {
        let index = self.gate.partition(name)?;
        Some(Self {
            gate: self.gate.clone(),
            place: self.place.with_partition(index),
        })
    }

    /// A handle that asks for permits with this priority.
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self {
            gate: self.gate.clone(),
            place: self.place.with_priority(priority),
        }
    }

    /// The place that this handle asks for permits for. For [`BulkheadLayer::place_by`](super::BulkheadLayer::place_by).
    pub fn place(&self) -> Place {
        self.place
    }

    // A place that was made from nothing, or is another bulkhead's, does not know that calls like it have a share here.
    pub(super) fn set_place(&mut self, place: Place) {
        self.place = if place.is_plain() {
            self.gate.plain_place()
        } else {
            place
        };
    }

    /// The last events, oldest first. The last 64 are remembered. That the bulkhead was full is noticed only while there is a listener,
    /// or once [`events`](Self::events) has been called; changes of the limit always.
    pub fn recent_events(&self) -> Vec<Event> {
        self.gate.journal().recent()
    }

    /// Every event from now on, as a stream.
    pub fn events(&self) -> Events {
        Events::new(self.gate.journal().subscribe())
    }

    /// Begins or ends a dry run, in which the bulkhead refuses nothing and lets nobody wait, and only counts what it would have done
    /// ([`Snapshot::would_refuse`](super::Snapshot::would_refuse)). What runs is counted as ever, so that when the dry run ends, the
    /// limit holds for the calls that began in it too. Whoever waits when it begins is admitted.
    pub fn set_dry_run(&self, dry_run: bool) {
        self.gate.set_dry_run(dry_run);
    }

    /// Whether it is a dry run.
    pub fn is_dry_run(&self) -> bool {
        self.gate.is_dry_run()
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
        self.try_enter(false)
            .ok_or_else(|| self.reject(Reason::BulkheadFull))
    }

    /// Takes a permit, waiting for one in the queue if there is room in it.
    ///
    /// The place in the queue is taken at once, not at the first poll; dropping the future gives it up.
    ///
    /// # Errors
    ///
    /// The future ends with [`Reason::QueueFull`] when as many calls wait as may, with [`Reason::BulkheadFull`] when none
    /// may wait at all, with [`Reason::WaitedTooLong`] when the permit did not come within
    /// [`max_wait`](BulkheadBuilder::max_wait), and with [`Reason::Displaced`] when the queue was full and a call of a higher
    /// [`Priority`] came.
    ///
    /// # Panics
    ///
    /// The future panics when it must wait, there is a `max_wait` and no tokio timer is running.
    pub fn acquire(&self) -> Acquire {
        Acquire::new(&self.gate, self.place)
    }

    /// Whether nobody runs or waits, and this is the only handle.
    pub(crate) fn is_idle(&self) -> bool {
        self.gate.is_alone()
    }

    /// Whether its limit finds itself.
    pub(crate) fn is_adaptive(&self) -> bool {
        self.gate.adaptive().is_some()
    }

    /// Whether both are handles of one bulkhead.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.gate.is(&other.gate)
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.gate.is_full(self.place)
    }

    // Like `try_acquire`, for a caller that has another use for a refusal than to count it. `waits` says whether he would wait, which
    // only matters to the books of a dry run.
    #[inline(always)]
    pub(crate) fn try_enter(&self, waits: bool) -> Option<BulkheadPermit> {
        self.gate
            .try_enter(self.place, waits)
            .then(|| BulkheadPermit::new(&self.gate, self.place))
    }

    /// As [`try_enter`](Self::try_enter), if no code of the user's runs for it, such as a waker or a listener.
    #[inline]
    pub(crate) fn try_enter_quietly(&self) -> Option<BulkheadPermit> {
        self.gate
            .try_enter_quietly(self.place)
            .then(|| BulkheadPermit::new(&self.gate, self.place))
    }

    /// As [`try_acquire`](Self::try_acquire), likewise.
    #[inline]
    pub(crate) fn try_acquire_quietly(&self) -> Option<Result<BulkheadPermit, Refused>> {
        if let Some(permit) = self.try_enter_quietly() {
            return Some(Ok(permit));
        }
        self.gate
            .refuses_quietly(self.place)
            .then(|| Err(self.reject(Reason::BulkheadFull)))
    }

    #[inline]
    pub(crate) fn reject(&self, reason: Reason) -> Refused {
        self.gate.reject(self.place, reason)
    }

    pub(super) fn watch(&self, post: &mut Option<Post>, waker: &Waker) {
        self.gate.watch(post, waker);
    }

    pub(super) fn unwatch(&self, post: Post) {
        self.gate.unwatch(post);
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bulkhead").field(&self.snapshot()).finish()
    }
}
