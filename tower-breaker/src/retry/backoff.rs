//! How long to wait before the next attempt.

use std::time::Duration;

use crate::{Problem, dice::Dice};

const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Waits that grow with the attempts and are drawn by chance, evenly between nothing and the grown limit: the "full jitter" of
/// Marc Brooker's "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). Of the variants compared there it needs the
/// fewest calls, since those who failed together do not come back together.
///
/// Before the `n`-th retry the limit is `initial` × `factor`^(`n` - 1), but at most `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    initial: Duration,
    factor: f64,
    max: Duration,
}

impl Backoff {
    /// With this limit for the first wait: up to 1 h; 0 retries the first time at once, and every other time too.
    pub fn exponential(initial: Duration) -> Self {
        Self {
            initial,
            factor: 2.0,
            max: Duration::from_secs(5),
        }
    }

    /// By what the limit grows with each attempt: 1 to 10. The default is 2.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The largest limit: no less than the first, up to 1 h. The default is 5 s.
    pub fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.initial > LONGEST {
            problems.push(Problem::new("backoff.initial", self.initial, "0 s to 1 h"));
        }
        if !(1.0..=10.0).contains(&self.factor) {
            problems.push(Problem::new("backoff.factor", self.factor, "1 to 10"));
        }
        if !(self.initial..=LONGEST).contains(&self.max) {
            let allowed = "the initial limit to 1 h";
            problems.push(Problem::new("backoff.max", self.max, allowed));
        }
    }

    // Only with what has been checked.
    fn limit(&self, retry: u32) -> Duration {
        let growth = self
            .factor
            .powi(i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX));
        let limit = self.initial.as_secs_f64() * growth;
        // Infinity included.
        if limit < self.max.as_secs_f64() {
            Duration::from_secs_f64(limit)
        } else {
            self.max
        }
    }

    /// The wait before the `retry`-th retry, from 1.
    pub(super) fn draw(&self, retry: u32, dice: &Dice) -> Duration {
        self.limit(retry).mul_f64(dice.share())
    }
}

impl Default for Backoff {
    /// Begins with 50 ms, doubles, up to 5 s.
    fn default() -> Self {
        Self::exponential(Duration::from_millis(50))
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_limit_grows_up_to_the_largest_and_never_overflows() {
        let backoff = Backoff::exponential(Duration::from_millis(100)).max(Duration::from_secs(1));
        let millis = |retry| backoff.limit(retry).as_millis();
        assert_eq!(
            [1, 2, 3, 4, 5, 1_000, u32::MAX].map(millis),
            [100, 200, 400, 800, 1_000, 1_000, 1_000]
        );
        let none = Backoff::exponential(Duration::ZERO);
        assert_eq!(none.limit(1), Duration::ZERO);
    }

    #[test]
    fn waits_are_spread_evenly_from_nothing_to_the_limit() {
        let backoff = Backoff::exponential(Duration::from_millis(100));
        let dice = Dice::new(3);
        let waits: Vec<_> = (0..10_000).map(|_| backoff.draw(2, &dice)).collect();
        assert!(waits.iter().all(|wait| *wait < Duration::from_millis(200)));
        for tenth in 0..10 {
            let range = Duration::from_millis(20 * tenth)..Duration::from_millis(20 * (tenth + 1));
            let count = waits.iter().filter(|wait| range.contains(wait)).count();
            // Four standard deviations: 4 * sqrt(10,000 * 0.1 * 0.9).
            assert!(count.abs_diff(1_000) < 120, "{count} in {range:?}");
        }
    }
}
