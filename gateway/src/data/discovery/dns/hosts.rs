//! The addresses of names, in both families. Each family is a question of its own, and each may fail on its own; then the addresses
//! that it had last stand in for it, rather than that half of an upstream is taken away because one of two answers was lost.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::ask::{Answer, Ask, AskError, Family};

/// What is known of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// At least one.
    pub addresses: Vec<IpAddr>,
    /// For how long; `None` if nothing of it is from now.
    pub ttl: Option<Duration>,
    /// What went wrong, if some of it is from before.
    pub failure: Option<String>,
}

/// Both answers for a name.
#[derive(Debug)]
pub(super) struct Answers([(Family, Result<Answer<IpAddr>, AskError>); 2]);

/// Asks for both at once.
pub(super) async fn ask(ask: &impl Ask, name: &str, deadline: Instant) -> Answers {
    let one = async |family| {
        let answer = timeout_at(deadline, ask.addresses(name, family)).await;
        let answer = answer.unwrap_or_else(|_| Err(AskError::Failed("no answer in time".into())));
        (family, answer)
    };
    let (v4, v6) = tokio::join!(one(Family::V4), one(Family::V6));
    Answers([v4, v6])
}

/// The last good addresses of names.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Arc<str>, HashMap<Family, Vec<IpAddr>>>);

impl Hosts {
    /// Forgets all names but these.
    pub(super) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| wanted(name));
    }

    /// Takes answers in. `Err` if there are none, and never have been.
    pub(super) fn settle(
        &mut self,
        name: &Arc<str>,
        Answers(answers): Answers,
    ) -> Result<Host, String> {
        let any = answers.iter().any(|(_, answer)| answer.is_ok());
        let known = self.0.entry(Arc::clone(name)).or_default();
        let mut ttl: Option<Duration> = None;
        let mut failures = Vec::new();
        for (family, answer) in answers {
            match answer {
                Ok(answer) => {
                    ttl = Some(ttl.map_or(answer.ttl, |ttl| ttl.min(answer.ttl)));
                    known.insert(family, answer.records);
                }
                // Most names have one family only. That a name has neither is not believed.
                Err(AskError::Nothing(_)) if any => {
                    known.remove(&family);
                }
                Err(error) => failures.push((family, error)),
            }
        }
        let failure = explain(name, &failures);
        let families = [Family::V4, Family::V6];
        let addresses: Vec<IpAddr> = families
            .iter()
            .filter_map(|family| known.get(family))
            .flatten()
            .copied()
            .collect();
        if addresses.is_empty() {
            self.0.remove(name);
            return Err(failure.unwrap_or_else(|| format!("{name}: no addresses")));
        }
        Ok(Host {
            addresses,
            ttl,
            failure,
        })
    }
}

fn explain(name: &str, failures: &[(Family, AskError)]) -> Option<String> {
    match failures {
        [] => None,
        [(_, one), (_, other)] if one == other => Some(format!("{name}: {one}")),
        failures => {
            let each = failures.iter().map(|(family, error)| {
                let kind = match family {
                    Family::V4 => "A",
                    Family::V6 => "AAAA",
                };
                format!("{kind}: {error}")
            });
            Some(format!("{name}: {}", each.collect::<Vec<_>>().join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(addresses: &[&str], ttl: u64) -> Result<Answer<IpAddr>, AskError> {
        Ok(Answer {
            records: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
            ttl: Duration::from_secs(ttl),
        })
    }
    const NONE: Result<Answer<IpAddr>, AskError> = Err(AskError::Nothing("none"));
    fn lost() -> Result<Answer<IpAddr>, AskError> {
        Err(AskError::Failed("lost".into()))
    }

    type Family_ = Result<Answer<IpAddr>, AskError>;
    fn settle(
        hosts: &mut Hosts,
        v4: Family_,
        v6: Family_,
    ) -> Result<(Vec<String>, Option<u64>, bool), String> {
        let host = hosts.settle(&"a".into(), Answers([(Family::V4, v4), (Family::V6, v6)]))?;
        let addresses = host.addresses.iter().map(IpAddr::to_string).collect();
        Ok((
            addresses,
            host.ttl.map(|ttl| ttl.as_secs()),
            host.failure.is_some(),
        ))
    }
    fn found(
        addresses: &[&str],
        ttl: Option<u64>,
        failure: bool,
    ) -> Result<(Vec<String>, Option<u64>, bool), String> {
        Ok((
            addresses.iter().map(|ip| (*ip).into()).collect(),
            ttl,
            failure,
        ))
    }

    #[test]
    fn one_family_is_enough_and_the_shorter_time_counts() {
        let hosts = &mut Hosts::default();
        assert_eq!(
            settle(hosts, ok(&["10.0.0.1"], 9), NONE),
            found(&["10.0.0.1"], Some(9), false)
        );
        assert_eq!(
            settle(hosts, ok(&["10.0.0.1"], 9), ok(&["::1"], 4)),
            found(&["10.0.0.1", "::1"], Some(4), false)
        );
        // It has none any more.
        assert_eq!(
            settle(hosts, ok(&["10.0.0.1"], 9), NONE),
            found(&["10.0.0.1"], Some(9), false)
        );
    }

    #[test]
    fn a_family_that_is_lost_keeps_what_it_had() {
        let hosts = &mut Hosts::default();
        settle(hosts, ok(&["10.0.0.1"], 9), ok(&["::1"], 9)).unwrap();
        assert_eq!(
            settle(hosts, ok(&["10.0.0.2"], 9), lost()),
            found(&["10.0.0.2", "::1"], Some(9), true)
        );
        assert_eq!(
            settle(hosts, lost(), lost()),
            found(&["10.0.0.2", "::1"], None, true)
        );
        // A family has nothing, but the other did not answer: nobody says that the name has nothing.
        assert_eq!(
            settle(hosts, NONE, lost()),
            found(&["10.0.0.2", "::1"], None, true)
        );
    }

    #[test]
    fn that_a_name_has_nothing_is_not_believed() {
        let hosts = &mut Hosts::default();
        assert_eq!(settle(hosts, NONE, NONE), Err("a: none".into()));
        settle(hosts, ok(&["10.0.0.1"], 9), NONE).unwrap();
        assert_eq!(settle(hosts, NONE, NONE), found(&["10.0.0.1"], None, true));
        hosts.retain(|name| name != "a");
        assert_eq!(
            settle(hosts, lost(), NONE),
            Err("a: A: lost; AAAA: none".into())
        );
    }
}
