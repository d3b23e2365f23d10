//! What a proxy must do to headers on their way through (RFC 9110 section 7.6, RFC 7239).
//!
//! Fields that speak to the next hop only are taken out in both directions, those that `Connection` names among them.
//! What the gateway knows about the client is appended, never put in place of what was there: the last element of each
//! list is the gateway's own observation, everything before it is hearsay until a trust policy says otherwise.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{
        CONNECTION, FORWARDED, HOST, LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
        TRANSFER_ENCODING, UPGRADE, VIA,
    },
    uri::{Authority, Uri},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Hop-by-hop whether or not `Connection` names them. `Trailer` is not one of them: it announces fields at the end of the
/// body, and bodies are passed on with their trailers.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What the gateway itself saw of the client.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The peer's address; unknown for a listener that has none (a Unix socket).
    pub peer: Option<IpAddr>,
    /// What the client asked for in `Host`.
    pub host: Option<&'a Authority>,
    /// The protocol version the request came in.
    pub version: Version,
}

/// Prepares the request's headers for the upstream. `Host` is taken out: the client of the upstream puts its own name there.
pub fn to_upstream(headers: &mut HeaderMap, seen: Seen<'_>) {
    remove_hop_by_hop(headers);
    remove_look_alikes(headers);
    if let Some(peer) = seen.peer {
        append(headers, X_FORWARDED_FOR, &peer.to_string());
    }
    append(headers, X_FORWARDED_PROTO, "http");
    if let Some(host) = seen.host {
        append(headers, X_FORWARDED_HOST, host.as_str());
    }
    append(headers, FORWARDED, &forwarded_element(seen));
    append(headers, VIA, via(seen.version));
    headers.remove(HOST);
}

/// Prepares a response's headers for the client. `version` is the one the upstream at `upstream` answered in.
pub fn to_client(headers: &mut HeaderMap, version: Version, upstream: &HeaderValue) {
    remove_hop_by_hop(headers);
    append(headers, VIA, via(version));
    hide_upstream_in_location(headers, upstream);
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Many servers read `X_Forwarded_For` as `X-Forwarded-For` (CGI turns both into the same variable), which would let a
/// client speak for the gateway.
fn remove_look_alikes(headers: &mut HeaderMap) {
    let look_alikes: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().contains('_'))
        .filter(|name| {
            let plain = name.as_str().replace('_', "-");
            plain.starts_with("x-forwarded-")
                || [FORWARDED, VIA, HOST].iter().any(|ours| *ours == *plain)
        })
        .cloned()
        .collect();
    for name in look_alikes {
        headers.remove(name);
    }
}

/// Adds an element to a list field, joining several lines into one so that "the last element" has one meaning.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let mut list = Vec::new();
    for value in headers.get_all(&name) {
        if !value.as_bytes().trim_ascii().is_empty() {
            list.extend_from_slice(value.as_bytes().trim_ascii());
            list.extend_from_slice(b", ");
        }
    }
    list.extend_from_slice(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

fn forwarded_element(seen: Seen<'_>) -> String {
    let mut element = match seen.peer {
        Some(IpAddr::V4(peer)) => format!("for={peer}"),
        Some(IpAddr::V6(peer)) => format!("for=\"[{peer}]\""),
        None => "for=unknown".to_owned(),
    };
    if let Some(host) = seen.host {
        // Quoted always: a port's colon is not allowed in a bare token. An authority holds no quote and no backslash.
        element.push_str(";host=\"");
        element.push_str(host.as_str());
        element.push('"');
    }
    element.push_str(";proto=http");
    element
}

/// A pseudonym stands for the host: its real name is nobody's business outside.
fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "1.0 gateway",
        Version::HTTP_2 => "2 gateway",
        Version::HTTP_3 => "3 gateway",
        _ => "1.1 gateway",
    }
}

