//! Route patterns as axum writes them, matched against the request's path.

/// `/products`, `/products/{id}`, `/files/{*rest}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    segments: Vec<Segment>,
    open_ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

impl Pattern {
    /// `None` for what axum would not take as a route.
    pub fn parse(text: &str) -> Option<Self> {
        let mut segments = Vec::new();
        let mut open_ended = false;
        for part in text.strip_prefix('/')?.split('/') {
            // `{*rest}` is the end.
            if open_ended {
                return None;
            }
            match part.strip_prefix('{').map(|part| part.strip_suffix('}')) {
                Some(Some(name)) if name.starts_with('*') && name.len() > 1 => open_ended = true,
                Some(Some(name)) if !name.is_empty() && !name.starts_with('*') => {
                    segments.push(Segment::Any)
                }
                None if !part.contains(['{', '}']) => {
                    segments.push(Segment::Literal(part.to_owned()))
                }
                _ => return None,
            }
        }
        Some(Self {
            segments,
            open_ended,
        })
    }

    pub fn matches(&self, path: &str) -> bool {
        let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.segments {
            let fits = match (segment, parts.next()) {
                (Segment::Literal(literal), Some(part)) => literal == part,
                (Segment::Any, Some(part)) => !part.is_empty(),
                (_, None) => false,
            };
            if !fits {
                return false;
            }
        }
        self.open_ended || parts.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn matches_like_the_router() {
        let cases = [
            ("/products", "/products", true),
            ("/products", "/products/", false),
            ("/products", "/products/1", false),
            ("/products/{id}", "/products/1", true),
            ("/products/{id}", "/products/", false),
            ("/products/{id}", "/products/1/2", false),
            ("/products/{id}/reviews", "/products/1/reviews", true),
            ("/files/{*rest}", "/files/a/b", true),
            ("/files/{*rest}", "/other/a", false),
            ("/{*rest}", "/", true),
            ("/{*rest}", "/anything/at/all", true),
            ("/", "/", true),
        ];
        for (pattern, path, expected) in cases {
            let pattern = Pattern::parse(pattern).expect(pattern);
            assert_eq!(pattern.matches(path), expected, "{pattern:?} {path}");
        }
    }

    #[test]
    fn refuses_what_is_no_route() {
        for text in [
            "products",
            "",
            "/a/{",
            "/a/{}",
            "/a/{*}",
            "/{*rest}/b",
            "/a{id}",
        ] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
}
