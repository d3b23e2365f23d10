//! The old configuration as the new data plane wants it, until the new one is read.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;

use super::{model, raw};

/// An upstream.
#[must_use]
pub fn upstream(raw: &raw::Upstream) -> model::Upstream {
    let https = raw.url.scheme_str() == Some("https");
    let usual = if https { 443 } else { 80 };
    let endpoint = model::Endpoint {
        host: raw
            .url
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .into(),
        port: raw.url.port_u16().unwrap_or(usual),
        https,
        weight: 1,
        zone: None,
    };
    model::Upstream {
        name: raw.name.as_str().into(),
        discovery: model::Discovery::Static(vec![endpoint]),
        path_prefix: raw.url.path().trim_end_matches('/').into(),
        protocol: model::Protocol::Http1,
        tls: model::ClientTls::default(),
        host: model::HostPolicy::Upstream,
        balancer: model::Balancer::PeakEwma,
        slow_start: Duration::ZERO,
        health: None,
        ejection: None,
        pool: model::Pool {
            connect_timeout: raw.client.connect_timeout,
            idle: raw.client.pool_idle,
            max_idle: raw.client.pool_max_idle,
        },
        probe: raw.probe.clone(),
        policy: model::Policy {
            timeout: raw.policy.timeout,
            bulkhead: raw.policy.bulkhead.clone(),
            breaker: raw.policy.breaker.clone(),
            ..model::Policy::default()
        },
    }
}

/// Its address.
#[must_use]
pub fn authority(raw: &raw::Upstream) -> HeaderValue {
    raw.url
        .authority()
        .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
        .unwrap_or(HeaderValue::from_static(""))
}

/// The defaults.
#[must_use]
pub fn limits() -> model::Limits {
    model::Limits {
        connections: 10_000,
        requests_per_connection: None,
        headers: 100,
        header_bytes: 32 << 10,
        uri_bytes: 8 << 10,
        body: 1 << 30,
        header_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(60),
        body_timeout: Some(Duration::from_secs(30)),
        http2: model::Http2Limits {
            streams: 128,
            resets: 200,
            header_list: 32 << 10,
            window: 1 << 20,
        },
    }
}

/// The defaults.
#[must_use]
pub fn forwarding() -> model::Forwarding {
    model::Forwarding {
        trusted: Vec::new(),
        headers: model::ForwardedHeaders::Both,
        via: HeaderValue::from_static("gateway"),
        request_id: true,
    }
}

/// Shared names.
#[must_use]
pub fn name(text: &str) -> Arc<str> {
    text.into()
}
