//! Which route a path takes.
//!
//! Patterns are exact (`/health`), templates (`/products/{id}`: one whole, non-empty segment) or prefixes
//! (`/products/{*rest}`: everything below `/products/`). The most specific pattern wins, compared segment by segment from
//! the left: a literal before a template segment before the rest. Two patterns that no path could tell apart are a conflict.

use std::{collections::HashMap, fmt, str::FromStr, sync::Arc};

use service_kit::telemetry::RouteName;

use super::path::SafePath;

/// A route's path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
    Rest,
}

/// Why a text is no path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What requests that took this route are counted under.
    #[must_use]
    pub fn route_name(&self) -> RouteName {
        RouteName(self.text.clone())
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let refused = |why: &str| PatternError(why.to_owned());
        let Some(body) = text.strip_prefix('/') else {
            return Err(refused("a pattern starts with a slash"));
        };
        if text.contains(['?', '#']) {
            return Err(refused("a pattern is a path: without query or fragment"));
        }
        let mut segments = Vec::new();
        let mut written = body.split('/').peekable();
        while let Some(segment) = written.next() {
            let last = written.peek().is_none();
            let name = segment
                .strip_prefix('{')
                .and_then(|segment| segment.strip_suffix('}'));
            segments.push(match name {
                Some(name) => match name.strip_prefix('*') {
                    Some(name) if !last => {
                        return Err(PatternError(format!(
                            "{{*{name}}} stands for the rest of the path and must come last"
                        )));
                    }
                    Some(name) => named(name).map(|()| Segment::Rest)?,
                    None => named(name).map(|()| Segment::Any)?,
                },
                None if segment.contains(['{', '}']) => {
                    return Err(PatternError(format!(
                        "{segment:?}: {{name}} and {{*name}} stand for whole segments"
                    )));
                }
                None if segment.contains('*') => {
                    return Err(PatternError(format!(
                        "{segment:?}: the rest of a path is written {{*rest}}"
                    )));
                }
                None if segment.contains('%') => {
                    return Err(PatternError(format!(
                        "{segment:?}: patterns are written without percent-encoding"
                    )));
                }
                None => Segment::Literal(segment.to_owned()),
            });
        }
        let literals: Vec<&str> = segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(literal) => literal.as_str(),
                Segment::Any | Segment::Rest => "x",
            })
            .collect();
        // A literal that a request path may not contain would be a route that nothing can reach.
        SafePath::parse(&format!("/{}", literals.join("/")))
            .map_err(|error| PatternError(error.to_string()))?;
        Ok(Self {
            text: text.into(),
            segments,
        })
    }
}

fn named(name: &str) -> Result<(), PatternError> {
    if !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    {
        Ok(())
    } else {
        Err(PatternError(format!(
            "{name:?}: the name between braces is made of ASCII letters, digits and underscores"
        )))
    }
}

/// Patterns and what they lead to. A tree of segments: each node is visited at most once for a path, so a look-up costs no
/// more than the routes that share the path's beginning, whatever the path.
#[derive(Debug, Clone)]
pub struct RouteTable<T> {
    root: Node<T>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    literals: HashMap<String, Node<T>>,
    any: Option<Box<Node<T>>>,
    rest: Option<Leaf<T>>,
    end: Option<Leaf<T>>,
}

#[derive(Debug, Clone)]
struct Leaf<T> {
    pattern: Pattern,
    target: T,
}

/// Another pattern already takes exactly the same paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The pattern that was there first.
    pub with: Pattern,
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            any: None,
            rest: None,
            end: None,
        }
    }
}

impl<T> RouteTable<T> {
    /// Adds a route.
    ///
    /// # Errors
    /// A pattern that takes the same paths is already there.
    pub fn insert(&mut self, pattern: Pattern, target: T) -> Result<(), Conflict> {
        let mut node = &mut self.root;
        let mut is_prefix = false;
        for segment in &pattern.segments {
            match segment {
                Segment::Literal(literal) => {
                    node = node.literals.entry(literal.clone()).or_default()
                }
                Segment::Any => node = node.any.get_or_insert_default(),
                Segment::Rest => is_prefix = true,
            }
        }
        let leaf = if is_prefix {
            &mut node.rest
        } else {
            &mut node.end
        };
        match leaf {
            Some(taken) => Err(Conflict {
                with: taken.pattern.clone(),
            }),
            None => {
                *leaf = Some(Leaf { pattern, target });
                Ok(())
            }
        }
    }

    /// The same routes, to something else.
    #[must_use]
    pub fn map<U>(&self, mut to: impl FnMut(&Pattern, &T) -> U) -> RouteTable<U> {
        RouteTable {
            root: self.root.map(&mut to),
        }
    }

