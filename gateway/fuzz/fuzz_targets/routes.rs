//! Any routes and any request. No pattern, table or look-up panics. Of the routes that take a request the table finds one that takes it
//! and that none of the others comes before in host and path, as a reader of the patterns' text would say. What is found for a path is
//! found for every other way to write that path.
#![no_main]

mod paths;

use std::sync::Arc;

use arbitrary::Arbitrary;
use gateway::{
    config::model::HostPattern,
    data::{
        path::SafePath,
        route::{Found, Key, Pattern, RouteTable, Rule},
    },
};
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Piece<'a> {
    Literal(u8),
    Any,
    Rest,
    Slash,
    Text(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Host {
    Any,
    Exact(u8),
    Below(u8),
}

#[derive(Debug, Arbitrary)]
struct Route<'a> {
    host: Host,
    path: Vec<Piece<'a>>,
    method: Option<bool>,
}

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    routes: Vec<Route<'a>>,
    host: Option<u8>,
    path: &'a str,
    is_post: bool,
}

/// Few, so that they meet.
const HOSTS: [&str; 6] = [
    "a.example",
    "b.a.example",
    "example",
    "c.example",
    "a",
    "b.example",
];

fn host(at: u8) -> &'static str {
    HOSTS[usize::from(at) % HOSTS.len()]
}

fn text(path: &[Piece<'_>]) -> String {
    let mut text = String::new();
    for piece in path {
        match piece {
            Piece::Literal(at) => text.push_str(["/a", "/b", "/c"][usize::from(*at) % 3]),
            Piece::Any => text.push_str("/{x}"),
            Piece::Rest => text.push_str("/{*rest}"),
            Piece::Slash => text.push('/'),
            Piece::Text(other) => text.push_str(other),
        }
    }
    text
}

fn method(is_post: bool) -> Method {
    if is_post { Method::POST } else { Method::GET }
}

fn rule(route: &Route<'_>) -> Option<Rule> {
    let pattern: Pattern = text(&route.path).parse().ok()?;
    assert_eq!(pattern.as_str(), text(&route.path));
    let mut rule = Rule::of_path(pattern);
    rule.host = match route.host {
        Host::Any => None,
        Host::Exact(at) => Some(HostPattern::Exact(Arc::from(host(at)))),
        Host::Below(at) => Some(HostPattern::Below(Arc::from(host(at)))),
    };
    rule.methods = route.method.map(method).into_iter().collect();
    Some(rule)
}

/// Of a path's or a pattern's segments, the smaller the more special.
fn rank_of(segment: &str) -> u8 {
    match segment {
        rest if rest.starts_with("{*") => 2,
        any if any.starts_with('{') => 1,
        _ => 0,
    }
}

fn takes_path(pattern: &str, path: &str) -> bool {
    let mut path = path[1..].split('/');
    for segment in pattern[1..].split('/') {
        let here = path.next();
        let taken = match (rank_of(segment), here) {
            (2, here) => return here.is_some(),
            (1, Some(here)) => !here.is_empty(),
            (_, Some(here)) => here == segment,
            (_, None) => false,
        };
        if !taken {
            return false;
        }
    }
    path.next().is_none()
}

fn takes_host(rule: &Rule, host: Option<&str>) -> bool {
    match (&rule.host, host) {
        (None, _) => true,
        (Some(HostPattern::Exact(name)), Some(host)) => **name == *host,
        (Some(HostPattern::Below(name)), Some(host)) => host
            .strip_suffix(&**name)
            .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
        (Some(_), None) => false,
    }
}

/// Host and path, the smallest first.
fn rank(rule: &Rule) -> (u8, usize, Vec<u8>) {
    let (kind, length) = match &rule.host {
        Some(HostPattern::Exact(_)) => (0, 0),
        Some(HostPattern::Below(name)) => (1, usize::MAX - name.len()),
        None => (2, 0),
    };
    let segments = rule.path.as_str()[1..].split('/').map(rank_of).collect();
    (kind, length, segments)
}

/// The same path with its letters escaped.
fn escaped(path: &str) -> String {
    let letter = |c: char| match c {
        'a'..='z' => format!("%{:02x}", u32::from(c)),
        c => c.to_string(),
    };
    path.chars().map(letter).collect()
}

fuzz_target!(|input: Input<'_>| {
    let mut table = RouteTable::default();
    let mut rules: Vec<Rule> = Vec::new();
    for rule in input.routes.iter().filter_map(rule) {
        match table.insert(rule.clone(), rules.len()) {
            Ok(()) => rules.push(rule),
            Err(conflict) => assert!(rules.contains(&conflict.with)),
        }
    }
    let Ok(path) = SafePath::parse(input.path) else {
        return;
    };
    assert_eq!(
        paths::as_an_eager_server_reads_it(input.path),
        path.as_str()
    );
    let method = method(input.is_post);
    let headers = HeaderMap::new();
    let key = Key {
        host: input.host.map(host),
        path: &path,
        method: &method,
        headers: &headers,
    };
    let meets =
        |rule: &&Rule| takes_host(rule, key.host) && takes_path(rule.path.as_str(), path.as_str());
    let takes = |rule: &&Rule| rule.methods.is_empty() || rule.methods.contains(&method);
    let found = table.find(&key);
    match &found {
        Found::Route(at) => {
            let rule = &rules[**at];
            assert!(
                meets(&rule) && takes(&rule),
                "{rule} does not take {path:?}"
            );
            let first = rules.iter().filter(meets).filter(takes).map(rank).min();
            assert_eq!(
                Some(rank(rule)),
                first,
                "{rule} is not the first for {path:?}"
            );
        }
        Found::MethodNotAllowed(allow) => {
            assert!(!allow.methods().is_empty() && !allow.methods().contains(&method));
            assert_eq!(rules.iter().filter(meets).filter(takes).count(), 0);
        }
        Found::None => assert_eq!(rules.iter().filter(meets).count(), 0),
    }
    if !path.as_str().contains('%')
        && let Ok(other) = SafePath::parse(&escaped(path.as_str()))
    {
        let key = Key {
            path: &other,
            ..key
        };
        assert_eq!(table.find(&key), found);
    }
});
