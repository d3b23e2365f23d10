//! Checking the endpoints of an upstream as they come and go. Each has a task of its own, so that one that hangs delays no other.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Target,
    check::{CheckError, check},
    connect::{Connect, Peer},
    metrics::Metrics,
    report::{EndpointHealth, Report},
    schedule::{Pace, Place},
    state::{Health, Judge, Thresholds},
};
use crate::config::model::{HealthCheck, Protocol};

/// The present endpoints, and every change of them.
pub type Targets<T> = watch::Receiver<Arc<[Arc<T>]>>;

/// How the endpoints of an upstream are checked.
#[derive(Debug, Clone)]
pub struct Checks<C> {
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// What is asked, and how often.
    pub config: HealthCheck,
    /// How the upstream is spoken to.
    pub protocol: Protocol,
    /// How endpoints are reached.
    pub connect: C,
}

/// Checks that are going on.
#[derive(Debug)]
pub struct Checking {
    report: Report,
    task: JoinHandle<()>,
}

impl<C: Connect> Checks<C> {
    /// Checks these endpoints, on a runtime, until told to stop. What was found last stays.
    #[must_use]
    pub fn start<T: Target>(
        self,
        targets: Targets<T>,
        runtime: &Handle,
        stop: CancellationToken,
    ) -> Checking {
        let report = Report::default();
        let shared = Arc::new(Shared {
            metrics: Metrics::new(&self.upstream),
            report: report.clone(),
            checks: self,
        });
        let follow = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                never = follow(shared, targets) => match never {},
            }
        };
        Checking {
            report,
            task: runtime.spawn(follow),
        }
    }
}

impl Checking {
    /// What the checks have found.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report.clone()
    }

    /// Waits until they have stopped, because they were told to.
    pub async fn stopped(self) {
        // A task that was aborted with its runtime has stopped as well.
        let _ = self.task.await;
    }
}

struct Shared<C> {
    checks: Checks<C>,
    report: Report,
    metrics: Metrics,
}

/// An endpoint that is checked until this is dropped.
struct Running<T> {
    /// Kept, so that its address is not given to another.
    _target: Arc<T>,
    number: u64,
    _task: AbortOnDropHandle<()>,
}

async fn follow<T: Target, C: Connect>(
    shared: Arc<Shared<C>>,
    mut targets: Targets<T>,
) -> std::convert::Infallible {
    let mut running = HashMap::<usize, Running<T>>::new();
    let mut next_number = 0;
    loop {
        let present = Arc::clone(&targets.borrow_and_update());
        let mut before = std::mem::take(&mut running);
        let mut new = Vec::new();
        for target in present.iter() {
            let identity = Arc::as_ptr(target) as usize;
            match before.remove(&identity) {
                Some(still) => _ = running.insert(identity, still),
                None => new.push((identity, Arc::clone(target))),
            }
        }
        for gone in before.into_values() {
            shared.report.remove(gone.number);
        }
        let of = new.len();
        for (place, (identity, target)) in new.into_iter().enumerate() {
            let place = Place { number: place, of };
            let number = next_number;
            next_number += 1;
            let endpoint = Endpoint::new(Arc::clone(&shared), Arc::clone(&target), number);
            let task = Running {
                _target: target,
                number,
                _task: AbortOnDropHandle::new(tokio::spawn(endpoint.run(place))),
            };
            // Named twice in a set, it is checked once.
            if let Some(twice) = running.insert(identity, task) {
                shared.report.remove(twice.number);
            }
        }
        shared.metrics.count(&shared.report);
        if targets.changed().await.is_err() {
            // Nobody will change them any more; they are checked nevertheless.
            std::future::pending::<()>().await;
        }
    }
}

/// The checks of one endpoint.
struct Endpoint<T, C> {
    shared: Arc<Shared<C>>,
    target: Arc<T>,
    peer: Peer,
    number: u64,
    judge: Judge,
}

impl<T: Target, C: Connect> Endpoint<T, C> {
    fn new(shared: Arc<Shared<C>>, target: Arc<T>, number: u64) -> Self {
        let peer = target.peer();
        let judge = Judge::new(Thresholds {
            healthy_after: shared.checks.config.healthy_after,
            unhealthy_after: shared.checks.config.unhealthy_after,
        });
        let known = EndpointHealth {
            host: Arc::clone(&peer.host),
            address: peer.address,
            health: judge.health(),
            since: Instant::now(),
            last_check: None,
            last_error: None,
            passed: 0,
            failed: 0,
        };
        shared.report.add(number, known);
        Self {
            shared,
            target,
            peer,
            number,
            judge,
        }
    }

    async fn run(mut self, place: Place) {
        let config = &self.shared.checks.config;
        let pace = Pace {
            interval: config.interval,
            jitter: config.jitter,
        };
        sleep(pace.first(place)).await;
        let mut wait = pace.second(place);
        loop {
            let started = Instant::now();
            let result = self.check().await;
            self.take(result);
            // From start to start: an endpoint that is slow to answer is not asked less often. The next check begins when
            // this one is over at the earliest.
            sleep_until(started + wait).await;
            wait = pace.next(fastrand::f64());
        }
    }

    async fn check(&self) -> Result<(), CheckError> {
        let Checks {
            config,
            protocol,
            connect,
            ..
        } = &self.shared.checks;
        let check = check(connect, &config.kind, *protocol, &self.peer, config.timeout);
        // A panic, in whatever parses what the network says, costs one check and not all that would follow.
        let check = AssertUnwindSafe(check).catch_unwind();
        check.await.unwrap_or(Err(CheckError::Panicked))
    }

    fn take(&mut self, result: Result<(), CheckError>) {
        let now = Instant::now();
        let error: Option<Arc<str>> = result.err().map(|error| error.to_string().into());
        let passed = error.is_none();
        let changed = self.judge.record(passed);
        self.shared.metrics.checked(passed);
        self.shared.report.update(self.number, |known| {
            known.last_check = Some(now);
            known.last_error.clone_from(&error);
            *(if passed {
                &mut known.passed
            } else {
                &mut known.failed
            }) += 1;
            if let Some(health) = changed {
                known.health = health;
                known.since = now;
            }
        });
        let Some(health) = changed else {
            return;
        };
        self.target.set_healthy(health == Health::Healthy);
        self.shared.metrics.count(&self.shared.report);
        let (upstream, host, address) = (
            &self.shared.checks.upstream,
            &self.peer.host,
            self.peer.address,
        );
        match error {
            None => tracing::info!(%upstream, %host, %address, "endpoint is healthy"),
            Some(error) => {
                tracing::warn!(%upstream, %host, %address, %error, "endpoint is unhealthy")
            }
        }
    }
}
