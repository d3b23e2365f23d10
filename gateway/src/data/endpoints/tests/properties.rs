//! Whatever happens, what is picked may be picked.

use std::collections::HashMap;

use proptest::prelude::*;
use tower_breaker::{State, classify::Verdict};

use super::support::*;
use crate::{
    config::model::{self, Ejection},
    data::endpoints::{Balancer, Endpoint, EndpointId, InFlight, Moment, Settings, Wanted},
};

#[derive(Debug, Clone)]
enum Step {
    /// A request to what is picked, which avoids one of them or none, and ends like this.
    Request {
        avoid: Option<u8>,
        hash: u64,
        verdict: Option<bool>,
    },
    /// One that was begun ends like this.
    End {
        which: u8,
        verdict: Option<bool>,
    },
    Health {
        which: u8,
        is_healthy: bool,
    },
    /// These are there from now on, with these weights.
    Update {
        present: u8,
        weight: u32,
    },
    /// So much time passes, in milliseconds.
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = || prop::option::of(prop::bool::weighted(0.4));
    prop_oneof![
        8 => (prop::option::of(0_u8..6), any::<u64>(), verdict())
            .prop_map(|(avoid, hash, verdict)| Step::Request { avoid, hash, verdict }),
        4 => (any::<u8>(), verdict()).prop_map(|(which, verdict)| Step::End { which, verdict }),
        2 => (0_u8..6, any::<bool>())
            .prop_map(|(which, is_healthy)| Step::Health { which, is_healthy }),
        1 => (any::<u8>(), 1_u32..9)
            .prop_map(|(present, weight)| Step::Update { present, weight }),
        2 => (0_u64..15_000).prop_map(Step::Pass),
    ]
}

fn verdict(success: Option<bool>) -> Verdict {
    match success {
        None => Verdict::Ignore,
        Some(true) => Verdict::Success,
        Some(false) => Verdict::Failure,
    }
}

fn is_available(endpoint: &Endpoint) -> bool {
    endpoint.is_healthy() && !endpoint.is_ejected() && !endpoint.is_draining()
}

fn run(
    config: model::Balancer,
    panic_below: f64,
    max_share: f64,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let endpoints = endpoints(
            Settings {
                zone: Some("x".into()),
                ejection: Some(Ejection {
                    panic_below,
                    max_share,
                    ..ejection()
                }),
                slow_start: std::time::Duration::from_secs(5),
                ..settings(config.clone())
            },
            &[1, 1, 1],
        );
        let mut balancer = Balancer::seeded(&config, 5);
        let mut under_way: Vec<InFlight> = Vec::new();
        let mut started: HashMap<EndpointId, u64> = HashMap::new();
        for step in steps {
            let set = endpoints.load();
            match step {
                Step::Request {
                    avoid,
                    hash,
                    verdict: ends,
                } => {
                    let avoid: Vec<EndpointId> = set
                        .endpoints()
                        .skip(avoid.map_or(usize::MAX, usize::from))
                        .take(1)
                        .map(|endpoint| endpoint.id())
                        .collect();
                    let wanted = Wanted {
                        hash: Some(hash),
                        avoid: &avoid,
                    };
                    let now = Moment::now();
                    let available: Vec<EndpointId> = set
                        .endpoints()
                        .filter(|endpoint| is_available(endpoint))
                        .map(|endpoint| endpoint.id())
                        .collect();
                    prop_assert_eq!(available.len(), set.available());
                    match balancer.pick(&set, wanted, now) {
                        Ok(picked) => {
                            let endpoint = picked.endpoint().clone();
                            let request = picked.start(now);
                            prop_assert!(!endpoint.is_draining());
                            if request.is_trial() {
                                prop_assert!(endpoint.is_healthy() && endpoint.is_ejected());
                                prop_assert!(!avoid.contains(&endpoint.id()));
                            } else if !set.is_panicking() {
                                prop_assert!(available.contains(&endpoint.id()));
                            }
                            if avoid.contains(&endpoint.id()) {
                                // There was no other.
                                let usable = if set.is_panicking() {
                                    set.len()
                                } else {
                                    available.len()
                                };
                                prop_assert_eq!(usable, 1);
                            }
                            *started.entry(endpoint.id()).or_default() += 1;
                            if ends.is_some() {
                                request.finish(verdict(ends), now);
                            } else {
                                under_way.push(request);
                            }
                        }
                        Err(none) => {
                            prop_assert_eq!(none.total, set.len());
                            prop_assert!(available.is_empty());
                            prop_assert!(!set.is_panicking() || set.is_empty());
                        }
                    }
                }
                Step::End {
                    which,
                    verdict: ends,
                } => {
                    if !under_way.is_empty() {
                        let request = under_way.swap_remove(usize::from(which) % under_way.len());
                        request.finish(verdict(ends), Moment::now());
                    }
                }
                Step::Health { which, is_healthy } => {
                    if let Some(endpoint) = set.endpoints().nth(which.into()) {
                        endpoint.set_healthy(is_healthy);
                    }
                }
                Step::Update { present, weight } => {
                    endpoints.update((0..6).filter(|bit| present >> bit & 1 == 1).map(|bit| {
                        let zone = if bit < 3 { "x" } else { "y" };
                        let mut spec = in_zone(&char::from(b'a' + bit).to_string(), zone);
                        spec.weight = 1 + weight * u32::from(bit);
                        spec
                    }));
                }
                Step::Pass(millis) => {
                    tokio::time::advance(std::time::Duration::from_millis(millis)).await;
                }
            }

            let set = endpoints.load();
            let ejected = set.endpoints().filter(|endpoint| endpoint.is_ejected());
            prop_assert!(ejected.count() as f64 <= max_share * set.len() as f64 + 1e-9);
            // Ejection never takes the last one that is well.
            let is_anyone_well = set.endpoints().any(|endpoint| endpoint.is_healthy());
            prop_assert_eq!(set.available() > 0, is_anyone_well);
            for endpoint in set.endpoints() {
                let circuit = endpoint.breaker().unwrap().state();
                prop_assert_eq!(endpoint.is_ejected(), circuit != State::Closed);
            }
            prop_assert_eq!(
                set.is_panicking(),
                (set.available() as f64) < panic_below * set.len() as f64
            );
        }
        // All is counted, on those that have left, too.
        let report = endpoints.report();
        let in_flight: u32 = report
            .endpoints
            .iter()
            .map(|endpoint| endpoint.in_flight)
            .sum();
        prop_assert_eq!(in_flight, under_way.len() as u32);
        let now = Moment::now();
        for request in under_way {
            request.finish(Verdict::Ignore, now);
        }
        for endpoint in endpoints.load().endpoints() {
            prop_assert_eq!(endpoint.in_flight(), 0);
            let expected = started.get(&endpoint.id()).copied().unwrap_or(0);
            prop_assert_eq!(endpoint.started(), expected);
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_picked_may_be_picked_and_one_is_always_kept(
        algorithm in 0_usize..ALL.len(),
        panic_below in prop_oneof![Just(0.0), Just(0.4), Just(1.0)],
        max_share in prop_oneof![Just(0.0), Just(0.34), Just(0.5), Just(1.0)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        run(ALL[algorithm].clone(), panic_below, max_share, steps)?;
    }
}
