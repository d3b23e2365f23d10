//! The table against a list of routes of which every one is tried.

use std::cmp::Reverse;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{pattern::Segment, *};
use crate::config::model::HostPattern;

fn host(text: &str) -> Option<HostPattern> {
    match text.strip_prefix("*.") {
        Some(name) => Some(HostPattern::Below(name.into())),
        None if text.is_empty() => None,
        None => Some(HostPattern::Exact(text.into())),
    }
}

/// `GET,PUT shop.example /path a=1 b=2`, where `-` stands for any method or host.
fn rule(text: &str) -> Rule {
    let mut words = text
        .split(' ')
        .map(|word| if word == "-" { "" } else { word });
    let mut next = || words.next().unwrap_or_default();
    let (methods, name, path) = (next(), next(), next());
    Rule {
        host: host(name),
        path: path.parse().unwrap(),
        methods: methods
            .split(',')
            .filter(|method| !method.is_empty())
            .map(|method| method.parse().unwrap())
            .collect(),
        headers: words
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect(),
    }
}

fn table(rules: &[&str]) -> RouteTable<String> {
    let mut table = RouteTable::default();
    for text in rules {
        table.insert(rule(text), (*text).to_owned()).unwrap();
    }
    table
}

/// A request written like a rule.
struct Asked {
    method: Method,
    host: String,
    path: String,
    headers: HeaderMap,
}

fn asked(text: &str) -> Asked {
    let mut words = text.split(' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let (method, host, path) = (next().parse().unwrap(), next(), next());
    let headers = words
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, value);
    }
    Asked {
        method,
        host,
        path,
        headers: map,
    }
}

impl Asked {
    fn find<'t, T: Clone>(&self, table: &'t RouteTable<T>) -> Found<'t, T> {
        let path = SafePath::parse(&self.path).unwrap();
        table.find(&Key {
            host: (self.host != "-").then_some(self.host.as_str()),
            path: &path,
            method: &self.method,
            headers: &self.headers,
        })
    }
}

/// What is found, in a word.
fn found(table: &RouteTable<String>, request: &str) -> String {
    match asked(request).find(table) {
        Found::Route(target) => target.clone(),
        Found::MethodNotAllowed(allow) => {
            format!("405 {}", allow.to_header().to_str().unwrap())
        }
        Found::None => "404".to_owned(),
    }
}

fn found_by_path(table: &RouteTable<String>, path: &str) -> String {
    found(table, &format!("GET - {path}")).replace("- - ", "")
}

#[test]
fn the_most_specific_pattern_wins() {
    let table = table(&[
        "- - /{*rest}",
        "- - /products",
        "- - /products/{*rest}",
        "- - /products/{id}",
        "- - /products/new",
        "- - /products/{id}/reviews",
        "- - /{shop}/products/new",
        "- - /trailing/",
    ]);
    for (path, pattern) in [
        ("/", "/{*rest}"),
        ("/else", "/{*rest}"),
        ("/products", "/products"),
        ("/products/", "/products/{*rest}"),
        ("/products/1", "/products/{id}"),
        ("/products/%31", "/products/{id}"),
        ("/products/new", "/products/new"),
        ("/%70roducts/n%65w", "/products/new"),
        ("/products/1/reviews", "/products/{id}/reviews"),
        ("/products/1/reviews/2", "/products/{*rest}"),
        ("/products/products/new", "/products/{*rest}"),
        ("/books/products/new", "/{shop}/products/new"),
        ("/books/products", "/{*rest}"),
        ("/trailing/", "/trailing/"),
        ("/trailing", "/{*rest}"),
        ("/PRODUCTS", "/{*rest}"),
    ] {
        assert_eq!(found_by_path(&table, path), pattern, "{path}");
    }
}

#[test]
fn without_a_route_nothing_is_found() {
    let table = table(&["- - /a", "- - /b/{x}", "- - /c/{*rest}"]);
    for path in [
        "/", "/a/", "/a/b", "/b", "/b/", "/b/x/y", "/c", "/ab", "/cc/x",
    ] {
        assert_eq!(found_by_path(&table, path), "404", "{path}");
    }
}

