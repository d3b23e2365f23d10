//! What an endpoint sees in `Host`.

use http::{HeaderMap, HeaderValue, header::HOST};

use crate::config::model::HostPolicy;

/// Sets `Host` for one attempt: another endpoint of the same upstream may go by another name. `asked` is what the client asked
/// for, from before the first attempt.
pub fn set_host(
    headers: &mut HeaderMap,
    policy: &HostPolicy,
    asked: Option<&HeaderValue>,
    endpoint: &HeaderValue,
) {
    let host = match (policy, asked) {
        (HostPolicy::Preserve, Some(asked)) => asked,
        (HostPolicy::Literal(literal), _) => literal,
        // HTTP/1.0 may ask for no host, but HTTP/1.1 must.
        (HostPolicy::Upstream, _) | (HostPolicy::Preserve, None) => endpoint,
    };
    headers.insert(HOST, host.clone());
}
