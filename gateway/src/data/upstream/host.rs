//! What stands in `Host`.

use http::HeaderValue;

use crate::data::endpoints::EndpointKey;

/// An endpoint's own name, as a `Host` header has it: without the port that its scheme implies.
#[must_use]
pub fn of(endpoint: &EndpointKey) -> HeaderValue {
    let usual = if endpoint.https { 443 } else { 80 };
    let host = match endpoint.host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => endpoint.host.to_string(),
    };
    let text = if endpoint.port == usual {
        host
    } else {
        format!("{host}:{}", endpoint.port)
    };
    // A host is a host name or an address, wherever it comes from.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
