//! Who is left out, and comes back.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use tokio::time::advance;
use tower_breaker::{State, classify::Verdict};

use super::support::*;
use crate::{
    config::model::{self, Ejection, EjectionRate},
    data::endpoints::{Balancer, Endpoints, InFlight, Moment, NoneAvailable, Settings, Wanted},
};

const LEAST: model::Balancer = model::Balancer::LeastRequest;

fn ejecting(balancer: model::Balancer) -> Settings {
    ejecting_by(balancer, ejection())
}

fn ejecting_by(balancer: model::Balancer, ejection: Ejection) -> Settings {
    Settings {
        ejection: Some(ejection),
        ..settings(balancer)
    }
}

fn pick(endpoints: &Endpoints) -> InFlight {
    let now = Moment::now();
    let mut balancer = Balancer::new(&LEAST);
    let picked = balancer.pick(&endpoints.load(), Wanted::default(), now);
    picked.unwrap().start(now)
}

fn picked_hosts(endpoints: &Endpoints) -> Vec<String> {
    let counts = picks(endpoints, &mut Balancer::seeded(&LEAST, 5), 200);
    counts.into_keys().collect()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_left_out_until_one_trial_succeeds() {
    for config in ALL {
        let endpoints = endpoints(ejecting(config.clone()), &[1, 1, 1]);
        let mut balancer = Balancer::seeded(&config, 3);
        let bad = find(&endpoints, "b");
        fail(&bad, 3);
        assert!(bad.is_ejected());
        assert_eq!(endpoints.load().available(), 2);
        assert!(!picks(&endpoints, &mut balancer, 300).contains_key("b"));
        advance(Duration::from_secs(10)).await;

        let set = endpoints.load();
        let now = Moment::now();
        let mut pick = || {
            let picked = balancer.pick(&set, Wanted::default(), now).unwrap();
            picked.start(now)
        };
        let trial = pick();
        assert!(trial.is_trial());
        assert_eq!(host(trial.endpoint()), "b");
        for _ in 0..50 {
            let other = pick();
            assert_ne!(host(other.endpoint()), "b", "one trial at a time");
            other.finish(Verdict::Success, now.after(millis(20)));
        }
        trial.finish(Verdict::Success, now);
        assert!(!bad.is_ejected());
        assert_eq!(endpoints.load().available(), 3);
        assert!(picks(&endpoints, &mut balancer, 300).contains_key("b"));
        assert_eq!(endpoints.report().ejections, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_of_failures_within_a_time_ejects_too_but_not_below_the_minimums() {
    let rate = EjectionRate {
        window: Duration::from_secs(10),
        threshold: 0.5,
        minimum_calls: 10,
        minimum_failures: 6,
    };
    let config = Ejection {
        consecutive_failures: None,
        failure_rate: Some(rate),
        ..ejection()
    };
    let endpoints = endpoints(ejecting_by(LEAST, config), &[1, 1]);
    let a = find(&endpoints, "a");
    fail(&a, 5);
    for _ in 0..5 {
        succeed(&a);
    }
    assert!(!a.is_ejected(), "half of 10, but only 5");
    // Two windows later nothing of that is left.
    advance(Duration::from_secs(20)).await;
    fail(&a, 9);
    assert!(!a.is_ejected(), "9 of 9, but only 9");
    fail(&a, 1);
    assert!(a.is_ejected());
}

#[tokio::test(start_paused = true)]
async fn each_ejection_is_twice_as_long_up_to_the_longest_until_it_has_been_well_for_a_while() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1, 1]);
    let bad = find(&endpoints, "a");
    fail(&bad, 3);
    for expected in [10, 20, 40, 60, 60] {
        let report = endpoints.report();
        let wait = report.endpoints[0].trial_in.unwrap();
        let longest = Duration::from_secs(expected);
        // A tenth is left to chance.
        assert!(wait <= longest, "{wait:?}");
        assert!(wait >= longest.mul_f64(0.9), "{wait:?} of {longest:?}");
        advance(wait - millis(1)).await;
        let early = pick(&endpoints);
        assert!(!early.is_trial());
        early.finish(Verdict::Success, Moment::now());
        advance(millis(1)).await;
        let trial = pick(&endpoints);
        assert!(trial.is_trial());
        trial.finish(Verdict::Failure, Moment::now());
        assert!(bad.is_ejected());
    }
    assert_eq!(endpoints.report().ejections, 1, "failed trials are none");

    // It comes back, and fails at once: that is the same trouble.
    advance(Duration::from_secs(60)).await;
    pick(&endpoints).finish(Verdict::Success, Moment::now());
    assert!(!bad.is_ejected());
    fail(&bad, 3);
    let wait = endpoints.report().endpoints[0].trial_in.unwrap();
    assert!(wait > Duration::from_secs(53), "{wait:?}");
    // It comes back, and is well for a while.
    advance(Duration::from_secs(60)).await;
    pick(&endpoints).finish(Verdict::Success, Moment::now());
    advance(Duration::from_secs(11)).await;
    fail(&bad, 3);
    let wait = endpoints.report().endpoints[0].trial_in.unwrap();
    assert!(wait <= Duration::from_secs(10), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn an_ejection_beyond_the_cap_is_undone_at_once() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1, 1]);
    let (a, b) = (find(&endpoints, "a"), find(&endpoints, "b"));
    fail(&a, 3);
    assert_eq!(endpoints.report().overflowed, 0);
    // A half of three is one.
    fail(&b, 3);
    assert!(!b.is_ejected());
    assert_eq!(b.breaker().unwrap().state(), State::Closed);
    let report = endpoints.report();
    assert_eq!((report.ejections, report.overflowed), (1, 1));
    assert_eq!(picked_hosts(&endpoints), ["b", "c"]);
    fail(&b, 2);
    assert_eq!(endpoints.report().overflowed, 1, "its count begins again");
    fail(&b, 1);
    assert_eq!(endpoints.report().overflowed, 2);
    // When there is room, it is ejected as any other.
    advance(Duration::from_secs(10)).await;
    pick(&endpoints).finish(Verdict::Success, Moment::now());
    assert!(!a.is_ejected());
    fail(&b, 3);
    assert!(b.is_ejected());
}

