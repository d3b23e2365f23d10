//! Whether an endpoint is well, by its checks. Pure: no clock, no network.

/// How many results in a row it takes. Zero is taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Good ones until it is well again.
    pub healthy_after: u32,
    /// Bad ones until it is not.
    pub unhealthy_after: u32,
}

/// What is thought of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Not checked yet: taken for well, or a gateway that starts would refuse everything.
    Unknown,
    /// Well.
    Healthy,
    /// Not well.
    Unhealthy,
}

impl Health {
    /// Whether requests may go there.
    #[must_use]
    pub fn is_usable(self) -> bool {
        self != Self::Unhealthy
    }
}

/// The state machine.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    thresholds: Thresholds,
    health: Health,
    /// Results in a row that speak against what is thought.
    against: u32,
}

impl Judge {
    /// Of an endpoint that has not been checked.
    #[must_use]
    pub fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            health: Health::Unknown,
            against: 0,
        }
    }

    /// What is thought now.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health
    }

    /// Takes a result in; returns what is thought, if that changed.
    ///
    /// The first one decides alone. An endpoint that has never answered well should not be waited for, and one that has just been
    /// found well has given no reason for doubt.
    pub fn record(&mut self, good: bool) -> Option<Health> {
        let (now, needed) = if good {
            (Health::Healthy, self.thresholds.healthy_after)
        } else {
            (Health::Unhealthy, self.thresholds.unhealthy_after)
        };
        if self.health == now {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        if self.health != Health::Unknown && self.against < needed {
            return None;
        }
        self.health = now;
        self.against = 0;
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judge() -> Judge {
        Judge::new(Thresholds {
            healthy_after: 2,
            unhealthy_after: 3,
        })
    }

    #[test]
    fn the_first_result_decides() {
        assert_eq!(judge().record(true), Some(Health::Healthy));
        assert_eq!(judge().record(false), Some(Health::Unhealthy));
        assert!(judge().health().is_usable());
    }

    #[test]
    fn afterwards_it_takes_results_in_a_row() {
        let mut judge = judge();
        judge.record(true);
        let changes = [false, false, true, false, false, false].map(|good| judge.record(good));
        assert_eq!(changes[..5], [None; 5]);
        assert_eq!(changes[5], Some(Health::Unhealthy));
        let changes = [true, false, true, true].map(|good| judge.record(good));
        assert_eq!(changes, [None, None, None, Some(Health::Healthy)]);
    }

    proptest! {
        /// What it says, told from the results alone: it was the first, or a run of the other kind that was long enough.
        #[test]
        fn it_is_what_the_last_run_that_was_long_enough_says(
            results in prop::collection::vec(any::<bool>(), 1..60), healthy_after in 0..5_u32, unhealthy_after in 0..5_u32,
        ) {
            let mut judge = Judge::new(Thresholds { healthy_after, unhealthy_after });
            let mut expected = Health::Unknown;
            for end in 1..=results.len() {
                let before = judge.health();
                let changed = judge.record(results[end - 1]);
                let last = results[end - 1];
                let run = results[..end].iter().rev().take_while(|result| **result == last).count();
                let needed = if last { healthy_after } else { unhealthy_after };
                if end == 1 || run >= needed.max(1) as usize {
                    expected = if last { Health::Healthy } else { Health::Unhealthy };
                }
                prop_assert_eq!(judge.health(), expected);
                prop_assert_eq!(changed, (before != expected).then_some(expected));
            }
        }
    }
}
