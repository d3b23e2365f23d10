//! The keys every service has.

use crate::ServiceInfo;
use crate::config::{self, Section, Sources};
use crate::faults::FaultSettings;
use crate::telemetry::log::LogSettings;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// `listen`, `max_body`, `request_timeout`, `header_timeout`, `body_timeout`, `[ops]`, `[log]`, `[drain]` and `[faults]`.
#[derive(Debug, Clone)]
pub struct CommonSettings {
    pub(crate) listen: SocketAddr,
    pub(crate) ops_listen: SocketAddr,
    pub(crate) max_body: u64,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) header_timeout: Duration,
    pub(crate) body_timeout: Option<Duration>,
    pub(crate) drain: DrainSettings,
    pub(crate) log: LogSettings,
    pub(crate) faults: FaultSettings,
}

/// `[drain]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrainSettings {
    /// Between failing readiness and closing the listener, so that load balancers notice.
    pub delay: Duration,
    /// For requests in flight after that.
    pub limit: Duration,
}

const LONGEST: Duration = Duration::from_secs(3600);

/// What a client may send, and how slowly: the common keys `max_body`, `request_timeout`, `header_timeout` and `body_timeout`, for
/// services that keep to them in other ways than the layers here do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestLimits {
    /// Bytes of a request's body.
    pub max_body: u64,
    /// From a request to the head of its answer.
    pub request_timeout: Option<Duration>,
    /// For a request's head to arrive.
    pub header_timeout: Duration,
    /// Between two pieces of a request's body.
    pub body_timeout: Option<Duration>,
}

impl RequestLimits {
    /// Reads them from the root; that the kit does so as well makes no difference.
    pub fn read(root: &mut Section<'_>) -> Self {
        let max_body = root.bytes("max_body", 64 << 10, 0..=1 << 30);
        let request_timeout =
            root.duration("request_timeout", Duration::ZERO, Duration::ZERO..=LONGEST);
        let header_timeout = root.duration(
            "header_timeout",
            Duration::from_secs(30),
            Duration::from_millis(10)..=LONGEST,
        );
        let body_timeout = root.duration(
            "body_timeout",
            Duration::from_secs(30),
            Duration::ZERO..=LONGEST,
        );
        Self {
            max_body,
            request_timeout: (!request_timeout.is_zero()).then_some(request_timeout),
            header_timeout,
            body_timeout: (!body_timeout.is_zero()).then_some(body_timeout),
        }
    }
}

impl CommonSettings {
    /// Reads them from the root. [`run`](super::run) does it; for tools that read a configuration without running the service.
    pub fn read(root: &mut Section<'_>, info: &ServiceInfo) -> Self {
        let (listen, ops_listen) = usual_addresses(info);
        let listen = root.socket_addr("listen", listen);
        let limits = RequestLimits::read(root);
        let ops_listen = root
            .section_or_empty("ops")
            .socket_addr("listen", ops_listen);
        if listen == ops_listen && listen.port() != 0 {
            root.section_or_empty("ops").reject(
                "listen",
                format!("another address than `listen` ({listen})"),
            );
        }
        let mut drain = root.section_or_empty("drain");
        let drain = DrainSettings {
            delay: drain.duration("delay", Duration::ZERO, Duration::ZERO..=LONGEST),
            limit: drain.duration("limit", Duration::from_secs(20), Duration::ZERO..=LONGEST),
        };
        Self {
            listen,
            ops_listen,
            max_body: limits.max_body,
            request_timeout: limits.request_timeout,
            header_timeout: limits.header_timeout,
            body_timeout: limits.body_timeout,
            drain,
            log: LogSettings::read(root),
            faults: FaultSettings::read(root),
        }
    }
}

/// The addresses of the built-in configuration.
fn usual_addresses(info: &ServiceInfo) -> (SocketAddr, SocketAddr) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sources = Sources {
        built_in: info.default_config,
        ..Sources::default()
    };
    let mut usual = (any, any);
    // Only the two keys are read, so this load always ends in "unknown key" errors, which belong to the real one.
    let _ = config::load(&sources, |root| {
        usual = (
            root.socket_addr("listen", any),
            root.section_or_empty("ops").socket_addr("listen", any),
        );
    });
    usual
}
