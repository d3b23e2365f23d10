//! A window and the rules that look at it.

use super::{
    policy::{Kind, Over, Policy, RateRule},
    transition::Cause,
    window::{CountWindow, Mark, Tally, TimeWindow},
};

/// Rules over the same last N calls share one window, which counts failures and slow calls. A window of time counts one kind.
pub(super) struct Gauge {
    window: Window,
    rules: Box<[Watch]>,
    // The largest minimum of calls of the rules.
    enough: u32,
}

enum Window {
    Count(CountWindow),
    Time { kind: Kind, window: TimeWindow },
}

struct Watch {
    // The rule's place in the policy.
    index: usize,
    rule: RateRule,
}

impl Gauge {
    pub(super) fn all(policy: &Policy) -> Box<[Self]> {
        let mut gauges: Vec<(Over, Kind, Vec<Watch>)> = Vec::new();
        for (index, rule) in policy.rates.iter().enumerate() {
            let watch = Watch { index, rule: *rule };
            let shared = gauges.iter_mut().find(|(over, kind, _)| {
                *over == rule.over && (*kind == rule.kind || matches!(over, Over::Calls(_)))
            });
            match shared {
                Some((_, _, rules)) => rules.push(watch),
                None => gauges.push((rule.over, rule.kind, vec![watch])),
            }
        }
        gauges
            .into_iter()
            .map(|(over, kind, rules)| Self {
                window: match over {
                    Over::Calls(calls) => Window::Count(CountWindow::new(calls)),
                    Over::Time { window, slices } => Window::Time {
                        kind,
                        window: TimeWindow::new(window, slices),
                    },
                },
                enough: rules
                    .iter()
                    .map(|watch| watch.rule.minimum_calls)
                    .max()
                    .unwrap_or(0),
                rules: rules.into(),
            })
            .collect()
    }

    pub(super) fn reads_the_clock(&self) -> bool {
        matches!(self.window, Window::Time { .. })
    }

    /// Records a result, as long as it is `current`, and gives why the circuit must open, if it must.
    #[inline]
    pub(super) fn record(
        &self,
        generation: u32,
        mark: Mark,
        at: u64,
        current: impl Fn() -> bool,
    ) -> Option<Cause> {
        match &self.window {
            Window::Count(window) => {
                let tally = window.record(generation, mark, current)?;
                self.tripped(tally)
            }
            Window::Time { kind, window } => {
                let hit = match kind {
                    Kind::Failures => mark.failed,
                    Kind::Slow => mark.slow,
                };
                let tally = window.record(at, hit, self.enough, current)?;
                self.tripped(tally)?;
                self.tripped(window.settled())
            }
        }
    }

    /// Records a success if that is one step of a full window of calls, as long as it is `current`.
    #[inline]
    pub(super) fn succeed_at_once(&self, generation: u32, current: impl FnOnce() -> bool) -> bool {
        match &self.window {
            Window::Count(window) => window.step(generation, current),
            Window::Time { .. } => false,
        }
    }

    #[inline]
    fn tripped(&self, tally: Tally) -> Option<Cause> {
        self.rules.iter().find_map(|Watch { rule, .. }| {
            rule.trips(tally.calls, self.hits(rule.kind, tally))
                .then_some(match rule.kind {
                    Kind::Failures => Cause::FailureRate,
                    Kind::Slow => Cause::SlowCallRate,
                })
        })
    }

    #[inline]
    fn hits(&self, kind: Kind, tally: Tally) -> u32 {
        match (&self.window, kind) {
            (Window::Count(_), Kind::Slow) => tally.slow,
            // What a window of time counts, it counts there.
            (Window::Count(_), Kind::Failures) | (Window::Time { .. }, _) => tally.failures,
        }
    }

    pub(super) fn clear(&self, called_for: impl Fn() -> bool) {
        match &self.window {
            Window::Count(window) => window.clear(called_for),
            Window::Time { window, .. } => window.clear(called_for),
        }
    }

    /// For each rule: its place in the policy, the rule, and how many calls and hits it sees.
    pub(super) fn readings(&self, now: u64) -> impl Iterator<Item = (usize, RateRule, u32, u32)> {
        let tally = match &self.window {
            Window::Count(window) => window.tally(),
            Window::Time { window, .. } => window.tally(now),
        };
        self.rules.iter().map(move |Watch { index, rule }| {
            (*index, *rule, tally.calls, self.hits(rule.kind, tally))
        })
    }
}