    /// The most specific route for a path, and its pattern.
    #[must_use]
    pub fn find(&self, path: &SafePath<'_>) -> Option<(&Pattern, &T)> {
        let segments = path.as_str().strip_prefix('/')?;
        self.root
            .find(Some(segments))
            .map(|leaf| (&leaf.pattern, &leaf.target))
    }
}

impl<T> Leaf<T> {
    fn map<U>(&self, to: &mut impl FnMut(&Pattern, &T) -> U) -> Leaf<U> {
        Leaf {
            pattern: self.pattern.clone(),
            target: to(&self.pattern, &self.target),
        }
    }
}

impl<T> Node<T> {
    fn map<U>(&self, to: &mut impl FnMut(&Pattern, &T) -> U) -> Node<U> {
        let literals = self.literals.iter();
        Node {
            literals: literals
                .map(|(name, node)| (name.clone(), node.map(to)))
                .collect(),
            any: self.any.as_ref().map(|node| Box::new(node.map(to))),
            rest: self.rest.as_ref().map(|leaf| leaf.map(to)),
            end: self.end.as_ref().map(|leaf| leaf.map(to)),
        }
    }

    /// `segments` is what is left of the path; `None` when nothing is, not even an empty last segment.
    fn find(&self, segments: Option<&str>) -> Option<&Leaf<T>> {
        let Some(segments) = segments else {
            return self.end.as_ref();
        };
        let (segment, left) = match segments.split_once('/') {
            Some((segment, left)) => (segment, Some(left)),
            None => (segments, None),
        };
        let literal = || self.literals.get(segment)?.find(left);
        let any = || {
            self.any
                .as_ref()
                .filter(|_| !segment.is_empty())?
                .find(left)
        };
        literal().or_else(any).or(self.rest.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(patterns: &[&str]) -> RouteTable<String> {
        let mut table = RouteTable::default();
        for pattern in patterns {
            table
                .insert(pattern.parse().unwrap(), (*pattern).to_owned())
                .unwrap();
        }
        table
    }

    fn found<'t>(table: &'t RouteTable<String>, path: &str) -> Option<&'t str> {
        table
            .find(&SafePath::parse(path).unwrap())
            .map(|(_, target)| target.as_str())
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let table = table(&[
            "/{*rest}",
            "/products",
            "/products/{*rest}",
            "/products/{id}",
            "/products/new",
            "/products/{id}/reviews",
            "/{shop}/products/new",
            "/trailing/",
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
            assert_eq!(found(&table, path), Some(pattern), "{path}");
        }
    }

    #[test]
    fn without_a_route_nothing_is_found() {
        let table = table(&["/a", "/b/{x}", "/c/{*rest}"]);
        for path in [
            "/", "/a/", "/a/b", "/b", "/b/", "/b/x/y", "/c", "/ab", "/cc/x",
        ] {
            assert_eq!(found(&table, path), None, "{path}");
        }
    }

    #[test]
    fn patterns_that_take_the_same_paths_conflict_whatever_their_names() {
        for (first, second) in [
            ("/a", "/a"),
            ("/a/{x}", "/a/{y}"),
            ("/a/{*x}", "/a/{*y}"),
            ("/{x}/b/{*y}", "/{y}/b/{*x}"),
        ] {
            let mut table = table(&[first]);
            let conflict = table
                .insert(second.parse().unwrap(), String::new())
                .unwrap_err();
            assert_eq!(conflict.with.as_str(), first);
        }
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for (text, why) in [
            ("", "starts with a slash"),
            ("a", "starts with a slash"),
            ("/a?b", "without query"),
            ("/{*rest}/a", "must come last"),
            ("/a{id}", "whole segments"),
            ("/{}", "between braces"),
            ("/{*}", "between braces"),
            ("/{a b}", "between braces"),
            ("/a/*", "written {*rest}"),
            ("/a%20b", "without percent-encoding"),
            ("/a//b", "empty segment"),
            ("/a/../b", "dot segment"),
            ("/a\\b", "backslash"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    fn takes(pattern: &Pattern, path: &str) -> bool {
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

    fn rank(pattern: &Pattern) -> Vec<u8> {
        pattern
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Any => 1,
                Segment::Rest => 2,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn agrees_with_trying_every_pattern(
            patterns in prop::collection::vec("(/[ab]|/\\{x\\}){0,3}(/\\{\\*r\\}|/[ab]|/)", 1..12),
            path in "(/[abc]){0,4}/[abc]?",
        ) {
            let mut table = RouteTable::default();
            let mut kept: Vec<Pattern> = Vec::new();
            for text in &patterns {
                let pattern: Pattern = text.parse().unwrap();
                if table.insert(pattern.clone(), ()).is_ok() {
                    kept.push(pattern);
                }
            }
            let expected = kept.iter().filter(|pattern| takes(pattern, &path)).min_by_key(|pattern| rank(pattern));
            let got = table.find(&SafePath::parse(&path).unwrap()).map(|(pattern, ())| pattern);
            prop_assert_eq!(got, expected);
        }
    }
}
