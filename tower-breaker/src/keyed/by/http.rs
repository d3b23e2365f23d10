//! Keys of HTTP requests.
//!
//! Whoever sends a request chooses these, so each is bounded: what is longer is no key. A registry keeps a copy of every key it has an
//! entry for.

use std::{any::type_name, fmt, marker::PhantomData, str};

use http::{HeaderName, Request, header};

use super::PickKey;

/// A name has at most 253 bytes; a port has five.
const LONGEST_HOST: usize = 259;
const LONGEST: usize = 256;

/// The host that a request is for, with its port if that is given: from its URI, as in requests that are to be sent and in HTTP/2, or else
/// from its `Host` header. In lower case, and without user and password. For `String` keys, and others that borrow as `str`.
///
/// A request without either, or with one longer than 259 bytes, has no key. `example.com` and `example.com:443` are two keys.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host;

impl<B> PickKey<Request<B>> for Host {
    type Key = str;

    #[inline]
    fn with_key<R>(&self, request: &Request<B>, use_key: impl FnOnce(Option<&str>) -> R) -> R {
        let host = match request.uri().authority() {
            Some(authority) => authority.as_str(),
            None => match request
                .headers()
                .get(header::HOST)
                .map(|host| host.to_str())
            {
                Some(Ok(host)) => host,
                _ => return use_key(None),
            },
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if host.is_empty() || host.len() > LONGEST_HOST {
            return use_key(None);
        }
        if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return use_key(Some(host));
        }
        let mut lower = [0; LONGEST_HOST];
        let lower = &mut lower[..host.len()];
        lower.copy_from_slice(host.as_bytes());
        lower.make_ascii_lowercase();
        use_key(str::from_utf8(lower).ok())
    }
}

/// The first segments of a request's path, such as `/users` of `/users/7/orders`. For `String` keys, and others that borrow as `str`.
///
/// A path with fewer segments is its own key, without a `/` at its end; a key longer than 256 bytes is none. Only for paths whose
/// beginnings are few: a number in one of the segments makes a key of each.
#[derive(Debug, Clone, Copy)]
pub struct PathPrefix {
    segments: usize,
}

impl PathPrefix {
    /// The key is the first so many segments.
    pub const fn new(segments: usize) -> Self {
        Self { segments }
    }

    fn of<'a>(&self, path: &'a str) -> &'a str {
        // Of the slashes, the one that begins the first segment that does not belong to it.
        let end = path
            .match_indices('/')
            .nth(self.segments)
            .map_or(path.len(), |(at, _)| at);
        let prefix = &path[..end];
        match prefix.strip_suffix('/') {
            Some(without) => without,
            None => prefix,
        }
    }
}

impl<B> PickKey<Request<B>> for PathPrefix {
    type Key = str;

    #[inline]
    fn with_key<R>(&self, request: &Request<B>, use_key: impl FnOnce(Option<&str>) -> R) -> R {
        let prefix = self.of(request.uri().path());
        // The root has a name too.
        let prefix = if prefix.is_empty() { "/" } else { prefix };
        use_key((prefix.len() <= LONGEST).then_some(prefix))
    }
}

/// The value of a header, such as that with a tenant's name. For `String` keys, and others that borrow as `str`.
///
/// A request without it, or in which it is empty, has other than visible ASCII characters, or more than 256 of them, has no key. If there
/// are several, the first counts.
#[derive(Debug, Clone)]
pub struct Header(HeaderName);

impl Header {
    /// The key is the value of this header.
    pub const fn new(name: HeaderName) -> Self {
        Self(name)
    }
}

impl<B> PickKey<Request<B>> for Header {
    type Key = str;

    #[inline]
    fn with_key<R>(&self, request: &Request<B>, use_key: impl FnOnce(Option<&str>) -> R) -> R {
        let value = request.headers().get(&self.0);
        let value = value.and_then(|value| value.to_str().ok());
        use_key(value.filter(|value| (1..=LONGEST).contains(&value.len())))
    }
}

