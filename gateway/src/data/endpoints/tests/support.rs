//! What the tests of the set and of its balancers have in common.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tower_breaker::classify::Verdict;

use crate::{
    config::model::{self, Ejection, HashOn},
    data::endpoints::{
        Balancer, Endpoint, EndpointKey, EndpointSpec, Endpoints, Moment, Settings, Wanted,
    },
};

pub const HASH: model::Balancer = model::Balancer::ConsistentHash(HashOn::Path);

pub const ALL: [model::Balancer; 5] = [
    model::Balancer::RoundRobin,
    model::Balancer::Weighted,
    model::Balancer::LeastRequest,
    model::Balancer::PeakEwma,
    HASH,
];

pub fn spec(name: &str, weight: u32) -> EndpointSpec {
    EndpointSpec {
        key: EndpointKey {
            host: name.into(),
            port: 80,
            https: false,
            address: None,
        },
        weight,
        zone: None,
    }
}

pub fn in_zone(name: &str, zone: &str) -> EndpointSpec {
    EndpointSpec {
        zone: Some(zone.into()),
        ..spec(name, 1)
    }
}

pub fn settings(balancer: model::Balancer) -> Settings {
    Settings {
        name: "stock".into(),
        zone: None,
        balancer,
        slow_start: Duration::ZERO,
        ejection: None,
    }
}

/// Out after 3 failures, for 10 s at first.
pub fn ejection() -> Ejection {
    Ejection {
        consecutive_failures: Some(3),
        failure_rate: None,
        base: Duration::from_secs(10),
        max: Duration::from_secs(60),
        max_share: 0.5,
        panic_below: 0.0,
    }
}

/// Endpoints `a`, `b`, `c` and so on with these weights.
pub fn endpoints(settings: Settings, weights: &[u32]) -> Endpoints {
    let endpoints = Endpoints::new(settings).unwrap();
    endpoints.update(named(weights));
    endpoints
}

pub fn named(weights: &[u32]) -> Vec<EndpointSpec> {
    (0_u8..)
        .zip(weights)
        .map(|(place, &weight)| spec(&char::from(b'a' + place).to_string(), weight))
        .collect()
}

pub fn find(endpoints: &Endpoints, host: &str) -> Arc<Endpoint> {
    let set = endpoints.load();
    let found = set
        .endpoints()
        .find(|endpoint| &*endpoint.key().host == host);
    found.unwrap().clone()
}

pub fn host(endpoint: &Endpoint) -> String {
    endpoint.key().host.to_string()
}

/// Picks so many times, with a different hash each, and says how often each was picked. Nothing is begun.
pub fn picks(endpoints: &Endpoints, balancer: &mut Balancer, times: u64) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let set = endpoints.load();
    let now = Moment::now();
    for time in 0..times {
        let wanted = Wanted {
            hash: Some(time.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            avoid: &[],
        };
        let picked = balancer.pick(&set, wanted, now).unwrap();
        *counts.entry(host(picked.endpoint())).or_default() += 1;
    }
    counts
}

/// Lets so many requests fail there.
pub fn fail(endpoint: &Arc<Endpoint>, times: u32) {
    for _ in 0..times {
        let now = Moment::now();
        endpoint.start(now).finish(Verdict::Failure, now);
    }
}

pub fn succeed(endpoint: &Arc<Endpoint>) {
    let now = Moment::now();
    endpoint.start(now).finish(Verdict::Success, now);
}
