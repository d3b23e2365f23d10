//! The part of the configuration that the first data plane is made for: every upstream at one address, with one set of guards.

use http::{Uri, uri::PathAndQuery};
use service_kit::{client::ClientSettings, resilience::Policy, telemetry::RouteName};

use super::{
    model::{self, Discovery, Endpoint, Gateway},
    routing,
};
use crate::data::route::RouteTable;

pub use super::own::{CIRCUIT_STATUS, HEALTH, PRODUCT_DETAILS};

/// Where an upstream stands in [`Config::upstreams`]. Only the reader makes one, so it always leads to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamId(usize);

/// What answers a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The gateway itself.
    Own,
    /// An upstream, through its stack.
    Upstream(UpstreamId),
}

/// The product page's two sources.
#[derive(Debug, Clone, Copy)]
pub struct ProductDetails {
    /// Without its answer there is no page.
    pub product: UpstreamId,
    /// What goes with it.
    pub recommendations: UpstreamId,
    /// Whether the page goes out without recommendations when they fail.
    pub fallback: bool,
}

/// A service behind the gateway, and what guards the calls to it.
#[derive(Debug)]
pub struct Upstream {
    /// The `NAME` of `[upstreams.NAME]`.
    pub name: String,
    /// Its base address.
    pub url: Uri,
    /// How connections to it are made and kept.
    pub client: ClientSettings,
    /// Time-out, bulkhead and breaker, each if configured.
    pub policy: Policy,
    /// What is asked of it while its circuit is open, so that no user's call is the trial.
    pub probe: Option<PathAndQuery>,
}

/// The whole of it.
#[derive(Debug)]
pub struct Config {
    /// Every service behind the gateway.
    pub upstreams: Vec<Upstream>,
    /// Every path, the gateway's own among them, with the name that its requests are counted under.
    pub routes: RouteTable<(RouteName, Target)>,
    /// The aggregated product page, when configured.
    pub product_details: Option<ProductDetails>,
}

impl UpstreamId {
    pub(super) fn at(place: usize) -> Self {
        Self(place)
    }

    /// Its place in anything that was made from [`Config::upstreams`], in the same order.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

impl From<Gateway> for Config {
    fn from(gateway: Gateway) -> Self {
        Self {
            routes: routes(&gateway),
            upstreams: gateway.upstreams.iter().map(upstream).collect(),
            product_details: gateway.product_details,
        }
    }
}

fn routes(gateway: &Gateway) -> RouteTable<(RouteName, Target)> {
    routing::table_of(gateway, |rule, target| {
        let route = match target {
            routing::Target::Own => None,
            routing::Target::Route(place) => gateway.routes.get(place),
        };
        let target = route.map_or(Target::Own, |route| {
            Target::Upstream(UpstreamId(route.upstream))
        });
        (rule.path.route_name(), target)
    })
}

fn upstream(of: &model::Upstream) -> Upstream {
    let mut client = ClientSettings::default();
    client.connect_timeout = of.pool.connect_timeout;
    client.pool_idle = of.pool.idle;
    client.pool_max_idle = of.pool.max_idle;
    let mut policy = Policy::default();
    policy.timeout = of.policy.timeout;
    policy.bulkhead = of.policy.bulkhead.clone();
    policy.breaker = of.policy.breaker.clone();
    let first = match &of.discovery {
        Discovery::Static(endpoints) => endpoints.first(),
        _ => None,
    };
    Upstream {
        name: of.name.to_string(),
        url: first
            .and_then(|first| url(first, &of.path_prefix))
            .unwrap_or_default(),
        client,
        policy,
        probe: of.probe.clone(),
    }
}

fn url(endpoint: &Endpoint, prefix: &str) -> Option<Uri> {
    let scheme = if endpoint.https { "https" } else { "http" };
    let host = match endpoint.host.contains(':') {
        true => format!("[{}]", endpoint.host),
        false => endpoint.host.to_string(),
    };
    format!("{scheme}://{host}:{}{prefix}", endpoint.port)
        .parse()
        .ok()
}
