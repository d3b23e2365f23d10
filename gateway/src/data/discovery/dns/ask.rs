//! One question to a name server, and what can be made of the answer.

use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::data::discovery) enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::data::discovery) struct Service {
    pub priority: u16,
    /// A host name; `None` for the root, which says that there is no such service.
    pub target: Option<Arc<str>>,
    pub port: u16,
    pub weight: u16,
}

/// The records asked for, and the shortest time to live on the way to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data::discovery) struct Answer<T> {
    pub records: Vec<T>,
    pub ttl: Duration,
}

/// Why there are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::data::discovery) enum AskError {
    /// The server says so: the name does not exist, or has none of this kind.
    #[error("{0}")]
    Nothing(&'static str),
    /// The server did not say.
    #[error("{0}")]
    Failed(String),
}

/// Asks.
pub(in crate::data::discovery) trait Ask: Send + Sync + 'static {
    /// Before the questions of an attempt: what is remembered of the system's configuration and of servers may be old.
    fn renew(&mut self) -> Result<(), AskError> {
        Ok(())
    }

    /// For the addresses of a name.
    fn addresses(
        &self,
        name: &str,
        family: Family,
    ) -> impl Future<Output = Result<Answer<IpAddr>, AskError>> + Send;

    /// For what SRV records say of a name.
    fn services(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Answer<Service>, AskError>> + Send;
}
