//! How it is found out that an endpoint is not well: by asking it, and by how its requests go.

use http::uri::PathAndQuery;

use super::{fields::Fields, parse};
use crate::config::{
    keys::duration_text,
    model::{Ejection, EjectionRate, HealthCheck, HealthKind},
};

pub(super) fn check(table: &mut Fields<'_>) -> HealthCheck {
    let kind = table.word("kind");
    // Without a kind, which has been noted, what is wrong with the keys of each can be said all the same.
    let of_kind = |key: &str, of: &str, table: &mut Fields<'_>| {
        if kind == of || kind.is_empty() {
            return true;
        }
        if table.contains(key) {
            table.reject(key, format!("nothing, unless kind = {of:?}"));
        }
        false
    };
    let path = of_kind("path", "http", table)
        .then(|| table.parsed("path", parse::path_and_query))
        .flatten();
    let service = of_kind("service", "grpc", table).then(|| table.text("service"));
    let (interval, timeout) = (table.duration("interval"), table.duration("timeout"));
    if timeout > interval {
        let allowed = format!("at most `interval`, {}", duration_text(interval));
        table.reject("timeout", allowed);
    }
    HealthCheck {
        kind: match kind.as_str() {
            "http" => HealthKind::Http(path.unwrap_or(PathAndQuery::from_static("/health"))),
            "grpc" => HealthKind::Grpc(service.unwrap_or_default().into()),
            _ => HealthKind::Tcp,
        },
        interval,
        timeout,
        healthy_after: table.count("healthy_after"),
        unhealthy_after: table.count("unhealthy_after"),
        jitter: table.number("jitter"),
    }
}

pub(super) fn ejection(table: &mut Fields<'_>) -> Ejection {
    let consecutive = table.count("consecutive_failures");
    let failure_rate = table
        .table("failure_rate")
        .map(|mut table| rate(&mut table));
    if consecutive == 0 && failure_rate.is_none() {
        let allowed = "at least 1, or `failure_rate`: with neither nothing is ejected";
        table.reject("consecutive_failures", allowed);
    }
    let (base, max) = (table.duration("base"), table.duration("max"));
    if base > max {
        table.reject("base", format!("at most `max`, {}", duration_text(max)));
    }
    Ejection {
        consecutive_failures: (consecutive > 0).then_some(consecutive),
        failure_rate,
        base,
        max,
        max_share: table.number("max_share"),
        panic_below: table.number("panic_below"),
    }
}

fn rate(table: &mut Fields<'_>) -> EjectionRate {
    let window = table.duration("window");
    let threshold = table.number("threshold");
    let (calls, failures) = (
        table.count("minimum_calls"),
        table.count("minimum_failures"),
    );
    EjectionRate {
        window,
        threshold,
        minimum_calls: calls,
        minimum_failures: failures,
    }
}
