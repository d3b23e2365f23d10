//! Which request suffers what: rules in order, each with its own dice.

use super::FaultSwitch;
use super::rules::{FaultSettings, Kind, Rule};
use fastrand::Rng;
use http::StatusCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What one request will suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Status { status: StatusCode, after: Duration },
    Latency { delay: Duration },
    Reset { after: Duration },
    Truncate,
    Stall { delay: Duration },
}

#[derive(Debug)]
pub(super) struct Plan {
    switch: FaultSwitch,
    rules: Vec<(Rule, Mutex<Rng>)>,
}

impl Plan {
    pub fn new(settings: &FaultSettings, switch: &FaultSwitch) -> Self {
        let rules = settings.rules.iter().map(|rule| {
            let rng = rule.seed.map_or_else(Rng::new, Rng::with_seed);
            (rule.clone(), Mutex::new(rng))
        });
        Self {
            switch: switch.clone(),
            rules: rules.collect(),
        }
    }

    pub fn is_on(&self) -> bool {
        self.switch.is_on()
    }

    /// The first rule whose route fits and whose share takes this request.
    pub fn draw(&self, path: &str) -> Option<Fault> {
        self.rules
            .iter()
            .filter(|(rule, _)| rule.routes.iter().any(|route| route.matches(path)))
            .find_map(|(rule, rng)| {
                let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
                // A sure thing draws nothing, so that shares below one do not change other rules' delays.
                let taken = rule.share >= 1.0 || rng.f64() < rule.share;
                taken.then(|| rule.fault(&mut rng))
            })
    }
}

impl Rule {
    fn fault(&self, rng: &mut Rng) -> Fault {
        let delay = self.delay + self.delay_max.saturating_sub(self.delay).mul_f64(rng.f64());
        match self.kind {
            Kind::Status => Fault::Status {
                status: self.status,
                after: Duration::ZERO,
            },
            Kind::Hang => Fault::Status {
                status: self.status,
                after: delay,
            },
            Kind::Latency => Fault::Latency { delay },
            Kind::Reset => Fault::Reset { after: delay },
            Kind::Truncate => Fault::Truncate,
            Kind::Stall => Fault::Stall { delay },
        }
    }
}
