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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::discovery::dns::fake::{Table, config};
    use std::time::Duration;

    fn source(name: &str, table: &Table) -> Addresses<Table> {
        Addresses::with(config(name), table.clone())
    }
    fn places(found: &Found) -> Vec<String> {
        let place = |endpoint: &crate::data::discovery::DiscoveredEndpoint| {
            format!("{}={}", endpoint.host, endpoint.address)
        };
        found.endpoints.iter().map(place).collect()
    }

    #[tokio::test]
    async fn each_address_is_an_endpoint_and_the_time_to_live_is_kept_within_bounds() {
        let table = Table::default();
        let mut source = source("a.test.", &table);
        for (ttl, kept) in [(1, 5), (60, 60), (9999, 300)] {
            table.host("a.test.", &["10.0.0.1", "2001:db8::1"], ttl);
            let found = source.look().await.unwrap();
            assert_eq!(
                places(&found),
                ["a.test=10.0.0.1:80", "a.test=[2001:db8::1]:80"]
            );
            assert_eq!(found.holds, Holds::Until(Duration::from_secs(kept)));
            assert!(found.incomplete.is_none());
        }
    }

    #[tokio::test]
    async fn no_answer_and_no_addresses_are_failures() {
        let table = Table::default();
        let mut source = source("a.test", &table);
        assert!(source.look().await.is_err(), "never had an answer");
        table.host("a.test", &["10.0.0.1"], 60);
        source.look().await.unwrap();
        table.host("a.test", &[], 60);
        assert!(source.look().await.is_err(), "the name has nothing");
        table.lose("a.test");
        assert_eq!(source.look().await.unwrap_err().to_string(), "a.test: lost");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_given_up_in_time() {
        let start = Instant::now();
        assert!(source("hangs.", &Table::default()).look().await.is_err());
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn an_address_needs_no_question() {
        let found = source("[2001:db8::7]", &Table::default())
            .look()
            .await
            .unwrap();
        assert_eq!(places(&found), ["2001:db8::7=[2001:db8::7]:80"]);
        assert_eq!(found.holds, Holds::ForEver);
    }
}
