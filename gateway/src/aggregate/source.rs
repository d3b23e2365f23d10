//! An upstream as the gateway itself asks it: for a resource, whole.

use http::Uri;
use service_kit::{
    client::{ClientSettings, HttpClient},
    resilience::Policy,
    runtime::Context,
};
use tower::ServiceExt;

use super::{
    client::{Lookup, Query, Resource, ResourceClient, WholeAnswer},
    fallback::FallbackLayer,
    probe::Prober,
    stack::stack,
};
use crate::config::model::{Discovery, Endpoint, Upstream};

/// An upstream. Calls share its guards with those that are proxied to it; its connections are its own.
#[derive(Debug)]
pub struct Source {
    http: HttpClient,
    policy: Policy,
    prober: Option<Prober>,
}

impl Source {
    /// Connects to nothing yet: the first call does.
    #[must_use]
    pub fn new(config: &Upstream) -> Self {
        let http = HttpClient::new(base(config), client(config));
        let policy = policy(config);
        let prober = config
            .probe
            .clone()
            .and_then(|path| Prober::new(&policy, http.clone(), path));
        Self {
            http,
            policy,
            prober,
        }
    }

    /// Makes it part of the process: its guards are shown on the ops listener and in `/circuit-status`, and what has to go on
    /// in the background does, until the process stops.
    pub fn attach(&self, context: &Context) {
        context.register(&self.policy);
        if let Some(prober) = &self.prober {
            tokio::spawn(prober.clone().run(context.shutdown()));
        }
    }

    /// Its stack for a resource, whose answer becomes a `Res`: the upstream's, or that of the fallback.
    #[must_use]
    pub fn resource<T, Res>(&self, fallback: Option<FallbackLayer<Res>>) -> Query<Res>
    where
        T: Resource,
        Res: From<Lookup<T>> + Send + 'static,
    {
        let convert: fn(Lookup<T>) -> Res = Res::from;
        let client = ResourceClient::<_, T>::new(self.http.clone()).map_response(convert);
        stack(&self.policy, client, WholeAnswer, fallback)
    }
}

/// The first of the configured endpoints.
fn base(config: &Upstream) -> Uri {
    let first = match &config.discovery {
        Discovery::Static(endpoints) => endpoints.first(),
        _ => None,
    };
    first
        .and_then(|first| url(first, &config.path_prefix))
        .unwrap_or_default()
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

fn client(config: &Upstream) -> ClientSettings {
    let mut client = ClientSettings::default();
    client.connect_timeout = config.pool.connect_timeout;
    client.pool_idle = config.pool.idle;
    client.pool_max_idle = config.pool.max_idle;
    client
}

fn policy(config: &Upstream) -> Policy {
    let mut policy = Policy::default();
    policy.timeout = config.policy.timeout;
    policy.bulkhead = config.policy.bulkhead.clone();
    policy.breaker = config.policy.breaker.clone();
    policy
}