/// An extension of the request, such as the tenant that an authentication layer further out has found, or axum's `MatchedPath`. A
/// request without it has no key.
pub struct Extension<T>(PhantomData<fn() -> T>);

impl<T> Extension<T> {
    /// The key is the extension of this type.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for Extension<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Extension<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Extension<T> {}

impl<T> fmt::Debug for Extension<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extension<{}>", type_name::<T>())
    }
}

impl<B, T: Send + Sync + 'static> PickKey<Request<B>> for Extension<T> {
    type Key = T;

    #[inline]
    fn with_key<R>(&self, request: &Request<B>, use_key: impl FnOnce(Option<&T>) -> R) -> R {
        use_key(request.extensions().get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key<X: PickKey<Request<()>, Key = str>>(by: &X, request: &Request<()>) -> Option<String> {
        by.with_key(request, |key| key.map(str::to_owned))
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn the_host_is_that_of_the_uri_or_else_of_the_header_in_lower_case_without_credentials() {
        let host = |uri, headers: &[_]| key(&Host, &request(uri, headers));
        let some = |host: &str| Some(host.to_owned());
        assert_eq!(
            host("http://a.example/x", &[("host", "b")]),
            some("a.example")
        );
        assert_eq!(host("http://A.Example:80/", &[]), some("a.example:80"));
        assert_eq!(host("http://me:pw@a.example/", &[]), some("a.example"));
        assert_eq!(host("/x", &[("host", "B.example")]), some("b.example"));
        assert_eq!(host("/x", &[]), None);
        assert_eq!(host("/x", &[("host", "")]), None);
        let long = "a".repeat(LONGEST_HOST);
        assert_eq!(host("/x", &[("host", &long)]), Some(long.clone()));
        let capital = "A".repeat(LONGEST_HOST);
        assert_eq!(host("/x", &[("host", &capital)]), Some(long.clone()));
        assert_eq!(host("/x", &[("host", &format!("{long}a"))]), None);
    }

    #[test]
    fn a_path_prefix_ends_where_a_segment_does() {
        let prefix = |segments, uri| key(&PathPrefix::new(segments), &request(uri, &[])).unwrap();
        for (segments, uri, expected) in [
            (1, "/users/7/orders?all=1", "/users"),
            (2, "/users/7/orders", "/users/7"),
            (2, "/users/", "/users"),
            (2, "/users", "/users"),
            (1, "/", "/"),
            (0, "/users", "/"),
            (3, "http://a.example", "/"),
        ] {
            assert_eq!(prefix(segments, uri), expected, "{segments} of {uri}");
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        assert_eq!(key(&PathPrefix::new(1), &request(&long, &[])), None);
    }

    #[test]
    fn a_header_that_is_no_short_text_is_no_key() {
        let tenant = Header::new(HeaderName::from_static("x-tenant"));
        let key = |value: &str| key(&tenant, &request("/", &[("x-tenant", value)]));
        assert_eq!(key("acme"), Some("acme".to_owned()));
        assert_eq!(key(""), None);
        assert_eq!(key("ä"), None);
        assert_eq!(key(&"a".repeat(LONGEST)), Some("a".repeat(LONGEST)));
        assert_eq!(key(&"a".repeat(LONGEST + 1)), None);
        assert!(tenant.with_key(&request("/", &[]), |key| key.is_none()));
    }

    #[test]
    fn an_extension_is_a_key_by_reference() {
        let by = Extension::<u64>::new();
        let mut request = request("/", &[]);
        assert!(by.with_key(&request, |key| key.is_none()));
        request.extensions_mut().insert(7_u64);
        assert_eq!(by.with_key(&request, |key| key.copied()), Some(7));
        assert_eq!(format!("{by:?}"), "Extension<u64>");
    }
}
