//! A service behind the gateway, ready to be called.

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response},
};
use hyper::body::Incoming;
use service_kit::{client::HttpClient, resilience::Policy, runtime::Context};
use tower::{BoxError, ServiceExt, timeout::error::Elapsed, util::BoxCloneSyncService};
use tower_breaker::classify::{Classify, ClassifyCall, HttpStatus, Verdict};

use super::{
    body::{RequestBodyError, Upload},
    probe::Prober,
    stack::stack,
};
use crate::{
    aggregate::{
        client::{Lookup, Query, Resource, ResourceClient, WholeAnswer},
        fallback::FallbackLayer,
    },
    config::raw,
};

/// A proxied call through the whole stack.
pub type Proxied = BoxCloneSyncService<Request<Body>, Response<Incoming>, BoxError>;

/// An upstream. However it is called, proxied or asked for a resource, the calls share its connections and its guards.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    authority: HeaderValue,
    http: HttpClient,
    policy: Policy,
    prober: Option<Prober>,
    proxied: Proxied,
}

impl Upstream {
    /// Connects to nothing yet: the first call does.
    #[must_use]
    pub fn new(config: raw::Upstream) -> Self {
        let authority = config.url.authority().map(|authority| authority.as_str());
        // The configuration lets in no address without a plain authority.
        let authority = authority
            .and_then(|authority| HeaderValue::from_str(authority).ok())
            .unwrap_or(HeaderValue::from_static(""));
        let http = HttpClient::new(config.url, config.client);
        let prober = config
            .probe
            .and_then(|path| Prober::new(&config.policy, http.clone(), path));
        let proxied = stack(&config.policy, http.clone(), ResponseHead, None);
        Self {
            name: config.name,
            authority,
            http,
            policy: config.policy,
            prober,
            proxied,
        }
    }

    /// The name it is configured by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, for recognising it where it must not be shown.
    #[must_use]
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// Makes it part of the process: its guards are shown on the ops listener and in `/circuit-status`, and what has to go on
    /// in the background does, until the process stops.
    pub fn attach(&self, context: &Context) {
        context.register(&self.policy);
        if let Some(prober) = &self.prober {
            tokio::spawn(prober.clone().run(context.shutdown()));
        }
    }

    /// Its stack for proxied requests.
    #[must_use]
    pub fn proxied(&self) -> Proxied {
        self.proxied.clone()
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

/// Judges proxied calls by the head of the response. A call that failed because of the client's own request body, or took too
/// long because the client did not send it, says nothing.
#[derive(Debug, Clone, Copy, Default)]
struct ResponseHead;

/// One such call, and its request body.
#[derive(Debug)]
struct ProxiedCall {
    upload: Option<Upload>,
}

impl<A, B> Classify<Request<A>, Response<B>, BoxError> for ResponseHead {
    type Call = ProxiedCall;

    fn begin(&self, request: &Request<A>) -> ProxiedCall {
        ProxiedCall {
            upload: request.extensions().get::<Upload>().cloned(),
        }
    }
}

impl<B> ClassifyCall<Response<B>, BoxError> for ProxiedCall {
    fn verdict(self, result: Result<&Response<B>, &BoxError>) -> Verdict {
        let waited_for_client = || self.upload.is_some_and(|upload| upload.waits_for_client());
        match result {
            Err(error) if RequestBodyError::caused(error) => Verdict::Ignore,
            Err(error) if error.is::<Elapsed>() && waited_for_client() => Verdict::Ignore,
            result => HttpStatus.verdict(result),
        }
    }
}
