use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{CONNECTION, FORWARDED, HOST, LOCATION},
};
use proptest::prelude::*;

use super::*;
use crate::config::model::{ForwardedHeaders, Forwarding, HostPolicy, Network};

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

/// 10.0.0.0/8 is trusted.
fn policy(headers: ForwardedHeaders) -> ForwardingPolicy {
    ForwardingPolicy::new(&Forwarding {
        trusted: vec![Network {
            first: "10.0.0.0".parse().unwrap(),
            prefix: 8,
        }],
        headers,
        via: HeaderValue::from_static("edge"),
        request_id: false,
    })
}

fn asked(version: Version, headers: &HeaderMap) -> Asked<'static> {
    Asked {
        names: Names::of(headers),
        version,
        authority: None,
    }
}

fn prepare(
    policy: &ForwardingPolicy,
    headers: &mut HeaderMap,
    facts: &ConnectionFacts,
    scratch: &mut Scratch,
) -> Prepared {
    let asked = asked(Version::HTTP_11, headers);
    policy.to_upstream(headers, facts, asked, scratch)
}

fn sent_by(policy: &ForwardingPolicy, peer: Option<&str>, fields: &[(&str, &str)]) -> HeaderMap {
    let peer: Option<IpAddr> = peer.map(|peer| peer.parse().unwrap());
    let mut headers = map(fields);
    let facts = policy.connection(peer, false);
    prepare(policy, &mut headers, &facts, &mut Scratch::new());
    headers
}

fn sent(peer: &str, fields: &[(&str, &str)]) -> HeaderMap {
    sent_by(&policy(ForwardedHeaders::Both), Some(peer), fields)
}

const STRANGER: &str = "192.0.2.7";
const TRUSTED: &str = "10.1.2.3";

const CLAIMS: &[(&str, &str)] = &[
    ("host", "shop.example:8080"),
    ("x-forwarded-for", "203.0.113.1"),
    ("x-forwarded-for", "203.0.113.2"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "outside.example"),
    ("x-forwarded-port", "443"),
    ("x-real-ip", "203.0.113.1"),
    ("x-original-url", "/admin"),
    ("forwarded", "for=203.0.113.1"),
    ("forwarded", "for=203.0.113.2;proto=https"),
    ("via", "1.0 cdn"),
];

#[test]
fn tells_the_upstream_what_the_gateway_saw() {
    let headers = sent(
        STRANGER,
        &[("host", "shop.example:8080"), ("accept", "*/*")],
    );
    let expected = map(&[
        ("host", "shop.example:8080"),
        ("accept", "*/*"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "shop.example:8080"),
        (
            "forwarded",
            "for=192.0.2.7;host=\"shop.example:8080\";proto=http",
        ),
        ("via", "1.1 edge"),
    ]);
    assert_eq!(list(&headers), list(&expected));
}

#[test]
fn what_strangers_claim_is_replaced() {
    let headers = sent(STRANGER, CLAIMS);
    let expected = map(&[
        ("host", "shop.example:8080"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "shop.example:8080"),
        (
            "forwarded",
            "for=192.0.2.7;host=\"shop.example:8080\";proto=http",
        ),
        ("via", "1.0 cdn, 1.1 edge"),
    ]);
    assert_eq!(list(&headers), list(&expected));
}

#[test]
fn what_a_trusted_proxy_says_is_continued() {
    let headers = sent(TRUSTED, CLAIMS);
    let expected = map(&[
        ("host", "shop.example:8080"),
        ("x-forwarded-for", "203.0.113.1, 203.0.113.2, 10.1.2.3"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "outside.example"),
        ("x-forwarded-port", "443"),
        ("x-real-ip", "203.0.113.1"),
        ("x-original-url", "/admin"),
        (
            "forwarded",
            "for=203.0.113.1, for=203.0.113.2;proto=https, for=10.1.2.3;host=\"shop.example:8080\";proto=http",
        ),
        ("via", "1.0 cdn, 1.1 edge"),
    ]);
    assert_eq!(list(&headers), list(&expected));
}

