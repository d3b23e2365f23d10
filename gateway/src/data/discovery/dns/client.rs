//! Asking name servers with hickory's resolver.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, Record, RecordType},
    },
};

use super::ask::{Answer, Ask, AskError, Family, Service};

/// Aliases followed within one answer.
const LONGEST_CHAIN: usize = 16;

/// Asks one server, or those of the system's configuration, which is read afresh for each attempt: it changes when a machine
/// changes networks. Nothing is cached, for whoever asks here keeps the answer for its time to live.
pub(in crate::data::discovery) struct Client {
    nameserver: Option<SocketAddr>,
    timeout: Duration,
    resolver: Option<TokioResolver>,
}

impl Client {
    pub(super) fn new(nameserver: Option<SocketAddr>, timeout: Duration) -> Self {
        Self {
            nameserver,
            timeout,
            resolver: None,
        }
    }

    fn build(&self) -> Result<TokioResolver, NetError> {
        let mut builder = match self.nameserver {
            None => TokioResolver::builder_tokio()?,
            Some(server) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let connections = connections.map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                let server = NameServerConfig::new(server.ip(), true, connections.into());
                // No search domains: a server of its own is for names that are whole.
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                let provider = TokioRuntimeProvider::default();
                let mut builder = TokioResolver::builder_with_config(config, provider);
                builder.options_mut().use_hosts_file = ResolveHosts::Never;
                builder
            }
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        // Twice within the time that an answer may take: a datagram may be lost.
        options.timeout = self.timeout / 2;
        options.attempts = 1;
        builder.build()
    }

    async fn lookup(&self, name: &str, kind: RecordType) -> Result<Lookup, AskError> {
        let Some(resolver) = &self.resolver else {
            return Err(AskError::Failed("no resolver".into()));
        };
        resolver.lookup(name, kind).await.map_err(explain)
    }
}

impl Ask for Client {
    fn renew(&mut self) -> Result<(), AskError> {
        self.resolver = Some(self.build().map_err(explain)?);
        Ok(())
    }

    async fn addresses(&self, name: &str, family: Family) -> Result<Answer<IpAddr>, AskError> {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        let lookup = self.lookup(name, kind).await?;
        pick(&lookup, |data| match data {
            RData::A(address) if family == Family::V4 => Some(address.0.into()),
            RData::AAAA(address) if family == Family::V6 => Some(address.0.into()),
            _ => None,
        })
    }

    async fn services(&self, name: &str) -> Result<Answer<Service>, AskError> {
        let lookup = self.lookup(name, RecordType::SRV).await?;
        pick(&lookup, |data| match data {
            RData::SRV(record) => Some(Service {
                priority: record.priority,
                target: target(&record.target)?,
                port: record.port,
                weight: record.weight,
            }),
            _ => None,
        })
    }
}

/// The records that the question was for: of the name itself, or of where its aliases lead. Whatever else a server puts into
/// its answer is not taken.
fn pick<T>(lookup: &Lookup, of: impl Fn(&RData) -> Option<T>) -> Result<Answer<T>, AskError> {
    let (names, alias_ttl) = chain(lookup.query().name(), lookup.answers());
    let mut ttl = alias_ttl;
    let mut records = Vec::new();
    for record in lookup.answers() {
        if let Some(found) = of(&record.data).filter(|_| names.contains(&&record.name)) {
            records.push(found);
            ttl = ttl.min(record.ttl);
        }
    }
    if records.is_empty() {
        return Err(AskError::Nothing("the answer has no records for it"));
    }
    Ok(Answer {
        records,
        ttl: Duration::from_secs(ttl.into()),
    })
}

/// A name and its aliases, and the shortest time that one of them holds.
fn chain<'a>(start: &'a Name, answers: &'a [Record]) -> (Vec<&'a Name>, u32) {
    let mut names = vec![start];
    let mut ttl = u32::MAX;
    while let Some(last) = names.last().copied() {
        let next = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(alias) if record.name == *last => Some((&alias.0, record.ttl)),
            _ => None,
        });
        match next {
            Some((name, holds)) if names.len() < LONGEST_CHAIN && !names.contains(&name) => {
                names.push(name);
                ttl = ttl.min(holds);
            }
            _ => break,
        }
    }
    (names, ttl)
}

/// A target as it goes into `Host` and certificates; `Some(None)` for the root, `None` if it is no host name, but bytes that some
/// server would put there.
fn target(name: &Name) -> Option<Option<Arc<str>>> {
    if name.is_root() {
        return Some(None);
    }
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ok = !text.is_empty() && text.bytes().all(fine);
    ok.then(|| Some(text.into()))
}

fn explain(error: NetError) -> AskError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => AskError::Nothing("the name does not exist"),
            ResponseCode::NoError => AskError::Nothing("the name has no such records"),
            code => AskError::Failed(format!("the server answers {code}")),
        },
        error => AskError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::{
        op::Query,
        rr::rdata::{A, CNAME},
    };

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }
    fn a(of: &str, ttl: u32, last: u8) -> Record {
        Record::from_rdata(name(of), ttl, RData::A(A::new(10, 0, 0, last)))
    }
    fn alias(of: &str, ttl: u32, to: &str) -> Record {
        Record::from_rdata(name(of), ttl, RData::CNAME(CNAME(name(to))))
    }
    fn picked(answers: Vec<Record>) -> Result<Answer<IpAddr>, AskError> {
        let query = Query::query(name("a.test."), RecordType::A);
        let lookup = Lookup::new_with_max_ttl(query, answers);
        pick(&lookup, |data| match data {
            RData::A(address) => Some(address.0.into()),
            _ => None,
        })
    }
    fn answer(records: &[[u8; 4]], ttl: u64) -> Result<Answer<IpAddr>, AskError> {
        Ok(Answer {
            records: records.iter().map(|ip| (*ip).into()).collect(),
            ttl: Duration::from_secs(ttl),
        })
    }

    #[test]
    fn only_records_of_the_name_and_its_aliases_are_taken() {
        let answers = vec![
            alias("A.test.", 30, "b.test."),
            alias("b.test.", 7, "c.test."),
            a("c.test.", 60, 1),
            a("evil.test.", 1, 66),
        ];
        assert_eq!(picked(answers), answer(&[[10, 0, 0, 1]], 7));
        assert!(picked(vec![a("evil.test.", 1, 66)]).is_err());
    }

    #[test]
    fn the_shortest_time_to_live_counts() {
        let answers = vec![a("a.test.", 60, 1), a("a.test.", 5, 2)];
        assert_eq!(picked(answers), answer(&[[10, 0, 0, 1], [10, 0, 0, 2]], 5));
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let answers = vec![
            alias("a.test.", 5, "b.test."),
            alias("b.test.", 5, "a.test."),
        ];
        assert!(picked(answers).is_err());
    }

    #[test]
    fn a_target_is_a_host_name() {
        assert_eq!(target(&name(".")), Some(None));
        assert_eq!(
            target(&name("A-1.x_y.test.")),
            Some(Some("a-1.x_y.test".into()))
        );
        let bytes = Name::from_labels([&b"a\r\nb"[..], b"test"]).unwrap();
        assert_eq!(target(&bytes), None);
    }
}