/// An upstream that redirects to itself by its own address would send the client past the gateway, to an address that
/// means nothing outside: such a `Location` becomes relative to where the client is.
fn hide_upstream_in_location(headers: &mut HeaderMap, upstream: &HeaderValue) {
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
    let is_upstream = uri.authority().is_some_and(|authority| {
        authority
            .as_str()
            .as_bytes()
            .eq_ignore_ascii_case(upstream.as_bytes())
    });
    if !is_upstream {
        return;
    }
    let path = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    if let Ok(relative) = HeaderValue::from_str(&format!("{path}{fragment}")) {
        headers.insert(LOCATION, relative);
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn list(headers: &HeaderMap) -> Vec<(String, String)> {
        let mut list: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        list.sort();
        list
    }

    fn sent(fields: &[(&str, &str)], peer: Option<&str>) -> HeaderMap {
        let host: Authority = "shop.example:8080".parse().unwrap();
        let seen = Seen {
            peer: peer.map(|peer| peer.parse().unwrap()),
            host: Some(&host),
            version: Version::HTTP_11,
        };
        let mut headers = map(fields);
        to_upstream(&mut headers, seen);
        headers
    }

    #[test]
    fn tells_the_upstream_what_the_gateway_saw() {
        let headers = sent(
            &[("host", "shop.example:8080"), ("accept", "*/*")],
            Some("192.0.2.7"),
        );
        let expected = map(&[
            ("accept", "*/*"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop.example:8080"),
            (
                "forwarded",
                "for=192.0.2.7;host=\"shop.example:8080\";proto=http",
            ),
            ("via", "1.1 gateway"),
        ]);
        assert_eq!(list(&headers), list(&expected));
    }

    #[test]
    fn appends_to_what_earlier_proxies_said() {
        let headers = sent(
            &[
                ("x-forwarded-for", "203.0.113.1"),
                ("x-forwarded-for", "203.0.113.2"),
                ("x-forwarded-proto", "https"),
                ("forwarded", "for=203.0.113.1"),
                ("via", "1.0 edge"),
            ],
            Some("2001:db8::1"),
        );
        for (name, value) in [
            ("x-forwarded-for", "203.0.113.1, 203.0.113.2, 2001:db8::1"),
            ("x-forwarded-proto", "https, http"),
            (
                "forwarded",
                "for=203.0.113.1, for=\"[2001:db8::1]\";host=\"shop.example:8080\";proto=http",
            ),
            ("via", "1.0 edge, 1.1 gateway"),
        ] {
            let values: Vec<_> = headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
    }

    #[test]
    fn an_unknown_peer_is_said_to_be_unknown() {
        let headers = sent(&[], None);
        assert!(!headers.contains_key(X_FORWARDED_FOR));
        assert_eq!(
            headers[FORWARDED],
            "for=unknown;host=\"shop.example:8080\";proto=http"
        );
    }

    #[test]
    fn drops_look_alikes_of_the_fields_it_vouches_for() {
        let headers = sent(
            &[
                ("x_forwarded_for", "6.6.6.6"),
                ("x-forwarded_host", "evil"),
                ("my_own", "kept"),
            ],
            None,
        );
        assert!(!headers.contains_key("x_forwarded_for"));
        assert!(!headers.contains_key("x-forwarded_host"));
        assert_eq!(headers["my_own"], "kept");
    }

    #[test]
    fn connection_cannot_be_used_to_remove_what_the_gateway_adds() {
        let headers = sent(
            &[("connection", "X-Forwarded-For, Forwarded, via")],
            Some("192.0.2.7"),
        );
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["via"], "1.1 gateway");
    }

    #[test]
    fn responses_keep_what_is_for_the_client() {
        let mut headers = map(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("retry-after", "3"),
        ]);
        to_client(
            &mut headers,
            Version::HTTP_10,
            &HeaderValue::from_static("127.0.0.1:8081"),
        );
        let expected = map(&[
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("retry-after", "3"),
            ("via", "1.0 gateway"),
        ]);
        assert_eq!(list(&headers), list(&expected));
    }

    #[test]
    fn a_redirect_to_the_upstream_itself_becomes_relative() {
        for (location, expected) in [
            ("http://127.0.0.1:8081/a?b=c#d", "/a?b=c#d"),
            ("http://127.0.0.1:8081", "/"),
            ("http://127.0.0.1:9999/a", "http://127.0.0.1:9999/a"),
            ("https://shop.example/a", "https://shop.example/a"),
            ("/a", "/a"),
            ("a/b", "a/b"),
        ] {
            let mut headers = map(&[("location", location)]);
            to_client(
                &mut headers,
                Version::HTTP_11,
                &HeaderValue::from_static("127.0.0.1:8081"),
            );
            assert_eq!(headers[LOCATION], expected);
        }
    }

    proptest! {
        #[test]
        fn hop_by_hop_and_named_fields_go_and_nothing_else_does(
            fields in prop::collection::vec(("(te|upgrade|keep-alive|transfer-encoding|proxy-connection|x-[a-f])", "[a-z]{0,3}"), 0..12),
            named in prop::collection::vec("(close|[xX]-[A-Fa-f]|bad name|)", 0..6),
            lines in 1_usize..3,
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in &fields {
                headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
            }
            for line in named.chunks(named.len().div_ceil(lines).max(1)) {
                headers.append(CONNECTION, HeaderValue::from_str(&line.join(" ,\t")).unwrap());
            }
            remove_hop_by_hop(&mut headers);
            let expected: Vec<_> = fields
                .iter()
                .filter(|(name, _)| name.starts_with("x-") && !named.iter().any(|named| named.eq_ignore_ascii_case(name)))
                .cloned()
                .collect::<Vec<_>>();
            let mut expected = expected;
            expected.sort();
            prop_assert_eq!(list(&headers), expected);
        }
    }
}
