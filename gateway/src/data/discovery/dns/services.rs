//! The targets of SRV records (RFC 2782): of those with the lowest priority number that have any address, each address is an
//! endpoint, with the record's port and its share of the record's weight.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{
    ask::{Ask, Service},
    client::Client,
    endpoint, holds,
    hosts::{self, Host, Hosts},
    retry,
    weights::weights,
};
use crate::{
    config::model::Dns,
    data::discovery::{
        names::one_loopback,
        refresh::{Failure, Found, Source},
        schedule::Retry,
    },
};

/// Records that are looked at; more are left out. Each costs two questions.
const MAX_TARGETS: usize = 256;
/// Targets asked for at once.
const CONCURRENT: usize = 8;

/// The source.
pub(in crate::data::discovery) struct Services<A = Client> {
    config: Dns,
    ask: A,
    hosts: Hosts,
}

/// A record whose target is a host.
struct Record {
    target: Arc<str>,
    port: u16,
    weight: u16,
}

impl Services {
    pub(in crate::data::discovery) fn new(config: Dns) -> Self {
        let client = Client::new(config.nameserver, config.timeout);
        Self::with(config, client)
    }
}

impl<A: Ask> Services<A> {
    fn with(config: Dns, ask: A) -> Self {
        Self {
            config,
            ask,
            hosts: Hosts::default(),
        }
    }

    /// The hosts of a priority's targets, those that are known, in the order of the records.
    async fn resolve(
        &mut self,
        records: Vec<Record>,
        deadline: Instant,
        failures: &mut Vec<String>,
    ) -> Vec<(Record, Host)> {
        let mut targets: Vec<_> = records
            .iter()
            .map(|record| Arc::clone(&record.target))
            .collect();
        targets.sort();
        targets.dedup();
        let ask = &self.ask;
        let asked = stream::iter(targets).map(|target| async move {
            // Absolute: a target is never meant relative to a search domain.
            let answers = hosts::ask(ask, &format!("{target}."), deadline).await;
            (target, answers)
        });
        let answers: Vec<_> = asked.buffer_unordered(CONCURRENT).collect().await;
        let mut known = BTreeMap::new();
        for (target, answers) in answers {
            match self.hosts.settle(&target, answers) {
                Ok(mut host) => {
                    host.addresses = one_loopback(host.addresses);
                    failures.extend(host.failure.take());
                    known.insert(target, host);
                }
                Err(failure) => failures.push(failure),
            }
        }
        let with_host = |record: Record| {
            let host = known.get(&record.target)?.clone();
            Some((record, host))
        };
        records.into_iter().filter_map(with_host).collect()
    }
}

impl<A: Ask> Source for Services<A> {
    async fn look(&mut self) -> Result<Found, Failure> {
        self.ask.renew().map_err(Failure::new)?;
        let deadline = Instant::now() + self.config.timeout;
        let answer = timeout_at(deadline, self.ask.services(&self.config.name)).await;
        let answer = answer.map_err(|_| Failure::new("no answer in time"))?;
        let answer = answer.map_err(Failure::new)?;

        let priorities = by_priority(answer.records);
        if priorities.is_empty() {
            return Err(Failure::new(
                "the answer says that there is no such service",
            ));
        }
        let targets = priorities.values().flatten();
        let targets: HashSet<_> = targets.map(|record| Arc::clone(&record.target)).collect();
        self.hosts.retain(|name| targets.contains(name));

        let mut failures = Vec::new();
        for records in priorities.into_values() {
            let group = self.resolve(records, deadline, &mut failures).await;
            if group.is_empty() {
                continue;
            }
            let ttls = group.iter().filter_map(|(_, host)| host.ttl);
            let ttl = ttls.min().map_or(answer.ttl, |ttl| ttl.min(answer.ttl));
            return Ok(Found {
                endpoints: endpoints(&self.config, &group),
                holds: holds(&self.config, ttl),
                fresh: true,
                incomplete: failure(failures),
            });
        }
        Err(failure(failures).unwrap_or_else(|| Failure::new("no target has an address")))
    }

    fn retry(&self) -> Retry {
        retry(&self.config)
    }
}

fn endpoints(
    config: &Dns,
    group: &[(Record, Host)],
) -> Vec<crate::data::discovery::DiscoveredEndpoint> {
    let shares: Vec<_> = group
        .iter()
        .map(|(record, host)| (record.weight, host.addresses.len()))
        .collect();
    group
        .iter()
        .zip(weights(&shares))
        .flat_map(|((record, host), weight)| {
            let addresses = host.addresses.iter();
            addresses.map(move |ip| endpoint(config, &record.target, *ip, record.port, weight))
        })
        .collect()
}

/// Sorted, so that the same records give the same endpoints in whatever order they come.
fn by_priority(mut services: Vec<Service>) -> BTreeMap<u16, Vec<Record>> {
    services.retain(|service| service.target.is_some() && service.port != 0);
    services.sort();
    services.dedup_by(|a, b| (a.priority, &a.target, a.port) == (b.priority, &b.target, b.port));
    services.truncate(MAX_TARGETS);
    let mut priorities = BTreeMap::<u16, Vec<Record>>::new();
    for service in services {
        if let Some(target) = service.target {
            priorities
                .entry(service.priority)
                .or_default()
                .push(Record {
                    target,
                    port: service.port,
                    weight: service.weight,
                });
        }
    }
    priorities
}

