//! Endpoints of different speeds under load, in virtual time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use tower_breaker::classify::Verdict;

use super::support::*;
use crate::{
    config::model,
    data::endpoints::{Balancer, Endpoints, InFlight, Moment, Wanted},
};

/// A server that does one request after the other, each in so long, or that fails after so long.
struct Server {
    takes: Duration,
    verdict: Verdict,
    free_at: Moment,
}

fn serves(millis: u64) -> Server {
    Server {
        takes: Duration::from_millis(millis),
        verdict: Verdict::Success,
        free_at: Moment::default(),
    }
}

struct World {
    endpoints: Endpoints,
    balancer: Balancer,
    servers: BTreeMap<String, Server>,
    now: Moment,
    ends: BinaryHeap<Reverse<(Moment, u64)>>,
    under_way: BTreeMap<u64, (InFlight, Verdict)>,
    number: u64,
    /// What went where since it was last asked, and how long requests took.
    sent: BTreeMap<String, u64>,
    latencies: Vec<Duration>,
    most_in_flight: BTreeMap<String, u32>,
}

impl World {
    fn new(config: model::Balancer, servers: Vec<Server>) -> Self {
        let endpoints = endpoints(settings(config.clone()), &vec![1; servers.len()]);
        let servers = ["a", "b", "c", "d"]
            .map(str::to_owned)
            .into_iter()
            .zip(servers);
        Self {
            endpoints,
            balancer: Balancer::seeded(&config, 1),
            servers: servers.collect(),
            now: Moment::now(),
            ends: BinaryHeap::new(),
            under_way: BTreeMap::new(),
            number: 0,
            sent: BTreeMap::new(),
            latencies: Vec::new(),
            most_in_flight: BTreeMap::new(),
        }
    }

    /// Sends requests evenly, so many a second, for so many seconds, and says which share went where.
    fn run(&mut self, per_second: u32, seconds: u32) -> BTreeMap<String, f64> {
        self.sent.clear();
        self.latencies.clear();
        self.most_in_flight.clear();
        let gap = Duration::from_secs(1) / per_second;
        for _ in 0..per_second * seconds {
            let next = self.now.after(gap);
            while let Some(&Reverse((at, number))) = self.ends.peek() {
                if at > next {
                    break;
                }
                self.ends.pop();
                let (request, verdict) = self.under_way.remove(&number).unwrap();
                self.latencies.push(at.since(request.started()));
                request.finish(verdict, at);
            }
            self.now = next;
            self.send();
        }
        let all = f64::from(per_second * seconds);
        let share = |(host, count): (&String, &u64)| (host.clone(), *count as f64 / all);
        self.sent.iter().map(share).collect()
    }

    fn send(&mut self) {
        let set = self.endpoints.load();
        let picked = self.balancer.pick(&set, Wanted::default(), self.now);
        let request = picked.unwrap().start(self.now);
        let host = host(request.endpoint());
        let server = self.servers.get_mut(&host).unwrap();
        server.free_at = server.free_at.max(self.now).after(server.takes);
        self.number += 1;
        self.ends.push(Reverse((server.free_at, self.number)));
        let most = self.most_in_flight.entry(host.clone()).or_default();
        *most = (*most).max(request.endpoint().in_flight());
        self.under_way
            .insert(self.number, (request, server.verdict));
        *self.sent.entry(host).or_default() += 1;
    }

    fn percentile(&mut self, percentile: f64) -> Duration {
        self.latencies.sort();
        self.latencies[(self.latencies.len() as f64 * percentile) as usize]
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // In the clock of the simulation.
        for (request, verdict) in std::mem::take(&mut self.under_way).into_values() {
            request.finish(verdict, self.now);
        }
    }
}

const EWMA: model::Balancer = model::Balancer::PeakEwma;
const LEAST: model::Balancer = model::Balancer::LeastRequest;

#[test]
fn a_slow_endpoint_gets_little_by_latency_less_by_load_and_an_equal_share_by_turns() {
    let share_of_the_slow = |config| {
        let mut world = World::new(config, vec![serves(2), serves(2), serves(20)]);
        world.run(100, 5);
        let shares = world.run(100, 20);
        shares.get("c").copied().unwrap_or(0.0)
    };
    let ewma = share_of_the_slow(EWMA);
    let least = share_of_the_slow(LEAST);
    let turns = share_of_the_slow(model::Balancer::RoundRobin);
    assert!(ewma < 0.02, "{ewma}");
    assert!(least < 0.28, "{least}");
    assert!((0.33..0.34).contains(&turns), "{turns}");
}