#[test]
fn the_host_counts_before_the_path_and_falls_back() {
    let table = table(&[
        "- shop.example /a",
        "- *.example /a",
        "- *.shop.example /{*rest}",
        "- - /a",
        "- - /only-here",
    ]);
    for (request, expected) in [
        ("GET shop.example /a", "- shop.example /a"),
        ("GET SHOP.Example /a", "- shop.example /a"),
        ("GET shop.example. /a", "- shop.example /a"),
        ("GET other.example /a", "- *.example /a"),
        // The longer name wins although its path is less specific.
        ("GET a.shop.example /a", "- *.shop.example /{*rest}"),
        ("GET a.b.example /a", "- *.example /a"),
        ("GET example /a", "- - /a"),
        ("GET .example /a", "- - /a"),
        ("GET notexample /a", "- - /a"),
        ("GET - /a", "- - /a"),
        // The host's own routes do not take the path.
        ("GET shop.example /only-here", "- - /only-here"),
        ("GET shop.example /nowhere", "404"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
}

#[test]
fn headers_count_before_methods() {
    let table = table(&[
        "- - /a",
        "GET - /a",
        "- - /a tenant=a",
        "- - /a tenant=a beta=1",
        "PUT - /a tenant=b",
    ]);
    for (request, expected) in [
        ("PUT - /a", "- - /a"),
        ("GET - /a", "GET - /a"),
        ("GET - /a tenant=a", "- - /a tenant=a"),
        ("GET - /a tenant=a beta=1", "- - /a tenant=a beta=1"),
        ("GET - /a tenant=b", "GET - /a"),
        ("PUT - /a tenant=b", "PUT - /a tenant=b"),
        // Sent twice, with the same value and with two.
        ("GET - /a tenant=a tenant=a", "- - /a tenant=a"),
        ("PUT - /a tenant=a tenant=b", "- - /a"),
        ("GET - /a beta=1", "GET - /a"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
}

#[test]
fn a_method_that_no_route_takes_is_told_which_ones_there_are() {
    let table = table(&[
        "GET,HEAD shop.example /a",
        "PUT - /a",
        "PURGE - /{*rest}",
        "POST - /a tenant=a",
        "- - /b",
    ]);
    for (request, expected) in [
        ("DELETE shop.example /a", "405 GET, HEAD, PURGE, PUT"),
        ("DELETE other.example /a", "405 PURGE, PUT"),
        ("DELETE - /a tenant=a", "405 POST, PURGE, PUT"),
        ("DELETE - /c", "405 PURGE"),
        ("PUT shop.example /a", "PUT - /a"),
        // Method names are case-sensitive.
        ("put - /a", "405 PURGE, PUT"),
        ("DELETE - /b", "- - /b"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
}

#[test]
fn routes_of_which_neither_is_more_specific_conflict() {
    for (first, second) in [
        ("- - /a", "- - /a"),
        ("- - /a/{x}", "- - /a/{y}"),
        ("- - /a/{*x}", "- - /a/{*y}"),
        ("- - /{x}/b/{*y}", "- - /{y}/b/{*x}"),
        ("GET - /a", "PUT,GET - /a"),
        ("- shop.example /a", "- shop.example /a"),
        ("- *.example /a", "- *.example /a"),
        ("- - /a tenant=a", "- - /a beta=1"),
        ("- - /a tenant=a", "- - /a tenant=a"),
    ] {
        let mut table = table(&[first]);
        let conflict = table.insert(rule(second), String::new()).unwrap_err();
        assert_eq!(conflict.with, rule(first));
    }
}

#[test]
fn routes_that_can_be_told_apart_do_not_conflict() {
    table(&[
        "- - /a",
        "GET - /a",
        "PUT,POST - /a",
        "- shop.example /a",
        "- *.example /a",
        "- *.shop.example /a",
        "- - /a tenant=a",
        "- - /a tenant=b",
        "- - /a tenant=a beta=1",
        "GET - /a tenant=a",
    ]);
}

#[test]
fn a_rule_is_shown_as_it_is_meant() {
    for (text, shown) in [
        ("- - /a/{*rest}", "/a/{*rest}"),
        (
            "GET,PUT *.example /a/{id} tenant=a",
            "GET,PUT *.example/a/{id} tenant=a",
        ),
    ] {
        assert_eq!(rule(text).to_string(), shown);
    }
}

/// Whether a rule takes a request, the short way.
fn takes(rule: &Rule, request: &Asked, with_method: bool) -> bool {
    let host = match &rule.host {
        None => true,
        Some(HostPattern::Exact(name)) => **name == request.host,
        Some(HostPattern::Below(name)) => request
            .host
            .strip_suffix(&**name)
            .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
    };
    let method = !with_method || rule.methods.is_empty() || rule.methods.contains(&request.method);
    let headers = rule.headers.iter().all(|(name, value)| {
        let sent: Vec<&HeaderValue> = request.headers.get_all(name).iter().collect();
        !sent.is_empty() && sent.iter().all(|sent| *sent == value)
    });
    host && method && headers && takes_path(&rule.path, &request.path)
}

fn takes_path(pattern: &Pattern, path: &str) -> bool {
    let path: Vec<&str> = path[1..].split('/').collect();
    let mut at = 0;
    for segment in &pattern.segments {
        let here = path.get(at);
        match segment {
            Segment::Rest => return here.is_some(),
            Segment::Literal(literal) if here == Some(&literal.as_str()) => {}
            Segment::Any if here.is_some_and(|here| !here.is_empty()) => {}
            _ => return false,
        }
        at += 1;
    }
    at == path.len()
}

/// The smallest wins.
fn rank(rule: &Rule) -> impl Ord + use<> {
    let host = match &rule.host {
        Some(HostPattern::Exact(_)) => (0, Reverse(0)),
        Some(HostPattern::Below(name)) => (1, Reverse(name.len())),
        None => (2, Reverse(0)),
    };
    let path: Vec<u8> = rule
        .path
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Any => 1,
            Segment::Rest => 2,
        })
        .collect();
    (
        host,
        path,
        Reverse(rule.headers.len()),
        rule.methods.is_empty(),
    )
}

/// Methods, host, path, headers.
const RULE: &str = "(-|GET|PUT|GET,PUT|PUT,POST) (-|-|a\\.x|b\\.x|\\*\\.x|\\*\\.a\\.x) \
    (/[ab]|/\\{x\\}){0,2}(/\\{\\*r\\}|/[ab]|/)( m=[12])?( n=[12])?";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_trying_every_route(
        rules in prop::collection::vec(RULE, 1..16),
        requests in prop::collection::vec(
            "(GET|PUT|POST) (-|x|[abc]\\.x|c\\.a\\.x) (/[abc]){0,3}/[abc]?( m=[12]){0,2}( n=[12])?",
            1..8,
        ),
    ) {
        let mut table = RouteTable::default();
        let mut kept: Vec<Rule> = Vec::new();
        for text in &rules {
            let rule = rule(text);
            match table.insert(rule.clone(), kept.len()) {
                Ok(()) => kept.push(rule),
                Err(conflict) => prop_assert!(kept.contains(&conflict.with)),
            }
        }
        for text in &requests {
            let request = asked(text);
            let mut taking: Vec<&Rule> =
                kept.iter().filter(|rule| takes(rule, &request, true)).collect();
            taking.sort_by_key(|rule| rank(rule));
            if let [first, second, ..] = taking[..] {
                // Conflicts were refused, so there is one winner.
                prop_assert!(rank(first) < rank(second), "{} and {}", first, second);
            }
            let mut others: Vec<&str> = kept
                .iter()
                .filter(|rule| takes(rule, &request, false))
                .flat_map(|rule| &rule.methods)
                .map(Method::as_str)
                .collect();
            others.sort_unstable();
            others.dedup();
            match request.find(&table) {
                Found::Route(at) => prop_assert_eq!(Some(&kept[*at]), taking.first().copied(), "{}", text),
                Found::MethodNotAllowed(allow) => {
                    prop_assert!(taking.is_empty(), "{}", text);
                    let header = allow.to_header();
                    prop_assert_eq!(header.to_str().unwrap(), others.join(", "));
                    prop_assert!(!others.is_empty());
                }
                Found::None => prop_assert!(taking.is_empty() && others.is_empty(), "{}", text),
            }
        }
    }
}
