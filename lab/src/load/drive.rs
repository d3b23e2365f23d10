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
    pub phase: usize,
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
    /// The start of the load by the wall clock, to place what services log.
    pub started_unix_ms: f64,
    /// Requests whose answer had not come when the lab stopped waiting.
    pub unfinished: usize,
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
            started_unix_ms: unix_ms(SystemTime::now()),
            unfinished: 0,
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
        collector
            .until(
                stage.started + entered + phase.length,
                &mut receive,
                &mut living,
            )
            .await?;
        act(Boundary::Leaving(index)).await?;
        collector
            .measured
            .windows
            .push((entered, stage.started.elapsed()));
    }
    stage.stop.cancel();
    progress.settling();
    // Everyone is given the time to see the answer of a request that is under way.
    let deadline = Instant::now() + user_time_out;
    collector.measured.unfinished = loop {
        match tokio::time::timeout_at(deadline, receive.recv()).await {
            Ok(Some(sample)) => collector.collect(&sample),
            Ok(None) => break 0,
            Err(_) => {
                while living.try_join_next().is_some() {}
                break living.len();
            }
        }
    };
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
                phase: sample.phase_at_start,
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
