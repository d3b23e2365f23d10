//! The configuration once it makes sense: what every part of the gateway is built from. Nothing here is optional that a default
//! could fill in, and every name has been resolved.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method, StatusCode, uri::PathAndQuery};
use tower_breaker::{Bulkhead, CircuitBreaker};

/// The whole of it.
#[derive(Debug)]
pub struct Gateway {
    /// Threads that serve, each on its own; at least 1.
    pub workers: usize,
    /// Where this gateway stands: endpoints of the same zone are preferred.
    pub zone: Option<Arc<str>>,
    /// Listeners beside the common `listen`, which takes HTTP/1.1 and HTTP/2 with prior knowledge.
    pub listeners: Vec<Listener>,
    /// What one client may cost.
    pub limits: Limits,
    /// What upstreams are told of clients.
    pub forwarding: Forwarding,
    /// Whether each request is logged.
    pub access_log: bool,
    /// Every service behind the gateway.
    pub upstreams: Vec<Upstream>,
    /// Every route, in the order of the file.
    pub routes: Vec<Route>,
    /// The aggregated product page, when configured.
    pub product_details: Option<super::validated::ProductDetails>,
}

/// One `[[listener]]`.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its name in logs and metrics.
    pub name: Arc<str>,
    /// What it binds.
    pub address: SocketAddr,
    /// Whether HTTP/2 is spoken: by ALPN with TLS, by prior knowledge without.
    pub http2: bool,
    /// `None` for plain text.
    pub tls: Option<ServerTls>,
}

/// A listener's certificate.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// PEM: the chain, leaf first.
    pub certificate: PathBuf,
    /// PEM: its key.
    pub key: PathBuf,
    /// How often the files are looked at for a change.
    pub reload: Duration,
}

/// Bounds on what one client, or all together, may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Client connections open at once, over all listeners.
    pub connections: usize,
    /// After so many requests a connection is closed; `None` for no bound.
    pub requests_per_connection: Option<u32>,
    /// Header fields in one head, either direction.
    pub headers: usize,
    /// Bytes of one head, either direction.
    pub header_bytes: usize,
    /// Bytes of a request target.
    pub uri_bytes: usize,
    /// Bytes of a request body: the common `max_body`.
    pub body: u64,
    /// From a request to the head of its answer: the common `request_timeout`.
    pub request_timeout: Option<Duration>,
    /// For a head to arrive, counted from its first byte: the common `header_timeout`.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Between two pieces of a request body: the common `body_timeout`.
    pub body_timeout: Option<Duration>,
    /// HTTP/2's own.
    pub http2: Http2Limits,
}

/// What one HTTP/2 connection may take.
#[derive(Debug, Clone)]
pub struct Http2Limits {
    /// Streams open at once.
    pub streams: u32,
    /// Streams that were reset before they were answered, until the connection is closed (CVE-2023-44487).
    pub resets: usize,
    /// Bytes of a decoded header list.
    pub header_list: u32,
    /// Bytes that may be in flight before they are read, per connection; a stream gets the same.
    pub window: u32,
}

/// `[forwarding]`.
#[derive(Debug, Clone)]
pub struct Forwarding {
    /// From whom forwarding headers are believed, and continued. Others' are replaced.
    pub trusted: Vec<Network>,
    /// Which headers say it.
    pub headers: ForwardedHeaders,
    /// The pseudonym in `Via`.
    pub via: HeaderValue,
    /// Whether each request gets an `x-request-id`, and each answer says it.
    pub request_id: bool,
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            headers: ForwardedHeaders::Both,
            via: HeaderValue::from_static("gateway"),
            request_id: true,
        }
    }
}

/// Which headers tell an upstream who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeaders {
    /// `Forwarded` and `X-Forwarded-*`.
    Both,
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    XForwarded,
    /// RFC 7239's.
    Forwarded,
    /// Neither.
    None,
}

/// An address range, `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The addresses in it.
    pub first: std::net::IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