#[test]
fn the_cap_is_the_largest_number_within_the_share() {
    for (endpoints_n, share, expected) in [
        (10, 0.3, 3),
        (10, 0.29, 2),
        (3, 0.34, 1),
        (3, 0.33, 0),
        (4, 1.0, 3),
        (1, 1.0, 0),
        (2, 0.5, 1),
        (100, 0.07, 7),
    ] {
        let config = Ejection {
            max_share: share,
            ..ejection()
        };
        let weights = vec![1; endpoints_n];
        let endpoints = endpoints(ejecting_by(LEAST, config), &weights);
        let set = endpoints.load();
        for endpoint in set.endpoints() {
            fail(endpoint, 3);
        }
        let ejected = set.endpoints().filter(|endpoint| endpoint.is_ejected());
        assert_eq!(ejected.count(), expected, "{share} of {endpoints_n}");
        let report = endpoints.report();
        assert_eq!(report.ejections, expected as u64);
        assert_eq!(report.overflowed, (endpoints_n - expected) as u64);
    }
}

#[test]
fn circuits_that_open_at_the_same_moment_leave_one_endpoint_and_no_more_than_the_cap_are_out() {
    const ROUNDS: usize = 200;
    const THREADS: usize = 4;
    let config = Ejection {
        consecutive_failures: Some(1),
        max_share: 1.0,
        ..ejection()
    };
    for _ in 0..ROUNDS {
        let endpoints = endpoints(ejecting_by(LEAST, config.clone()), &[1; THREADS]);
        let set = endpoints.load();
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for endpoint in set.endpoints() {
                let (start, endpoints) = (&start, &endpoints);
                scope.spawn(move || {
                    let now = Moment::now();
                    let in_flight = endpoint.start(now);
                    start.wait();
                    in_flight.finish(Verdict::Failure, now);
                    // Nobody ever finds the set empty.
                    assert!(endpoints.load().available() > 0);
                    pick(endpoints).finish(Verdict::Success, now);
                });
            }
        });
        let report = endpoints.report();
        assert_eq!(report.available, 1);
        assert_eq!(report.ejections, THREADS as u64 - 1);
        assert_eq!(report.overflowed, 1);
        let left = report.endpoints.iter().find(|endpoint| !endpoint.ejected);
        assert_eq!(left.unwrap().circuit, Some(State::Closed));
    }
}

