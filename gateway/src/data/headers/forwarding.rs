//! What an upstream is told of the client and of what it asked for.

use std::net::IpAddr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Version,
    header::{CONNECTION, COOKIE, FORWARDED, HOST, TE, UPGRADE, VIA},
    uri::Authority,
};

use super::{
    facts::ConnectionFacts,
    names::{
        Names, STANDARD, X_FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO,
        X_REQUEST_ID, remove_found, remove_hop_by_hop, remove_kinds,
    },
    request_id,
    scratch::Scratch,
};
use crate::config::model::{ForwardedHeaders, Forwarding, Network};

/// `[forwarding]`, ready for use. Each worker makes its own: the values in it are counted references, and workers that counted
/// the same ones would wait for each other's caches.
#[derive(Debug)]
pub struct ForwardingPolicy {
    trusted: Box<[Network]>,
    x_forwarded: bool,
    forwarded: bool,
    request_id: bool,
    via: [HeaderValue; 4],
}

/// What the request asked for, beside its headers.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// The fields of the request, as [`admit`](crate::data::admit::admit) found them. Those that the gateway itself has put there since
    /// need not be among them.
    pub names: Names,
    /// The protocol version the request came in.
    pub version: Version,
    /// The host named by the request target, where it names one: in HTTP/2, and in absolute form. Otherwise it is in `Host`.
    pub authority: Option<&'r Authority>,
}

/// What was taken out of a request that is still of use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The id that upstream, log and client shall see.
    pub request_id: Option<HeaderValue>,
    /// What the client wants the connection to become.
    pub upgrade: Option<HeaderValue>,
    /// The client takes trailers: an HTTP/2 upstream that speaks gRPC wants to be told so by `te: trailers`.
    pub takes_trailers: bool,
}

impl ForwardingPolicy {
    /// Prepares what is the same for all connections.
    #[must_use]
    pub fn new(config: &Forwarding) -> Self {
        use ForwardedHeaders::{Both, Forwarded, XForwarded};
        let via = |version: &[u8]| {
            let text = [version, b" ", config.via.as_bytes()].concat();
            // A version and a valid value make a valid value.
            HeaderValue::from_maybe_shared(Bytes::from(text))
                .unwrap_or(HeaderValue::from_static("1.1 gateway"))
        };
        Self {
            trusted: config.trusted.clone().into(),
            x_forwarded: matches!(config.headers, Both | XForwarded),
            forwarded: matches!(config.headers, Both | Forwarded),
            request_id: config.request_id,
            via: [via(b"1.0"), via(b"1.1"), via(b"2"), via(b"3")],
        }
    }

    /// What is the same for all requests of a connection.
    #[must_use]
    pub fn connection(&self, peer: Option<IpAddr>, is_https: bool) -> ConnectionFacts {
        let peer = peer.map(|peer| peer.to_canonical());
        let is_trusted =
            peer.is_some_and(|peer| self.trusted.iter().any(|network| contains(network, peer)));
        ConnectionFacts::new(peer, is_https, is_trusted)
    }

    /// Prepares a request's headers for the upstream. The request must have been admitted. Afterwards `Host` is what the client
    /// asked for; [`set_host`](super::set_host) makes of it what the endpoint shall see.
    pub fn to_upstream(
        &self,
        headers: &mut HeaderMap,
        facts: &ConnectionFacts,
        asked: Asked<'_>,
        scratch: &mut Scratch,
    ) -> Prepared {
        let found = asked.names;
        let mut prepared = Prepared {
            request_id: None,
            upgrade: found
                .has(Names::UPGRADE)
                .then(|| wanted_upgrade(headers))
                .flatten(),
            takes_trailers: found.has(Names::TE) && takes_trailers(headers),
        };
        remove_hop_by_hop(headers, found, &mut scratch.names);
        if found.has(Names::LOOK_ALIKE) || (found.has(Names::HEARSAY) && !facts.is_trusted) {
            let kinds = [Names::LOOK_ALIKE, Names::HEARSAY];
            let kinds = &kinds[..if facts.is_trusted { 1 } else { 2 }];
            remove_kinds(headers, kinds, &mut scratch.names);
        }
        // Once, instead of twice while the fields below are added. A head within its limits is far from what a map can hold.
        let _ = headers.try_reserve(8);
        let host = host(headers, found, asked, scratch);
        self.say_x_forwarded(headers, found, facts, host.as_ref(), scratch);
        self.say_forwarded(headers, found, facts, host.as_ref(), scratch);
        self.say_via(headers, found, asked.version, scratch);
        if found.has(Names::COOKIE) && asked.version == Version::HTTP_2 {
            join_cookies(headers, scratch);
        }
        if self.request_id {
            prepared.request_id = self.say_request_id(headers, found, facts, scratch);
        }
        prepared
    }

    fn say_x_forwarded(
        &self,
        headers: &mut HeaderMap,
        found: Names,
        facts: &ConnectionFacts,
        host: Option<&HeaderValue>,
        scratch: &mut Scratch,
    ) {
        if !facts.is_trusted {
            // What is replaced below need not be taken out first, what is not must be.
            if !self.x_forwarded || facts.peer.is_none() || host.is_none() {
                remove_found(headers, found, &X_FORWARDED);
            }
            if self.x_forwarded {
                if let Some(peer) = &facts.peer {
                    headers.insert(X_FORWARDED_FOR, peer.clone());
                }
                headers.insert(X_FORWARDED_PROTO, facts.proto.clone());
                if let Some(host) = host {
                    headers.insert(X_FORWARDED_HOST, host.clone());
                }
            }
        } else if self.x_forwarded {
            if let Some(peer) = &facts.peer {
                let list = if found.has(Names::X_FORWARDED_FOR) {
                    scratch.list(headers.get_all(X_FORWARDED_FOR).iter(), peer.as_bytes())
                } else {
                    Some(peer.clone())
                };
                if let Some(list) = list {
                    headers.insert(X_FORWARDED_FOR, list);
                }
            }
            // Read as single values by nearly everybody: those of the proxy that met the client are the ones of interest.
            if !found.has(Names::X_FORWARDED_PROTO) {
                headers.insert(X_FORWARDED_PROTO, facts.proto.clone());
            }
            if let Some(host) = host
                && !found.has(Names::X_FORWARDED_HOST)
            {
                headers.insert(X_FORWARDED_HOST, host.clone());
            }
        }
    }

