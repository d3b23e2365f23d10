//! Which route a request takes: by host, path, method and headers.
//!
//! Of all routes that take a request the most specific wins. What counts, in this order:
//!
//! 1. the host: a name before `*.name`, of those the longest name, before any host;
//! 2. the path, segment by segment from the left: a literal before a template segment before the rest;
//! 3. the number of headers asked for: more before fewer;
//! 4. the method: routes that name theirs before routes for all.
//!
//! Two routes that some request takes and of which neither is more specific are a conflict. A request that only its method keeps
//! from every route is told which methods there are.
//!
//! A look-up allocates nothing and hashes nothing.

mod hosts;
mod pattern;
mod rule;
mod tree;

#[cfg(test)]
mod tests;

use http::{HeaderMap, HeaderValue, Method};

use super::path::SafePath;
use hosts::Hosts;

pub use pattern::{Pattern, PatternError};
pub use rule::Rule;

/// What of a request decides about its route.
#[derive(Debug, Clone, Copy)]
pub struct Key<'r> {
    /// The host it asked for, without the port. A request without one takes only routes for any host.
    pub host: Option<&'r str>,
    /// Its path.
    pub path: &'r SafePath<'r>,
    /// Its method.
    pub method: &'r Method,
    /// Its headers.
    pub headers: &'r HeaderMap,
}

/// What a look-up has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'t, T> {
    /// The route's target.
    Route(&'t T),
    /// There are routes, but none for this method.
    MethodNotAllowed(Allow),
    /// There is no route.
    None,
}

/// The methods of an `Allow` header, in alphabetical order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow(Vec<Method>);

impl Allow {
    /// The methods.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.0
    }

    /// The header's value.
    #[must_use]
    pub fn to_header(&self) -> HeaderValue {
        let names: Vec<&str> = self.0.iter().map(Method::as_str).collect();
        // Methods are tokens, which header values may be made of.
        HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
    }
}

/// Routes and what they lead to.
#[derive(Debug, Clone)]
pub struct RouteTable<T> {
    hosts: Hosts<T>,
}

/// Another route takes some of the same requests, and neither is more specific.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The route that was there first.
    pub with: Rule,
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self {
            hosts: Hosts::default(),
        }
    }
}

impl<T> RouteTable<T> {
    /// Adds a route.
    ///
    /// # Errors
    /// A route that this one conflicts with is already there.
    pub fn insert(&mut self, rule: Rule, target: T) -> Result<(), Conflict> {
        self.hosts
            .of(rule.host.as_ref())
            .insert(rule, target)
            .map_err(|with| Conflict { with: with.clone() })
    }

    /// The most specific route for a request.
    #[must_use]
    pub fn find(&self, key: &Key<'_>) -> Found<'_, T> {
        let mut missed = false;
        let found = self
            .hosts
            .matching(key.host)
            .find_map(|tree| tree.find(key, &mut missed));
        match found {
            Some(target) => Found::Route(target),
            None if missed => Found::MethodNotAllowed(self.allowed(key)),
            None => Found::None,
        }
    }

    #[cold]
    fn allowed(&self, key: &Key<'_>) -> Allow {
        let mut methods = Vec::new();
        for tree in self.hosts.matching(key.host) {
            tree.methods(key, &mut methods);
        }
        methods.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        methods.dedup();
        Allow(methods)
    }
}
