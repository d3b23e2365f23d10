//! When endpoints are checked.

use std::{sync::Arc, time::Duration};

use gateway::config::model::{HealthCheck, Protocol};
use tokio::time::{Instant, sleep};

use crate::support::{
    checks::{INTERVAL, TIMEOUT, config, http, start},
    endpoints::{Endpoint, Network},
    server::Mood,
};

const SOON: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn checks_of_many_are_spread() {
    let network = Network::default();
    let endpoints: Vec<_> = (0..100).map(Endpoint::new).collect();
    let all: Vec<_> = endpoints.iter().collect();
    let began = Instant::now();
    let _checked = start(config(http()), Protocol::Http1, network.clone(), &all);
    sleep(INTERVAL * 5).await;
    let times = endpoints.iter().map(|endpoint| network.checks(endpoint));
    let mut times: Vec<Duration> = times.flatten().map(|at| at - began).collect();
    times.sort();
    // The first of each within a second, and never many at once.
    assert!(times[99] < Duration::from_secs(1), "{:?}", times[99]);
    let in_window = |from: Duration, length: Duration| {
        times
            .iter()
            .filter(|at| (from..from + length).contains(at))
            .count()
    };
    for step in 0..10 {
        let first = in_window(
            Duration::from_millis(100) * step,
            Duration::from_millis(100),
        );
        assert!((9..=11).contains(&first), "{first}");
    }
    // From then on evenly over the interval.
    for second in 12..48 {
        let checks = in_window(Duration::from_secs(second), Duration::from_secs(1));
        assert!((9..=11).contains(&checks), "{checks} in second {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_delays_no_other_nor_its_own_next_check() {
    let network = Network::default();
    let endpoints: Vec<_> = (0..4).map(Endpoint::new).collect();
    let all: Vec<_> = endpoints.iter().collect();
    network.mood(&endpoints[0], Mood::Hangs);
    let _checked = start(config(http()), Protocol::Http1, network.clone(), &all);
    sleep(INTERVAL * 10).await;
    for endpoint in &endpoints {
        let times = network.checks(endpoint);
        assert!(times.len() >= 10, "{}", times.len());
        for pair in times[1..].windows(2) {
            let apart = pair[1] - pair[0];
            assert!(
                apart >= INTERVAL - SOON && apart <= INTERVAL + SOON,
                "{apart:?}"
            );
        }
    }
    assert_eq!(endpoints[0].said(), [false]);
    assert_eq!(endpoints[1].said(), [true]);
}

#[tokio::test(start_paused = true)]
async fn a_check_never_overlaps_with_the_next_of_the_same_endpoint() {
    let network = Network::default();
    let endpoint = Endpoint::new(1);
    network.mood(&endpoint, Mood::Hangs);
    let impatient = HealthCheck {
        interval: TIMEOUT / 10,
        ..config(http())
    };
    let _checked = start(impatient, Protocol::Http1, network.clone(), &[&endpoint]);
    sleep(TIMEOUT * 10).await;
    for pair in network.checks(&endpoint).windows(2) {
        assert!(pair[1] - pair[0] >= TIMEOUT);
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_moves_checks_within_its_share() {
    let network = Network::default();
    let endpoint: Arc<Endpoint> = Endpoint::new(1);
    let jittered = HealthCheck {
        jitter: 0.5,
        ..config(http())
    };
    let _checked = start(jittered, Protocol::Http1, network.clone(), &[&endpoint]);
    sleep(INTERVAL * 100).await;
    let times = network.checks(&endpoint);
    let apart: Vec<Duration> = times[1..]
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    let (least, most) = (apart.iter().min().unwrap(), apart.iter().max().unwrap());
    assert!(*least >= INTERVAL.mul_f64(0.75) - SOON && *most <= INTERVAL.mul_f64(1.25) + SOON);
    assert!(
        *most - *least > INTERVAL.mul_f64(0.3),
        "{least:?} to {most:?}"
    );
    assert!((93..=107).contains(&times.len()), "{}", times.len());
}
