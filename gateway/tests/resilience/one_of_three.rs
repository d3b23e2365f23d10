//! One endpoint of three is in trouble, and clients do not notice.

use std::time::Duration;

use crate::support::{
    backend::Backend,
    backend_process::Mode,
    gateway::Gateway,
    load::{Load, Manner, Sample, Seen, all_well, failures},
    poll::until,
    setup::{GUARDED, alone, backends, in_front_of},
};

/// Requests of clients in each phase: each endpoint's even share is a third.
const PHASE: usize = 300;

/// Each trial that fails doubles the rest after it, and a busy machine makes them fail, too. What is known of a latency fades by a factor
/// of e in ten seconds.
const PATIENCE: Duration = Duration::from_secs(90);

struct Three {
    backends: [Backend; 3],
    gateway: Gateway,
    load: Load,
}

impl Three {
    /// Under load, and all are used.
    async fn start() -> Self {
        let backends = backends().await;
        let gateway = in_front_of(&backends, GUARDED).await;
        let load = Load::start(gateway.http, 6, Manner::pausing(5));
        load.further(PHASE).await;
        let mut three = Self {
            backends,
            gateway,
            load,
        };
        // One that was slow by chance when it was asked first is asked less for a while.
        until("all are used", async || {
            let counts = three.counts().await;
            counts
                .iter()
                .all(|&count| count >= PHASE / 10)
                .then_some(())
        })
        .await;
        three
    }

    async fn counts(&mut self) -> [usize; 3] {
        let mut counts = [0; 3];
        for (count, backend) in counts.iter_mut().zip(&mut self.backends) {
            *count = backend.count().await;
        }
        counts
    }

    fn bad(&mut self) -> &mut Backend {
        &mut self.backends[0]
    }

    /// It gets no more than trials: one for each rest, which is at least a second.
    async fn is_left_out(&mut self) {
        // What was under way when it fell out comes to its end.
        self.load.further(PHASE).await;
        let before = self.bad().count().await;
        let began = tokio::time::Instant::now();
        self.load.further(PHASE).await;
        let arrived = self.bad().count().await - before;
        let rests = began.elapsed().as_millis() / 900 + 2;
        assert!((arrived as u128) <= rests, "{arrived} arrivals");
    }

    /// It gets its share again.
    async fn comes_back(&mut self) {
        let before = self.bad().count().await;
        let back = async {
            while self.bad().count().await < before + PHASE / 5 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, back).await;
        assert!(in_time.is_ok(), "it has not come back within {PATIENCE:?}");
    }

    async fn end(self) -> Vec<Sample> {
        let samples = self.load.end().await;
        drop(self.gateway);
        samples
    }
}

#[tokio::test]
async fn killed() {
    let _alone = alone().await;
    let mut three = Three::start().await;
    three.bad().kill().await;
    three.load.further(2 * PHASE).await;
    three.bad().revive().await;
    three.comes_back().await;
    all_well(&three.end().await);
}

#[tokio::test]
async fn hung() {
    let _alone = alone().await;
    let mut three = Three::start().await;
    let before = three.bad().count().await;
    three.bad().stop().await;
    let began = tokio::time::Instant::now();
    three.load.further(3 * PHASE).await;
    three.bad().go_on().await;
    // It could not be asked while it was stopped. What was sent to it lies there, and it finds that now.
    let arrived = three.bad().count().await - before;
    let rests = began.elapsed().as_millis() as usize / 900 + 2;
    assert!(arrived <= 3 + 6 + 6 + rests, "{arrived} arrivals");
    three.comes_back().await;
    all_well(&three.end().await);
}

#[tokio::test]
async fn without_an_answer() {
    let _alone = alone().await;
    let mut three = Three::start().await;
    three.bad().behave(Mode::Hang).await;
    three.is_left_out().await;
    three.bad().behave(Mode::Well).await;
    three.comes_back().await;
    all_well(&three.end().await);
}

#[tokio::test]
async fn slow() {
    let _alone = alone().await;
    let mut three = Three::start().await;
    // Within the time-out: nothing fails, and it still gets less and less.
    three.bad().behave(Mode::Slow(200)).await;
    three.load.further(PHASE).await;
    let before = three.counts().await;
    three.load.further(PHASE).await;
    let after = three.counts().await;
    let share = (after[0] - before[0]) as f64 / PHASE as f64;
    assert!(share < 0.15, "{share}");
    three.bad().behave(Mode::Well).await;
    // Nothing has failed, so nothing is forgotten at once: what is known of its latency fades, by a factor of e in ten seconds, from
    // 200 ms to what the others take.
    three.comes_back().await;
    all_well(&three.end().await);
}

#[tokio::test]
async fn refusing() {
    let _alone = alone().await;
    let mut three = Three::start().await;
    three.bad().behave(Mode::Status(503, None)).await;
    three.is_left_out().await;
    three.bad().behave(Mode::Well).await;
    three.comes_back().await;
    all_well(&three.end().await);
}

#[tokio::test]
async fn breaking_connections() {
    let _alone = alone().await;
    let mut three = Three::start().await;
    three.bad().behave(Mode::Break).await;
    three.is_left_out().await;
    three.bad().behave(Mode::Well).await;
    three.comes_back().await;
    all_well(&three.end().await);
}

#[tokio::test]
async fn flapping() {
    let _alone = alone().await;
    let mut three = Three::start().await;
    three.bad().behave(Mode::Flap(300)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    three.load.further(PHASE).await;
    three.bad().behave(Mode::Well).await;
    three.comes_back().await;
    all_well(&three.end().await);
}

#[tokio::test]
async fn flapping_process() {
    let _alone = alone().await;
    let mut three = Three::start().await;
    for _ in 0..4 {
        three.bad().kill().await;
        three.load.further(PHASE / 3).await;
        three.bad().revive().await;
        three.load.further(PHASE / 3).await;
    }
    three.comes_back().await;
    all_well(&three.end().await);
}

/// What has been passed on cannot be taken back: an answer that breaks off does so for the client, too. It must see that, and it must not
/// happen often: three times until the endpoint is left out, to those under way at that moment, and to trials.
#[tokio::test]
async fn truncating() {
    let _alone = alone().await;
    let mut three = Three::start().await;
    let began = tokio::time::Instant::now();
    three.bad().behave(Mode::Truncate).await;
    three.is_left_out().await;
    three.bad().behave(Mode::Well).await;
    let trials = began.elapsed().as_millis() as usize / 900 + 1;
    three.comes_back().await;
    let samples = three.end().await;
    let broken = failures(&samples);
    for sample in &broken {
        assert_eq!(sample.seen, Seen::BrokenOff);
    }
    assert!(!broken.is_empty(), "it has never been used");
    assert!(broken.len() <= 3 + 6 + trials, "{}", broken.len());
}
