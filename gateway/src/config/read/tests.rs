//! What becomes of a text.

use std::time::Duration;

use service_kit::config::{Sources, load};

use super::*;
use crate::config::model::*;

/// A configuration that is right, or what is wrong with it.
fn reading(text: &str) -> Result<Gateway, Vec<String>> {
    let sources = Sources {
        built_in: text,
        ..Sources::default()
    };
    load(&sources, read)
        .map(|loaded| loaded.value)
        .map_err(|errors| {
            errors
                .errors()
                .iter()
                .map(|error| error.to_string().replace("built-in configuration: ", ""))
                .collect()
        })
}

fn gateway(text: &str) -> Gateway {
    reading(text).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

const ONE_ROUTE: &str = "[[route]]\npath = \"/\"\nupstream = \"a\"\n";

/// The only upstream, with these keys beside its address.
fn upstream(keys: &str) -> Upstream {
    let mut gateway = gateway(&format!(
        "[upstreams.a]\nurl = \"http://a.example\"\n{keys}\n{ONE_ROUTE}"
    ));
    gateway.upstreams.remove(0)
}

/// What is wrong, each with the key and a part of what is said of it.
fn refused(text: &str, expected: &[(&str, &str)]) {
    let Err(errors) = reading(text) else {
        panic!("taken: {text}");
    };
    for (key, allowed) in expected {
        let found = errors
            .iter()
            .any(|error| error.contains(&format!("`{key}`")) && error.contains(allowed));
        assert!(found, "{key}: {allowed} is not among {errors:#?}");
    }
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
}

fn refused_upstream(keys: &str, expected: &[(&str, &str)]) {
    let expected: Vec<(String, &str)> = expected
        .iter()
        .map(|(key, allowed)| (format!("upstreams.a.{key}"), *allowed))
        .collect();
    let expected: Vec<(&str, &str)> = expected
        .iter()
        .map(|(key, allowed)| (key.as_str(), *allowed))
        .collect();
    refused(&format!("[upstreams.a]\n{keys}\n{ONE_ROUTE}"), &expected);
}

#[test]
fn what_is_not_set_has_its_default() {
    let gateway = gateway(&format!(
        "[upstreams.a]\nurl = \"http://a.example/api/\"\n{ONE_ROUTE}"
    ));
    assert!(gateway.workers >= 1 && gateway.access_log && gateway.forwarding.request_id);
    assert_eq!(gateway.limits.requests_per_connection, None);
    assert_eq!(gateway.limits.body, 64 << 10);
    assert_eq!(gateway.limits.header_bytes, 32 << 10);
    assert_eq!(gateway.limits.body_timeout, Some(Duration::from_secs(30)));
    assert_eq!(gateway.forwarding.headers, ForwardedHeaders::Both);
    assert_eq!(gateway.forwarding.via, "gateway");
    let upstream = &gateway.upstreams[0];
    assert_eq!(&*upstream.path_prefix, "/api");
    assert_eq!(upstream.balancer, Balancer::PeakEwma);
    assert_eq!(upstream.host, HostPolicy::Upstream);
    assert_eq!(upstream.protocol, Protocol::Auto);
    assert!(upstream.policy.bulkhead.is_none() && upstream.policy.retry.is_none());
    let Discovery::Static(endpoints) = &upstream.discovery else {
        panic!("{:?}", upstream.discovery);
    };
    assert_eq!(endpoints.len(), 1);
    assert_eq!((&*endpoints[0].host, endpoints[0].port), ("a.example", 80));
    let route = &gateway.routes[0];
    assert_eq!((&*route.path, route.upstream), ("/", 0));
}

#[test]
fn endpoints_are_addresses_or_tables() {
    let gateway = gateway(&format!(
        r#"
        zone = "eu-1"
        [upstreams.a]
        endpoints = ["https://A.example", {{ url = "http://[::1]:8080", weight = 3, zone = "eu-1" }}]
        {ONE_ROUTE}"#
    ));
    let Discovery::Static(endpoints) = &gateway.upstreams[0].discovery else {
        panic!("{:?}", gateway.upstreams[0].discovery);
    };
    let plain = Endpoint {
        host: "a.example".into(),
        port: 443,
        https: true,
        weight: 1,
        zone: None,
    };
    let local = Endpoint {
        host: "::1".into(),
        port: 8080,
        https: false,
        weight: 3,
        zone: Some("eu-1".into()),
    };
    assert_eq!(*endpoints, [plain, local]);
}

#[test]
fn a_level_wins_over_those_above_key_by_key_and_table_by_table() {
    let gateway = gateway(
        r#"
        [defaults]
        timeout = "1s"
        body_idle_timeout = "10s"
        bulkhead = { max_concurrent = 8, max_queue = 4 }
        breaker = { consecutive_failures = 5 }
        retry = { attempts = 3, statuses = [503] }

        [upstreams.a]
        url = "http://a.example"
        timeout = "2s"
        retry = { body = "1KiB" }

        [upstreams.b]
        url = "http://b.example"
        bulkhead = { max_concurrent = 2 }

        [[route]]
        path = "/inherits"
        upstream = "a"

        [[route]]
        path = "/own/{id}"
        host = "*.shop.example"
        methods = ["PUT", "GET"]
        upstream = "a"
        timeout = "3s"
        body_idle_timeout = "0s"
        breaker = { consecutive_failures = 1 }
        bulkhead = { enabled = false }
        retry = { enabled = false, attempts = 5 }

        [[route]]
        path = "/b"
        upstream = "b"
        "#,
    );
    let [a, b] = &gateway.upstreams[..] else {
        panic!("two upstreams");
    };
    let limit = |policy: &Policy| {
        policy
            .bulkhead
            .as_ref()
            .map(|it| it.snapshot().max_concurrent)
    };
    let breaker = |policy: &Policy| policy.breaker.as_ref().map(|it| it.name().to_owned());
    assert_eq!(a.policy.timeout, Some(Duration::from_secs(2)));
    assert_eq!(b.policy.timeout, Some(Duration::from_secs(1)));
    assert_eq!((limit(&a.policy), limit(&b.policy)), (Some(8), Some(2)));
    // A table counts as a whole: nothing of the defaults' is left.
    let retry = a.policy.retry.as_ref().unwrap();
    assert_eq!((retry.attempts, retry.body), (2, 1 << 10));
    assert_eq!(retry.statuses.len(), 3);
    assert_eq!(b.policy.retry.as_ref().unwrap().attempts, 3);
    assert_eq!(b.policy.bulkhead.as_ref().unwrap().snapshot().max_queue, 0);

    let [inherits, own, of_b] = &gateway.routes[..] else {
        panic!("three routes");
    };
    assert_eq!(inherits.policy.timeout, Some(Duration::from_secs(2)));
    assert_eq!(own.policy.timeout, Some(Duration::from_secs(3)));
    assert_eq!(own.policy.body_idle_timeout, None);
    assert_eq!(
        inherits.policy.body_idle_timeout,
        Some(Duration::from_secs(10))
    );
    assert!(own.policy.bulkhead.is_none() && own.policy.retry.is_none());

    // Inherited guards are the upstream's, and two upstreams share none.
    let is_same = |one: &Policy, other: &Policy| {
        one.breaker.as_ref().unwrap().snapshot().id == other.breaker.as_ref().unwrap().snapshot().id
    };
    assert!(is_same(&inherits.policy, &a.policy));
    assert!(is_same(&of_b.policy, &b.policy));
    assert!(!is_same(&a.policy, &b.policy));
    assert!(!is_same(&own.policy, &a.policy));
    assert_eq!(breaker(&inherits.policy).unwrap(), "a");
    assert_eq!(
        breaker(&own.policy).unwrap(),
        "a GET,PUT *.shop.example/own/{id}"
    );
}

#[test]
fn an_inherited_breaker_has_the_check_of_its_table() {
    let gateway = gateway(&format!(
        r#"
        [defaults.breaker]
        consecutive_failures = 5
        recovery = "probe"
        probe_path = "/well"
        [upstreams.a]
        url = "http://a.example"
        [upstreams.b]
        url = "http://b.example"
        breaker = {{ enabled = false }}
        {ONE_ROUTE}"#
    ));
    let probes: Vec<Option<&str>> = gateway
        .upstreams
        .iter()
        .map(|upstream| upstream.probe.as_ref().map(|path| path.as_str()))
        .collect();
    assert_eq!(probes, [Some("/well"), None]);
    assert!(gateway.upstreams[1].policy.breaker.is_none());
}

#[test]
fn all_of_an_upstream() {
    let upstream = upstream(
        r#"
        balancer = "consistent_hash"
        hash = "header:X-Tenant"
        host = "shop.example:8080"
        slow_start = "30s"
        health = { kind = "http", path = "/well?deep=1", interval = "2s", timeout = "1s" }
        ejection = { failure_rate = { window = "5s" }, max_share = 0.3 }
        fallback = { body = "[]", on = ["refused"] }
        retry = { methods = ["POST"] }
        hedge = { percentile = 0.9 }
        "#,
    );
    assert_eq!(
        upstream.balancer,
        Balancer::ConsistentHash(HashOn::Header("x-tenant".parse().unwrap()))
    );
    assert_eq!(
        upstream.host,
        HostPolicy::Literal("shop.example:8080".parse().unwrap())
    );
    let health = upstream.health.unwrap();
    assert_eq!(
        health.kind,
        HealthKind::Http("/well?deep=1".parse().unwrap())
    );
    let ejection = upstream.ejection.unwrap();
    assert_eq!(ejection.consecutive_failures, Some(5));
    assert_eq!(ejection.failure_rate.unwrap().minimum_failures, 5);
    let fallback = upstream.policy.fallback.unwrap();
    assert!(fallback.on_refused && !fallback.on_failed);
    assert_eq!(&fallback.body[..], b"[]");
    assert_eq!(upstream.policy.retry.unwrap().methods, [http::Method::POST]);
    assert_eq!(upstream.policy.hedge.unwrap().minimum_calls, 100);
}

#[test]
fn discovery_of_each_kind() {
    let of = |discovery: &str| {
        let text = format!("[upstreams.a]\ndiscovery = {{ {discovery} }}\n{ONE_ROUTE}");
        gateway(&text).upstreams.remove(0).discovery
    };
    let Discovery::File { path, interval } = of(r#"kind = "file", path = "a.txt""#) else {
        panic!("a file");
    };
    assert_eq!(
        (path.to_str(), interval),
        (Some("a.txt"), Duration::from_secs(1))
    );
    let Discovery::Dns(dns) = of(
        r#"kind = "dns", name = "a.internal", port = 80, nameserver = "127.0.0.1:53", ttl_max = "1m""#,
    ) else {
        panic!("addresses");
    };
    assert_eq!((&*dns.name, dns.port, dns.https), ("a.internal", 80, false));
    assert_eq!(dns.ttl, Duration::from_secs(1)..=Duration::from_secs(60));
    let Discovery::Srv(srv) =
        of(r#"kind = "srv", name = "_http._tcp.a.internal", scheme = "https""#)
    else {
        panic!("targets");
    };
    assert!(srv.https);
}

#[test]
fn discovery_that_makes_no_sense() {
    let keys = |discovery: &str| format!("discovery = {{ {discovery} }}");
    for (discovery, expected) in [
        (
            r#"kind = "file""#,
            vec![("discovery.path", "required with")],
        ),
        (
            r#"kind = "file", path = "a", port = 1"#,
            vec![("discovery.port", "nothing, with kind")],
        ),
        (
            r#"kind = "dns", path = "a""#,
            vec![
                ("discovery.name", "a DNS name"),
                ("discovery.port", "required with"),
                ("discovery.path", "nothing, with kind"),
            ],
        ),
        (
            r#"kind = "srv", name = "a", port = 1"#,
            vec![("discovery.port", "nothing, with kind")],
        ),
        (r#"kind = "zoo""#, vec![("discovery.kind", "\"srv\"")]),
        ("", vec![("discovery.kind", "one of file, dns, srv")]),
        (
            r#"kind = "srv", name = "a", ttl_min = "1h""#,
            vec![("discovery.ttl_min", "at most `ttl_max`")],
        ),
    ] {
        refused_upstream(&keys(discovery), &expected);
    }
}

#[test]
fn keys_that_do_not_go_together() {
    let http = "url = \"http://a.example\"\n";
    let https = "url = \"https://a.example\"\n";
    for (keys, expected) in [
        ("", ("url", "http://")),
        (
            "url = \"http://a\"\nendpoints = [\"http://b\"]",
            ("endpoints", "nothing beside `url`"),
        ),
        ("endpoints = []", ("endpoints", "at least one")),
        (
            "endpoints = [\"http://b/path\"]",
            ("endpoints[0]", "without a path"),
        ),
        (
            "endpoints = [{ weight = 2 }]",
            ("endpoints[0].url", "http://"),
        ),
        (
            "endpoints = [\"http://b\", { url = \"http://B:80\" }]",
            ("endpoints[1].url", "no other endpoint has"),
        ),
        (
            "endpoints = [7]",
            ("endpoints[0]", "a list of at least one"),
        ),
        (
            &format!("{http}tls = {{ ca = \"ca.pem\" }}"),
            ("tls", "https"),
        ),
        (
            &format!("{https}protocol = \"http2\""),
            ("protocol", "ALPN"),
        ),
        (
            &format!("{http}hash = \"path\""),
            ("hash", "consistent_hash"),
        ),
        (
            &format!("{http}balancer = \"consistent_hash\""),
            ("hash", "\"client\""),
        ),
        (
            &format!("{http}balancer = \"consistent_hash\"\nhash = \"header:\""),
            ("hash", "\"header:NAME\""),
        ),
        (
            "endpoints = [{ url = \"http://b\", weight = 2 }]\nbalancer = \"round_robin\"",
            ("balancer", "weighted"),
        ),
        (&format!("{http}host = \"a b\""), ("host", "\"preserve\"")),
        (
            &format!("{http}health = {{ kind = \"grpc\" }}"),
            ("health.kind", "needs HTTP/2"),
        ),
        (
            &format!("{http}health = {{ kind = \"tcp\", path = \"/\" }}"),
            ("health.path", "unless kind = \"http\""),
        ),
        (
            &format!("{http}health = {{ kind = \"tcp\", timeout = \"10s\" }}"),
            ("health.timeout", "at most `interval`, 5s"),
        ),
        (
            &format!("{http}ejection = {{ consecutive_failures = 0 }}"),
            ("ejection.consecutive_failures", "with neither"),
        ),
        (
            &format!("{http}ejection = {{ base = \"1h\" }}"),
            ("ejection.base", "at most `max`"),
        ),
        (
            &format!("{http}retry = {{ attempts = 1 }}"),
            ("retry.attempts", "from 2 to 10"),
        ),
        (
            &format!("{http}retry = {{ methods = [\"get\"] }}"),
            ("retry.methods[0]", "upper case"),
        ),
        (
            &format!("{http}retry = {{ backoff = \"1s\" }}"),
            ("retry.backoff", "at most `backoff_max`, 250ms"),
        ),
        (
            &format!("{http}retry = {{ statuses = [200] }}"),
            ("retry.statuses", "from 400 to 599"),
        ),
        (
            &format!("{http}retry = {{ budget = {{ ratio = 0, per_second = 0 }} }}"),
            ("retry.budget.ratio", "more than 0"),
        ),
        (
            &format!("{http}hedge = {{}}"),
            ("hedge", "together with `retry`"),
        ),
        (
            &format!("{http}retry = {{}}\nhedge = {{ percentile = 1.0 }}"),
            ("hedge.percentile", "from 0.5 to 0.999"),
        ),
        (
            &format!("{http}timeout = \"2s\"\ntotal_timeout = \"1s\""),
            (
                "total_timeout",
                "at least the `timeout` of one attempt, which is 2s",
            ),
        ),
        (
            &format!("{http}fallback = {{}}"),
            ("fallback.body", "a text"),
        ),
        (
            &format!("{http}fallback = {{ body = \"x\", status = 204 }}"),
            ("fallback.status", "have a body"),
        ),
        (
            &format!("{http}fallback = {{ body = \"x\", on = [] }}"),
            ("fallback.on", "or both"),
        ),
        (
            &format!("{http}bulkhead = {{}}"),
            ("bulkhead.max_concurrent", "1 to 250000"),
        ),
        (
            &format!("{http}breaker = {{}}"),
            ("breaker.consecutive_failures", "at least one of"),
        ),
    ] {
        refused_upstream(keys, &[expected]);
    }
}

#[test]
fn what_only_a_route_makes_wrong() {
    let text = |keys: &str| {
        format!(
            "[defaults]\ntotal_timeout = \"5s\"\n[upstreams.a]\nurl = \"http://a\"\n{ONE_ROUTE}{keys}"
        )
    };
    for (keys, expected) in [
        (
            "timeout = \"6s\"",
            ("defaults.total_timeout", "which is 6s for the route a /"),
        ),
        ("hedge = {}", ("route[0].hedge", "the route a / has none")),
        (
            "breaker = { consecutive_failures = 1, recovery = \"probe\", probe_path = \"/\" }",
            ("route[0].breaker.recovery", "the upstream's"),
        ),
        (
            "methods = [\"CONNECT\"]",
            ("route[0].methods[0]", "not \"CONNECT\""),
        ),
        ("host = \"*.\"", ("route[0].host", "\"*.example\"")),
        (
            "host = \"a.example:80\"",
            ("route[0].host", "without a port"),
        ),
        (
            "headers = { \"a b\" = \"x\" }",
            ("route[0].headers", "names and values"),
        ),
        (
            "headers = { host = \"x\" }",
            ("route[0].headers", "the key `host`"),
        ),
    ] {
        refused(&text(keys), &[expected]);
    }
}

#[test]
fn a_conflict_names_both_routes() {
    let text = r#"
        [upstreams.a]
        url = "http://a"
        [[route]]
        path = "/x/{id}"
        methods = ["GET"]
        upstream = "a"
        [[route]]
        path = "/x/{other}"
        methods = ["GET", "PUT"]
        upstream = "a"
        [[route]]
        path = "/x/{other}"
        methods = ["POST"]
        upstream = "a"
        [[route]]
        path = "/health"
        methods = ["GET"]
        upstream = "a"
        [[route]]
        path = "/health"
        host = "a.example"
        upstream = "a"
    "#;
    refused(
        text,
        &[
            (
                "route[1].path",
                "the route GET /x/{id} takes the same paths as this route, GET,PUT /x/{other}",
            ),
            ("route[3].path", "not the gateway's own; /health"),
        ],
    );
}

#[test]
fn the_pages_path_is_taken_only_by_the_page() {
    let route = "[[route]]\npath = \"/product-details/{x}\"\nupstream = \"a\"\n";
    let upstream = "[upstreams.a]\nurl = \"http://a\"\n";
    gateway(&format!("{upstream}{route}"));
    let page = "[product_details]\nproduct = \"a\"\nrecommendations = \"a\"\n";
    refused(
        &format!("{upstream}{route}{page}"),
        &[("route[0].path", "not the gateway's own")],
    );
}

#[test]
fn listeners_limits_and_forwarding() {
    let text = |keys: &str| format!("{keys}\n[upstreams.a]\nurl = \"http://a\"\n{ONE_ROUTE}");
    let gateway = gateway(&text(
        r#"
        [[listener]]
        address = "127.0.0.1:8443"
        name = "public"
        tls = { certificate = "c.pem", key = "k.pem" }
        [[listener]]
        address = "127.0.0.1:0"
        [limits]
        requests_per_connection = 1000
        http2 = { streams = 10 }
        [forwarding]
        trusted = ["10.0.0.0/8", "::1", "fd00::/8"]
        headers = "x-forwarded"
        "#,
    ));
    let [public, other] = &gateway.listeners[..] else {
        panic!("{:?}", gateway.listeners);
    };
    assert_eq!(public.tls.as_ref().unwrap().reload, Duration::from_secs(10));
    assert_eq!(&*other.name, "127.0.0.1:0");
    assert_eq!(gateway.limits.requests_per_connection, Some(1000));
    assert_eq!(gateway.limits.http2.streams, 10);
    assert_eq!(gateway.limits.http2.window, 1 << 20);
    let prefixes: Vec<u8> = gateway
        .forwarding
        .trusted
        .iter()
        .map(|it| it.prefix)
        .collect();
    assert_eq!(prefixes, [8, 128, 8]);
    refused(
        &text(
            r#"
            [[listener]]
            address = "127.0.0.1:8443"
            name = "a"
            tls = { key = "k.pem" }
            [[listener]]
            address = "127.0.0.1:8443"
            name = "a"
            [[listener]]
            http2 = "yes"
            [limits]
            headers = 0
            [forwarding]
            trusted = ["10.0.0.1/8", "10.0.0.0/33", "home"]
            via = "a b"
            "#,
        ),
        &[
            ("listener[0].tls.certificate", "a file"),
            ("listener[1].address", "no other listener has"),
            ("listener[1].name", "no other listener has"),
            ("listener[2].address", "IP:PORT"),
            ("listener[2].http2", "true or false"),
            ("limits.headers", "from 1"),
            ("forwarding.trusted[0]", "10.0.0.0/8"),
            ("forwarding.trusted[1]", "10.0.0.0/8"),
            ("forwarding.trusted[2]", "10.0.0.0/8"),
            ("forwarding.via", "a token"),
        ],
    );
}

/// A check that cannot succeed would keep the circuit open for ever.
#[test]
fn the_gateway_asks_only_what_its_own_client_can_ask() {
    for place in [
        "url = \"https://a.example\"",
        "endpoints = [\"http://a.example\", \"https://b.example\"]",
        "url = \"http://a.example\"\nprotocol = \"http2\"",
        "discovery = { kind = \"dns\", name = \"a.example\", port = 80 }",
    ] {
        let probed =
            "breaker = { consecutive_failures = 1, recovery = \"probe\", probe_path = \"/\" }";
        refused(
            &format!("[upstreams.a]\n{place}\n{probed}\n{ONE_ROUTE}"),
            &[("upstreams.a.breaker.recovery", "plain HTTP/1.1")],
        );
        let page = "[product_details]\nproduct = \"a\"\nrecommendations = \"b\"";
        let other = "[upstreams.b]\nurl = \"http://b.example\"";
        refused(
            &format!("[upstreams.a]\n{place}\n{other}\n{page}\n{ONE_ROUTE}"),
            &[("product_details.product", "plain HTTP/1.1")],
        );
    }
}