/// A service behind the gateway.
#[derive(Debug)]
pub struct Upstream {
    /// The `NAME` of `[upstreams.NAME]`.
    pub name: Arc<str>,
    /// Where its endpoints come from.
    pub discovery: Discovery,
    /// Prepended to every path; without its trailing slash, so empty for most.
    pub path_prefix: Arc<str>,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// For endpoints with `https`.
    pub tls: ClientTls,
    /// What stands in `Host`.
    pub host: HostPolicy,
    /// How endpoints are chosen.
    pub balancer: Balancer,
    /// How long a new endpoint's share grows; zero for at once.
    pub slow_start: Duration,
    /// Active health checks.
    pub health: Option<HealthCheck>,
    /// Passive outlier ejection.
    pub ejection: Option<Ejection>,
    /// Connections kept.
    pub pool: Pool,
    /// What is asked of it while its circuit is open, so that no user's call is the trial.
    pub probe: Option<PathAndQuery>,
    /// The guards of routes that have none of their own.
    pub policy: Policy,
}

/// Where endpoints come from.
#[derive(Debug, Clone)]
pub enum Discovery {
    /// Named in the configuration. Names are resolved by the system's resolver, again and again.
    Static(Vec<Endpoint>),
    /// A file that is watched: TOML with the one key `endpoints`.
    File {
        /// Which.
        path: PathBuf,
        /// How often it is looked at.
        interval: Duration,
    },
    /// The addresses (A and AAAA) of a name.
    Dns(Dns),
    /// The targets of SRV records: weights and ports are theirs.
    Srv(Dns),
}

/// How a name is looked up.
#[derive(Debug, Clone)]
pub struct Dns {
    /// The name.
    pub name: Arc<str>,
    /// The port of its addresses; not used for SRV.
    pub port: u16,
    /// Whether endpoints speak TLS.
    pub https: bool,
    /// Whom to ask; the system's configuration if `None`.
    pub nameserver: Option<SocketAddr>,
    /// The answer's time to live, kept within these.
    pub ttl: RangeInclusive<Duration>,
    /// For one answer.
    pub timeout: Duration,
}

/// One configured endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or IP address, in lower case, for `Host` and certificates; an IPv6 address without brackets.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub https: bool,
    /// Its share of requests relative to others'; at least 1.
    pub weight: u32,
    /// Where it stands.
    pub zone: Option<Arc<str>>,
}

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge.
    Http2,
    /// With TLS what ALPN agrees on, without HTTP/1.1.
    Auto,
}

/// How an upstream's certificate is checked.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// PEM of the authorities trusted; the system's if `None`.
    pub ca: Option<PathBuf>,
    /// The name it must be for; the endpoint's host if `None`.
    pub server_name: Option<Arc<str>>,
}

/// What an upstream sees in `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPolicy {
    /// The endpoint's own.
    Upstream,
    /// What the client asked for.
    Preserve,
    /// Always this.
    Literal(HeaderValue),
}

/// How an endpoint is chosen for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balancer {
    /// One after the other.
    RoundRobin,
    /// One after the other, in proportion to weights, evenly interleaved.
    Weighted,
    /// Of two drawn at random, the one with fewer requests under way for its weight.
    LeastRequest,
    /// Of two drawn at random, the one with the lower peak EWMA of latency times requests under way.
    PeakEwma,
    /// By a hash of the request, so that the same goes to the same while the set stays.
    ConsistentHash(HashOn),
}

/// What of a request is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    /// The path, without the query.
    Path,
    /// The client's address.
    Client,
    /// A header; requests without it go anywhere.
    Header(HeaderName),
    /// A cookie; requests without it go anywhere.
    Cookie(Arc<str>),
}

/// An active check.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    /// What is asked.
    pub kind: HealthKind,
    /// Between two checks of an endpoint.
    pub interval: Duration,
    /// For one.
    pub timeout: Duration,
    /// Good ones in a row after which an endpoint is well again.
    pub healthy_after: u32,
    /// Bad ones in a row after which it is not.
    pub unhealthy_after: u32,
    /// The share of the interval that is random.
    pub jitter: f64,
}

/// How an endpoint is asked whether it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthKind {
    /// A `GET` answered with 2xx.
    Http(PathAndQuery),
    /// `grpc.health.v1.Health/Check` of a service, answered with `SERVING`.
    Grpc(Arc<str>),
    /// A connection.
    Tcp,
}

