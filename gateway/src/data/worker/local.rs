//! What one worker has of its own.

use std::{
    net::TcpListener,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderValue;
use http_body::Body;
use tokio_util::task::TaskTracker;
use tower::BoxError;

use super::{Signals, accept};
use crate::data::{
    exchange::Notes,
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
    authority: HeaderValue,
}

impl Route {
    /// The upstream's name.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// The upstream's address, for recognising it where it must not be shown.
    #[must_use]
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }
}

/// How often connections are looked at that nobody uses.
const SWEEP: Duration = Duration::from_secs(1);

impl Worker<()> {
    /// The life of a worker's thread: takes connections until the drain begins, and ends with the last of them.
    pub(super) async fn run(
        plane: Arc<Plane>,
        listener: TcpListener,
        signals: Signals,
        connections: TaskTracker,
    ) {
        let upstreams: Vec<Rc<Local>> = plane
            .upstreams
            .iter()
            .map(|config| Rc::new(Local::new(config.clone(), &plane.limits)))
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
                    authority,
                } => {
                    let local = upstreams.get(*upstream)?;
                    Some(LocalTarget::Upstream {
                        stack: stack(policy, local.clone()),
                        route: Route {
                            upstream: local.config.name.clone(),
                            authority: authority.clone(),
                        },
                    })
                }
            })
            .collect();
        let worker = Worker {
            targets,
            own: plane.own.clone(),
            notes: Rc::new(Notes::new(plane.metrics.clone(), plane.access_log)),
            signals,
            plane,
        };
        serve(Rc::new(worker), listener, connections).await;
    }
}

async fn serve<S, B>(worker: Rc<Worker<S>>, listener: TcpListener, connections: TaskTracker)
where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError> + 'static,
{
    let limit = worker.signals.limit.clone();
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => accept::until_closing(worker, listener, &connections).await,
        Err(error) => tracing::error!(%error, "a worker cannot use its listener"),
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = limit.cancelled() => connections.wait().await,
    }
}

impl<S> Worker<S> {
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