#[test]
fn fields_that_the_gateway_does_not_write_are_no_way_in_for_strangers() {
    for (headers, written) in [
        (
            ForwardedHeaders::XForwarded,
            &["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"][..],
        ),
        (ForwardedHeaders::Forwarded, &["forwarded"]),
        (ForwardedHeaders::None, &[]),
    ] {
        let policy = policy(headers);
        let stranger = sent_by(&policy, Some(STRANGER), CLAIMS);
        let mut names: Vec<_> = stranger
            .keys()
            .map(HeaderName::as_str)
            .filter(|name| name.contains("forwarded"))
            .collect();
        names.sort_unstable();
        assert_eq!(names, written);
        let trusted = sent_by(&policy, Some(TRUSTED), CLAIMS);
        assert_eq!(trusted["x-real-ip"], "203.0.113.1");
        assert_eq!(
            trusted.get_all(FORWARDED).iter().count(),
            if written == ["forwarded"] { 1 } else { 2 }
        );
    }
}

#[test]
fn an_address_of_ipv4_in_ipv6_is_that_of_ipv4() {
    let headers = sent("::ffff:10.1.2.3", &[("x-forwarded-for", "203.0.113.1")]);
    assert_eq!(headers["x-forwarded-for"], "203.0.113.1, 10.1.2.3");
    let headers = sent("2001:db8::1", &[("host", "a")]);
    assert_eq!(headers["x-forwarded-for"], "2001:db8::1");
    assert_eq!(
        headers[FORWARDED],
        "for=\"[2001:db8::1]\";host=\"a\";proto=http"
    );
}

#[test]
fn an_unknown_peer_is_said_to_be_unknown() {
    let headers = sent_by(
        &policy(ForwardedHeaders::Both),
        None,
        &[("x-forwarded-for", "6.6.6.6")],
    );
    assert!(!headers.contains_key("x-forwarded-for"));
    assert_eq!(headers[FORWARDED], "for=unknown;proto=http");
}

#[test]
fn the_forwarded_element_follows_the_host() {
    let policy = policy(ForwardedHeaders::Both);
    let facts = policy.connection(Some(STRANGER.parse().unwrap()), true);
    let mut scratch = Scratch::new();
    for host in ["a", "a", "b.example:1", "a"] {
        let mut headers = map(&[("host", host)]);
        prepare(&policy, &mut headers, &facts, &mut scratch);
        assert_eq!(
            headers[FORWARDED],
            format!("for=192.0.2.7;host=\"{host}\";proto=https")
        );
        assert_eq!(headers["x-forwarded-proto"], "https");
    }
}

#[test]
fn the_host_of_a_request_target_becomes_a_field() {
    let policy = policy(ForwardedHeaders::Both);
    let facts = policy.connection(None, false);
    let authority = "shop.example:1".parse().unwrap();
    let mut headers = HeaderMap::new();
    let asked = Asked {
        authority: Some(&authority),
        ..asked(Version::HTTP_2, &headers)
    };
    policy.to_upstream(&mut headers, &facts, asked, &mut Scratch::new());
    assert_eq!(headers[HOST], "shop.example:1");
    assert_eq!(headers["x-forwarded-host"], "shop.example:1");
    assert_eq!(headers["via"], "2 edge");
}

#[test]
fn the_cookies_of_http_2_become_one_field() {
    let policy = policy(ForwardedHeaders::None);
    let facts = policy.connection(None, false);
    for (version, expected) in [
        (Version::HTTP_2, &["a=1; b=2; c=3"][..]),
        // Two lines in HTTP/1.1 are somebody's mistake, but not the gateway's.
        (Version::HTTP_11, &["a=1", "b=2; c=3"]),
    ] {
        let mut headers = map(&[("cookie", "a=1"), ("cookie", "b=2; c=3")]);
        let asked = asked(version, &headers);
        policy.to_upstream(&mut headers, &facts, asked, &mut Scratch::new());
        let cookies: Vec<_> = headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, expected);
    }
}

