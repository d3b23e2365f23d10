//! `[upstreams.NAME]`.

use super::{
    discovery::{self, Place},
    endpoint_health,
    fields::Fields,
    levels::Level,
    parse,
};
use crate::config::model::{
    Balancer, ClientTls, Discovery, HealthKind, HostPolicy, Policy, Pool, Protocol, Upstream,
};

/// Reads one. What guards it follows when its level is put together with the defaults.
pub(super) fn read<'a>(name: &str, mut fields: Fields<'a>) -> (Upstream, Level<'a>) {
    let place = discovery::read(&mut fields);
    let pool = Pool {
        connect_timeout: fields.duration("connect_timeout"),
        idle: fields.duration("pool_idle"),
        max_idle: fields.count("pool_max_idle") as usize,
    };
    let protocol = match fields.word("protocol").as_str() {
        "http1" => Protocol::Http1,
        "http2" => Protocol::Http2,
        _ => Protocol::Auto,
    };
    let tls = fields.table("tls").map(|mut table| ClientTls {
        ca: table.file("ca"),
        server_name: table.parsed("server_name", parse::host),
    });
    let balancer = balancer(&mut fields);
    let host = fields.parsed("host", parse::host_policy);
    let slow_start = fields.duration("slow_start");
    let health = fields.table("health").map(|mut table| {
        let check = endpoint_health::check(&mut table);
        (check, table)
    });
    let ejection = fields
        .table("ejection")
        .map(|mut table| endpoint_health::ejection(&mut table));

    if let Some(place) = &place {
        let is_grpc = health
            .as_ref()
            .is_some_and(|(check, _)| matches!(check.kind, HealthKind::Grpc(_)));
        refuse_mismatches(&mut fields, place, protocol, &balancer);
        if let Some((_, table)) = health.clone().filter(|_| is_grpc) {
            refuse_grpc_without_http2(table, place, protocol);
        }
    }
    // What is missing has been noted, and a configuration with notes is never used.
    let place = place.unwrap_or(Place {
        discovery: Discovery::Static(Vec::new()),
        path_prefix: "".into(),
    });
    let upstream = Upstream {
        name: name.into(),
        discovery: place.discovery,
        path_prefix: place.path_prefix,
        protocol,
        tls: tls.unwrap_or_default(),
        host: host.unwrap_or(HostPolicy::Upstream),
        balancer,
        slow_start,
        health: health.map(|(check, _)| check),
        ejection,
        pool,
        probe: None,
        policy: Policy::default(),
    };
    (upstream, Level::read(fields, name))
}

fn balancer(fields: &mut Fields<'_>) -> Balancer {
    let name = fields.word("balancer");
    let hash = fields.parsed("hash", parse::hash_on);
    if name == "consistent_hash" {
        fields.need("hash");
    } else if fields.contains("hash") {
        fields.reject("hash", "nothing, unless balancer = \"consistent_hash\"");
    }
    match (name.as_str(), hash) {
        ("round_robin", _) => Balancer::RoundRobin,
        ("weighted", _) => Balancer::Weighted,
        ("least_request", _) => Balancer::LeastRequest,
        ("consistent_hash", Some(hash)) => Balancer::ConsistentHash(hash),
        _ => Balancer::PeakEwma,
    }
}

/// Keys that each make sense, but not for these endpoints.
fn refuse_mismatches(
    fields: &mut Fields<'_>,
    place: &Place,
    protocol: Protocol,
    balancer: &Balancer,
) {
    if fields.contains("tls") && !place.may_be(true) {
        fields.reject("tls", "nothing, unless an endpoint is https");
    }
    let known_https = !matches!(place.discovery, Discovery::File { .. }) && place.may_be(true);
    if protocol == Protocol::Http2 && known_https {
        fields.reject(
            "protocol",
            "\"auto\" for https, where ALPN finds out who speaks HTTP/2, or \"http1\"",
        );
    }
    if let Discovery::Static(endpoints) = &place.discovery
        && *balancer == Balancer::RoundRobin
        && endpoints.iter().any(|endpoint| endpoint.weight != 1)
    {
        let allowed = "another balancer, such as \"weighted\": this one takes no notice of the weights of the endpoints";
        fields.reject("balancer", allowed);
    }
}

fn refuse_grpc_without_http2(mut health: Fields<'_>, place: &Place, protocol: Protocol) {
    let speaks_http2 = match protocol {
        Protocol::Http1 => false,
        Protocol::Http2 => true,
        Protocol::Auto => !place.may_be(false) || matches!(place.discovery, Discovery::File { .. }),
    };
    if !speaks_http2 {
        let allowed =
            "\"http\" or \"tcp\": gRPC needs HTTP/2, which is protocol = \"http2\", or https";
        health.reject("kind", allowed);
    }
}
