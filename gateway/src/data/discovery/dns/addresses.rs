//! The addresses of a name, each an endpoint.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    ask::Ask,
    client::Client,
    endpoint, holds,
    hosts::{self, Hosts},
    retry,
};
use crate::{
    config::model::Dns,
    data::discovery::{
        names::{literal, one_loopback},
        refresh::{Failure, Found, Source},
        schedule::{Holds, Retry},
    },
};

/// The source.
pub(in crate::data::discovery) struct Addresses<A = Client> {
    config: Dns,
    ask: A,
    hosts: Hosts,
    /// The name as it goes into `Host`: without the dot that makes it absolute.
    host: Arc<str>,
}

impl Addresses {
    pub(in crate::data::discovery) fn new(config: Dns) -> Self {
        let client = Client::new(config.nameserver, config.timeout);
        Self::with(config, client)
    }
}

impl<A: Ask> Addresses<A> {
    fn with(config: Dns, ask: A) -> Self {
        let bare = config.name.strip_suffix('.').unwrap_or(&config.name);
        let host = match literal(bare) {
            Some(ip) => ip.to_string().into(),
            None => bare.into(),
        };
        Self {
            config,
            ask,
            hosts: Hosts::default(),
            host,
        }
    }
}

impl<A: Ask> Source for Addresses<A> {
    async fn look(&mut self) -> Result<Found, Failure> {
        let config = &self.config;
        if let Some(ip) = literal(&self.host) {
            return Ok(Found {
                endpoints: vec![endpoint(config, &self.host, ip, config.port, 1)],
                holds: Holds::ForEver,
                fresh: true,
                incomplete: None,
            });
        }
        self.ask.renew().map_err(Failure::new)?;
        let answers = hosts::ask(&self.ask, &config.name, Instant::now() + config.timeout).await;
        let host = self
            .hosts
            .settle(&config.name, answers)
            .map_err(Failure::new)?;
        // Nothing from now: that is a failure, after which what was published stays.
        let Some(ttl) = host.ttl else {
            return Err(Failure::new(host.failure.unwrap_or_default()));
        };
        let addresses = one_loopback(host.addresses).into_iter();
        Ok(Found {
            endpoints: addresses
                .map(|ip| endpoint(config, &self.host, ip, config.port, 1))
                .collect(),
            holds: holds(config, ttl),
            fresh: true,
            incomplete: host.failure.map(Failure::new),
        })
    }

    fn retry(&self) -> Retry {
        retry(&self.config)
    }
}
