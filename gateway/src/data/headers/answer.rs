//! A response's headers on their way to the client.

use http::{HeaderMap, HeaderValue, Uri, Version, header::LOCATION};

use super::{
    forwarding::ForwardingPolicy,
    names::{Names, X_REQUEST_ID, remove_hop_by_hop},
    scratch::Scratch,
};

/// Who answered, and to what.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'r> {
    /// The fields of the answer, as [`check_answer`](crate::data::answer_check::check_answer) found them.
    pub names: Names,
    /// The protocol version of the answer.
    pub version: Version,
    /// The id of the request.
    pub request_id: Option<&'r HeaderValue>,
}

impl ForwardingPolicy {
    /// Prepares a response's headers for the client.
    pub fn to_client(
        &self,
        headers: &mut HeaderMap,
        answered: Answered<'_>,
        scratch: &mut Scratch,
    ) {
        let found = answered.names;
        remove_hop_by_hop(headers, found, &mut scratch.names);
        self.say_via(headers, found, answered.version, scratch);
        if let Some(id) = answered.request_id {
            headers.insert(X_REQUEST_ID, id.clone());
        }
    }
}

/// An endpoint that redirects to itself by its own address would send the client past the gateway, to an address that means
/// nothing outside: such a `Location` becomes relative to where the client is. `endpoint` is its address as it stands in URLs.
pub fn hide_endpoint(headers: &mut HeaderMap, endpoint: &HeaderValue, scratch: &mut Scratch) {
    let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let Some(fragment_free) = location.split('#').next() else {
        return;
    };
    let fragment = &location[fragment_free.len()..];
    let Ok(uri) = fragment_free.parse::<Uri>() else {
        return;
    };
    let is_endpoint = uri.authority().is_some_and(|authority| {
        authority
            .as_str()
            .as_bytes()
            .eq_ignore_ascii_case(endpoint.as_bytes())
    });
    if !is_endpoint {
        return;
    }
    let path = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    // Two slashes would start the name of another host.
    let begin = if path.starts_with("//") { "/." } else { "" };
    let pieces = [begin, path, fragment].map(str::as_bytes);
    if let Some(relative) = scratch.value(&pieces) {
        headers.insert(LOCATION, relative);
    }
}
