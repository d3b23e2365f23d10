//! The same key to the same endpoint.

use std::collections::BTreeMap;

use super::support::*;
use crate::data::endpoints::{Balancer, EndpointSpec, Endpoints, Moment, Wanted, hash_key};

const KEYS: u32 = 20_000;

fn hashing(specs: Vec<EndpointSpec>) -> Endpoints {
    let endpoints = Endpoints::new(settings(HASH)).unwrap();
    endpoints.update(specs);
    endpoints
}

fn equal(names: &[&str]) -> Vec<EndpointSpec> {
    names.iter().map(|name| spec(name, 1)).collect()
}

/// Where each key goes.
fn owners(endpoints: &Endpoints) -> Vec<String> {
    // Another balancer, as another process has it.
    let mut balancer = Balancer::new(&HASH);
    let set = endpoints.load();
    let owner = |number: u32| {
        let wanted = Wanted {
            hash: Some(hash_key(format!("/products/{number}").as_bytes())),
            avoid: &[],
        };
        let picked = balancer.pick(&set, wanted, Moment::now()).unwrap();
        host(picked.endpoint())
    };
    (0..KEYS).map(owner).collect()
}

fn share(owners: &[String], host: &str) -> f64 {
    let owned = owners.iter().filter(|owner| *owner == host).count();
    owned as f64 / owners.len() as f64
}

const TEN: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

#[test]
fn keys_go_where_they_went_whoever_asks_and_in_whatever_order_endpoints_are_named() {
    let mut reversed = TEN;
    reversed.reverse();
    assert_eq!(
        owners(&hashing(equal(&TEN))),
        owners(&hashing(equal(&reversed)))
    );
    // Written down once: another release must not send them elsewhere.
    let owners = owners(&hashing(equal(&TEN)));
    assert_eq!(owners[..16].concat(), "hbfbifcgeifgjgbe");
}

#[test]
fn each_endpoint_has_about_its_weights_share() {
    let owners = owners(&hashing(equal(&TEN)));
    for host in TEN {
        let share = share(&owners, host);
        assert!((0.07..0.135).contains(&share), "{host} {share}");
    }
    let weighted = hashing(named(&[1, 2, 5]));
    let owners = self::owners(&weighted);
    for (host, expected) in [("a", 0.125), ("b", 0.25), ("c", 0.625)] {
        let share = share(&owners, host);
        assert!((share / expected - 1.0).abs() < 0.25, "{host} {share}");
    }
}

#[test]
fn one_that_leaves_moves_its_own_keys_alone_and_spreads_them() {
    let endpoints = hashing(equal(&TEN));
    let before = owners(&endpoints);
    endpoints.update(equal(&TEN[1..]));
    let after = owners(&endpoints);
    let mut to: BTreeMap<&str, u32> = BTreeMap::new();
    for (before, after) in before.iter().zip(&after) {
        if before == "a" {
            *to.entry(after).or_default() += 1;
        } else {
            assert_eq!(before, after);
        }
    }
    assert_eq!(to.len(), 9, "{to:?}");
    let most = to.values().max().unwrap();
    assert!(f64::from(*most) < 0.3 * f64::from(KEYS) / 10.0, "{to:?}");
}

#[test]
fn one_that_joins_takes_its_share_and_nothing_else_moves() {
    let endpoints = hashing(equal(&TEN[..9]));
    let before = owners(&endpoints);
    endpoints.update(equal(&TEN));
    let after = owners(&endpoints);
    let mut moved = 0;
    for (before, after) in before.iter().zip(&after) {
        if before != after {
            assert_eq!(after, "j");
            moved += 1;
        }
    }
    let moved = f64::from(moved) / f64::from(KEYS);
    assert!((0.07..0.135).contains(&moved), "{moved}");
}

#[test]
fn a_weight_that_grows_only_draws_keys_to_it() {
    let endpoints = hashing(named(&[2, 2, 2]));
    let before = owners(&endpoints);
    endpoints.update(named(&[2, 3, 2]));
    let after = owners(&endpoints);
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || after == "b");
    }
    assert!(share(&after, "b") > share(&before, "b"));
}

#[test]
fn one_that_is_not_available_lends_its_keys_and_has_them_again() {
    let endpoints = hashing(equal(&TEN));
    let before = owners(&endpoints);
    find(&endpoints, "c").set_healthy(false);
    let during = owners(&endpoints);
    for (before, during) in before.iter().zip(&during) {
        assert_eq!(before != during, before == "c");
    }
    find(&endpoints, "c").set_healthy(true);
    assert_eq!(owners(&endpoints), before);
}

#[test]
fn requests_without_a_key_go_anywhere() {
    let endpoints = hashing(equal(&TEN));
    let mut balancer = Balancer::seeded(&HASH, 4);
    let set = endpoints.load();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..2_000 {
        let picked = balancer.pick(&set, Wanted::default(), Moment::now());
        *seen.entry(host(picked.unwrap().endpoint())).or_default() += 1;
    }
    assert_eq!(seen.len(), 10);
}

#[test]
fn huge_weights_make_no_huge_ring() {
    let endpoints = hashing(named(&[65_535, 65_535, 32_767]));
    let owners = owners(&endpoints);
    for (host, expected) in [("a", 0.4), ("b", 0.4), ("c", 0.2)] {
        let share = share(&owners, host);
        assert!((share / expected - 1.0).abs() < 0.05, "{host} {share}");
    }
}