fn failure(mut failures: Vec<String>) -> Option<Failure> {
    // They came in any order, which would be news each time.
    failures.sort();
    failures.dedup();
    (!failures.is_empty()).then(|| Failure::new(failures.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::discovery::{
        dns::fake::{Table, config},
        schedule::Holds,
    };
    use std::time::Duration;

    fn source(table: &Table) -> Services<Table> {
        Services::with(config("_http._tcp.test."), table.clone())
    }
    fn places(found: &Found) -> Vec<String> {
        let place = |endpoint: &crate::data::discovery::DiscoveredEndpoint| {
            format!("{}={}*{}", endpoint.host, endpoint.address, endpoint.weight)
        };
        found.endpoints.iter().map(place).collect()
    }

    #[tokio::test]
    async fn only_the_first_priority_is_used_with_its_ports_and_weights() {
        let table = Table::default();
        table
            .services(
                &[
                    (20, 1, 80, "late.test"),
                    (10, 60, 8080, "a.test"),
                    (10, 40, 9090, "b.test"),
                ],
                60,
            )
            .host("a.test.", &["10.0.0.1"], 30)
            .host("b.test.", &["10.0.0.2"], 90)
            .host("late.test.", &["10.0.0.3"], 90);
        let found = source(&table).look().await.unwrap();
        assert_eq!(
            places(&found),
            ["a.test=10.0.0.1:8080*60", "b.test=10.0.0.2:9090*40"]
        );
        // The shortest of the records' and the used targets'.
        assert_eq!(found.holds, Holds::Until(Duration::from_secs(30)));
    }

    #[tokio::test]
    async fn the_next_priority_is_used_if_no_target_of_the_first_has_an_address() {
        let table = Table::default();
        table
            .services(&[(10, 1, 80, "gone.test"), (20, 1, 81, "late.test")], 60)
            .host("late.test.", &["10.0.0.3"], 90);
        let mut source = source(&table);
        let found = source.look().await.unwrap();
        assert_eq!(places(&found), ["late.test=10.0.0.3:81*1"]);
        assert!(found.incomplete.unwrap().to_string().contains("gone.test"));

        table.host("gone.test.", &["10.0.0.1"], 90);
        let found = source.look().await.unwrap();
        assert_eq!(places(&found), ["gone.test=10.0.0.1:80*1"]);
        assert!(found.incomplete.is_none());
    }

    #[tokio::test]
    async fn a_target_that_is_lost_keeps_its_addresses() {
        let table = Table::default();
        table
            .services(&[(10, 1, 80, "a.test"), (10, 1, 80, "b.test")], 60)
            .host("a.test.", &["10.0.0.1"], 60)
            .host("b.test.", &["10.0.0.2"], 60);
        let mut source = source(&table);
        source.look().await.unwrap();
        table.lose("a.test.").host("b.test.", &["10.0.0.9"], 60);
        let found = source.look().await.unwrap();
        assert_eq!(
            places(&found),
            ["a.test=10.0.0.1:80*1", "b.test=10.0.0.9:80*1"]
        );
        assert!(found.incomplete.is_some());
    }

    #[tokio::test]
    async fn a_target_that_was_taken_out_is_forgotten() {
        let table = Table::default();
        let both = [(10, 1, 80, "a.test"), (10, 1, 80, "b.test")];
        table
            .services(&both, 60)
            .host("a.test.", &["10.0.0.1"], 60)
            .host("b.test.", &["10.0.0.2"], 60);
        let mut source = source(&table);
        source.look().await.unwrap();
        table.services(&both[1..], 60).lose("a.test.");
        source.look().await.unwrap();
        // Back, but without an answer: what it had before it was taken out is not to be trusted.
        table.services(&both, 60);
        let found = source.look().await.unwrap();
        assert_eq!(places(&found), ["b.test=10.0.0.2:80*1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_hangs_holds_up_the_others_no_longer_than_an_answer_may_take() {
        let table = Table::default();
        table
            .services(&[(10, 1, 80, "a.test"), (10, 1, 80, "hangs")], 60)
            .host("a.test.", &["10.0.0.1"], 60);
        let start = Instant::now();
        let found = source(&table).look().await.unwrap();
        assert_eq!(places(&found), ["a.test=10.0.0.1:80*1"]);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn that_there_is_no_such_service_is_a_failure() {
        let table = Table::default();
        table.services(&[(0, 0, 0, ".")], 60);
        assert!(source(&table).look().await.is_err());
        table.services(&[(0, 0, 80, "gone.test")], 60);
        assert!(source(&table).look().await.is_err());
    }

    #[test]
    fn records_are_capped_and_their_order_does_not_matter() {
        let record = |number: usize| Service {
            priority: 1,
            target: Some(format!("t{number}").into()),
            port: 80,
            weight: 1,
        };
        let mut many: Vec<_> = (0..MAX_TARGETS + 9).map(record).collect();
        let names = |records: Vec<Service>| -> Vec<_> {
            let all = by_priority(records).into_values().flatten();
            all.map(|record| record.target).collect()
        };
        let one = names(many.clone());
        many.reverse();
        assert_eq!(one.len(), MAX_TARGETS);
        assert_eq!(names(many), one);
    }
}
