//! Endpoints from the DNS: [`Addresses`] of a name, or the [`Services`] of SRV records.
//!
//! | part | job |
//! |---|---|
//! | `ask` | one question, and what its answer can be |
//! | `client` | asks name servers (hickory), takes only records that belong to the question |
//! | `hosts` | both families of a name; what each had last |
//! | `addresses`, `services` | the two sources |
//! | `weights` | what SRV weights mean for endpoints |
//!
//! An answer never empties an upstream: that a name does not exist, or has no addresses, is a failure like any other, after which the
//! last good answer is kept. A zone that was loaded half, or a service that was scaled to nothing for a moment, says the same.

mod addresses;
mod ask;
mod client;
#[cfg(test)]
mod fake;
mod hosts;
mod services;
mod weights;

use std::{net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

pub(super) use addresses::Addresses;
pub(super) use services::Services;

use super::{
    endpoint::DiscoveredEndpoint,
    schedule::{Holds, Retry},
};
use crate::config::model::Dns;

/// A time to live kept within what is configured.
fn holds(config: &Dns, ttl: Duration) -> Holds {
    let (least, most) = (*config.ttl.start(), *config.ttl.end());
    // Not `clamp`, which panics if the bounds are the wrong way round.
    Holds::Until(ttl.max(least).min(most))
}

/// Soon again at first, but not longer than a good answer would be kept at most.
fn retry(config: &Dns) -> Retry {
    let longest = Duration::from_secs(30).min((*config.ttl.end()).max(Duration::from_secs(1)));
    Retry {
        first: Duration::from_millis(500).min(longest),
        longest,
    }
}

fn endpoint(
    config: &Dns,
    host: &Arc<str>,
    ip: IpAddr,
    port: u16,
    weight: u32,
) -> DiscoveredEndpoint {
    DiscoveredEndpoint {
        host: Arc::clone(host),
        port,
        address: SocketAddr::new(ip, port),
        https: config.https,
        weight,
        zone: None,
    }
}
