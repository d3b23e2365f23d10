//! Drives one load through its phases and collects what its users saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::LabError;
use crate::load::user::{self, Stage};
use crate::load::{Client, Endpoint, Phase, Progress, Recorder, Sample, Timeline, User, Variant};

/// A load before it runs.
pub struct Load {
    pub variants: Vec<Variant>,
    pub endpoints: Vec<Endpoint>,
    pub phases: Vec<Phase>,
    pub users: Vec<User>,
    pub seed: u64,
    /// When a user gives up. No shorter than the longest hang, or the client would hide what the servers do.
    pub user_time_out: Duration,
    pub bucket: Duration,
}

/// Moments at which an experiment acts on its system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// Requests sent from now on belong to this phase.
    Entered(usize),
    /// This phase is over when the action is done.
    Leaving(usize),
}

/// A request as the claims need it.
#[derive(Debug, Clone)]
pub struct Trace {
    pub variant: usize,
    pub started: Duration,
    pub latency: Duration,
    pub failed: bool,
}

/// Something a user's answer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub at: Duration,
    pub variant: usize,
    pub value: String,
}

pub struct Measured {
    pub recorder: Recorder,
    pub timeline: Timeline,
    pub traces: Vec<Trace>,
    pub observations: Vec<Observation>,
    /// When each phase began and ended, from the start of the load.
    pub windows: Vec<(Duration, Duration)>,
    /// For each phase, from when the action at its start was done until the action at its end began.
    pub steady: Vec<(Duration, Duration)>,
    /// The start of the load by the wall clock, to place what services log.
    pub started_unix_ms: f64,
}

impl Measured {
    pub fn length(&self, phase: usize) -> Duration {
        self.windows
            .get(phase)
            .map_or(Duration::ZERO, |(start, end)| end.saturating_sub(*start))
    }

    pub fn end(&self) -> Duration {
        self.windows.last().map_or(Duration::ZERO, |(_, end)| *end)
    }
}

const REPORT_EVERY: Duration = Duration::from_millis(200);

/// Runs the phases one after the other. `act` is awaited at every boundary; while it works, the load goes on.
pub async fn drive<F>(load: Load, progress: &Progress, mut act: F) -> Result<Measured, LabError>
where
    F: AsyncFnMut(Boundary) -> Result<(), LabError>,
{
    let Load {
        variants,
        endpoints,
        phases,
        users,
        seed,
        user_time_out,
        bucket,
    } = load;
    let stage = Arc::new(Stage {
        started: Instant::now(),
        phase: AtomicUsize::new(0),
        stop: CancellationToken::new(),
    });
    let mut collector = Collector {
        measured: Measured {
            recorder: Recorder::default(),
            timeline: Timeline::new(bucket, variants.len()),
            traces: Vec::new(),
            observations: Vec::new(),
            windows: Vec::new(),
            steady: Vec::new(),
            started_unix_ms: unix_ms(SystemTime::now()),
        },
        counted: endpoints.iter().map(|endpoint| endpoint.counted).collect(),
        progress,
    };
    let (send, mut receive) = mpsc::unbounded_channel();
    // Dropped with this future, so that an interrupted run leaves no user behind.
    let mut living = JoinSet::new();
    for (number, user) in users.into_iter().enumerate() {
        // A connection of its own for every user, as real clients have.
        let client = Client::new(user_time_out);
        living.spawn(user::live(
            user,
            user::dice(seed, number),
            client,
            stage.clone(),
            send.clone(),
        ));
    }
    drop(send);

    for (index, phase) in phases.iter().enumerate() {
        let entered = stage.started.elapsed();
        stage.phase.store(index, Ordering::Release);
        progress.phase(phase, index, &phases);
        act(Boundary::Entered(index)).await?;
        let steady_from = stage.started.elapsed();
        collector
            .until(
                stage.started + entered + phase.length,
                &mut receive,
                &mut living,
            )
            .await?;
        let steady_to = stage.started.elapsed();
        act(Boundary::Leaving(index)).await?;
        collector.measured.steady.push((steady_from, steady_to));
        collector
            .measured
            .windows
            .push((entered, stage.started.elapsed()));
    }
    stage.stop.cancel();
    progress.settling();
    // Everyone sees the end of a request that is under way; each ends by the users' time-out at the latest.
    while let Some(sample) = receive.recv().await {
        collector.collect(&sample);
    }
    progress.done();
    Ok(collector.measured)
}

struct Collector<'a> {
    measured: Measured,
    counted: Vec<bool>,
    progress: &'a Progress,
}

impl Collector<'_> {
    async fn until(
        &mut self,
        end: Instant,
        samples: &mut mpsc::UnboundedReceiver<Sample>,
        living: &mut JoinSet<()>,
    ) -> Result<(), LabError> {
        let mut report = tokio::time::interval(REPORT_EVERY);
        loop {
            tokio::select! {
                Some(sample) = samples.recv() => self.collect(&sample),
                _ = report.tick() => self.progress.tick(),
                Some(ended) = living.join_next() => ended?,
                () = tokio::time::sleep_until(end) => return Ok(()),
            }
        }
    }

    fn collect(&mut self, sample: &Sample) {
        let measured = &mut self.measured;
        measured.recorder.record(sample);
        if let Some(value) = &sample.observed {
            let at = sample.started + sample.latency;
            measured.observations.push(Observation {
                at,
                variant: sample.variant,
                value: value.clone(),
            });
        }
        if self.counted.get(sample.endpoint).copied().unwrap_or(false) {
            measured.timeline.record(sample);
            measured.traces.push(Trace {
                variant: sample.variant,
                started: sample.started,
                latency: sample.latency,
                failed: sample.outcome.failed(),
            });
            self.progress.count(sample.variant, sample.outcome.failed());
        }
    }
}

