//! The policy keys of one level (`[defaults]`, an upstream, a route), and what becomes of the levels together: key by key the
//! lowest level that says something counts, and a table counts as a whole.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, uri::PathAndQuery};

use super::{fields::Fields, guards, parse};
use crate::config::{
    keys::duration_text,
    model::{Fallback, Hedge, Policy, Retry},
};

/// What a level says.
#[derive(Debug)]
pub(super) struct Level<'a> {
    fields: Fields<'a>,
    /// Zero for none.
    timeout: Option<Duration>,
    body_idle_timeout: Option<Duration>,
    total_timeout: Option<Duration>,
    fallback: Switch<Fallback>,
    /// Guards are built where they are used, so that two upstreams never share one.
    bulkhead: Switch<Fields<'a>>,
    breaker: Switch<Fields<'a>>,
    retry: Switch<Retry>,
    hedge: Switch<Hedge>,
}

/// What a level says about one table.
#[derive(Debug)]
enum Switch<T> {
    /// Nothing.
    Inherit,
    /// That there is none.
    Off,
    /// This.
    On(T),
}

impl<T> Switch<T> {
    fn said(&self) -> Option<Option<&T>> {
        match self {
            Self::Inherit => None,
            Self::Off => Some(None),
            Self::On(value) => Some(Some(value)),
        }
    }
}

impl<'a> Level<'a> {
    /// Reads the keys; `name` is what guards are called that are built only to see whether they can be.
    pub fn read(mut fields: Fields<'a>, name: &str) -> Self {
        let timeout = fields.opt_duration("timeout");
        let body_idle_timeout = fields.opt_duration("body_idle_timeout");
        let total_timeout = fields.opt_duration("total_timeout");
        let bulkhead = switch(&mut fields, "bulkhead", |table| {
            guards::bulkhead(table, name);
            Some(table.clone())
        });
        let breaker = switch(&mut fields, "breaker", |table| {
            guards::breaker(table, name, timeout);
            Some(table.clone())
        });
        Self {
            timeout,
            body_idle_timeout,
            total_timeout,
            fallback: switch(&mut fields, "fallback", fallback),
            bulkhead,
            breaker,
            retry: switch(&mut fields, "retry", |table| Some(retry(table))),
            hedge: switch(&mut fields, "hedge", |table| Some(hedge(table))),
            fields,
        }
    }

    /// A route's own breaker cannot have the upstream's background check.
    pub fn refuse_probe(&self) {
        if let Switch::On(breaker) = &self.breaker {
            guards::refuse_probe(&mut breaker.clone());
        }
    }
}

fn switch<'a, T>(
    fields: &mut Fields<'a>,
    name: &str,
    read: impl FnOnce(&mut Fields<'a>) -> Option<T>,
) -> Switch<T> {
    let Some(mut table) = fields.table(name) else {
        return Switch::Inherit;
    };
    let enabled = table.flag("enabled");
    if !enabled && table.has_only("enabled") {
        return Switch::Off;
    }
    // Read in any case: what is switched off must still make sense, or switching it on again is a surprise.
    match read(&mut table) {
        Some(value) if enabled => Switch::On(value),
        _ => Switch::Off,
    }
}

fn fallback(table: &mut Fields<'_>) -> Option<Fallback> {
    let status = u16::try_from(table.integer("status")).ok();
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let body = table.text("body");
    let content_type = table.parsed("content_type", |text| HeaderValue::from_str(text).ok());
    let on = table.words("on");
    if on.is_empty() {
        table.reject("on", "\"refused\", \"failed\" or both");
    }
    if status.is_some_and(|status| matches!(status.as_u16(), 204 | 205 | 304)) {
        table.reject("status", "a status whose answers have a body");
    }
    Some(Fallback {
        status: status?,
        body: Bytes::from(body),
        content_type: content_type?,
        on_refused: on.iter().any(|on| on == "refused"),
        on_failed: on.iter().any(|on| on == "failed"),
    })
}

fn retry(table: &mut Fields<'_>) -> Retry {
    let attempts = table.count("attempts");
    let methods = table.all_parsed("methods", parse::method);
    let body = table.size("body");
    let (backoff, backoff_max) = (table.duration("backoff"), table.duration("backoff_max"));
    if backoff > backoff_max {
        table.reject(
            "backoff",
            format!("at most `backoff_max`, {}", duration_text(backoff_max)),
        );
    }
    let retry_after = table.duration("retry_after");
    let statuses = table.integers("statuses");
    let mut budget = table.table_or_empty("budget");
    let (budget_ratio, budget_per_second) = (budget.number("ratio"), budget.count("per_second"));
    if budget_ratio == 0.0 && budget_per_second == 0 {
        budget.reject(
            "ratio",
            "more than 0, or `per_second` more than 0: with neither there is no retry",
        );
    }
    Retry {
        attempts,
        methods,
        body: usize::try_from(body).unwrap_or(usize::MAX),
        backoff,
        backoff_max,
        budget_ratio,
        budget_per_second,
        retry_after,
        statuses: statuses
            .into_iter()
            .filter_map(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok())
            .collect(),
    }
}

