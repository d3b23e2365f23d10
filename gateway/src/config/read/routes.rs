//! `[[route]]`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};

use super::{
    fields::Fields,
    levels::{self, Level},
    names::Names,
    parse,
};
use crate::{
    config::{
        model::{Policy, Route, Upstream},
        own,
    },
    data::route::{Pattern, RouteTable, Rule},
};

/// What routes inherit.
pub(super) struct Guards<'r, 'a> {
    pub upstreams: &'r [Upstream],
    pub levels: &'r [Level<'a>],
    pub defaults: &'r Level<'a>,
}

/// Reads all of them, and refuses those that leave open where a request goes.
pub(super) fn read(
    root: &mut Fields<'_>,
    names: &Names,
    with_page: bool,
    guards: &Guards<'_, '_>,
) -> Vec<Route> {
    let tables = root.tables("route");
    if tables.is_empty() && !with_page {
        root.reject("route", "at least one [[route]], or [product_details]");
    }
    let mut taken = RouteTable::default();
    let mut routes = Vec::new();
    for (number, mut table) in tables.into_iter().enumerate() {
        let rule = rule(&mut table);
        let upstream = names.find(&mut table, "upstream").map(|id| id.index());
        if let Some(rule) = &rule {
            refuse_own_paths(&mut table, rule, with_page);
            refuse_conflicts(&mut table, &mut taken, rule, number);
        }
        let name = guard_name(guards, upstream, rule.as_ref());
        let level = Level::read(table, &name);
        level.refuse_probe();
        let (Some(rule), Some(upstream)) = (rule, upstream) else {
            continue;
        };
        routes.push(Route {
            policy: policy(&name, &level, upstream, guards),
            path: rule.path.as_str().into(),
            host: rule.host,
            methods: rule.methods,
            headers: rule.headers,
            upstream,
        });
    }
    routes
}

fn rule(table: &mut Fields<'_>) -> Option<Rule> {
    let written = table.text("path");
    let path = match written.parse::<Pattern>() {
        Ok(path) => Some(path),
        Err(_) if written.is_empty() => None,
        Err(error) => {
            let allowed = format!("a path pattern like /a, /a/{{id}} or /a/{{*rest}}: {error}");
            table.reject("path", allowed);
            None
        }
    };
    let host = table.parsed("host", parse::host_pattern);
    let mut methods: Vec<Method> = table.all_parsed("methods", parse::method);
    methods.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    methods.dedup();
    let headers = headers(table);
    Some(Rule {
        host,
        path: path?,
        methods,
        headers,
    })
}

fn headers(table: &mut Fields<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in table.text_table("headers") {
        let parsed = name
            .parse::<HeaderName>()
            .ok()
            .zip(HeaderValue::from_str(&value).ok());
        match parsed {
            Some((name, _)) if headers.iter().any(|(known, _)| *known == name) => table.reject(
                "headers",
                format!("{name} once: the names of headers do not differ by case"),
            ),
            Some((name, _)) if name == http::header::HOST => {
                table.reject(
                    "headers",
                    "other headers; for this one there is the key `host`",
                );
            }
            Some(header) => headers.push(header),
            None => table.reject(
                "headers",
                format!("names and values of headers; {name:?} = {value:?} is none"),
            ),
        }
    }
    headers
}

/// A route for any host that takes requests for what the gateway answers itself. With a host it is meant so.
fn refuse_own_paths(table: &mut Fields<'_>, rule: &Rule, with_page: bool) {
    if rule.host.is_some() {
        return;
    }
    let mut taken = own::table(with_page, |_| ());
    if let Err(conflict) = taken.insert(Rule::of_path(rule.path.clone()), ()) {
        let path = conflict.with.path;
        let allowed = format!(
            "a path that is not the gateway's own; {} takes the same paths",
            path.as_str()
        );
        table.reject("path", allowed);
    }
}

fn refuse_conflicts(
    table: &mut Fields<'_>,
    taken: &mut RouteTable<()>,
    rule: &Rule,
    number: usize,
) {
    if let Err(conflict) = taken.insert(rule.clone(), ()) {
        let allowed = format!(
            "a path that no other route takes; the route {} takes the same paths as this route, {rule} (route[{number}]), and neither \
             is more specific",
            conflict.with
        );
        table.reject("path", allowed);
    }
}

/// As in `product GET shop.example/products/{id}`: no two routes have the same, or they would conflict.
fn guard_name(guards: &Guards<'_, '_>, upstream: Option<usize>, rule: Option<&Rule>) -> Arc<str> {
    let upstream = upstream.and_then(|at| guards.upstreams.get(at));
    match (upstream, rule) {
        (Some(upstream), Some(rule)) => format!("{} {rule}", upstream.name).into(),
        // For guards that are built to be checked only.
        _ => "route".into(),
    }
}

fn policy(name: &str, level: &Level<'_>, upstream: usize, guards: &Guards<'_, '_>) -> Policy {
    match (guards.levels.get(upstream), guards.upstreams.get(upstream)) {
        (Some(inherited), Some(upstream)) => {
            levels::of_route(name, level, (inherited, &upstream.policy), guards.defaults)
        }
        _ => Policy::default(),
    }
}
