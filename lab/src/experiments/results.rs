//! From what was measured to the parts of the report that look the same in every experiment.

use std::time::Duration;

use crate::load::{Endpoint, Figures, Measured, Observation, Phase, Variant};
use crate::report::{model, units};

/// What was measured, and the names of what was measured.
pub struct Results {
    pub variants: Vec<Variant>,
    pub endpoints: Vec<Endpoint>,
    pub phases: Vec<Phase>,
    pub measured: Measured,
}

impl Results {
    /// Over every counted endpoint.
    pub fn overall(&self, variant: usize, phase: usize) -> Figures {
        let counted: Vec<usize> = (0..self.endpoints.len())
            .filter(|endpoint| self.endpoints[*endpoint].counted)
            .collect();
        self.over(variant, &counted, phase)
    }

    pub fn of(&self, variant: usize, endpoint: usize, phase: usize) -> Figures {
        self.over(variant, &[endpoint], phase)
    }

    fn over(&self, variant: usize, endpoints: &[usize], phase: usize) -> Figures {
        self.measured
            .recorder
            .figures(variant, endpoints, phase, self.measured.length(phase))
    }

    /// Every variant, endpoint and phase, and the totals.
    pub fn rows(&self) -> Vec<model::Row> {
        let mut rows = Vec::new();
        for (p, phase) in self.phases.iter().enumerate() {
            for (e, endpoint) in self.endpoints.iter().enumerate() {
                for (v, variant) in self.variants.iter().enumerate() {
                    let figures = self.of(v, e, p);
                    rows.push(model::Row::new(
                        variant.name,
                        endpoint.name,
                        phase.name,
                        &figures,
                    ));
                }
            }
            for (v, variant) in self.variants.iter().enumerate() {
                rows.push(model::Row::new(
                    variant.name,
                    model::ALL,
                    phase.name,
                    &self.overall(v, p),
                ));
            }
        }
        rows
    }

    pub fn variants(&self) -> Vec<model::Variant> {
        let one = |v: &Variant| model::Variant {
            name: v.name,
            label: v.label,
            protected: v.protected,
        };
        self.variants.iter().map(one).collect()
    }

    pub fn endpoints(&self) -> Vec<model::Endpoint> {
        let one = |e: &Endpoint| model::Endpoint {
            name: e.name,
            label: e.label,
            counted: e.counted,
        };
        self.endpoints.iter().map(one).collect()
    }

    pub fn phases(&self) -> Vec<model::Phase> {
        let one = |(phase, window): (&Phase, &(Duration, Duration))| model::Phase {
            name: phase.name,
            label: phase.label,
            start_s: window.0.as_secs_f64(),
            end_s: window.1.as_secs_f64(),
            fault: phase.fault,
        };
        self.phases
            .iter()
            .zip(&self.measured.windows)
            .map(one)
            .collect()
    }

    pub fn timeline(&self) -> model::Timeline {
        let timeline = &self.measured.timeline;
        let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let series = self
            .variants
            .iter()
            .enumerate()
            .map(|(index, variant)| model::Series {
                variant: variant.name,
                points: timeline
                    .points(index, self.measured.end())
                    .into_iter()
                    .map(|point| model::Point {
                        t_s: point.at.as_secs_f64(),
                        median_ms: point.median.map(millis),
                        p95_ms: point.p95.map(millis),
                        answered: point.answered,
                        failed: point.failed,
                        degraded: point.degraded,
                    })
                    .collect(),
            });
        model::Timeline {
            bucket_seconds: timeline.width().as_secs_f64(),
            series: series.collect(),
        }
    }
}

/// What polling users saw, changes only, in the order of time.
pub fn observed_states(observations: &[Observation], variant: usize) -> Vec<model::ObservedState> {
    let mut seen: Vec<&Observation> = observations
        .iter()
        .filter(|o| o.variant == variant)
        .collect();
    seen.sort_by_key(|observation| observation.at);
    let mut states: Vec<model::ObservedState> = Vec::new();
    for observation in seen {
        if states
            .last()
            .is_none_or(|last| last.state != observation.value)
        {
            let (at_s, state) = (observation.at.as_secs_f64(), observation.value.clone());
            states.push(model::ObservedState { at_s, state });
        }
    }
    states
}

/// The share of answers that said of themselves that they are degraded: `99.6 % (234/235)`.
pub fn degraded_of(figures: &Figures) -> String {
    let answered = figures.requests - figures.failures;
    if answered == 0 {
        return "nothing answered".to_owned();
    }
    format!(
        "{} ({}/{answered})",
        units::share(figures.degraded as f64 / answered as f64),
        figures.degraded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observed_states_are_the_changes_in_order_of_time() {
        let seen = |at, variant, value: &str| Observation {
            at: Duration::from_secs(at),
            variant,
            value: value.into(),
        };
        let observations = [
            seen(5, 1, "OPEN"),
            seen(1, 1, "CLOSED"),
            seen(2, 1, "CLOSED"),
            seen(3, 0, "OPEN"),
            seen(9, 1, "CLOSED"),
        ];
        let states: Vec<_> = observed_states(&observations, 1)
            .into_iter()
            .map(|s| (s.at_s, s.state))
            .collect();
        assert_eq!(
            states,
            [
                (1.0, "CLOSED".into()),
                (5.0, "OPEN".into()),
                (9.0, "CLOSED".to_owned())
            ]
        );
    }
}