pub fn unix_ms(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::load::{Answer, Call, Outcome, Script};

    /// Answers every request on every connection with 200 after `delay`.
    async fn server(delay: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|n| n > 0) {
                        tokio::time::sleep(delay).await;
                        let _ = stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                            .await;
                    }
                });
            }
        });
        at
    }

    struct Asks;

    impl Script for Asks {
        fn next(&mut self, _: &mut fastrand::Rng) -> Call {
            Call {
                endpoint: 0,
                method: http::Method::GET,
                path: "/".into(),
                json: None,
            }
        }

        fn judge(&mut self, _: &Call, answer: &Answer) -> Outcome {
            if &answer.body[..] == b"ok" {
                Outcome::Delivered
            } else {
                Outcome::Failed("not ok".into())
            }
        }

        fn observe(&self, _: &Call, answer: &Answer) -> Option<String> {
            Some(answer.status.as_str().to_owned())
        }
    }

    const MOMENT: Duration = Duration::from_millis(100);

    fn load(to: SocketAddr, user_time_out: Duration) -> Load {
        let phase = |name, fault| Phase {
            name,
            label: name,
            length: MOMENT * 2,
            fault,
        };
        let user = |number: u32| User {
            variant: 0,
            to,
            script: Box::new(Asks),
            arrives: Duration::from_millis(u64::from(number)),
            think: Duration::from_millis(1)..=Duration::from_millis(2),
        };
        Load {
            variants: vec![Variant {
                name: "only",
                label: "only",
                protected: true,
            }],
            endpoints: vec![Endpoint {
                name: "/",
                label: "/",
                counted: true,
            }],
            phases: vec![phase("first", false), phase("second", true)],
            users: (0..3).map(user).collect(),
            seed: 1,
            user_time_out,
            bucket: MOMENT,
        }
    }

    async fn run(load: Load) -> (Measured, Vec<Boundary>) {
        let progress = Progress::new("test", &load.variants, MOMENT * 4, false);
        let mut boundaries = Vec::new();
        let measured = drive(load, &progress, async |boundary| {
            boundaries.push(boundary);
            Ok(())
        });
        let measured = measured.await.unwrap();
        (measured, boundaries)
    }

    #[tokio::test]
    async fn phases_follow_each_other_and_every_request_is_recorded_once() {
        use Boundary::{Entered, Leaving};
        let (measured, boundaries) =
            run(load(server(Duration::ZERO).await, Duration::from_secs(30))).await;
        assert_eq!(boundaries, [Entered(0), Leaving(0), Entered(1), Leaving(1)]);
        assert!(measured.length(0) >= MOMENT * 2 && measured.length(1) >= MOMENT * 2);
        assert!(measured.windows[1].0 >= measured.windows[0].1);
        for ((from, to), (steady_from, steady_to)) in measured.windows.iter().zip(&measured.steady)
        {
            assert!(from <= steady_from && steady_from < steady_to && steady_to <= to);
        }
        let figures = |phase| measured.recorder.figures(0, &[0], phase, MOMENT);
        assert!(figures(0).requests > 0 && figures(1).requests > 0);
        assert_eq!(figures(0).failures + figures(1).failures, 0);
        let recorded = figures(0).requests + figures(1).requests;
        assert_eq!(recorded, measured.traces.len() as u64);
        assert_eq!(recorded, measured.observations.len() as u64);
        let charted: u64 = measured
            .timeline
            .points(0, MOMENT * 1000)
            .iter()
            .map(|point| point.answered)
            .sum();
        assert_eq!(recorded, charted);
    }

    #[tokio::test]
    async fn a_request_under_way_at_the_end_is_waited_for() {
        let (measured, _) = run(load(server(MOMENT * 6).await, Duration::from_secs(30))).await;
        let figures = measured.recorder.figures(0, &[0], 0, MOMENT);
        assert_eq!(
            (figures.requests, figures.failures),
            (3, 0),
            "one for each user"
        );
    }

    #[tokio::test]
    async fn users_that_give_up_count_as_failed_with_the_reason() {
        let (measured, _) = run(load(server(Duration::from_secs(600)).await, MOMENT)).await;
        let figures = measured.recorder.figures(0, &[0], 0, MOMENT);
        assert!(figures.requests >= 3 && figures.failures == figures.requests);
        assert_eq!(
            figures.reasons.keys().collect::<Vec<_>>(),
            ["no answer within 100ms"]
        );
    }

    #[tokio::test]
    async fn an_action_that_fails_ends_the_run() {
        let load = load(server(Duration::ZERO).await, MOMENT);
        let progress = Progress::new("test", &load.variants, MOMENT, false);
        let result = drive(load, &progress, async |_| {
            Err(LabError::Control {
                what: "POST /fail/on".into(),
                reason: "answered 404".into(),
            })
        });
        let error = result.await.map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "POST /fail/on failed: answered 404");
    }
}
