//! Two workers at once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tower_breaker::classify::Verdict;

use super::support::*;
use crate::{
    config::model,
    data::endpoints::{Balancer, Moment, Settings, Wanted},
};

/// Of each worker, with the algorithm that is the default; a tenth with the others.
const TIMES: u64 = 1_000_000;

#[test]
fn every_request_of_two_workers_is_counted_once_for_every_algorithm() {
    for config in ALL {
        let endpoints = endpoints(
            Settings {
                ejection: Some(ejection()),
                ..settings(config.clone())
            },
            &[1, 2, 3],
        );
        let times = match config {
            model::Balancer::PeakEwma => TIMES,
            _ => TIMES / 10,
        };
        let work = |seed: u64| {
            let mut reader = endpoints.reader();
            let mut balancer = Balancer::seeded(&config, seed);
            let mut now = Moment::now();
            // Some are under way at any time.
            let mut under_way = Vec::new();
            for time in 0..times {
                now = now.after(Duration::from_micros(1));
                let wanted = Wanted {
                    hash: Some(time.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                    avoid: &[],
                };
                let picked = reader.pick(&mut balancer, wanted, now).unwrap();
                under_way.push(picked.start(now));
                if under_way.len() == 8 {
                    for request in under_way.drain(..) {
                        request.finish(Verdict::Success, now);
                    }
                }
            }
            under_way.len()
        };
        thread::scope(|scope| {
            let other = scope.spawn(|| work(2));
            assert_eq!(work(1), 0);
            assert_eq!(other.join().unwrap(), 0);
        });
        let report = endpoints.report();
        let started: u64 = report
            .endpoints
            .iter()
            .map(|endpoint| endpoint.started)
            .sum();
        assert_eq!(started, 2 * times, "{config:?}");
        for endpoint in &report.endpoints {
            assert_eq!((endpoint.in_flight, endpoint.failed), (0, 0));
            assert!(endpoint.started > times / 10, "{report:?}");
        }
        for endpoint in endpoints.load().endpoints() {
            let circuit = endpoint.breaker().unwrap().snapshot();
            assert_eq!(circuit.admitted, endpoint.started());
            assert_eq!(circuit.succeeded, endpoint.started());
        }
    }
}

#[test]
fn what_changes_while_workers_pick_never_leaves_them_without_an_endpoint() {
    for config in ALL {
        let endpoints = endpoints(
            Settings {
                ejection: Some(ejection()),
                ..settings(config.clone())
            },
            &[1, 1, 1, 1],
        );
        let done = AtomicBool::new(false);
        let work = |seed: u64| {
            let mut reader = endpoints.reader();
            let mut balancer = Balancer::seeded(&config, seed);
            let mut random = fastrand::Rng::with_seed(seed);
            let mut picked = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let now = Moment::now();
                let wanted = Wanted {
                    hash: Some(random.u64(..)),
                    avoid: &[],
                };
                let request = reader.pick(&mut balancer, wanted, now).unwrap().start(now);
                // Endpoints fail in turn, for a while each.
                let verdict = if random.u8(..4) == 0 {
                    Verdict::Success
                } else {
                    Verdict::Failure
                };
                request.finish(verdict, now);
                picked += 1;
            }
            picked
        };
        thread::scope(|scope| {
            let workers = [1, 2].map(|seed| scope.spawn(move || work(seed)));
            for round in 0..400_u32 {
                match round % 4 {
                    // "d" comes and goes; the last three stay well, so one is always left.
                    0 => endpoints.update(named(&[1, 1, 1])),
                    1 => find(&endpoints, "a").set_healthy(false),
                    2 => endpoints.update(named(&[1, 2, 1, 1])),
                    _ => find(&endpoints, "a").set_healthy(true),
                }
                thread::yield_now();
            }
            done.store(true, Ordering::Relaxed);
            for worker in workers {
                assert!(worker.join().unwrap() > 0, "{config:?}");
            }
        });
        let report = endpoints.report();
        assert!(report.available > 0 && report.overflowed > 0, "{report:?}");
        let in_flight: u32 = report
            .endpoints
            .iter()
            .map(|endpoint| endpoint.in_flight)
            .sum();
        assert_eq!(in_flight, 0);
    }
}
