//! Configured endpoints to addresses: names by the system's resolver, as any other program on the machine would (`/etc/hosts`,
//! `nsswitch.conf`, search domains), each name for itself. A name that cannot be resolved keeps the addresses it had, and holds up
//! no other.

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream};

use super::{endpoint::DiscoveredEndpoint, refresh::Failure};
use crate::config::model::Endpoint;

/// For one name. The system's resolver gives up by itself, but later than is of use.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Names asked for at once: each takes a thread.
const CONCURRENT: usize = 8;

/// Resolves one name.
pub(super) trait Resolve: Send + Sync + 'static {
    fn resolve(&self, host: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;
}

/// By the system's resolver.
#[derive(Debug, Clone, Copy)]
pub(super) struct System;

impl Resolve for System {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = tokio::net::lookup_host((host, 0)).await?;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}

/// The addresses that names had last.
#[derive(Debug)]
pub(super) struct Names<R = System> {
    resolver: R,
    last: HashMap<Arc<str>, Vec<IpAddr>>,
}

/// What became of some endpoints.
#[derive(Debug)]
pub(super) struct Resolved {
    pub endpoints: Vec<DiscoveredEndpoint>,
    /// The names that could not be resolved now.
    pub failure: Option<Failure>,
    /// Whether any of them is a name.
    pub has_names: bool,
}

impl<R: Resolve> Names<R> {
    pub(super) fn new(resolver: R) -> Self {
        Self {
            resolver,
            last: HashMap::new(),
        }
    }

    pub(super) async fn resolve(&mut self, configured: &[Endpoint]) -> Resolved {
        let hosts = configured.iter().map(|endpoint| Arc::clone(&endpoint.host));
        let mut hosts: Vec<Arc<str>> = hosts.collect();
        hosts.retain(|host| literal(host).is_none());
        hosts.sort();
        hosts.dedup();
        // Names that are not configured any more are forgotten.
        self.last
            .retain(|host, _| hosts.binary_search(host).is_ok());

        let resolver = &self.resolver;
        let has_names = !hosts.is_empty();
        let asked = stream::iter(hosts).map(|host| async move {
            let answer = tokio::time::timeout(TIMEOUT, resolver.resolve(&host)).await;
            (
                host,
                answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            )
        });
        let answers: Vec<_> = asked.buffer_unordered(CONCURRENT).collect().await;

        let mut failed = Vec::new();
        for (host, answer) in answers {
            match answer {
                Ok(addresses) if !addresses.is_empty() => {
                    self.last.insert(host, one_loopback(addresses));
                }
                Ok(_) => failed.push(format!("{host}: no addresses")),
                Err(error) => failed.push(format!("{host}: {error}")),
            }
        }
        // The answers came in any order, which would be news each time.
        failed.sort();
        Resolved {
            endpoints: configured
                .iter()
                .flat_map(|endpoint| self.of(endpoint))
                .collect(),
            failure: (!failed.is_empty()).then(|| Failure::new(failed.join("; "))),
            has_names,
        }
    }

    fn of<'a>(&'a self, endpoint: &'a Endpoint) -> impl Iterator<Item = DiscoveredEndpoint> + 'a {
        let literal = literal(&endpoint.host);
        let host: Arc<str> = match literal {
            Some(ip) => ip.to_string().into(),
            None => Arc::clone(&endpoint.host),
        };
        let named = self.last.get(&endpoint.host).into_iter().flatten().copied();
        literal
            .into_iter()
            .chain(named)
            .map(move |ip| DiscoveredEndpoint {
                host: Arc::clone(&host),
                port: endpoint.port,
                address: SocketAddr::new(ip, endpoint.port),
                https: endpoint.https,
                weight: endpoint.weight.max(1),
                zone: endpoint.zone.clone(),
            })
    }
}

