//! Slow answers are overtaken by a second attempt.

use std::time::Duration;

use crate::support::{
    backend::Backend,
    backend_process::{End, Mode},
    gateway::Gateway,
    load::{Load, Manner, all_well, percentile},
    poll::until,
    setup::{alone, backends, configuration},
};

fn hedged(backends: &[Backend], budget: &str) -> std::path::PathBuf {
    let urls: Vec<_> = backends.iter().map(Backend::url).collect();
    configuration(&format!(
        r#"
endpoints = {urls:?}
timeout = "20s"
balancer = "round_robin"
retry = {{ attempts = 2, budget = {budget} }}
hedge = {{ percentile = 0.9, at_least = "100ms", minimum_calls = 20 }}
"#
    ))
}

#[tokio::test]
async fn a_slow_endpoint_is_overtaken_and_left_alone() {
    let _alone = alone().await;
    let mut backends: [Backend; 2] = backends().await;
    let config = hedged(&backends, "{ ratio = 1.0, per_second = 1000 }");
    let gateway = Gateway::start(&config, &["workers=1".to_owned()]).await;
    let load = Load::start(gateway.http, 4, Manner::pausing(5));
    load.further(200).await;
    backends[0].behave(Mode::Slow(15_000)).await;
    let from = load.count();
    load.further(60).await;
    let samples = load.end().await;
    all_well(&samples);
    let took: Vec<_> = samples[from..].iter().map(|sample| sample.took).collect();
    // Half of them went to the slow one first.
    let slowest = percentile(&took, 1.0);
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    until("the slow attempts have been given up", async || {
        let arrivals = backends[0].arrivals().await;
        let open = arrivals.iter().any(|arrival| arrival.end == End::Open);
        let given_up = arrivals
            .iter()
            .filter(|arrival| arrival.end == End::GivenUp)
            .count();
        (!open && given_up >= 10).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_within_the_budget() {
    let _alone = alone().await;
    let mut backends: [Backend; 2] = backends().await;
    let config = hedged(&backends, "{ ratio = 0.1, per_second = 0 }");
    let gateway = Gateway::start(&config, &["workers=1".to_owned()]).await;
    let load = Load::start(gateway.http, 10, Manner::pausing(5));
    load.further(200).await;
    for backend in &mut backends {
        backend.behave(Mode::Slow(600)).await;
    }
    let before = arrived(&mut backends).await;
    let from = load.count();
    load.further(150).await;
    let samples = load.end().await;
    all_well(&samples);
    // Those that were under way at the beginning count for nothing, but had been asked before.
    let asked = samples.len() - from;
    let extra = (arrived(&mut backends).await - before).saturating_sub(asked);
    let most = samples.len() / 10 + 10;
    assert!((1..=most).contains(&extra), "{extra} of {most}");
}

async fn arrived(backends: &mut [Backend]) -> usize {
    let mut all = 0;
    for backend in backends {
        all += backend.count().await;
    }
    all
}