#[test]
fn drops_look_alikes_of_the_fields_it_vouches_for_whoever_sends_them() {
    for peer in [STRANGER, TRUSTED] {
        let headers = sent(
            peer,
            &[
                ("x_forwarded_for", "6.6.6.6"),
                ("x-forwarded_host", "evil"),
                ("x_real_ip", "6.6.6.6"),
                ("content_length", "3"),
                ("transfer_encoding", "chunked"),
                ("my_own", "kept"),
            ],
        );
        let names: Vec<_> = headers
            .keys()
            .filter(|name| name.as_str().contains('_'))
            .collect();
        assert_eq!(names, ["my_own"], "{peer}");
    }
}

#[test]
fn connection_takes_out_what_it_names_but_not_what_the_gateway_relies_on() {
    let options = "X-Forwarded-For, Forwarded, via, host, content-length, x-real-ip, X-Hop, x-request-id, bad name,,close";
    let headers = sent(
        TRUSTED,
        &[
            ("connection", options),
            ("host", "a"),
            ("content-length", "3"),
            ("x-forwarded-for", "203.0.113.1"),
            ("x-real-ip", "203.0.113.1"),
            ("x-request-id", "abc"),
            ("x-hop", "1"),
        ],
    );
    assert_eq!(headers["x-forwarded-for"], "203.0.113.1, 10.1.2.3");
    assert_eq!(headers["x-real-ip"], "203.0.113.1");
    assert_eq!(headers["x-request-id"], "abc");
    assert_eq!(headers[HOST], "a");
    assert_eq!(headers["content-length"], "3");
    assert!(!headers.contains_key("x-hop"));
    assert!(!headers.contains_key(CONNECTION));
}

