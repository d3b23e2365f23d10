//! Endpoints that change their minds, and endpoints that come and go.

use std::{sync::Arc, time::Duration};

use gateway::{config::model::Protocol, data::health::Health};
use tokio::time::{Instant, advance, sleep};

use crate::support::{
    checks::{Checked, INTERVAL, TIMEOUT, config, http, start},
    endpoints::{Endpoint, Network},
    server::Mood,
};

fn check(network: &Network, endpoints: &[&Arc<Endpoint>]) -> Checked<Endpoint> {
    start(config(http()), Protocol::Http1, network.clone(), endpoints)
}

#[tokio::test(start_paused = true)]
async fn the_first_check_decides_and_then_it_takes_some_in_a_row() {
    let network = Network::default();
    let endpoint = Endpoint::new(1);
    let began = Instant::now();
    let checked = check(&network, &[&endpoint]);
    assert!(
        endpoint.until(true).await - began < Duration::from_millis(10),
        "at once"
    );

    network.mood(&endpoint, Mood::Status(500));
    let unwell = endpoint.until(false).await;
    assert!(unwell - began >= INTERVAL * 3 && unwell - began < INTERVAL * 3 + TIMEOUT);
    let report = checked.report().endpoints().remove(0);
    assert_eq!((report.health, report.since), (Health::Unhealthy, unwell));
    assert_eq!((report.passed, report.failed), (1, 3));

    network.mood(&endpoint, Mood::Status(200));
    let well = endpoint.until(true).await;
    assert!(well - unwell >= INTERVAL * 2 - TIMEOUT && well - unwell < INTERVAL * 2 + TIMEOUT);
    assert_eq!(checked.report().endpoints()[0].last_error, None);
    assert_eq!(endpoint.said(), [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_flaps_stays_what_it_was() {
    let network = Network::default();
    let endpoint = Endpoint::new(1);
    let _checked = check(&network, &[&endpoint]);
    endpoint.until(true).await;
    for mood in [Mood::Status(500), Mood::Status(500), Mood::Status(200)].repeat(5) {
        network.mood(&endpoint, mood);
        sleep(INTERVAL).await;
    }
    assert!(network.checks(&endpoint).len() > 10);
    assert_eq!(endpoint.said(), [true]);
}

#[tokio::test(start_paused = true)]
async fn endpoints_come_and_go_and_those_that_stay_notice_nothing() {
    let network = Network::default();
    let (stays, goes, comes) = (Endpoint::new(1), Endpoint::new(2), Endpoint::new(3));
    network.mood(&comes, Mood::Refuses);
    let checked = check(&network, &[&stays, &goes]);
    stays.until(true).await;
    goes.until(true).await;
    // Two of three bad ones: what is counted survives the change.
    network.mood(&stays, Mood::Status(500));
    sleep(INTERVAL * 2).await;
    assert_eq!(network.checks(&stays).len(), 3);

    let changed = Instant::now();
    checked.change(&[&comes, &stays]);
    assert!(
        comes.until(false).await - changed < TIMEOUT,
        "checked at once"
    );
    let checks = network.checks(&goes).len();
    // At its own pace, not because something else has changed.
    let third = stays.until(false).await;
    assert_eq!(network.checks(&stays).len(), 4);
    assert!(third - changed > INTERVAL / 4 && third - changed <= INTERVAL);
    sleep(INTERVAL * 3).await;
    assert_eq!(network.checks(&goes).len(), checks, "not checked any more");
    assert_eq!(goes.said(), [true]);
    assert_eq!(checked.report().endpoints().len(), 2);

    // It comes back, as another.
    let back = Endpoint::new(2);
    checked.change(&[&comes, &stays, &back, &back]);
    back.until(true).await;
    assert_eq!(
        checked.report().endpoints().len(),
        3,
        "named twice, it is one"
    );
    assert_eq!(goes.said(), [true]);
}

#[tokio::test(start_paused = true)]
async fn a_check_under_way_ends_with_its_endpoint_and_with_all() {
    let network = Network::default();
    let endpoint = Endpoint::new(1);
    network.mood(&endpoint, Mood::Hangs);
    let checked = check(&network, &[&endpoint]);
    while network.checks(&endpoint).is_empty() {
        advance(Duration::from_millis(1)).await;
    }
    checked.change(&[]);
    sleep(INTERVAL).await;
    assert_eq!(endpoint.said(), [] as [bool; 0]);
    assert!(checked.report().endpoints().is_empty());

    let checked = check(&network, &[&endpoint]);
    sleep(TIMEOUT / 2).await;
    checked.stop().await;
    sleep(INTERVAL).await;
    assert_eq!(endpoint.said(), [] as [bool; 0]);
    assert_eq!(network.checks(&endpoint).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_nobody_will_change_are_checked_nevertheless() {
    let network = Network::default();
    let endpoint = Endpoint::new(1);
    let checked = check(&network, &[&endpoint]);
    drop(checked.targets);
    endpoint.until(true).await;
    network.mood(&endpoint, Mood::Refuses);
    endpoint.until(false).await;
}
