//! Path patterns: exact (`/health`), templates (`/products/{id}`: one whole, non-empty segment) and prefixes
//! (`/products/{*rest}`: everything below `/products/`).

use std::{fmt, str::FromStr, sync::Arc};

use service_kit::telemetry::RouteName;

use crate::data::path::SafePath;

/// A route's path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    pub(super) segments: Vec<Segment>,
}

/// One part of a pattern, between slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
