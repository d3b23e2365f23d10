use std::time::Duration;

use crate::Problem;

const SHORTEST: Duration = Duration::from_millis(1);
const MOST_CALLS: u32 = 100_000;

/// Over how long results are gathered before the algorithm sees them; for
/// [`limit_window`](super::super::BulkheadBuilder::limit_window).
///
/// A window is closed by the first result after its time, once there were enough. The next one lasts
/// [`at_least`](Self::at_least), or twice as long as calls took on average in this one, if that is longer, but no more than a
/// minute. A window with a drop does not wait for more results.
///
/// ```
/// use std::time::Duration;
/// use tower_breaker::{Bulkhead, bulkhead::limit::{Gradient2, Window}};
///
/// let bulkhead = Bulkhead::builder("inventory")
///     .adaptive(Gradient2::builder().build()?)
///     .limit_window(Window::new().at_least(Duration::from_millis(250)).minimum_calls(50))
///     .build()?;
/// assert_eq!(bulkhead.snapshot().max_concurrent, 20);
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub(super) at_least: Duration,
    pub(super) minimum_calls: u32,
}

impl Window {
    pub(super) const LONGEST: Duration = Duration::from_secs(60);

    /// At least 100 ms and 10 calls.
    pub fn new() -> Self {
        Self {
            at_least: Duration::from_millis(100),
            minimum_calls: 10,
        }
    }

    /// How long it lasts at least: 1 ms to 60 s. The default is 100 ms. A longer one is steadier and slower.
    pub fn at_least(mut self, time: Duration) -> Self {
        self.at_least = time;
        self
    }

    /// How many calls must have come to a result in it: 1 to 100,000. The default is 10. More makes the average steadier.
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.minimum_calls = calls;
        self
    }

    pub(in crate::bulkhead) fn check(&self, problems: &mut Vec<Problem>) {
        if !(SHORTEST..=Self::LONGEST).contains(&self.at_least) {
            let allowed = format!("{SHORTEST:?} to {:?}", Self::LONGEST);
            problems.push(Problem::new(
                "limit_window.at_least",
                self.at_least,
                allowed,
            ));
        }
        if !(1..=MOST_CALLS).contains(&self.minimum_calls) {
            let allowed = format!("1 to {MOST_CALLS}");
            problems.push(Problem::new(
                "limit_window.minimum_calls",
                self.minimum_calls,
                allowed,
            ));
        }
    }

    /// How long a window lasts in nanoseconds, after one in which calls took so long.
    pub(super) fn lasts(&self, rtt: Duration) -> u64 {
        let time = self.at_least.max(rtt.saturating_mul(2)).min(Self::LONGEST);
        time.as_nanos() as u64
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}
