//! What one worker has of its own.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::Body;
use tokio_util::task::TaskTracker;
use tower::BoxError;

use super::{Signals, Socket, accept};
use crate::data::{
    exchange::Notes,
    headers::{ForwardingPolicy, Scratch},
    plane::{AnsweredBy, Plane},
    proxy::Stack,
    stack::stack,
    upstream::Local,
};

/// A worker, whose stacks are `S`.
pub struct Worker<S> {
    /// What it shares with the others.
    pub plane: Arc<Plane>,
    /// What answers, at the places of [`Plane::targets`].
    pub targets: Vec<LocalTarget<S>>,
    /// What the gateway answers itself.
    pub own: axum::Router,
    /// Where exchanges are noted.
    pub notes: Rc<Notes>,
    /// What upstreams are told of clients.
    pub forwarding: ForwardingPolicy,
    /// Where header values are written.
    pub scratch: Rc<RefCell<Scratch>>,
    tasks: TaskTracker,
    pub(super) signals: Signals,
}

/// A route's end in one worker.
pub enum LocalTarget<S> {
    /// The gateway itself.
    Own,
    /// An upstream, through its stack.
    Upstream {
        /// Its guards and connections.
        stack: S,
        /// What is to be known about it.
        route: Route,
    },
}

/// What is to be known about a route to an upstream.
#[derive(Debug)]
pub struct Route {
    upstream: Arc<str>,
    total_timeout: Option<Duration>,
    kept_body: Option<usize>,
}

impl Route {
    /// The upstream's name.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// As much of a request's body as is kept for another attempt.
    #[must_use]
    pub fn kept_body(&self) -> Option<usize> {
        self.kept_body
    }

    /// How long a whole exchange may take.
    #[must_use]
    pub fn total_timeout(&self) -> Option<Duration> {
        self.total_timeout
    }
}

/// How often connections are looked at that nobody uses.
const SWEEP: Duration = Duration::from_secs(1);

impl Worker<()> {
    /// The life of a worker's thread: takes connections until the drain begins, and ends with the last of them.
    pub(super) async fn run(
        plane: Arc<Plane>,
        sockets: Vec<Socket>,
        signals: Signals,
        connections: TaskTracker,
    ) {
        let scratch = Rc::new(RefCell::new(Scratch::new()));
        let upstreams: Vec<Rc<Local>> = plane
            .upstreams
            .iter()
            .map(|shared| Local::new(shared.clone(), &plane.limits, scratch.clone()))
            .map(Rc::new)
            .collect();
        tokio::task::spawn_local(sweep(upstreams.clone()));
        let targets = plane
            .targets
            .iter()
            .filter_map(|target| match &target.by {
                AnsweredBy::Own => Some(LocalTarget::Own),
                AnsweredBy::Upstream {
                    upstream,
                    policy,
                    retry,
                } => {
                    let local = upstreams.get(*upstream)?;
                    Some(LocalTarget::Upstream {
                        stack: stack(policy, retry.as_ref(), local.clone()),
                        route: Route {
                            upstream: local.shared.config.name.clone(),
                            total_timeout: policy.total_timeout,
                            kept_body: policy.retry.as_ref().map(|retry| retry.body),
                        },
                    })
                }
            })
            .collect();
        let worker = Worker {
            targets,
            own: plane.own.clone(),
            notes: Rc::new(Notes::new(plane.metrics.clone(), plane.access_log)),
            forwarding: ForwardingPolicy::new(&plane.forwarding),
            scratch,
            tasks: connections.clone(),
            signals,
            plane,
        };
        serve(Rc::new(worker), sockets, connections).await;
    }
}

async fn serve<S, B>(worker: Rc<Worker<S>>, sockets: Vec<Socket>, connections: TaskTracker)
where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError> + 'static,
{
    let limit = worker.signals.limit.clone();
    let accepting = sockets.into_iter().filter_map(|Socket { listener, front }| {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                let worker = worker.clone();
                Some(accept::until_closing(worker, listener, front, &connections))
            }
            Err(error) => {
                tracing::error!(%error, listener = &*front.name, "a worker cannot use its listener");
                None
            }
        }
    });
    futures_util::future::join_all(accepting).await;
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = limit.cancelled() => connections.wait().await,
    }
}

impl<S> Worker<S> {
    /// The order of the drain.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Runs something that the drain waits for, on the worker's own thread.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(self.tasks.track_future(task));
    }

    /// Whether answers end their connections.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.signals.is_announced()
    }
}

async fn sweep(upstreams: Vec<Rc<Local>>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        for upstream in &upstreams {
            upstream.sweep(now);
        }
    }
}