#[test]
fn ejected_ones_are_taken_back_when_the_others_leave() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1, 1, 1]);
    let (a, b) = (find(&endpoints, "a"), find(&endpoints, "b"));
    fail(&a, 3);
    fail(&b, 3);
    assert_eq!(picked_hosts(&endpoints), ["c", "d"]);
    endpoints.update(named(&[1, 1]));
    let out: Vec<bool> = [&a, &b].map(|endpoint| endpoint.is_ejected()).into();
    assert_eq!(out.iter().filter(|out| **out).count(), 1);
    assert_eq!(endpoints.load().available(), 1);
    assert_eq!(endpoints.report().overflowed, 1);
    pick(&endpoints).finish(Verdict::Success, Moment::now());
}

#[test]
fn ejected_ones_are_taken_back_when_no_other_is_well() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1, 1]);
    let a = find(&endpoints, "a");
    fail(&a, 3);
    find(&endpoints, "b").set_healthy(false);
    assert!(a.is_ejected());
    find(&endpoints, "c").set_healthy(false);
    assert!(!a.is_ejected());
    assert_eq!(a.breaker().unwrap().state(), State::Closed);
    assert_eq!(picked_hosts(&endpoints), ["a"]);
    fail(&a, 3);
    assert!(!a.is_ejected(), "no other is left");
    a.set_healthy(false);
    let refused = Balancer::new(&LEAST).pick(&endpoints.load(), Wanted::default(), Moment::now());
    assert_eq!(refused.unwrap_err(), NoneAvailable { total: 3 });
}

#[test]
fn an_ejected_one_that_is_well_again_before_all_others_is_used() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1]);
    let (a, b) = (find(&endpoints, "a"), find(&endpoints, "b"));
    a.set_healthy(false);
    // Is not well, and fails on top of that: there is another.
    fail(&a, 3);
    assert!(a.is_ejected());
    b.set_healthy(false);
    assert!(a.is_ejected(), "it would be of no use");
    a.set_healthy(true);
    assert!(!a.is_ejected());
    assert_eq!(picked_hosts(&endpoints), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_says_nothing_is_followed_by_another() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1, 1]);
    let a = find(&endpoints, "a");
    fail(&a, 3);
    advance(Duration::from_secs(10)).await;
    let trial = pick(&endpoints);
    assert!(trial.is_trial());
    trial.finish(Verdict::Ignore, Moment::now());
    let trial = pick(&endpoints);
    assert!(trial.is_trial());
    // Its client goes away.
    drop(trial);
    let trial = pick(&endpoints);
    assert!(trial.is_trial());
    // It is given up for lack of an answer.
    let trial = trial.within(millis(300));
    advance(millis(300)).await;
    drop(trial);
    assert_eq!(a.breaker().unwrap().state(), State::Open);
    assert!(!pick(&endpoints).is_trial());
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_was_picked_and_not_begun_is_not_missed_for_long() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1, 1]);
    fail(&find(&endpoints, "a"), 3);
    advance(Duration::from_secs(10)).await;
    let mut balancer = Balancer::new(&LEAST);
    drop(balancer.pick(&endpoints.load(), Wanted::default(), Moment::now()));
    advance(Duration::from_secs(1)).await;
    assert!(pick(&endpoints).is_trial());
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_hangs_does_not_keep_its_endpoint_out_for_ever() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1, 1]);
    let a = find(&endpoints, "a");
    fail(&a, 3);
    advance(Duration::from_secs(10)).await;
    let hangs = pick(&endpoints);
    assert!(hangs.is_trial());
    // The lease is over: that is a failed trial, and its wait begins.
    advance(Duration::from_secs(61)).await;
    assert!(!pick(&endpoints).is_trial());
    advance(Duration::from_secs(20)).await;
    let trial = pick(&endpoints);
    assert!(trial.is_trial());
    trial.finish(Verdict::Success, Moment::now());
    assert!(!a.is_ejected());
    hangs.finish(Verdict::Failure, Moment::now());
    assert!(!a.is_ejected());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_tried_it_is_not_its_trial_nor_is_one_that_is_not_well_tried() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1, 1]);
    let a = find(&endpoints, "a");
    fail(&a, 3);
    advance(Duration::from_secs(10)).await;
    let set = endpoints.load();
    let mut balancer = Balancer::new(&LEAST);
    let avoid = [a.id()];
    let wanted = Wanted {
        hash: None,
        avoid: &avoid,
    };
    let other = balancer.pick(&set, wanted, Moment::now()).unwrap();
    assert_ne!(other.endpoint().id(), a.id());
    a.set_healthy(false);
    assert!(!pick(&endpoints).is_trial());
    a.set_healthy(true);
    assert!(pick(&endpoints).is_trial());
}