fn hedge(table: &mut Fields<'_>) -> Hedge {
    Hedge {
        percentile: table.number("percentile"),
        at_least: table.duration("at_least"),
        minimum_calls: table.count("minimum_calls"),
    }
}

/// The policy of an upstream, with guards of its own, and what it is asked for while its circuit is open.
pub(super) fn of_upstream(
    name: &str,
    own: &Level<'_>,
    defaults: &Level<'_>,
    is_plain: bool,
) -> (Policy, Option<PathAndQuery>) {
    let levels = [own, defaults];
    let mut policy = without_guards(&levels);
    if let Some(table) = said(&levels, |level| level.bulkhead.said()) {
        policy.bulkhead = guards::bulkhead(&mut table.clone(), name);
    }
    let mut probe = None;
    if let Some(table) = said(&levels, |level| level.breaker.said()) {
        (policy.breaker, probe) = guards::breaker(&mut table.clone(), name, policy.timeout);
        if probe.is_some() && !is_plain {
            // Its checks would all fail, and so its circuit would never close again.
            let allowed = format!("\"lazy\" for the upstream {name}: {PLAIN}");
            table.clone().reject("recovery", &allowed);
        }
    }
    // Whether the defaults make sense is seen where they are used.
    check(&format!("upstream {name}"), &levels, &policy, true);
    (policy, probe)
}

/// The policy of a route to an upstream. Only guards that the route has itself are its own, and are called `name`; the others
/// are the upstream's.
pub(super) fn of_route(
    name: &str,
    own: &Level<'_>,
    upstream: (&Level<'_>, &Policy),
    defaults: &Level<'_>,
) -> Policy {
    let levels = [own, upstream.0, defaults];
    let mut policy = without_guards(&levels);
    policy.bulkhead = match own.bulkhead.said() {
        None => upstream.1.bulkhead.clone(),
        Some(None) => None,
        Some(Some(table)) => guards::bulkhead(&mut table.clone(), name),
    };
    policy.breaker = match own.breaker.said() {
        None => upstream.1.breaker.clone(),
        Some(None) => None,
        Some(Some(table)) => guards::breaker(&mut table.clone(), name, policy.timeout).0,
    };
    check(&format!("route {name}"), &levels, &policy, false);
    policy
}

/// What the gateway can ask by itself, beside what it passes on.
pub(super) const PLAIN: &str =
    "the gateway itself asks only upstreams with `url` or `endpoints` of plain HTTP/1.1";

fn without_guards(levels: &[&Level<'_>]) -> Policy {
    Policy {
        timeout: time(levels, |level| level.timeout),
        body_idle_timeout: time(levels, |level| level.body_idle_timeout),
        total_timeout: time(levels, |level| level.total_timeout),
        bulkhead: None,
        breaker: None,
        retry: said(levels, |level| level.retry.said()).cloned(),
        hedge: said(levels, |level| level.hedge.said()).cloned(),
        fallback: said(levels, |level| level.fallback.said()).cloned(),
    }
}

fn time(levels: &[&Level<'_>], of: impl Fn(&Level<'_>) -> Option<Duration>) -> Option<Duration> {
    levels
        .iter()
        .find_map(|level| of(level))
        .filter(|time| !time.is_zero())
}

/// What the lowest level that says something says.
fn said<'l, 'a, T>(
    levels: &[&'l Level<'a>],
    of: impl Fn(&'l Level<'a>) -> Option<Option<&'l T>>,
) -> Option<&'l T> {
    levels.iter().find_map(|level| of(level)).flatten()
}

/// What only the levels together can get wrong. It is noted where the value stands, which may be another level than the one where
/// it does not fit; for a level that only inherits it, if `inherited` is wanted.
fn check(of: &str, levels: &[&Level<'_>], policy: &Policy, inherited: bool) {
    let says = |says: fn(&Level<'_>) -> bool| {
        inherited || levels.first().is_some_and(|lowest| says(lowest))
    };
    let says_a_time = says(|level| level.timeout.is_some() || level.total_timeout.is_some());
    let says_when_again =
        says(|level| level.hedge.said().is_some() || level.retry.said().is_some());
    if let (Some(timeout), Some(total)) = (policy.timeout, policy.total_timeout)
        && total < timeout
        && says_a_time
    {
        let allowed = format!(
            "at least the `timeout` of one attempt, which is {} for the {of}",
            duration_text(timeout)
        );
        refuse(levels, "total_timeout", &allowed, |level| {
            level.total_timeout.is_some()
        });
    }
    if policy.hedge.is_some() && policy.retry.is_none() && says_when_again {
        let allowed =
            format!("only together with `retry`, whose budget it keeps to; the {of} has none");
        refuse(levels, "hedge", &allowed, |level| {
            level.hedge.said().is_some()
        });
    }
}

fn refuse(levels: &[&Level<'_>], key: &str, allowed: &str, says: impl Fn(&Level<'_>) -> bool) {
    if let Some(level) = levels.iter().find(|level| says(level)) {
        level.fields.clone().reject(key, allowed);
    }
}
