//! What discovery finds.

use std::{net::SocketAddr, sync::Arc};

/// Endpoints of one source, at most. More are left out, always the same ones, and the status says how many: whoever controls a
/// name must not be able to fill the gateway's memory, or have it check the health of a whole network.
pub const MAX_ENDPOINTS: usize = 1024;

/// One place where an upstream's requests can go. A name with several addresses makes several of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DiscoveredEndpoint {
    /// Host name or IP address, for `Host` and certificates; without the root's dot, an IPv6 address without brackets.
    pub host: Arc<str>,
    /// Its port; the same as the address's.
    pub port: u16,
    /// Where it was found.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub https: bool,
    /// Its share of requests relative to others'; at least 1.
    pub weight: u32,
    /// Where it stands.
    pub zone: Option<Arc<str>>,
}

/// Sorted, each address of a host once, and no more than [`MAX_ENDPOINTS`]; with how many there were too many. Name servers turn
/// the order of their answers round, which is no change.
#[must_use]
pub fn normalise(mut endpoints: Vec<DiscoveredEndpoint>) -> (Vec<DiscoveredEndpoint>, usize) {
    // Stable, so that of two with the same identity the one that was named first is kept.
    endpoints.sort_by(|a, b| a.address.cmp(&b.address).then_with(|| a.host.cmp(&b.host)));
    endpoints.dedup_by(|a, b| a.address == b.address && a.host == b.host);
    let left_out = endpoints.len().saturating_sub(MAX_ENDPOINTS);
    endpoints.truncate(MAX_ENDPOINTS);
    (endpoints, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, address: &str, weight: u32) -> DiscoveredEndpoint {
        let address: SocketAddr = address.parse().unwrap();
        DiscoveredEndpoint {
            host: host.into(),
            port: address.port(),
            address,
            https: false,
            weight,
            zone: None,
        }
    }

    #[test]
    fn the_order_of_an_answer_does_not_matter() {
        let one = endpoint("a", "10.0.0.1:80", 1);
        let two = endpoint("a", "10.0.0.2:80", 1);
        assert_eq!(
            normalise(vec![one.clone(), two.clone()]),
            normalise(vec![two, one])
        );
    }

    #[test]
    fn an_address_of_a_host_counts_once_and_the_first_mention_holds() {
        let twice = vec![
            endpoint("a", "10.0.0.1:80", 3),
            endpoint("b", "10.0.0.1:80", 1),
            endpoint("a", "10.0.0.1:80", 5),
        ];
        let (kept, left_out) = normalise(twice);
        assert_eq!(
            kept,
            [
                endpoint("a", "10.0.0.1:80", 3),
                endpoint("b", "10.0.0.1:80", 1)
            ]
        );
        assert_eq!(left_out, 0);
    }

    #[test]
    fn too_many_are_left_out_whatever_their_order() {
        let mut many: Vec<_> = (0..MAX_ENDPOINTS as u32 + 3)
            .map(|number| {
                let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number);
                endpoint("a", &format!("{ip}:80"), 1)
            })
            .collect();
        let (kept, left_out) = normalise(many.clone());
        assert_eq!((kept.len(), left_out), (MAX_ENDPOINTS, 3));
        many.reverse();
        assert_eq!(normalise(many), (kept, 3));
    }
}
