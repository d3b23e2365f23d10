//! Checks of some endpoints.

use std::{sync::Arc, time::Duration};

use gateway::{
    config::model::{HealthCheck, HealthKind, Protocol},
    data::health::{Checking, Checks, Connect, Report, Target},
};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

pub const INTERVAL: Duration = Duration::from_secs(10);
pub const TIMEOUT: Duration = Duration::from_secs(1);

pub fn http() -> HealthKind {
    HealthKind::Http("/health?deep".parse().unwrap())
}

pub fn config(kind: HealthKind) -> HealthCheck {
    HealthCheck {
        kind,
        interval: INTERVAL,
        timeout: TIMEOUT,
        healthy_after: 2,
        unhealthy_after: 3,
        jitter: 0.0,
    }
}

pub struct Checked<T> {
    pub targets: watch::Sender<Arc<[Arc<T>]>>,
    checking: Checking,
    stop: CancellationToken,
}

pub fn start<T: Target, C: Connect>(
    config: HealthCheck,
    protocol: Protocol,
    connect: C,
    targets: &[&Arc<T>],
) -> Checked<T> {
    let (sender, receiver) = watch::channel(set(targets));
    let stop = CancellationToken::new();
    let checks = Checks {
        upstream: "shop".into(),
        config,
        protocol,
        connect,
    };
    Checked {
        targets: sender,
        checking: checks.start(receiver, &Handle::current(), stop.clone()),
        stop,
    }
}

impl<T> Checked<T> {
    pub fn change(&self, targets: &[&Arc<T>]) {
        self.targets.send_replace(set(targets));
    }

    pub fn report(&self) -> Report {
        self.checking.report()
    }

    pub fn last_error(&self) -> String {
        let endpoints = self.report().endpoints();
        let error = endpoints.into_iter().find_map(|one| one.last_error);
        error.map_or(String::new(), |error| error.to_string())
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.checking.stopped().await;
    }
}

fn set<T>(targets: &[&Arc<T>]) -> Arc<[Arc<T>]> {
    targets.iter().map(|target| Arc::clone(target)).collect()
}