#[test]
fn equal_endpoints_get_equal_shares() {
    for config in [EWMA, LEAST] {
        let mut world = World::new(config.clone(), vec![serves(5), serves(5), serves(5)]);
        world.run(300, 5);
        let shares = world.run(300, 20);
        for share in shares.values() {
            assert!((share - 1.0 / 3.0).abs() < 0.05, "{config:?} {shares:?}");
        }
    }
}

#[test]
fn one_that_becomes_slow_is_left_within_moments_and_tried_again_when_that_is_past() {
    let mut world = World::new(EWMA, vec![serves(2), serves(2), serves(2)]);
    world.run(200, 10);
    world.servers.get_mut("b").unwrap().takes = Duration::from_secs(1);
    world.run(200, 2);
    assert!(world.most_in_flight["b"] <= 5, "{:?}", world.most_in_flight);
    let during = world.run(200, 10);
    assert!(during.get("b").copied().unwrap_or(0.0) < 0.01, "{during:?}");
    assert!(world.percentile(0.99) < Duration::from_millis(20));
    world.servers.get_mut("b").unwrap().takes = Duration::from_millis(2);
    // 1 s decays to 2 ms in 62 s.
    world.run(200, 90);
    let after = world.run(200, 20);
    assert!(after["b"] > 0.25, "{after:?}");
}

#[test]
fn one_that_is_new_is_not_flooded_before_anything_is_known_of_it() {
    let mut world = World::new(EWMA, vec![serves(2), serves(2)]);
    world.run(500, 10);
    // The first of its requests take half a second, for it is cold.
    world.servers.insert("c".to_owned(), serves(500));
    world.endpoints.update(named(&[1, 1, 1]));
    world.run(500, 1);
    assert!(world.most_in_flight["c"] <= 1, "{:?}", world.most_in_flight);
}

#[test]
fn one_that_fails_fast_is_no_magnet() {
    let mut world = World::new(EWMA, vec![serves(10), serves(10), serves(10)]);
    world.run(100, 10);
    let server = world.servers.get_mut("a").unwrap();
    server.takes = Duration::from_micros(100);
    server.verdict = Verdict::Failure;
    let shares = world.run(100, 60);
    assert!(shares["a"] < 0.05, "{shares:?}");
}

#[test]
fn one_that_hangs_is_left_when_its_requests_are_given_up() {
    let endpoints = endpoints(settings(EWMA), &[1, 1]);
    let (good, hangs) = (find(&endpoints, "a"), find(&endpoints, "b"));
    let began = Moment::now();
    for endpoint in [&good, &hangs] {
        let answered = began.after(Duration::from_millis(5));
        endpoint.start(began).finish(Verdict::Success, answered);
    }
    // Begun two seconds ago, and dropped now.
    let long_ago = Moment::from_nanos(began.as_nanos() - 2_000_000_000);
    drop(Arc::clone(&hangs).start(long_ago));
    let now = Moment::now();
    assert!(hangs.latency().get(now) > Some(1.9e9));
    let counts = picks(&endpoints, &mut Balancer::seeded(&EWMA, 1), 100);
    assert_eq!(counts, BTreeMap::from([("a".to_owned(), 100)]));
}

#[test]
fn the_busy_one_of_two_is_not_chosen_by_load() {
    let endpoints = endpoints(settings(LEAST), &[1, 1, 1]);
    let a = find(&endpoints, "a");
    let now = Moment::now();
    let busy: Vec<InFlight> = (0..5).map(|_| a.start(now)).collect();
    let counts = picks(&endpoints, &mut Balancer::seeded(&LEAST, 1), 300);
    assert!(!counts.contains_key("a"), "{counts:?}");
    for request in busy {
        request.finish(Verdict::Ignore, now);
    }
}

#[test]
fn load_is_weighed() {
    // Three times the weight takes three times the load.
    for config in [LEAST, EWMA] {
        let endpoints = endpoints(settings(config.clone()), &[1, 3]);
        let mut balancer = Balancer::seeded(&config, 8);
        let set = endpoints.load();
        let now = Moment::now();
        for endpoint in set.endpoints() {
            let answered = now.after(Duration::from_millis(5));
            endpoint.start(now).finish(Verdict::Success, answered);
        }
        let under_way: Vec<InFlight> = (0..400)
            .map(|_| {
                balancer
                    .pick(&set, Wanted::default(), now)
                    .unwrap()
                    .start(now)
            })
            .collect();
        let light = find(&endpoints, "a").in_flight();
        assert!((99..=101).contains(&light), "{config:?} {light}");
        for request in under_way {
            request.finish(Verdict::Ignore, now);
        }
    }
}