#[test]
fn request_ids_are_kept_from_the_trusted_and_made_for_others() {
    let config = Forwarding {
        trusted: vec![Network {
            first: "10.0.0.0".parse().unwrap(),
            prefix: 8,
        }],
        headers: ForwardedHeaders::None,
        via: HeaderValue::from_static("edge"),
        request_id: true,
    };
    let policy = ForwardingPolicy::new(&config);
    let mut scratch = Scratch::new();
    for (peer, ids, kept) in [
        (TRUSTED, vec!["abc-1"], true),
        (TRUSTED, vec!["a b"], false),
        (TRUSTED, vec!["a", "b"], false),
        (TRUSTED, vec![], false),
        (STRANGER, vec!["abc-1"], false),
        (STRANGER, vec![], false),
    ] {
        let facts = policy.connection(Some(peer.parse().unwrap()), false);
        let fields: Vec<_> = ids.iter().map(|id| ("x-request-id", *id)).collect();
        let mut headers = map(&fields);
        let prepared = prepare(&policy, &mut headers, &facts, &mut scratch);
        let said: Vec<_> = headers.get_all("x-request-id").iter().collect();
        assert_eq!(said, [prepared.request_id.as_ref().unwrap()]);
        let id = said[0].to_str().unwrap();
        if kept {
            assert_eq!(id, ids[0]);
        } else {
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        let mut answer = map(&[("x-request-id", "the upstream's own")]);
        let answered = Answered {
            names: Names::of(&answer),
            version: Version::HTTP_11,
            request_id: prepared.request_id.as_ref(),
        };
        policy.to_client(&mut answer, answered, &mut scratch);
        assert_eq!(answer["x-request-id"], id);
    }
}

#[test]
fn what_is_taken_out_and_still_of_use_is_said() {
    let policy = policy(ForwardedHeaders::None);
    let facts = policy.connection(None, false);
    for (fields, upgrade, takes_trailers) in [
        (
            vec![
                ("connection", "keep-alive, Upgrade"),
                ("upgrade", "websocket"),
            ],
            Some("websocket"),
            false,
        ),
        (vec![("upgrade", "websocket")], None, false),
        (vec![("te", "gzip, Trailers")], None, true),
        (vec![("te", "gzip")], None, false),
    ] {
        let mut headers = map(&fields);
        let prepared = prepare(&policy, &mut headers, &facts, &mut Scratch::new());
        assert_eq!(
            prepared.upgrade,
            upgrade.map(HeaderValue::from_static),
            "{fields:?}"
        );
        assert_eq!(prepared.takes_trailers, takes_trailers, "{fields:?}");
        assert_eq!(list(&headers), [("via".to_owned(), "1.1 edge".to_owned())]);
    }
}

fn answered(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = map(fields);
    let answered = Answered {
        names: Names::of(&headers),
        version: Version::HTTP_10,
        request_id: None,
    };
    let endpoint = HeaderValue::from_static("127.0.0.1:8081");
    hide_endpoint(&mut headers, &endpoint, &mut Scratch::new());
    policy(ForwardedHeaders::Both).to_client(&mut headers, answered, &mut Scratch::new());
    headers
}

#[test]
fn responses_keep_what_is_for_the_client() {
    let headers = answered(&[
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("proxy-authenticate", "Basic"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("retry-after", "3"),
    ]);
    let expected = map(&[
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("retry-after", "3"),
        ("via", "1.0 edge"),
    ]);
    assert_eq!(list(&headers), list(&expected));
}

#[test]
fn a_redirect_to_the_endpoint_itself_becomes_relative() {
    for (location, expected) in [
        ("http://127.0.0.1:8081/a?b=c#d", "/a?b=c#d"),
        ("http://127.0.0.1:8081", "/"),
        // Not a way to another host.
        (
            "http://127.0.0.1:8081//evil.example/a",
            "/.//evil.example/a",
        ),
        ("http://127.0.0.1:9999/a", "http://127.0.0.1:9999/a"),
        ("https://shop.example/a", "https://shop.example/a"),
        ("/a", "/a"),
        ("a/b", "a/b"),
    ] {
        assert_eq!(answered(&[("location", location)])[LOCATION], expected);
    }
}

#[test]
fn hosts_by_policy() {
    let asked = HeaderValue::from_static("shop.example");
    let endpoint = HeaderValue::from_static("10.0.0.1:80");
    let literal = HostPolicy::Literal(HeaderValue::from_static("literal.example"));
    for (policy, asked, expected) in [
        (HostPolicy::Upstream, Some(&asked), "10.0.0.1:80"),
        (HostPolicy::Preserve, Some(&asked), "shop.example"),
        (HostPolicy::Preserve, None, "10.0.0.1:80"),
        (literal, Some(&asked), "literal.example"),
    ] {
        let mut headers = map(&[("host", "whatever")]);
        set_host(&mut headers, &policy, asked, &endpoint);
        assert_eq!(headers[HOST], expected);
    }
}

#[test]
fn trailers_cannot_change_what_was_checked() {
    let mut trailers = map(&[
        ("grpc-status", "0"),
        ("x-checksum", "1"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("host", "evil"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("authorization", "Basic x"),
        ("cookie", "a=1"),
        ("set-cookie", "a=1"),
        ("connection", "x-checksum2"),
        ("x-request-id", "1"),
        ("via", "1.1 x"),
        ("trailer", "x"),
        ("te", "x"),
    ]);
    clean_trailers(&mut trailers);
    let expected = map(&[("grpc-status", "0"), ("x-checksum", "1")]);
    assert_eq!(list(&trailers), list(&expected));
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
        let found = Names::of(&headers);
        names::remove_hop_by_hop(&mut headers, found, &mut Vec::new());
        let mut expected: Vec<_> = fields
            .iter()
            .filter(|(name, _)| name.starts_with("x-") && !named.iter().any(|named| named.eq_ignore_ascii_case(name)))
            .cloned()
            .collect();
        expected.sort();
        prop_assert_eq!(list(&headers), expected);
    }
}
