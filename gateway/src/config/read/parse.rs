//! Texts that mean something.

use std::{net::IpAddr, sync::Arc};

use http::{
    HeaderName, HeaderValue, Method,
    uri::{Authority, PathAndQuery},
};

use crate::config::model::{HashOn, HostPattern, HostPolicy, Network};

/// Names in logs, metrics and addresses.
pub(super) fn name(text: &str) -> Option<Arc<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    (!text.is_empty() && text.bytes().all(plain)).then(|| text.into())
}

/// `CONNECT` is refused before any route is looked up, and no method in use has small letters: it would be a slip.
pub(super) fn method(text: &str) -> Option<Method> {
    let is_upper = !text.bytes().any(|byte| byte.is_ascii_lowercase());
    let method: Method = text.parse().ok().filter(|_| is_upper)?;
    (method != Method::CONNECT).then_some(method)
}

pub(super) fn path_and_query(text: &str) -> Option<PathAndQuery> {
    text.starts_with('/').then(|| text.parse().ok())?
}

/// A host name or an address, in lower case, without a port.
pub(super) fn host(text: &str) -> Option<Arc<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    let authority: Authority = text.parse().ok()?;
    let whole = authority.host() == text && text.bytes().all(plain);
    let labels = !text.starts_with('.') && !text.ends_with('.') && !text.contains("..");
    (whole && labels).then(|| text.to_ascii_lowercase().into())
}

pub(super) fn host_pattern(text: &str) -> Option<HostPattern> {
    match text.strip_prefix("*.") {
        Some(name) => host(name).map(HostPattern::Below),
        None => host(text).map(HostPattern::Exact),
    }
}

pub(super) fn host_policy(text: &str) -> Option<HostPolicy> {
    match text {
        "upstream" => Some(HostPolicy::Upstream),
        "preserve" => Some(HostPolicy::Preserve),
        literal => {
            let authority: Authority = literal.parse().ok()?;
            let port = literal.strip_prefix(authority.host())?;
            let port_is_valid =
                port.is_empty() || authority.port_u16().is_some_and(|port| port > 0);
            host(authority.host()).filter(|_| port_is_valid)?;
            HeaderValue::from_str(literal).ok().map(HostPolicy::Literal)
        }
    }
}

pub(super) fn hash_on(text: &str) -> Option<HashOn> {
    match text.split_once(':') {
        None if text == "path" => Some(HashOn::Path),
        None if text == "client" => Some(HashOn::Client),
        Some(("header", name)) => name.parse::<HeaderName>().ok().map(HashOn::Header),
        Some(("cookie", name)) => token(name).map(HashOn::Cookie),
        _ => None,
    }
}

/// A token of HTTP.
pub(super) fn token(text: &str) -> Option<Arc<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!text.is_empty() && text.bytes().all(plain)).then(|| text.into())
}

/// `10.0.0.0/8`, or one address.
pub(super) fn network(text: &str) -> Option<Network> {
    let (first, prefix) = match text.split_once('/') {
        Some((first, prefix)) => (first, Some(prefix)),
        None => (text, None),
    };
    let first: IpAddr = first.parse().ok()?;
    let (bits, width) = match first {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let prefix: u8 = match prefix {
        Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= width)?,
        None => width,
    };
    // Bits that do not count are most often a slip in the prefix.
    let rest = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
    (bits & rest == 0).then_some(Network { first, prefix })
}
