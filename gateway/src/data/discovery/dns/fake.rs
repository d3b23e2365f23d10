//! A name server for tests, without a network: a table, and names that hang.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::ask::{Answer, Ask, AskError, Family, Service};
use crate::config::model::Dns;

#[derive(Default, Clone)]
pub(super) struct Table(Arc<Mutex<Zone>>);

#[derive(Default)]
struct Zone {
    addresses: HashMap<String, (Vec<IpAddr>, u64)>,
    services: (Vec<Service>, u64),
    broken: Vec<String>,
}

impl Table {
    pub(super) fn host(&self, name: &str, addresses: &[&str], ttl: u64) -> &Self {
        let addresses = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        let mut zone = self.0.lock().unwrap();
        zone.broken.retain(|broken| broken != name);
        zone.addresses.insert(name.into(), (addresses, ttl));
        drop(zone);
        self
    }
    /// Priority, weight, port, target.
    pub(super) fn services(&self, records: &[(u16, u16, u16, &str)], ttl: u64) -> &Self {
        let record = |&(priority, weight, port, target): &(u16, u16, u16, &str)| Service {
            priority,
            weight,
            port,
            target: (target != ".").then(|| target.into()),
        };
        self.0.lock().unwrap().services = (records.iter().map(record).collect(), ttl);
        self
    }
    /// No answer for this name.
    pub(super) fn lose(&self, name: &str) -> &Self {
        self.0.lock().unwrap().broken.push(name.into());
        self
    }
}

impl Ask for Table {
    async fn addresses(&self, name: &str, family: Family) -> Result<Answer<IpAddr>, AskError> {
        if name == "hangs." {
            std::future::pending::<()>().await;
        }
        let zone = self.0.lock().unwrap();
        if zone.broken.iter().any(|broken| broken == name) {
            return Err(AskError::Failed("lost".into()));
        }
        let (addresses, ttl) = zone
            .addresses
            .get(name)
            .ok_or(AskError::Nothing("unknown"))?;
        let of_family = |ip: &&IpAddr| ip.is_ipv4() == (family == Family::V4);
        let records: Vec<_> = addresses.iter().filter(of_family).copied().collect();
        if records.is_empty() {
            return Err(AskError::Nothing("none"));
        }
        let ttl = Duration::from_secs(*ttl);
        Ok(Answer { records, ttl })
    }

    async fn services(&self, _: &str) -> Result<Answer<Service>, AskError> {
        let zone = self.0.lock().unwrap();
        let (records, ttl) = zone.services.clone();
        let ttl = Duration::from_secs(ttl);
        Ok(Answer { records, ttl })
    }
}

pub(super) fn config(name: &str) -> Dns {
    Dns {
        name: name.into(),
        port: 80,
        https: false,
        nameserver: None,
        ttl: Duration::from_secs(5)..=Duration::from_secs(300),
        timeout: Duration::from_secs(2),
    }
}