/// When an endpoint is left out because of how its requests went.
#[derive(Debug, Clone, PartialEq)]
pub struct Ejection {
    /// After so many failures in a row.
    pub consecutive_failures: Option<u32>,
    /// At a share of failures.
    pub failure_rate: Option<EjectionRate>,
    /// The first time for so long, then twice as long each time,
    pub base: Duration,
    /// up to this.
    pub max: Duration,
    /// The share of endpoints left out at most; one is always kept.
    pub max_share: f64,
    /// If fewer than this share of all endpoints is well, all are used: better a bad endpoint than all traffic on the last one.
    pub panic_below: f64,
}

/// A share of failures within a time.
#[derive(Debug, Clone, PartialEq)]
pub struct EjectionRate {
    /// The time.
    pub window: Duration,
    /// The share.
    pub threshold: f64,
    /// Not before so many requests
    pub minimum_calls: u32,
    /// and so many failures.
    pub minimum_failures: u32,
}

/// Connections to an upstream, per worker.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// For making one, TLS included.
    pub connect_timeout: Duration,
    /// How long an unused one is kept.
    pub idle: Duration,
    /// Unused ones kept for an endpoint.
    pub max_idle: usize,
}

/// What guards the calls of a route, or of an upstream's routes. `None` is: no such guard.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// One attempt, from its first byte to the head of its answer.
    pub timeout: Option<Duration>,
    /// Between two pieces of an answer's body.
    pub body_idle_timeout: Option<Duration>,
    /// The whole exchange, to the last byte of the answer.
    pub total_timeout: Option<Duration>,
    /// How many at once, held to the end of the answer's body.
    pub bulkhead: Option<Bulkhead>,
    /// No calls to what is not well.
    pub breaker: Option<CircuitBreaker>,
    /// Another attempt.
    pub retry: Option<Retry>,
    /// A second attempt beside a slow one.
    pub hedge: Option<Hedge>,
    /// What is answered instead of an error.
    pub fallback: Option<Fallback>,
}

/// When a request is sent again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Attempts, the first included; at least 2.
    pub attempts: u32,
    /// Methods that may be sent again although they are not idempotent by themselves.
    pub methods: Vec<Method>,
    /// Bytes of a request body kept for sending it again; larger ones are sent once.
    pub body: usize,
    /// The mean of the first wait is half of this, the next one's twice as much,
    pub backoff: Duration,
    /// up to this.
    pub backoff_max: Duration,
    /// Retries per request that succeeded
    pub budget_ratio: f64,
    /// and a second besides, both over all workers.
    pub budget_per_second: u32,
    /// The longest `Retry-After` that is waited for.
    pub retry_after: Duration,
    /// Answers that are failures worth another attempt.
    pub statuses: Vec<StatusCode>,
}

/// When a second attempt is begun beside the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Hedge {
    /// Once the first takes longer than this share of recent ones did,
    pub percentile: f64,
    /// but not before this.
    pub at_least: Duration,
    /// Not before so many are known.
    pub minimum_calls: u32,
}

/// What is answered instead of an error.
#[derive(Debug, Clone)]
pub struct Fallback {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: bytes::Bytes,
    /// Its `content-type`.
    pub content_type: HeaderValue,
    /// Instead of a guard's refusal.
    pub on_refused: bool,
    /// Instead of a failed call, a time-out among them.
    pub on_failed: bool,
}

/// Which requests go where.
#[derive(Debug)]
pub struct Route {
    /// Its path pattern, as it was written; the name in metrics.
    pub path: Arc<str>,
    /// Only requests for this host.
    pub host: Option<HostPattern>,
    /// Only these methods; all if empty.
    pub methods: Vec<Method>,
    /// Only requests with all of these.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its place in [`Gateway::upstreams`].
    pub upstream: usize,
    /// The guards of its own; what it inherits from its upstream has been filled in, and is then shared with it.
    pub policy: Policy,
}

/// A host, or all hosts below one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `shop.example`, in lower case.
    Exact(Arc<str>),
    /// `*.example`: what ends in `.example`. Without the `*.`, in lower case.
    Below(Arc<str>),
}