#[test]
fn clients_who_go_away_eject_nobody() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1]);
    let a = find(&endpoints, "a");
    for _ in 0..100 {
        drop(a.start(Moment::now()).within(Duration::from_secs(60)));
    }
    assert!(!a.is_ejected());
    assert_eq!((a.in_flight(), a.started(), a.failed()), (0, 100, 0));
}

#[tokio::test(start_paused = true)]
async fn with_too_few_left_all_are_used_and_trials_go_on() {
    let config = Ejection {
        max_share: 1.0,
        panic_below: 0.5,
        ..ejection()
    };
    for balancer in ALL {
        let endpoints = endpoints(ejecting_by(balancer.clone(), config.clone()), &[1, 1, 1, 1]);
        let all = ["a", "b", "c", "d"];
        let picked = || {
            let counts = picks(&endpoints, &mut Balancer::seeded(&balancer, 1), 400);
            Vec::from_iter(counts.into_keys())
        };
        fail(&find(&endpoints, "a"), 3);
        fail(&find(&endpoints, "b"), 3);
        assert!(!endpoints.load().is_panicking(), "half is not below half");
        assert_eq!(picked(), ["c", "d"]);
        // Of no use now, but for what they do when all are used.
        find(&endpoints, "c").set_healthy(false);
        assert!(endpoints.load().is_panicking());
        assert!(endpoints.report().panicking);
        if balancer != model::Balancer::PeakEwma {
            assert_eq!(picked(), all, "{balancer:?}");
        }
        // What is ejected is used without its circuit, which hears of trials alone.
        let a = find(&endpoints, "a");
        fail(&a, 100);
        assert_eq!(a.breaker().unwrap().snapshot().failed, 3);
        advance(Duration::from_secs(10)).await;
        let trial = pick(&endpoints);
        assert!(trial.is_trial());
        trial.finish(Verdict::Success, Moment::now());
        assert!(!endpoints.load().is_panicking());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_opened_by_hand_stays_out_until_told_otherwise_and_is_not_counted_against_the_cap()
{
    let endpoints = endpoints(ejecting(LEAST), &[1, 1, 1]);
    let [a, b, c] = ["a", "b", "c"].map(|host| find(&endpoints, host));
    a.breaker().unwrap().force_open();
    assert_eq!(picked_hosts(&endpoints), ["b", "c"]);
    advance(Duration::from_secs(3_600)).await;
    assert!(!pick(&endpoints).is_trial());
    fail(&b, 3);
    assert_eq!(picked_hosts(&endpoints), ["c"]);
    fail(&c, 3);
    assert_eq!(picked_hosts(&endpoints), ["c"]);
    a.breaker().unwrap().half_open();
    let trial = pick(&endpoints);
    assert_eq!(host(trial.endpoint()), "a");
    trial.finish(Verdict::Success, Moment::now());
    assert!(!a.is_ejected());
    for endpoint in [&a, &b, &c] {
        endpoint.breaker().unwrap().force_open();
    }
    let refused = Balancer::new(&LEAST).pick(&endpoints.load(), Wanted::default(), Moment::now());
    assert_eq!(refused.unwrap_err(), NoneAvailable { total: 3 });
    b.breaker().unwrap().reset();
    assert_eq!(picked_hosts(&endpoints), ["b"]);
    let report = endpoints.report();
    assert_eq!((report.ejections, report.overflowed), (1, 1));
}

#[test]
fn endpoints_that_are_gone_take_their_circuits_along() {
    let endpoints = endpoints(ejecting(LEAST), &[1, 1]);
    let gone = Arc::downgrade(&find(&endpoints, "a"));
    fail(&find(&endpoints, "a"), 3);
    endpoints.update([spec("b", 1)]);
    endpoints.report();
    assert!(gone.upgrade().is_none());
}
