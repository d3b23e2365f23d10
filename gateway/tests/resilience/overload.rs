//! Five times as many requests as can be answered: as many are answered as before, in bounded time, and the others are refused at
//! once.

use std::time::Duration;

use crate::support::{
    backend::Backend,
    backend_process::Mode,
    load::{Load, Manner, Sample, Seen, percentile},
    setup::{alone, backends, in_front_of},
};

/// Each of two backends has so many places, and needs so long for an answer: 80 requests per second.
const PLACES: usize = 4;
const SERVICE: u64 = 100;
/// As many as all places take, and twice as many besides, so that none is ever free.
const LIMIT: usize = 24;
const WINDOW: Duration = Duration::from_secs(3);

fn well(samples: &[Sample]) -> Vec<Duration> {
    let well = samples.iter().filter(|sample| sample.seen == Seen::Well);
    well.map(|sample| sample.took).collect()
}

struct Window {
    samples: Vec<Sample>,
    seconds: f64,
}

impl Window {
    /// Once all clients are at it.
    async fn of(load: Load, before: usize) -> Self {
        load.further(before).await;
        let from = load.count();
        let began = tokio::time::Instant::now();
        tokio::time::sleep(WINDOW).await;
        let samples = load.samples().split_off(from);
        let seconds = began.elapsed().as_secs_f64();
        load.end().await;
        Self { samples, seconds }
    }

    fn goodput(&self) -> f64 {
        well(&self.samples).len() as f64 / self.seconds
    }

    fn offered(&self) -> f64 {
        self.samples.len() as f64 / self.seconds
    }
}

#[tokio::test]
async fn five_times_the_capacity() {
    let _alone = alone().await;
    let mut backends: [Backend; 2] = backends().await;
    for backend in &mut backends {
        backend.behave(Mode::Places(SERVICE, PLACES)).await;
    }
    let guards = format!(
        "timeout = \"10s\"\nbalancer = \"least_request\"\nbulkhead = {{ max_concurrent = {LIMIT} }}"
    );
    let gateway = in_front_of(&backends, &guards).await;

    // In turn, and the best of each: whatever else the machine does makes both worse, and neither better.
    let mut peak: f64 = 0.0;
    let mut overloads = Vec::new();
    for _ in 0..3 {
        // The most there can be: as many clients as the limit, who never pause.
        let load = Load::start(gateway.http, LIMIT, Manner::pausing(0));
        peak = peak.max(Window::of(load, 2 * LIMIT).await.goodput());
        // 400 requests per second, as each client asks twice.
        let load = Load::start(gateway.http, 200, Manner::pausing(500));
        overloads.push(Window::of(load, 400).await);
    }
    let overload = overloads
        .into_iter()
        .max_by(|one, other| one.goodput().total_cmp(&other.goodput()))
        .unwrap();
    let (goodput, offered) = (overload.goodput(), overload.offered());
    println!("peak {peak:.0}/s, offered {offered:.0}/s, goodput {goodput:.0}/s");
    assert!(offered > 3.5 * peak, "{offered} is no overload of {peak}");
    assert!(goodput >= 0.9 * peak, "{goodput} of {peak}");
    // Without a limit all 200 would wait: two and a half seconds.
    let answered = well(&overload.samples);
    let p99 = percentile(&answered, 0.99);
    assert!(p99 < Duration::from_millis(1200), "{p99:?}");

    let refused = overload
        .samples
        .iter()
        .filter(|sample| matches!(sample.seen, Seen::Status(status, true) if status == 503));
    let refused: Vec<_> = refused.map(|sample| sample.took).collect();
    assert_eq!(refused.len() + answered.len(), overload.samples.len());
    let median = percentile(&refused, 0.5);
    assert!(median < Duration::from_millis(SERVICE), "{median:?}");
}
