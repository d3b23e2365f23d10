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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::pattern::Pattern;

    fn rule(route: &str, kind: Kind, share: f64) -> Rule {
        Rule {
            routes: vec![Pattern::parse(route).expect("a route")],
            kind,
            status: StatusCode::SERVICE_UNAVAILABLE,
            delay: Duration::from_millis(100),
            delay_max: Duration::from_millis(300),
            share,
            seed: Some(1),
        }
    }

    fn plan(rules: Vec<Rule>) -> Plan {
        let settings = FaultSettings {
            enabled: true,
            simulate: true,
            rules,
        };
        Plan::new(&settings, &FaultSwitch::new(true))
    }

    #[test]
    fn delays_are_spread_over_the_whole_range() {
        let plan = plan(vec![rule("/a", Kind::Hang, 1.0)]);
        let delays: Vec<u128> = (0..1000)
            .filter_map(|_| match plan.draw("/a") {
                Some(Fault::Status { after, .. }) => Some(after.as_millis()),
                _ => None,
            })
            .collect();
        assert_eq!(delays.len(), 1000);
        assert!(delays.iter().all(|delay| (100..=300).contains(delay)));
        let mean = delays.iter().sum::<u128>() / 1000;
        assert!((190..=210).contains(&mean), "{mean}");
        assert!(delays.iter().any(|delay| *delay < 110) && delays.iter().any(|delay| *delay > 290));
    }

    #[test]
    fn a_status_is_answered_at_once() {
        let fault = plan(vec![rule("/a", Kind::Status, 1.0)]).draw("/a");
        assert_eq!(
            fault,
            Some(Fault::Status {
                status: StatusCode::SERVICE_UNAVAILABLE,
                after: Duration::ZERO
            })
        );
    }

    #[test]
    fn a_share_takes_that_part_and_leaves_the_rest_to_the_next_rule() {
        let plan = plan(vec![
            rule("/a", Kind::Truncate, 0.25),
            rule("/{any}", Kind::Status, 1.0),
        ]);
        let truncated = (0..4000)
            .filter(|_| plan.draw("/a") == Some(Fault::Truncate))
            .count();
        assert!((900..=1100).contains(&truncated), "{truncated}");
        assert!(matches!(plan.draw("/b"), Some(Fault::Status { .. })));
        assert_eq!(plan.draw("/a/b"), None);
    }
}
