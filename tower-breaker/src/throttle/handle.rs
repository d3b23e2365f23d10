use std::{fmt, sync::Arc};

use super::{Snapshot, ThrottleBuilder, ThrottlePermit, shared::Shared};
use crate::{Refused, striped::Spread};

/// A named throttle. A handle: cheap to clone, and every clone shares the one window.
///
/// It works without tower too:
///
/// ```
/// use tower_breaker::Throttle;
///
/// let throttle = Throttle::builder("search").k(1.5).build()?;
/// let permit = throttle.try_acquire()?;
/// // ... ask, and then say whether the backend took the call:
/// permit.success();
/// assert_eq!(throttle.snapshot().accepts, 1);
/// # Ok::<(), tower_breaker::BoxError>(())
/// ```
#[derive(Clone)]
pub struct Throttle {
    pub(super) shared: Spread<Shared>,
}

impl Throttle {
    /// Starts a throttle of this name, which shows in refusals and snapshots. It may be any text but the empty one.
    pub fn builder(name: impl Into<Arc<str>>) -> ThrottleBuilder {
        ThrottleBuilder::new(name.into())
    }

    pub(super) fn from_shared(shared: Shared) -> Self {
        Self {
            shared: Spread::new(shared),
        }
    }

    /// The name it was built with.
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// Begins or ends a dry run, in which the throttle refuses nothing, and only counts what it would have refused
    /// ([`Snapshot::would_refuse`]).
    pub fn set_dry_run(&self, dry_run: bool) {
        self.shared.set_dry_run(dry_run);
    }

    /// Whether it is a dry run.
    pub fn is_dry_run(&self) -> bool {
        self.shared.is_dry_run()
    }

    /// How it is set, and how it stands.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// Asks for permission for one call. The permit takes its result.
    ///
    /// # Errors
    ///
    /// [`Reason::Throttled`](crate::Reason::Throttled), with the probability that the window asks for. Such a refusal knows no
    /// wait: the next call may well be admitted.
    #[inline]
    pub fn try_acquire(&self) -> Result<ThrottlePermit, Refused> {
        self.shared.admit()?;
        Ok(ThrottlePermit::new(self.shared.lend()))
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
