//! The guards of a call, in the order in which it passes them.

use serde::Serialize;

use super::settings::{Line, Settings};
use crate::config::model::{Policy, Upstream};

/// A guard.
#[derive(Debug, Serialize)]
pub struct Guard {
    /// The key it is configured by.
    pub guard: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it is called in metrics and `/circuit-status`, if it is one that is shown there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is the upstream's, for all routes that have none of their own.
    pub shared: bool,
    /// Its numbers.
    pub settings: Vec<Line>,
}

/// Keys of an upstream that say how it is spoken to.
pub(super) const UPSTREAM_KEYS: &[&str] = &["protocol", "host", "pool_idle", "pool_max_idle"];
pub(super) const UPSTREAM_TABLES: &[&str] = &["tls", "health"];

/// Outermost first, as `data::stack` puts them together.
const ORDER: &[(&str, &str)] = &[
    (
        "total_timeout",
        "bounds the whole exchange, to the last byte of the answer",
    ),
    ("fallback", "answers instead of an error"),
    (
        "bulkhead",
        "bounds the calls under way, each to the end of its answer's body",
    ),
    ("breaker", "refuses calls while the upstream is not well"),
    (
        "retry",
        "sends again what failed and may be sent again, within a budget",
    ),
    (
        "hedge",
        "begins a second attempt beside a slow one, within the same budget",
    ),
    ("timeout", "bounds one attempt, to the head of its answer"),
    ("balancer", "chooses the endpoint"),
    ("ejection", "leaves out endpoints whose requests fail"),
    ("connect_timeout", "bounds the making of a connection"),
    (
        "body_idle_timeout",
        "bounds the time between two pieces of the answer's body",
    ),
];

/// Those that are there, and the names of the others.
pub(super) fn guards(
    settings: &Settings<'_>,
    levels: [&[&str]; 3],
    policy: &Policy,
    upstream: &Upstream,
) -> (Vec<Guard>, Vec<&'static str>) {
    let mut there = Vec::new();
    let mut not_there = Vec::new();
    for &(guard, about) in ORDER {
        let (is_there, name) = match guard {
            "total_timeout" => (policy.total_timeout.is_some(), None),
            "fallback" => (policy.fallback.is_some(), None),
            "bulkhead" => named(policy.bulkhead.as_ref().map(|guard| guard.name())),
            "breaker" => named(policy.breaker.as_ref().map(|guard| guard.name())),
            "retry" => (policy.retry.is_some(), None),
            "hedge" => (policy.hedge.is_some(), None),
            "timeout" => (policy.timeout.is_some(), None),
            "ejection" => (upstream.ejection.is_some(), None),
            "body_idle_timeout" => (policy.body_idle_timeout.is_some(), None),
            _ => (true, None),
        };
        if !is_there {
            not_there.push(guard);
            continue;
        }
        there.push(Guard {
            guard,
            about,
            shared: name.as_deref() == Some(&upstream.name),
            name,
            settings: values(settings, levels, guard),
        });
    }
    (there, not_there)
}

fn named(name: Option<&str>) -> (bool, Option<String>) {
    (name.is_some(), name.map(str::to_owned))
}

fn values(settings: &Settings<'_>, levels: [&[&str]; 3], guard: &str) -> Vec<Line> {
    let upstream = levels[1];
    match guard {
        // An upstream's own; nothing about them is inherited.
        "balancer" => settings.under(upstream, |rest| {
            matches!(rest, ["balancer" | "hash" | "slow_start"])
        }),
        "ejection" => settings
            .under(upstream, |rest| rest.first() == Some(&"ejection"))
            .into_iter()
            .map(|line| below(line, guard))
            .collect(),
        "connect_timeout" => settings.under(upstream, |rest| rest == ["connect_timeout"]),
        guard => settings
            .effective(levels, guard)
            .into_iter()
            .filter(|line| !line.key.ends_with(".enabled"))
            .map(|line| below(line, guard))
            .collect(),
    }
}

/// A key of the guard's table without the table's name, which is the guard's.
fn below(line: Line, guard: &str) -> Line {
    let key = line.key.strip_prefix(guard);
    match key.and_then(|key| key.strip_prefix('.')) {
        Some(key) => Line {
            key: key.to_owned(),
            ..line
        },
        None => line,
    }
}
