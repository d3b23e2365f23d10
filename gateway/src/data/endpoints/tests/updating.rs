//! What becomes of endpoints when discovery has news.

use std::{sync::Arc, time::Duration};

use tower_breaker::classify::Verdict;

use super::support::*;
use crate::{
    config::model,
    data::endpoints::{Balancer, Moment, Settings, Wanted},
};

const LEAST: model::Balancer = model::Balancer::LeastRequest;

#[test]
fn those_that_stay_are_the_same_and_those_that_leave_get_nothing_more() {
    let endpoints = endpoints(settings(model::Balancer::PeakEwma), &[1, 1]);
    let (a, b) = (find(&endpoints, "a"), find(&endpoints, "b"));
    let under_way = a.start(Moment::now());
    succeed(&b);
    b.set_healthy(false);
    endpoints.update([spec("b", 7), spec("c", 1)]);
    assert!(Arc::ptr_eq(&b, &find(&endpoints, "b")));
    assert!(a.is_draining() && !b.is_draining() && !b.is_healthy());
    let report = endpoints.report();
    let shown: Vec<_> = report
        .endpoints
        .iter()
        .map(|endpoint| {
            (
                &*endpoint.name,
                endpoint.weight,
                endpoint.draining,
                endpoint.started,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("b:80", 7, false, 1),
            ("c:80", 1, false, 0),
            ("a:80", 0, true, 1)
        ]
    );
    under_way.finish(Verdict::Success, Moment::now());
    assert_eq!(endpoints.report().endpoints.len(), 2);
}

#[test]
fn a_draining_one_is_not_picked_even_from_a_stale_snapshot() {
    for config in ALL {
        let endpoints = endpoints(settings(config.clone()), &[1, 1]);
        let stale = endpoints.load();
        endpoints.update([spec("b", 1)]);
        let mut balancer = Balancer::new(&config);
        for hash in 0..50 {
            let wanted = Wanted {
                hash: Some(u64::MAX / 50 * hash),
                avoid: &[],
            };
            let picked = balancer.pick(&stale, wanted, Moment::now()).unwrap();
            assert_eq!(host(picked.endpoint()), "b");
        }
    }
}

#[test]
fn one_that_is_named_again_while_it_drains_is_the_one_it_was() {
    let endpoints = endpoints(settings(LEAST), &[1, 1]);
    let a = find(&endpoints, "a");
    let under_way = a.start(Moment::now());
    endpoints.update([spec("b", 1)]);
    endpoints.update(named(&[1, 1]));
    assert!(Arc::ptr_eq(&a, &find(&endpoints, "a")));
    assert!(!a.is_draining());
    under_way.finish(Verdict::Success, Moment::now());
    // Once its last request has ended it is forgotten.
    endpoints.update([spec("b", 1)]);
    endpoints.update(named(&[1, 1]));
    assert!(!Arc::ptr_eq(&a, &find(&endpoints, "a")));
}

#[test]
fn a_snapshot_is_made_only_if_something_is_different_whatever_the_order() {
    let endpoints = endpoints(settings(HASH), &[1, 2, 3]);
    let before = endpoints.load();
    let mut same = named(&[1, 2, 3]);
    same.reverse();
    same.push(spec("a", 9));
    // The first of those with the same key counts.
    endpoints.update(same);
    assert!(Arc::ptr_eq(&before, &endpoints.load()));
    endpoints.update(named(&[1, 2, 4]));
    let after = endpoints.load();
    assert_eq!(after.version(), before.version() + 1);
    find(&endpoints, "a").set_healthy(true);
    assert_eq!(endpoints.load().version(), after.version());
}

#[test]
fn readers_see_what_is_new_at_their_next_pick() {
    let endpoints = endpoints(settings(LEAST), &[1]);
    let mut reader = endpoints.reader();
    let mut balancer = Balancer::new(&LEAST);
    let mut pick = || {
        let picked = reader.pick(&mut balancer, Wanted::default(), Moment::now());
        host(picked.unwrap().endpoint())
    };
    assert_eq!(pick(), "a");
    endpoints.update([spec("z", 1)]);
    assert_eq!(pick(), "z");
}

#[test]
fn an_address_makes_a_difference_and_is_shown() {
    let endpoints = endpoints(settings(LEAST), &[]);
    let at = |address: &str| {
        let mut spec = spec("stock.example", 1);
        spec.key.address = Some(address.parse().unwrap());
        spec
    };
    endpoints.update([at("10.0.0.1:80"), at("10.0.0.2:80")]);
    let report = endpoints.report();
    let names: Vec<&str> = report
        .endpoints
        .iter()
        .map(|endpoint| &*endpoint.name)
        .collect();
    assert_eq!(
        names,
        ["stock.example:80@10.0.0.1", "stock.example:80@10.0.0.2"]
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_joins_or_is_well_again_begins_slowly_for_every_algorithm() {
    const TIMES: u64 = 20_000;
    for config in ALL {
        let endpoints = endpoints(
            Settings {
                slow_start: Duration::from_secs(100),
                ejection: Some(ejection()),
                ..settings(config.clone())
            },
            &[1, 1, 1],
        );
        let mut balancer = Balancer::seeded(&config, 9);
        // All were there at once: there was nobody to take their share.
        let mut share = |host: &str| {
            let counts = picks(&endpoints, &mut balancer, TIMES);
            *counts.get(host).unwrap_or(&0) as f64 / TIMES as f64
        };
        let is_close = |actual: f64, expected: f64| (actual - expected).abs() < 0.04;
        let full = share("a");
        assert!(is_close(full, 1.0 / 3.0), "{config:?} {full}");

        for begins in ["joins", "is well again", "is back"] {
            match begins {
                "joins" => {
                    endpoints.update(named(&[1, 1]));
                    endpoints.update(named(&[1, 1, 1]));
                }
                "is well again" => {
                    find(&endpoints, "c").set_healthy(false);
                    find(&endpoints, "c").set_healthy(true);
                }
                _ => {
                    let c = find(&endpoints, "c");
                    fail(&c, 3);
                    c.breaker().unwrap().reset();
                    // What it failed with is another matter.
                    if config == model::Balancer::PeakEwma {
                        continue;
                    }
                }
            }
            let mut last = 0.0;
            for (after, least, most) in [(0, 0.01, 0.06), (45, 0.1, 0.27), (45, 0.2, 0.36)] {
                tokio::time::advance(Duration::from_secs(after)).await;
                let share = share("c");
                let context = format!("{config:?} {begins} +{after} s: {share}");
                assert!(share > last && (least..most).contains(&share), "{context}");
                last = share;
            }
            tokio::time::advance(Duration::from_secs(10)).await;
            let full = share("c");
            assert!(is_close(full, 1.0 / 3.0), "{config:?} {begins} {full}");
        }
    }
}
