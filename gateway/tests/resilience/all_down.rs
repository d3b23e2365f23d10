//! All endpoints are gone, and come back.

use std::time::Duration;

use crate::support::{
    backend::Backend,
    backend_process::{Arrival, Mode, now},
    load::{Load, Manner, Sample, Seen},
    poll::until,
    setup::{alone, backends, in_front_of},
};

const OPEN: Duration = Duration::from_secs(2);
const CLIENTS: usize = 30;
const GUARDS: &str = r#"
timeout = "1s"
retry = { attempts = 2, backoff = "2ms", budget = { ratio = 0.2, per_second = 10 } }
ejection = { consecutive_failures = 3, base = "1s", max = "1s" }
breaker = { consecutive_failures = 5, open_for = "2s", half_open_trials = 1, success_threshold = 1 }
"#;

/// How long a busy machine may take for what should take no time.
const SLACK: Duration = Duration::from_secs(2);

async fn all(backends: &mut [Backend]) -> Vec<Arrival> {
    let mut all = Vec::new();
    for backend in backends {
        all.extend(backend.arrivals().await);
    }
    all.sort_by_key(|arrival| arrival.at);
    all
}

async fn refused(load: &Load) {
    let from = now();
    until("requests are refused", async || {
        let samples = load.samples();
        let recent = samples.iter().filter(|sample| sample.at > from);
        let refused = recent.filter(|sample| matches!(sample.seen, Seen::Status(_, true)));
        (refused.count() > CLIENTS).then_some(())
    })
    .await;
}

/// While the circuit is open everybody is told so at once, but for trials.
fn are_refused_at_once(samples: &[Sample], patience: Duration) {
    let (refused, others): (Vec<_>, Vec<_>) = samples
        .iter()
        .partition(|sample| matches!(sample.seen, Seen::Status(status, true) if status == 503));
    let trials = patience.as_secs() / OPEN.as_secs() + 2;
    assert!(
        others.len() as u64 <= trials,
        "{} of {}: {:?}",
        others.len(),
        samples.len(),
        others[0]
    );
    for other in others {
        assert!(
            matches!(other.seen, Seen::Status(status, _) if status == 502 || status == 503 || status == 504),
            "{other:?}"
        );
    }
    let mut took: Vec<_> = refused.iter().map(|sample| sample.took).collect();
    took.sort();
    assert!(
        took[took.len() / 2] < Duration::from_millis(250),
        "{took:?}"
    );
}

#[tokio::test]
async fn killed_and_revived() {
    let _alone = alone().await;
    let mut backends: [Backend; 3] = backends().await;
    let gateway = in_front_of(&backends, GUARDS).await;
    let load = Load::start(gateway.http, CLIENTS, Manner::pausing(100));
    load.further(100).await;
    for backend in &mut backends {
        backend.kill().await;
    }
    refused(&load).await;
    let before = load.count();
    tokio::time::sleep(2 * OPEN).await;
    are_refused_at_once(&load.samples()[before..], 2 * OPEN + SLACK);

    // Slow enough to see what comes before the first answer.
    let up = now();
    for backend in &mut backends {
        backend.revive_as(Mode::Slow(500)).await;
    }
    let all_up = now();
    has_recovered(&load, all_up).await;
    let samples = load.end().await;
    let arrivals = all(&mut backends).await;
    no_herd(&samples, &arrivals, up, all_up);
}

#[tokio::test]
async fn hung_and_well_again() {
    let _alone = alone().await;
    let mut backends: [Backend; 3] = backends().await;
    let gateway = in_front_of(&backends, GUARDS).await;
    let load = Load::start(gateway.http, CLIENTS, Manner::pausing(100));
    load.further(100).await;
    for backend in &mut backends {
        backend.behave(Mode::Hang).await;
    }
    refused(&load).await;
    // Those that had been let in before have had their two attempts by then.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let before = load.count();
    tokio::time::sleep(2 * OPEN).await;
    are_refused_at_once(&load.samples()[before..], 2 * OPEN + SLACK);
    for backend in &mut backends {
        backend.behave(Mode::Well).await;
    }
    // A trial that is under way has its time-outs first.
    has_recovered(&load, now() + 2_000_000).await;
    load.end().await;
}

