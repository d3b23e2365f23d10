//! One request and its answer: what is noted about it, and what its parts must know of each other.

use std::{
    cell::{Cell, OnceCell, Ref, RefCell},
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{body::RequestBodyError, endpoints::EndpointId};
use http::{HeaderValue, Method, StatusCode};
use service_kit::telemetry::{RequestMetrics, RouteMetrics, trace_context::TraceContext};

/// Shared by the request's body, the calls made for it and the answer's body, all of one thread. It ends when the last of
/// them does, and is counted and logged then, so that a request whose client went away is noted, too.
#[derive(Debug)]
pub struct Exchange {
    /// How it was asked.
    pub method: Method,
    /// Which trace it belongs to.
    pub trace: TraceContext,
    /// By whom.
    pub peer: IpAddr,
    host: OnceCell<HeaderValue>,
    tried: RefCell<Vec<EndpointId>>,
    at: Cell<Option<EndpointId>>,
    started: Instant,
    route: OnceCell<Arc<RouteMetrics>>,
    head: Cell<Option<Head>>,
    waits_for_client: Cell<bool>,
    takes_trailers: Cell<bool>,
    body_error: OnceCell<RequestBodyError>,
    notes: Rc<Notes>,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    status: StatusCode,
    after: Duration,
}

/// Where exchanges are noted. One per worker.
pub struct Notes {
    metrics: Arc<RequestMetrics>,
    unrouted: Arc<RouteMetrics>,
    access_log: bool,
}

impl Notes {
    /// Counts in `metrics`, and logs if told to.
    #[must_use]
    pub fn new(metrics: Arc<RequestMetrics>, access_log: bool) -> Self {
        let unrouted = metrics.route("(unknown path)");
        Self {
            metrics,
            unrouted,
            access_log,
        }
    }
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notes")
            .field("access_log", &self.access_log)
            .finish_non_exhaustive()
    }
}

impl Exchange {
    /// A request has come.
    #[must_use]
    pub fn begin(method: Method, trace: TraceContext, peer: IpAddr, notes: &Rc<Notes>) -> Rc<Self> {
        notes.metrics.begun();
        Rc::new(Self {
            method,
            trace,
            peer,
            host: OnceCell::new(),
            tried: RefCell::default(),
            at: Cell::new(None),
            started: Instant::now(),
            route: OnceCell::new(),
            head: Cell::new(None),
            waits_for_client: Cell::new(false),
            takes_trailers: Cell::new(false),
            body_error: OnceCell::new(),
            notes: notes.clone(),
        })
    }

    /// Under which route it is counted.
    pub fn routed(&self, route: &Arc<RouteMetrics>) {
        let _: Result<(), _> = self.route.set(route.clone());
    }

    /// Which host it asked for.
    pub fn asked_for(&self, host: Option<HeaderValue>) {
        if let Some(host) = host {
            let _: Result<(), _> = self.host.set(host);
        }
    }

    /// The host it asked for.
    #[must_use]
    pub fn host(&self) -> Option<&HeaderValue> {
        self.host.get()
    }

    /// The endpoint that it is being sent to.
    pub fn goes_to(&self, endpoint: EndpointId) {
        self.at.set(Some(endpoint));
    }

    /// Where it is being sent now is not where it should be sent as well.
    #[cold]
    pub fn leave_out_current(&self) {
        if let Some(endpoint) = self.at.get() {
            self.has_tried(endpoint);
        }
    }

    /// An endpoint has failed it.
    #[cold]
    pub fn has_tried(&self, endpoint: EndpointId) {
        self.tried.borrow_mut().push(endpoint);
    }

    /// The endpoints that have failed it.
    #[must_use]
    pub fn tried(&self) -> Ref<'_, [EndpointId]> {
        Ref::map(self.tried.borrow(), Vec::as_slice)
    }

    /// The head of the answer is there.
    pub fn answered(&self, status: StatusCode) {
        let after = self.started.elapsed();
        self.head.set(Some(Head { status, after }));
    }

    /// When it began.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Whether the client says that it takes trailers.
    pub fn set_takes_trailers(&self, takes: bool) {
        self.takes_trailers.set(takes);
    }

    /// Whether it does.
    #[must_use]
    pub fn takes_trailers(&self) -> bool {
        self.takes_trailers.get()
    }

    /// The request's body could not be sent: told by the body.
    #[cold]
    pub fn request_body_failed(&self, error: &RequestBodyError) {
        let _: Result<(), _> = self.body_error.set(error.again());
    }

    /// Why it could not be sent.
    #[must_use]
    pub fn request_body_error(&self) -> Option<RequestBodyError> {
        self.body_error.get().map(RequestBodyError::again)
    }

    /// Whose turn it is while the request's body is under way: told by the body.
    pub fn set_waits_for_client(&self, waits: bool) {
        self.waits_for_client.set(waits);
    }

    /// Whether more of the body was wanted and the client had not sent it: then a call that takes too long says nothing about
    /// the upstream. One that does not read its requests is not waited for by this measure, and is to blame.
    #[must_use]
    pub fn waits_for_client(&self) -> bool {
        self.waits_for_client.get()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Notes {
            metrics,
            unrouted,
            access_log,
        } = &*self.notes;
        let route = self.route.get().unwrap_or(unrouted);
        let head = self.head.get();
        let (status, latency) = match head {
            Some(head) => (Some(head.status), head.after),
            None => (None, self.started.elapsed()),
        };
        route.record(&self.method, status, latency);
        metrics.ended();
        if *access_log {
            log(
                self.method.as_str(),
                route.name(),
                status,
                latency,
                &self.trace,
            );
        }
    }
}

fn log(
    method: &str,
    route: &str,
    status: Option<StatusCode>,
    latency: Duration,
    trace_id: &TraceContext,
) {
    let outcome = match status {
        Some(_) => "answered",
        None => "client went away",
    };
    let status = status.map_or(0, |status| status.as_u16());
    let latency_ms = latency.as_micros() as f64 / 1_000.0;
    tracing::info!(target: "access", method, route, status, latency_ms, %trace_id, "{outcome}");
}
