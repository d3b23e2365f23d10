//! An upstream as the gateway itself asks it: for a resource, whole.

use service_kit::{client::HttpClient, resilience::Policy, runtime::Context};
use tower::ServiceExt;

use super::{
    client::{Lookup, Query, Resource, ResourceClient, WholeAnswer},
    fallback::FallbackLayer,
    probe::Prober,
    stack::stack,
};
use crate::config::raw;

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
    pub fn new(config: &raw::Upstream) -> Self {
        let http = HttpClient::new(config.url.clone(), config.client.clone());
        let prober = config
            .probe
            .clone()
            .and_then(|path| Prober::new(&config.policy, http.clone(), path));
        Self {
            http,
            policy: config.policy.clone(),
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