/// A host that is an address, with or without brackets.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Of a name that stands for this machine in both families, as `localhost` mostly does, IPv4 alone. Such are not two endpoints but
/// one, and what listens there listens on IPv4 or on both, hardly ever on IPv6 alone: half of the requests would be refused.
pub(super) fn one_loopback(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let all_loopback = addresses.iter().all(IpAddr::is_loopback);
    if all_loopback && addresses.iter().any(IpAddr::is_ipv4) {
        addresses.retain(IpAddr::is_ipv4);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Answers from a table that tests change.
    #[derive(Default, Clone)]
    struct Table(Arc<Mutex<HashMap<String, Vec<&'static str>>>>);

    impl Table {
        fn set(&self, host: &str, addresses: &[&'static str]) {
            self.0.lock().unwrap().insert(host.into(), addresses.into());
        }
        fn forget(&self, host: &str) {
            self.0.lock().unwrap().remove(host);
        }
    }

    impl Resolve for Table {
        async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
            if host == "hangs" {
                std::future::pending::<()>().await;
            }
            let table = self.0.lock().unwrap();
            let found = table.get(host).ok_or(io::ErrorKind::NotFound)?;
            Ok(found.iter().map(|ip| ip.parse().unwrap()).collect())
        }
    }

    fn configured(host: &str) -> Endpoint {
        Endpoint {
            host: host.into(),
            port: 80,
            https: false,
            weight: 1,
            zone: None,
        }
    }

    fn addresses(resolved: &Resolved) -> Vec<String> {
        let mut all: Vec<_> = resolved
            .endpoints
            .iter()
            .map(|endpoint| format!("{}={}", endpoint.host, endpoint.address.ip()))
            .collect();
        all.sort();
        all
    }

    #[tokio::test]
    async fn each_address_of_a_name_is_an_endpoint_and_addresses_are_not_asked_for() {
        let table = Table::default();
        table.set("a", &["10.0.0.1", "10.0.0.2"]);
        let mut names = Names::new(table);
        let configured = [configured("a"), configured("10.0.0.9"), configured("[::9]")];
        let resolved = names.resolve(&configured).await;
        assert_eq!(
            addresses(&resolved),
            ["10.0.0.9=10.0.0.9", "::9=::9", "a=10.0.0.1", "a=10.0.0.2"]
        );
        assert_eq!(resolved.failure, None);
        assert!(resolved.has_names);
    }

    #[tokio::test]
    async fn a_name_that_fails_keeps_its_addresses_and_the_others_go_on() {
        let table = Table::default();
        table.set("a", &["10.0.0.1"]);
        table.set("b", &["10.0.0.2"]);
        let mut names = Names::new(table.clone());
        let both = [configured("a"), configured("b")];
        names.resolve(&both).await;

        table.forget("a");
        table.set("b", &["10.0.0.3"]);
        let resolved = names.resolve(&both).await;
        assert_eq!(addresses(&resolved), ["a=10.0.0.1", "b=10.0.0.3"]);
        assert!(resolved.failure.unwrap().to_string().starts_with("a: "));

        // Not configured for a while: forgotten.
        names.resolve(&both[1..]).await;
        assert_eq!(addresses(&names.resolve(&both).await), ["b=10.0.0.3"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_hangs_holds_up_no_other_for_longer_than_its_bound() {
        let table = Table::default();
        table.set("a", &["10.0.0.1"]);
        let start = tokio::time::Instant::now();
        let resolved = Names::new(table)
            .resolve(&[configured("hangs"), configured("a")])
            .await;
        assert_eq!(start.elapsed(), TIMEOUT);
        assert_eq!(addresses(&resolved), ["a=10.0.0.1"]);
        assert!(resolved.failure.is_some());
    }

    #[tokio::test]
    async fn localhost_is_one_endpoint() {
        let table = Table::default();
        table.set("localhost", &["::1", "127.0.0.1"]);
        table.set("v6", &["::1"]);
        table.set("both", &["2001:db8::1", "10.0.0.1"]);
        let mut names = Names::new(table);
        let all = [
            configured("localhost"),
            configured("v6"),
            configured("both"),
        ];
        assert_eq!(
            addresses(&names.resolve(&all).await),
            [
                "both=10.0.0.1",
                "both=2001:db8::1",
                "localhost=127.0.0.1",
                "v6=::1"
            ]
        );
    }
}
