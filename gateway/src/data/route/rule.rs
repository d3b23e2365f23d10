//! Which requests a route takes.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::pattern::Pattern;
use crate::config::model::HostPattern;

/// What a request must be like to take a route. Only the path must be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its host; any if `None`.
    pub host: Option<HostPattern>,
    /// Its path.
    pub path: Pattern,
    /// Its method is one of these; any if empty.
    pub methods: Vec<Method>,
    /// It has all of these headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Rule {
    /// Every request with such a path.
    #[must_use]
    pub fn of_path(path: Pattern) -> Self {
        Self {
            host: None,
            path,
            methods: Vec::new(),
            headers: Vec::new(),
        }
    }
}

/// As in `GET,HEAD *.example/products/{id} x-tenant=a`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, method) in self.methods.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{method}")?;
        }
        if !self.methods.is_empty() {
            f.write_str(" ")?;
        }
        match &self.host {
            Some(HostPattern::Exact(host)) => f.write_str(host)?,
            Some(HostPattern::Below(host)) => write!(f, "*.{host}")?,
            None => {}
        }
        f.write_str(self.path.as_str())?;
        for (name, value) in &self.headers {
            write!(f, " {name}={}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        Ok(())
    }
}

/// A rule's conditions on what is neither host nor path.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    pub methods: Vec<Method>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Conditions {
    pub fn take_method(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }

    /// A header that is sent more than once must have the value each time: a request of which two parts say different things
    /// takes no route that asks for either.
    pub fn take_headers(&self, headers: &HeaderMap) -> bool {
        self.headers.iter().all(|(name, value)| {
            let mut sent = headers.get_all(name).iter().peekable();
            sent.peek().is_some() && sent.all(|sent| sent == value)
        })
    }

    /// More conditions on headers come first, then those with methods.
    pub fn rank(&self) -> impl Ord + use<> {
        (usize::MAX - self.headers.len(), self.methods.is_empty())
    }

    /// Whether some request meets both, and neither comes first.
    pub fn conflicts(&self, other: &Self) -> bool {
        let exclude_each_other = |(name, value): &(HeaderName, HeaderValue)| {
            other
                .headers
                .iter()
                .any(|(other, wanted)| other == name && wanted != value)
        };
        let methods_meet = self.methods.is_empty()
            || self
                .methods
                .iter()
                .any(|method| other.methods.contains(method));
        self.headers.len() == other.headers.len()
            && self.methods.is_empty() == other.methods.is_empty()
            && methods_meet
            && !self.headers.iter().any(exclude_each_other)
    }
}
