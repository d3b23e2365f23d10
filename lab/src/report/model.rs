//! `report.json`: everything the tables, the charts and other programs need, as it was measured.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::load;

/// Raised when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub schema: u32,
    pub mode: &'static str,
    pub seed: u64,
    /// RFC 3339.
    pub started_at: String,
    pub wall_seconds: f64,
    pub machine: Machine,
    pub versions: BTreeMap<&'static str, String>,
    pub experiments: Vec<Experiment>,
    /// Those that could not start or broke; they have no entry above.
    pub unfinished: Vec<Unfinished>,
}

/// An experiment without results.
#[derive(Debug, Clone, Serialize)]
pub struct Unfinished {
    pub name: &'static str,
    pub reason: String,
}

impl Report {
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.experiments
            .iter()
            .flat_map(|experiment| &experiment.claims)
    }

    pub fn every_claim_holds(&self) -> bool {
        self.claims().all(|claim| claim.holds)
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub os: &'static str,
    pub arch: &'static str,
    pub cores: usize,
    pub cpu: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Experiment {
    pub name: &'static str,
    pub title: &'static str,
    /// What the experiment asks, in a sentence or two.
    pub question: String,
    pub wall_seconds: f64,
    pub settings: Vec<Setting>,
    pub processes: Vec<Process>,
    pub variants: Vec<Variant>,
    pub endpoints: Vec<Endpoint>,
    pub phases: Vec<Phase>,
    pub figures: Vec<Row>,
    pub claims: Vec<Claim>,
    pub published: Vec<Comparison>,
    pub headline: Vec<Headline>,
    pub timeline: Timeline,
    pub breakers: Vec<Breaker>,
    pub notes: Vec<String>,
}

impl Experiment {
    pub fn endpoint_label(&self, name: &str) -> &str {
        let found = self.endpoints.iter().find(|endpoint| endpoint.name == name);
        found.map_or("all of these", |endpoint| endpoint.label)
    }

    pub fn variant_label<'a>(&'a self, name: &'a str) -> &'a str {
        self.variants
            .iter()
            .find(|variant| variant.name == name)
            .map_or(name, |variant| variant.label)
    }

    pub fn phase_label<'a>(&'a self, name: &'a str) -> &'a str {
        self.phases
            .iter()
            .find(|phase| phase.name == name)
            .map_or(name, |phase| phase.label)
    }

    pub fn is_protected(&self, variant: &str) -> bool {
        self.variants
            .iter()
            .any(|known| known.name == variant && known.protected)
    }
}

/// How the experiment was set up.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    pub name: &'static str,
    pub value: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Process {
    pub name: String,
    pub service: String,
    pub pid: u32,
    pub http: String,
    pub ops: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Variant {
    pub name: &'static str,
    pub label: &'static str,
    pub protected: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct Endpoint {
    pub name: &'static str,
    pub label: &'static str,
    pub counted: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    pub name: &'static str,
    pub label: &'static str,
    pub start_s: f64,
    pub end_s: f64,
    pub fault: bool,
}

/// The figures of one variant, one endpoint (`all`: every counted one) and one phase.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub variant: &'static str,
    pub endpoint: &'static str,
    pub phase: &'static str,
    pub requests: u64,
    pub failures: u64,
    pub failed_share: Option<f64>,
    pub degraded: u64,
    pub median_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub mean_ms: Option<f64>,
    pub min_ms: Option<f64>,
    pub max_ms: Option<f64>,
    pub mean_bytes: Option<f64>,
    pub requests_per_second: f64,
    pub failures_per_second: f64,
    /// Why requests failed, and how many for each reason.
    pub failure_reasons: BTreeMap<String, u64>,
}

/// The endpoint name of rows over all counted endpoints.
pub const ALL: &str = "all";

impl Row {
    pub fn new(
        variant: &'static str,
        endpoint: &'static str,
        phase: &'static str,
        figures: &load::Figures,
    ) -> Self {
        let latency = figures.latency.as_ref();
        Self {
            variant,
            endpoint,
            phase,
            requests: figures.requests,
            failures: figures.failures,
            failed_share: figures.failed_share(),
            degraded: figures.degraded,
            median_ms: latency.map(|l| l.median),
            p95_ms: latency.map(|l| l.p95),
            p99_ms: latency.map(|l| l.p99),
            mean_ms: latency.map(|l| l.mean),
            min_ms: latency.map(|l| l.min),
            max_ms: latency.map(|l| l.max),
            mean_bytes: figures.mean_bytes,
            requests_per_second: figures.requests_per_second,
            failures_per_second: figures.failures_per_second,
            failure_reasons: figures.reasons.clone(),
        }
    }
}

/// Something the experiment says about the variants, checked against what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    pub text: String,
    pub holds: bool,
    pub measured: String,
}

/// A published figure beside ours.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    pub measure: &'static str,
    pub unprotected: Beside,
    pub protected: Beside,
}

