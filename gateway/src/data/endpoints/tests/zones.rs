//! The gateway's own zone comes first, as long as it can.

use std::collections::BTreeMap;

use super::support::*;
use crate::{
    config::model,
    data::endpoints::{Balancer, EndpointSpec, Endpoints, Settings},
};

const TIMES: u64 = 60_000;

fn zoned(balancer: model::Balancer, specs: Vec<EndpointSpec>) -> Endpoints {
    let endpoints = Endpoints::new(Settings {
        zone: Some("x".into()),
        ..settings(balancer)
    });
    let endpoints = endpoints.unwrap();
    endpoints.update(specs);
    endpoints
}

fn shares(endpoints: &Endpoints, config: &model::Balancer) -> BTreeMap<String, f64> {
    let mut balancer = Balancer::seeded(config, 11);
    picks(endpoints, &mut balancer, TIMES)
        .into_iter()
        .map(|(host, count)| (host, count as f64 / TIMES as f64))
        .collect()
}

fn close(share: f64, expected: f64) -> bool {
    (share - expected).abs() < 0.01
}

const BY_GROUPS: [model::Balancer; 4] = [
    model::Balancer::RoundRobin,
    model::Balancer::Weighted,
    model::Balancer::LeastRequest,
    model::Balancer::PeakEwma,
];

#[test]
fn with_its_share_of_the_endpoints_a_zone_does_its_own_work() {
    for config in BY_GROUPS {
        let endpoints = zoned(
            config.clone(),
            vec![
                in_zone("a", "x"),
                in_zone("b", "x"),
                in_zone("c", "y"),
                in_zone("d", "y"),
            ],
        );
        assert_eq!(endpoints.load().local_share(), 1.0);
        let shares = shares(&endpoints, &config);
        assert_eq!(Vec::from_iter(shares.keys()), ["a", "b"], "{config:?}");
    }
}

#[test]
fn what_a_zone_cannot_do_goes_to_the_others_so_that_all_have_the_same_load() {
    for config in BY_GROUPS {
        // Of 3 and 3 one has gone here. Half of all requests are for this zone, which has 2 of 5.
        let endpoints = zoned(
            config.clone(),
            ["a", "b", "gone"]
                .map(|name| in_zone(name, "x"))
                .into_iter()
                .chain(["c", "d", "e"].map(|name| in_zone(name, "y")))
                .collect(),
        );
        find(&endpoints, "gone").set_healthy(false);
        let shares = shares(&endpoints, &config);
        for host in ["a", "b"] {
            assert!(close(shares[host], 0.4), "{config:?} {shares:?}");
        }
        for host in ["c", "d", "e"] {
            assert!(close(shares[host], 0.2 / 3.0), "{config:?} {shares:?}");
        }
        let report = endpoints.report();
        for endpoint in report.endpoints.iter().filter(|endpoint| endpoint.healthy) {
            let host = endpoint.name.trim_end_matches(":80");
            assert!(close(shares[host], endpoint.share), "{endpoint:?}");
        }
    }
}

#[test]
fn without_a_local_endpoint_all_others_are_used() {
    for config in ALL {
        let endpoints = zoned(
            config.clone(),
            vec![in_zone("a", "x"), in_zone("b", "y"), spec("c", 1)],
        );
        find(&endpoints, "a").set_healthy(false);
        let shares = shares(&endpoints, &config);
        assert_eq!(Vec::from_iter(shares.keys()), ["b", "c"], "{config:?}");
    }
}
