//! Which endpoint is picked.

use std::collections::BTreeMap;

use super::support::*;
use crate::{
    config::model,
    data::endpoints::{Balancer, Moment, NoneAvailable, Wanted},
};

#[test]
fn round_robin_goes_to_each_in_turn_whatever_its_weight() {
    let endpoints = endpoints(settings(model::Balancer::RoundRobin), &[1, 5, 2]);
    for seed in 0..20 {
        let mut balancer = Balancer::seeded(&model::Balancer::RoundRobin, seed);
        let counts = picks(&endpoints, &mut balancer, 30);
        assert!(counts.values().all(|&count| count == 10), "{counts:?}");
    }
}

#[test]
fn weights_are_met_exactly_in_every_cycle_wherever_it_begins() {
    let endpoints = endpoints(settings(model::Balancer::Weighted), &[3, 1, 4]);
    for seed in 0..20 {
        let mut balancer = Balancer::seeded(&model::Balancer::Weighted, seed);
        for _ in 0..3 {
            let counts = picks(&endpoints, &mut balancer, 8);
            assert_eq!(Vec::from_iter(counts.values().copied()), [3, 1, 4]);
        }
    }
}

#[test]
fn idle_endpoints_are_drawn_in_proportion_to_weights() {
    let config = model::Balancer::LeastRequest;
    let endpoints = endpoints(settings(config.clone()), &[1, 2, 5]);
    let counts = picks(&endpoints, &mut Balancer::seeded(&config, 7), 80_000);
    for (count, expected) in counts.values().zip([10_000_u64, 20_000, 50_000]) {
        // More than four standard deviations.
        assert!(count.abs_diff(expected) < 600, "{counts:?}");
    }
}

#[test]
fn one_that_was_tried_is_avoided_while_there_is_another() {
    for config in ALL {
        let endpoints = endpoints(settings(config.clone()), &[1, 1, 1]);
        let mut balancer = Balancer::seeded(&config, 3);
        let set = endpoints.load();
        let (a, b) = (find(&endpoints, "a").id(), find(&endpoints, "b").id());
        for hash in 0..100 {
            let pick = |balancer: &mut Balancer, avoid: &[_]| {
                let wanted = Wanted {
                    hash: Some(u64::MAX / 100 * hash),
                    avoid,
                };
                let picked = balancer.pick(&set, wanted, Moment::now());
                host(picked.unwrap().endpoint())
            };
            assert_eq!(pick(&mut balancer, &[a, b]), "c", "{config:?}");
            let c = find(&endpoints, "c").id();
            let again = pick(&mut balancer, &[a, b, c]);
            assert!(["a", "b", "c"].contains(&&*again));
        }
    }
}

#[test]
fn one_that_is_not_well_is_never_picked_and_the_last_one_always() {
    for config in ALL {
        let endpoints = endpoints(settings(config.clone()), &[1, 2, 3]);
        let mut balancer = Balancer::seeded(&config, 3);
        find(&endpoints, "b").set_healthy(false);
        let counts = picks(&endpoints, &mut balancer, 300);
        assert_eq!(Vec::from_iter(counts.keys()), ["a", "c"], "{config:?}");
        find(&endpoints, "c").set_healthy(false);
        let counts = picks(&endpoints, &mut balancer, 300);
        assert_eq!(counts, BTreeMap::from([("a".to_owned(), 300)]));
        find(&endpoints, "a").set_healthy(false);
        let set = endpoints.load();
        let refused = balancer.pick(&set, Wanted::default(), Moment::now());
        assert_eq!(refused.unwrap_err(), NoneAvailable { total: 3 });
        find(&endpoints, "c").set_healthy(true);
        let counts = picks(&endpoints, &mut balancer, 300);
        assert_eq!(counts, BTreeMap::from([("c".to_owned(), 300)]));
    }
}

#[test]
fn a_snapshot_that_is_no_longer_true_picks_nobody_who_is_not_well() {
    for config in ALL {
        let endpoints = endpoints(settings(config.clone()), &[1, 1, 1]);
        let stale = endpoints.load();
        find(&endpoints, "a").set_healthy(false);
        find(&endpoints, "b").set_healthy(false);
        let mut balancer = Balancer::seeded(&config, 3);
        for hash in 0..100 {
            let wanted = Wanted {
                hash: Some(u64::MAX / 100 * hash),
                avoid: &[],
            };
            let picked = balancer.pick(&stale, wanted, Moment::now()).unwrap();
            assert_eq!(host(picked.endpoint()), "c", "{config:?}");
        }
    }
}

#[test]
fn nobody_is_picked_of_nobody() {
    for config in ALL {
        let endpoints = endpoints(settings(config.clone()), &[]);
        let mut balancer = Balancer::new(&config);
        let refused = balancer.pick(&endpoints.load(), Wanted::default(), Moment::now());
        assert_eq!(refused.unwrap_err(), NoneAvailable { total: 0 });
    }
}