    fn say_forwarded(
        &self,
        headers: &mut HeaderMap,
        found: Names,
        facts: &ConnectionFacts,
        host: Option<&HeaderValue>,
        scratch: &mut Scratch,
    ) {
        if !self.forwarded {
            if !facts.is_trusted {
                remove_found(headers, found, &STANDARD);
            }
            return;
        }
        let value = match facts.forwarded(host) {
            Some(own) if facts.is_trusted && found.has(Names::FORWARDED) => {
                scratch.list(headers.get_all(FORWARDED).iter(), own.as_bytes())
            }
            own => own,
        };
        match value {
            Some(value) => headers.insert(FORWARDED, value),
            None => headers.remove(FORWARDED),
        };
    }

    /// A list whoever sent it: it is there to see loops and versions, and nobody believes it.
    pub(super) fn say_via(
        &self,
        headers: &mut HeaderMap,
        found: Names,
        version: Version,
        scratch: &mut Scratch,
    ) {
        let [http10, http11, http2, http3] = &self.via;
        let own = match version {
            Version::HTTP_09 | Version::HTTP_10 => http10,
            Version::HTTP_2 => http2,
            Version::HTTP_3 => http3,
            _ => http11,
        };
        let value = if found.has(Names::VIA) {
            scratch.list(headers.get_all(VIA).iter(), own.as_bytes())
        } else {
            Some(own.clone())
        };
        if let Some(value) = value {
            headers.insert(VIA, value);
        }
    }

    fn say_request_id(
        &self,
        headers: &mut HeaderMap,
        found: Names,
        facts: &ConnectionFacts,
        scratch: &mut Scratch,
    ) -> Option<HeaderValue> {
        if facts.is_trusted && found.has(Names::X_REQUEST_ID) {
            let mut ids = headers.get_all(X_REQUEST_ID).iter();
            if let (Some(id), None) = (ids.next(), ids.next())
                && request_id::is_plain(id.as_bytes())
            {
                return Some(id.clone());
            }
        }
        let id = scratch.request_id();
        match &id {
            Some(id) => headers.insert(X_REQUEST_ID, id.clone()),
            None => headers.remove(X_REQUEST_ID),
        };
        id
    }
}

/// What the client asked for, put into `Host` if it is not there.
fn host(
    headers: &mut HeaderMap,
    found: Names,
    asked: Asked<'_>,
    scratch: &mut Scratch,
) -> Option<HeaderValue> {
    if found.has(Names::HOST) {
        return headers.get(HOST).cloned();
    }
    let host = scratch.value(&[asked.authority?.as_str().as_bytes()])?;
    headers.insert(HOST, host.clone());
    Some(host)
}

/// HTTP/2 may send cookies one by one, HTTP/1.1 only together (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap, scratch: &mut Scratch) {
    let cookies = headers.get_all(COOKIE);
    if cookies.iter().nth(1).is_some()
        && let Some(cookie) = scratch.joined(cookies.iter().map(HeaderValue::as_bytes), b"; ")
    {
        headers.insert(COOKIE, cookie);
    }
}

/// An upgrade counts only if `Connection` says so.
fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let is_asked = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    is_asked.then(|| headers.get(UPGRADE).cloned()).flatten()
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

fn contains(network: &Network, address: IpAddr) -> bool {
    fn same_beginning(first: u128, address: u128, width: u8, prefix: u8) -> bool {
        let rest = u32::from(width.saturating_sub(prefix));
        (first ^ address).checked_shr(rest).unwrap_or(0) == 0
    }
    match (network.first, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) => same_beginning(
            u32::from(first).into(),
            u32::from(address).into(),
            32,
            network.prefix,
        ),
        (IpAddr::V6(first), IpAddr::V6(address)) => {
            same_beginning(first.into(), address.into(), 128, network.prefix)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_shares_their_first_bits() {
        for (first, prefix, address, expected) in [
            ("10.0.0.0", 8, "10.255.1.2", true),
            ("10.0.0.0", 8, "11.0.0.0", false),
            ("192.0.2.7", 32, "192.0.2.7", true),
            ("192.0.2.7", 32, "192.0.2.6", false),
            ("0.0.0.0", 0, "203.0.113.1", true),
            ("0.0.0.0", 0, "::1", false),
            ("192.0.2.128", 25, "192.0.2.127", false),
            ("2001:db8::", 32, "2001:db8:ffff::1", true),
            ("2001:db8::", 32, "2001:db9::1", false),
            ("::", 0, "2001:db8::", true),
            ("::1", 128, "::1", true),
            ("::1", 128, "::2", false),
        ] {
            let network = Network {
                first: first.parse().unwrap(),
                prefix,
            };
            let got = contains(&network, address.parse().unwrap());
            assert_eq!(got, expected, "{first}/{prefix} {address}");
        }
    }
}