#[derive(Debug, Clone, Serialize)]
pub struct Beside {
    /// As published; `None` where nothing was.
    pub published: Option<&'static str>,
    pub ours: String,
}

/// A result to show in large type.
#[derive(Debug, Clone, Serialize)]
pub struct Headline {
    pub measure: &'static str,
    pub unprotected: String,
    pub protected: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Timeline {
    pub bucket_seconds: f64,
    pub series: Vec<Series>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Series {
    pub variant: &'static str,
    pub points: Vec<Point>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Point {
    pub t_s: f64,
    /// Of requests sent in this bucket.
    pub median_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    /// Answers that came in this bucket.
    pub answered: u64,
    pub failed: u64,
    pub degraded: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Breaker {
    pub name: String,
    pub process: String,
    pub variant: &'static str,
    /// Calls it refused without asking the dependency.
    pub refused: u64,
    pub trials_succeeded: u64,
    pub trials_failed: u64,
    /// The service's own log of every transition.
    pub transitions: Vec<Transition>,
    /// What polling users saw, changes only.
    pub observed: Vec<ObservedState>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transition {
    pub from: String,
    pub to: String,
    pub at_unix_ms: f64,
    /// From the start of the load.
    pub at_s: f64,
    pub cause: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObservedState {
    pub at_s: f64,
    pub state: String,
}

impl Breaker {
    /// The states as stretches of time until `end_s`, for drawing. The first state is where the first transition came from.
    pub fn stretches(&self, end_s: f64) -> Vec<(f64, f64, &str)> {
        let first = self
            .transitions
            .first()
            .map_or("CLOSED", |t| t.from.as_str());
        let mut stretches = Vec::new();
        let (mut since, mut state) = (0.0, first);
        for transition in &self.transitions {
            let at = transition.at_s.clamp(0.0, end_s);
            stretches.push((since, at, state));
            (since, state) = (at, transition.to.as_str());
        }
        stretches.push((since, end_s, state));
        stretches
    }

    /// The states in the order in which the service went through them.
    pub fn sequence(&self) -> Vec<&str> {
        let first = self.transitions.first().map(|t| t.from.as_str());
        first
            .into_iter()
            .chain(self.transitions.iter().map(|t| t.to.as_str()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_the_run_without_gaps() {
        let transition = |from: &str, to: &str, at_s| Transition {
            from: from.into(),
            to: to.into(),
            at_unix_ms: 0.0,
            at_s,
            cause: None,
        };
        let breaker = Breaker {
            name: "product".into(),
            process: "cart-fixed".into(),
            variant: "fixed",
            refused: 0,
            trials_succeeded: 0,
            trials_failed: 0,
            transitions: vec![
                transition("CLOSED", "OPEN", 3.0),
                transition("OPEN", "HALF_OPEN", 7.5),
            ],
            observed: vec![],
        };
        assert_eq!(
            breaker.stretches(10.0),
            [
                (0.0, 3.0, "CLOSED"),
                (3.0, 7.5, "OPEN"),
                (7.5, 10.0, "HALF_OPEN")
            ]
        );
        assert_eq!(breaker.sequence(), ["CLOSED", "OPEN", "HALF_OPEN"]);
    }
}
