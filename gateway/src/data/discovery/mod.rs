//! Where an upstream's endpoints are. One task per upstream follows its source and publishes every change; requests see only
//! the published set, and never wait for a look-up.
//!
//! | source | asked | after a failure |
//! |---|---|---|
//! | static | names by the system's resolver, every 30 s; addresses never | 1 s, doubling to 30 s |
//! | file | every `interval`, whatever its time stamp | at the next `interval` |
//! | DNS, SRV | at 80 to 90 % of the time to live, which is kept within `ttl_min` and `ttl_max` | 0.5 s, doubling to 30 s or `ttl_max` |
//!
//! What all have in common is in `refresh`: the last good answer is kept for as long as there is no better one, an answer that is
//! the same is not published again, failures are logged when they change and counted always.

mod dns;
mod endpoint;
mod file;
mod fixed;
pub mod metrics;
mod names;
mod refresh;
mod schedule;
mod status;

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use endpoint::{DiscoveredEndpoint, MAX_ENDPOINTS};
pub use status::Status;

use crate::config::model::Discovery;
use refresh::{Refresh, Source};

/// Takes what discovery finds. Called with the whole set, sorted, and only when it differs from the one before.
pub trait Publish: Send + Sync + 'static {
    /// From now on these, and no others.
    fn publish(&self, endpoints: Vec<DiscoveredEndpoint>);
}

impl<F: Fn(Vec<DiscoveredEndpoint>) + Send + Sync + 'static> Publish for F {
    fn publish(&self, endpoints: Vec<DiscoveredEndpoint>) {
        self(endpoints);
    }
}

/// How long start-up waits for an answer.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// Until the first attempt is over, for better or worse: a file that is not there, or a name that is not known, will hardly
    /// be there a moment later. Names that hang end an attempt in 5 s; this is for a disk that does.
    OneAttempt,
    /// This long, over several attempts if need be: a name server may be starting up just now, too.
    Until(Duration),
}

/// For the first attempt.
const ATTEMPT: Duration = Duration::from_secs(6);
/// Start-up waits so much longer than an answer may take: one that is just in time is worth it.
const SLACK: Duration = Duration::from_millis(250);

/// A source that is being followed.
#[derive(Debug)]
pub struct Following {
    status: watch::Receiver<Status>,
    patience: Patience,
    task: JoinHandle<()>,
}

/// Follows an upstream's source on a runtime until told to stop.
#[must_use]
pub fn follow(
    upstream: Arc<str>,
    config: &Discovery,
    publish: impl Publish,
    runtime: &Handle,
    stop: CancellationToken,
) -> Following {
    let start = Start {
        upstream,
        publish,
        runtime,
        stop,
    };
    match config {
        Discovery::Static(endpoints) => {
            let of = match &**endpoints {
                [one] => Arc::clone(&one.host),
                more => format!("{} endpoints", more.len()).into(),
            };
            let source = fixed::Fixed::new(endpoints.clone());
            start.with("static", of, Patience::OneAttempt, source)
        }
        Discovery::File { path, interval } => {
            let source = file::File::new(path.clone(), *interval);
            start.with(
                "file",
                path.to_string_lossy().into(),
                Patience::OneAttempt,
                source,
            )
        }
        Discovery::Dns(config) => {
            let source = dns::Addresses::new(config.clone());
            let patience = Patience::Until(config.timeout.saturating_add(SLACK));
            start.with("dns", Arc::clone(&config.name), patience, source)
        }
        Discovery::Srv(config) => {
            let source = dns::Services::new(config.clone());
            let patience = Patience::Until(config.timeout.saturating_add(SLACK));
            start.with("srv", Arc::clone(&config.name), patience, source)
        }
    }
}

struct Start<'a, P> {
    upstream: Arc<str>,
    publish: P,
    runtime: &'a Handle,
    stop: CancellationToken,
}

impl<P: Publish> Start<'_, P> {
    fn with(
        self,
        kind: &'static str,
        of: Arc<str>,
        patience: Patience,
        source: impl Source,
    ) -> Following {
        let (sender, status) = watch::channel(Status::new(kind, of));
        let refresh = Refresh {
            metrics: metrics::Metrics::new(&self.upstream, kind),
            upstream: self.upstream,
            publish: self.publish,
            status: sender,
            published: None,
        };
        Following {
            status,
            patience,
            task: self.runtime.spawn(refresh.run(source, self.stop)),
        }
    }
}

impl Following {
    /// Waits until the first answer has been published, and says whether it has: for DNS as long as an answer may take, else for one
    /// attempt. Without an answer the upstream has no endpoints, until one comes.
    pub async fn first_answer(&mut self) -> bool {
        let (bound, one_attempt) = match self.patience {
            Patience::OneAttempt => (ATTEMPT, true),
            Patience::Until(bound) => (bound, false),
        };
        let over =
            |status: &Status| status.last_success.is_some() || (one_attempt && status.failed > 0);
        // Neither that the time is over nor that the source was told to stop makes a difference to what is known.
        let _ = tokio::time::timeout(bound, self.status.wait_for(over)).await;
        self.status.borrow().last_success.is_some()
    }

    /// What is known of the source, now and with every attempt.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits until it has stopped, because it was told to.
    pub async fn stopped(self) {
        // A task that was aborted with its runtime has stopped as well.
        let _ = self.task.await;
    }
}
