//! What the rate rules see: a list of results for each window.

use std::collections::VecDeque;

use tower_breaker::breaker::Cause;

use super::config::{Config, MS, Over, Rate, share};

/// When it was recorded, whether it failed, whether it was slow.
type Result = (u64, bool, bool);

pub struct Windows {
    groups: Vec<Group>,
}

/// Rules that look at the same window hear of a result together.
struct Group {
    over: Over,
    slow: bool,
    results: VecDeque<Result>,
    /// With their places in the configuration.
    rules: Vec<(usize, Rate)>,
}

impl Windows {
    pub fn new(config: &Config) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (index, rate) in config.rates.iter().enumerate() {
            // A window of calls counts both kinds, one of time only one.
            let same = |group: &&mut Group| {
                group.over == rate.over
                    && (group.slow == rate.slow || matches!(rate.over, Over::Calls(_)))
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.rules.push((index, *rate)),
                None => groups.push(Group {
                    over: rate.over,
                    slow: rate.slow,
                    results: VecDeque::new(),
                    rules: vec![(index, *rate)],
                }),
            }
        }
        Self { groups }
    }

    pub fn clear(&mut self) {
        for group in &mut self.groups {
            group.results.clear();
        }
    }

    /// Records a result. Why the circuit must open, if it must: then the windows after the one that says so do not hear of it.
    pub fn record(&mut self, now: u64, failed: bool, slow: bool) -> Option<Cause> {
        self.groups.iter_mut().find_map(|group| {
            group.results.push_back((now, failed, slow));
            if let Over::Calls(calls) = group.over
                && group.results.len() > calls as usize
            {
                group.results.pop_front();
            }
            let group = &*group;
            group.rules.iter().find_map(|(_, rate)| {
                let (calls, hits) = group.count(rate, now);
                let trips = hits >= rate.minimum_hits
                    && calls >= rate.minimum_calls
                    && f64::from(hits) / f64::from(calls) >= share(rate.threshold);
                trips.then_some(if rate.slow {
                    Cause::SlowCallRate
                } else {
                    Cause::FailureRate
                })
            })
        })
    }

    /// For each rule, in their order: calls, hits, and the rate of them.
    pub fn seen(&self, now: u64) -> Vec<(bool, u32, u32, Option<f64>)> {
        let mut seen: Vec<_> = self
            .groups
            .iter()
            .flat_map(|group| {
                group.rules.iter().map(move |(index, rate)| {
                    let (calls, hits) = group.count(rate, now);
                    let defined = calls >= rate.minimum_calls;
                    let rate_of = defined.then(|| f64::from(hits) / f64::from(calls));
                    (*index, (rate.slow, calls, hits, rate_of))
                })
            })
            .collect();
        seen.sort_by_key(|(index, _)| *index);
        seen.into_iter().map(|(_, seen)| seen).collect()
    }
}

impl Group {
    fn count(&self, rate: &Rate, now: u64) -> (u32, u32) {
        let held = |at: u64| match self.over {
            Over::Calls(_) => true,
            Over::Time { window, slices } => {
                let slice = window * MS / u64::from(slices);
                at / slice + u64::from(slices) > now / slice
            }
        };
        let results = || self.results.iter().filter(|(at, ..)| held(*at));
        let hits = results().filter(|(_, failed, slow)| if rate.slow { *slow } else { *failed });
        (results().count() as u32, hits.count() as u32)
    }
}