async fn has_recovered(load: &Load, up: u64) {
    until("there is a good answer again", async || {
        let samples = load.samples();
        let good = samples
            .iter()
            .find(|sample| sample.at >= up && sample.seen == Seen::Well)?;
        let after = Duration::from_micros(good.at - up);
        assert!(after <= OPEN.mul_f64(1.2) + SLACK, "{after:?}");
        Some(())
    })
    .await;
    load.further(4 * CLIENTS).await;
}

fn end(sample: &Sample) -> u64 {
    sample.at + sample.took.as_micros() as u64
}

/// One request is the trial, and nothing else arrives until it has been answered. Then requests arrive as they are made, each once.
fn no_herd(samples: &[Sample], arrivals: &[Arrival], up: u64, all_up: u64) {
    let first = samples
        .iter()
        .filter(|sample| sample.at >= up && sample.seen == Seen::Well)
        .map(end)
        .min()
        .unwrap();
    let trials = arrivals
        .iter()
        .filter(|arrival| arrival.at >= up && arrival.at < first - 100_000)
        .count();
    let asked = samples
        .iter()
        .filter(|sample| sample.at > all_up && sample.at < first - 100_000)
        .count();
    // One that met an endpoint that was not up yet may have come before; the trial itself may have had a second attempt.
    assert!((1..=3).contains(&trials), "{trials} of {asked}");
    assert!(asked > 3 * trials, "{asked}: too few to show anything");

    // All further samples are good, and none of them has arrived twice.
    let further: Vec<_> = samples
        .iter()
        .filter(|sample| sample.at > first + 200_000)
        .collect();
    let bad = further.iter().find(|sample| sample.seen != Seen::Well);
    assert!(bad.is_none(), "{bad:?}");
    let well = samples
        .iter()
        .filter(|sample| end(sample) >= first && sample.seen == Seen::Well)
        .count();
    let arrived = arrivals.iter().filter(|arrival| arrival.at >= up).count();
    assert!(arrived <= well + well / 5 + 10, "{arrived} for {well}");
    // In no fifth of a second come more than there are clients, as each waits for its answer.
    for window in arrivals.iter().filter(|arrival| arrival.at >= up) {
        let in_window = arrivals
            .iter()
            .filter(|arrival| (window.at..window.at + 200_000).contains(&arrival.at))
            .count();
        assert!(in_window <= CLIENTS + CLIENTS / 5, "{in_window}");
    }
}

/// No circuit, but checks: they say that there is nobody to ask.
#[tokio::test]
async fn found_so_by_checks() {
    let _alone = alone().await;
    let mut backends: [Backend; 3] = backends().await;
    let checks = r#"
timeout = "1s"
retry = { attempts = 3, budget = { per_second = 100 } }
health = { kind = "http", path = "/health", interval = "500ms", timeout = "500ms", unhealthy_after = 2, healthy_after = 1 }
"#;
    let gateway = in_front_of(&backends, checks).await;
    let load = Load::start(gateway.http, CLIENTS, Manner::pausing(100));
    load.further(100).await;
    for backend in &mut backends {
        backend.kill().await;
    }
    refused(&load).await;
    let before = load.count();
    load.further(5 * CLIENTS).await;
    are_refused_at_once(&load.samples()[before..], Duration::ZERO);
    for backend in &mut backends {
        backend.revive().await;
    }
    until("there are good answers again", async || {
        let samples = load.samples();
        let last = &samples[samples.len() - CLIENTS..];
        last.iter()
            .all(|sample| sample.seen == Seen::Well)
            .then_some(())
    })
    .await;
    load.end().await;
}
