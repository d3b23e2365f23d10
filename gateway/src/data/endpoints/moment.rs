//! Points in time that atomics can hold.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Nanoseconds since some time before this process began, on tokio's clock: so a test with paused time controls what is made of
/// them, and one atomic holds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// Later than any other.
    pub const NEVER: Self = Self(u64::MAX);

    /// This one.
    pub fn now() -> Self {
        Self::at(tokio::time::Instant::now())
    }

    /// For callers who have read the clock anyway.
    #[inline]
    pub fn at(instant: tokio::time::Instant) -> Self {
        let since = instant.into_std().saturating_duration_since(origin());
        Self(nanos(since))
    }

    /// From nanoseconds.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// In nanoseconds.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since an earlier one; zero since a later one.
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same, in nanoseconds.
    #[inline]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// So much later.
    #[inline]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(nanos(time)))
    }
}

/// What does not fit is the most that does, 584 years.
#[inline]
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

// Well before the first moment that is asked for, so that no clock of tokio's, which may be paused at different times in different
// runtimes of one process, is ever before it. Never tokio's own: that one might have been sent into the future.
pub(super) fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(|| {
        let now = Instant::now();
        now.checked_sub(Duration::from_secs(3_600)).unwrap_or(now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_follows_paused_time_exactly() {
        let begun = Moment::now();
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(Moment::now().since(begun), Duration::from_millis(1_500));
        assert_eq!(begun.since(Moment::now()), Duration::ZERO);
        assert_eq!(begun.after(Duration::from_millis(1_500)), Moment::now());
    }

    #[test]
    fn nothing_is_later_than_never() {
        assert_eq!(Moment::NEVER.after(Duration::MAX), Moment::NEVER);
        assert!(Moment::now() < Moment::NEVER);
    }
}
