//! Which requests are let in at all, before any route is looked up.

use std::fmt;

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{CONNECTION, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
    uri::Scheme,
};

use super::{
    headers::Names,
    host::Host,
    path::{PathError, SafePath},
};

/// A request that may be routed.
#[derive(Debug)]
pub struct Admitted<'r> {
    /// Its path, which has one reading.
    pub path: SafePath<'r>,
    /// The host it asked for. Only HTTP/1.0 may leave it out.
    pub host: Option<Host<'r>>,
    /// The fields that are there.
    pub names: Names,
    /// What the client wants the connection to become: the value of `Upgrade`, if `Connection` names it. `h2c` does not count: a
    /// server is free to ignore an upgrade, clients that offer this one go on in HTTP/1.1, and the offer is not passed on.
    pub upgrade: Option<&'r HeaderValue>,
}

/// Why a request was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `CONNECT`: this is no forward proxy.
    Connect,
    /// `TRACE`: its answer would show the client what only upstreams are told.
    Trace,
    /// `get`: to some servers the same as `GET`, to others (and to routes) not.
    MethodCase,
    /// A method longer than any there is.
    MethodTooLong,
    /// A request target longer than this many bytes.
    TargetTooLong(usize),
    /// A path with more than one reading.
    Path(PathError),
    /// No `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// A `Host` that names no host.
    HostMalformed,
    /// The request line names another host than `Host`.
    HostMismatch,
    /// A request line with a scheme that this listener does not speak.
    Scheme,
    /// The end of the body has more than one reading.
    Framing,
    /// An expectation other than `100-continue`.
    Expectation,
    /// Headers that are together larger than this many bytes.
    HeadersTooLarge(usize),
    /// More header fields than this.
    TooManyHeaders(usize),
}

impl Refusal {
    /// The status to answer with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Connect | Self::Trace | Self::MethodTooLong => StatusCode::NOT_IMPLEMENTED,
            Self::TargetTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::HeadersTooLarge(_) | Self::TooManyHeaders(_) => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether the connection must end with the answer, because where the next request begins depends on the reading of this
    /// one.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        matches!(self, Self::Framing | Self::Connect)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("CONNECT is not supported: this gateway opens no tunnels"),
            Self::Trace => f.write_str("TRACE is not supported"),
            Self::MethodCase => f.write_str("methods are written in upper case"),
            Self::MethodTooLong => f.write_str("the method is longer than any that is known"),
            Self::TargetTooLong(most) => write!(
                f,
                "the request's path and query must not be longer than {most} bytes"
            ),
            Self::Path(error) => error.fmt(f),
            Self::HostMissing => f.write_str("the Host header is missing"),
            Self::HostRepeated => f.write_str("the Host header must be sent once"),
            Self::HostMalformed => {
                f.write_str("the Host header must be a host name or address, with an optional port")
            }
            Self::HostMismatch => {
                f.write_str("the request line and the Host header name different hosts")
            }
            Self::Scheme => f.write_str("the request line must be a path, or an http URL"),
            Self::Framing => f.write_str(
                "the length of the body must be given once: by one Content-Length, or by Transfer-Encoding: chunked",
            ),
            Self::HeadersTooLarge(most) => {
                write!(f, "the headers must not be larger than {most} bytes")
            }
            Self::TooManyHeaders(most) => {
                write!(f, "there must not be more than {most} header fields")
            }
            Self::Expectation => f.write_str("the only expectation supported is 100-continue"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Checks the size of a request's headers: at most `bytes`, as they stand in an HTTP/1 head with a colon, a space and the end of the line,
/// and at most `fields` of them. In HTTP/1 hyper has stopped reading them before; HTTP/2 bounds nothing but their bytes.
///
/// # Errors
/// They are too large, or too many.
pub fn headers_fit(headers: &HeaderMap, bytes: usize, fields: usize) -> Result<(), Refusal> {
    if headers.len() > fields {
        return Err(Refusal::TooManyHeaders(fields));
    }
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > bytes {
        return Err(Refusal::HeadersTooLarge(bytes));
    }
    Ok(())
}

/// Bytes of a request target that are let in when nothing else is configured.
pub const TARGET_BYTES: usize = 8192;

/// Checks a request. `target_bytes` bounds path and query together.
///
/// # Errors
/// The first reason found to refuse it.
pub fn admit(request: &Parts, target_bytes: usize) -> Result<Admitted<'_>, Refusal> {
    method(&request.method)?;
    let target = request.uri.path_and_query();
    if target.is_some_and(|target| target.as_str().len() > target_bytes) {
        return Err(Refusal::TargetTooLong(target_bytes));
    }
    let path = SafePath::parse(request.uri.path()).map_err(Refusal::Path)?;
    let host = host(request)?;
    let names = Names::of(&request.headers);
    if names.has(Names::TRANSFER_ENCODING) {
        framing(&request.headers, names)?;
    }
    if names.has(Names::EXPECT) {
        expectation(request)?;
    }
    let upgrade = if names.has(Names::UPGRADE) {
        wanted_upgrade(request)
    } else {
        None
    };
    Ok(Admitted {
        path,
        host,
        names,
        upgrade,
    })
}

fn method(method: &Method) -> Result<(), Refusal> {
    match *method {
        Method::GET
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::HEAD
        | Method::OPTIONS
        | Method::PATCH => Ok(()),
        Method::CONNECT => Err(Refusal::Connect),
        Method::TRACE => Err(Refusal::Trace),
        _ => own_method(method.as_str()),
    }
}

/// A method of somebody's own, unless it is one of the usual ones in other letters.
#[cold]
fn own_method(method: &str) -> Result<(), Refusal> {
    const USUAL: [&str; 9] = [
        "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE",
    ];
    // Nearly twice as long as the longest one registered.
    const LONGEST: usize = 32;
    if method.len() > LONGEST {
        Err(Refusal::MethodTooLong)
    } else if USUAL.iter().any(|usual| usual.eq_ignore_ascii_case(method)) {
        Err(Refusal::MethodCase)
    } else {
        Ok(())
    }
}

fn host(request: &Parts) -> Result<Option<Host<'_>>, Refusal> {
    let parse = |text| Host::parse(text).ok_or(Refusal::HostMalformed);
    let mut values = request.headers.get_all(HOST).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(parse(value.as_bytes())?),
        (Some(_), Some(_)) => return Err(Refusal::HostRepeated),
    };
    if request.version < Version::HTTP_2 {
        let scheme = request.uri.scheme();
        if scheme.is_some_and(|scheme| *scheme != Scheme::HTTP) {
            return Err(Refusal::Scheme);
        }
    }
    let named = request.uri.authority();
    let named = named
        .map(|named| parse(named.as_str().as_bytes()))
        .transpose()?;
    match (named, header) {
        (None, None) if request.version != Version::HTTP_10 => Err(Refusal::HostMissing),
        // In HTTP/2 the authority stands for `Host`, in absolute form it must come with it.
        (Some(_), None) if request.version == Version::HTTP_11 => Err(Refusal::HostMissing),
        (Some(named), Some(header)) => {
            if named.is_same(&header) {
                Ok(Some(header))
            } else {
                Err(Refusal::HostMismatch)
            }
        }
        (named, header) => Ok(named.or(header)),
    }
}

/// The server has read the body's framing by now. Where it let in more than one way to read it, an upstream or a proxy before
/// the gateway may have chosen another.
fn framing(headers: &HeaderMap, names: Names) -> Result<(), Refusal> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = encodings.next();
    let is_chunked =
        first.is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if is_chunked && encodings.next().is_none() && !names.has(Names::CONTENT_LENGTH) {
        Ok(())
    } else {
        Err(Refusal::Framing)
    }
}

fn expectation(request: &Parts) -> Result<(), Refusal> {
    // HTTP/1.0 knows no expectations, and ignores them.
    if request.version == Version::HTTP_10 {
        return Ok(());
    }
    let is_met = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if request.headers.get_all(EXPECT).iter().all(is_met) {
        Ok(())
    } else {
        Err(Refusal::Expectation)
    }
}

fn wanted_upgrade(request: &Parts) -> Option<&HeaderValue> {
    if request.version != Version::HTTP_11 {
        return None;
    }
    let protocol = request.headers.get(UPGRADE)?;
    let is_named = request
        .headers
        .get_all(CONNECTION)
        .iter()
        .any(|value| has_option(value, b"upgrade"));
    let is_h2c = protocol.as_bytes().eq_ignore_ascii_case(b"h2c");
    (is_named && !protocol.is_empty() && !is_h2c).then_some(protocol)
}

fn has_option(value: &HeaderValue, wanted: &[u8]) -> bool {
    value
        .as_bytes()
        .split(|&byte| byte == b',')
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn hosts() {
        use Refusal::*;
        let shop = Ok(Some("shop.example"));
        for (uri, hosts, expected) in [
            ("/a", vec!["shop.example"], shop),
            ("/a", vec!["127.0.0.1:8080"], Ok(Some("127.0.0.1:8080"))),
            ("/a", vec!["[::1]:8080"], Ok(Some("[::1]:8080"))),
            ("/a", vec![], Err(HostMissing)),
            ("/a", vec![""], Err(HostMalformed)),
            ("/a", vec!["a", "a"], Err(HostRepeated)),
            ("/a", vec!["a, b"], Err(HostMalformed)),
            ("/a", vec!["user@shop.example"], Err(HostMalformed)),
            ("/a", vec!["shop.example/x"], Err(HostMalformed)),
            ("/a", vec!["shop.example:99999"], Err(HostMalformed)),
            ("/a", vec!["shop.example:x"], Err(HostMalformed)),
            ("/a", vec![":80"], Err(HostMalformed)),
            ("/a", vec!["a b"], Err(HostMalformed)),
            ("/a", vec!["a\"b"], Err(HostMalformed)),
            ("http://shop.example/a", vec!["shop.example"], shop),
            ("http://SHOP.example/a", vec!["shop.example"], shop),
            (
                "http://evil.example/a",
                vec!["shop.example"],
                Err(HostMismatch),
            ),
            ("http://shop.example/a", vec![], Err(HostMissing)),
            ("https://shop.example/a", vec!["shop.example"], Err(Scheme)),
        ] {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            let request = request(uri, &headers);
            let got = admit(&request, TARGET_BYTES)
                .map(|admitted| admitted.host.map(|host| host.as_str().to_owned()));
            assert_eq!(
                got,
                expected.map(|host: Option<&str>| host.map(str::to_owned)),
                "{uri} {hosts:?}"
            );
        }
    }

    #[test]
    fn http_1_0_needs_no_host() {
        let mut request = request("/a", &[]);
        request.version = Version::HTTP_10;
        assert_eq!(admit(&request, TARGET_BYTES).unwrap().host, None);
    }

    #[test]
    fn upgrades() {
        for (headers, wanted) in [
            (
                vec![("connection", "Upgrade"), ("upgrade", "websocket")],
                Some("websocket"),
            ),
            (
                vec![("connection", "keep-alive, upgrade"), ("upgrade", "a/1")],
                Some("a/1"),
            ),
            (
                vec![
                    ("connection", "Upgrade, HTTP2-Settings"),
                    ("upgrade", "h2c"),
                ],
                None,
            ),
            (vec![("upgrade", "websocket")], None),
            (vec![("connection", "upgrade")], None),
        ] {
            let mut headers = headers;
            headers.push(("host", "a"));
            let mut request = request("/", &headers);
            let admitted = admit(&request, TARGET_BYTES).unwrap();
            let got = admitted.upgrade.map(|value| value.to_str().unwrap());
            assert_eq!(got, wanted, "{headers:?}");
            request.version = Version::HTTP_10;
            assert_eq!(admit(&request, TARGET_BYTES).unwrap().upgrade, None);
        }
    }

    #[test]
    fn one_way_to_find_the_end_of_the_body() {
        let encoding = "transfer-encoding";
        for (headers, is_let_in) in [
            (vec![], true),
            (vec![("content-length", "3")], true),
            (vec![(encoding, "chunked")], true),
            (vec![(encoding, "CHUNKED")], true),
            (vec![(encoding, "gzip, chunked")], false),
            (vec![(encoding, "chunked, chunked")], false),
            (vec![(encoding, "chunked,")], false),
            (vec![(encoding, "chunked"), (encoding, "chunked")], false),
            (vec![(encoding, "chunked"), ("content-length", "3")], false),
        ] {
            let mut headers = headers;
            headers.push(("host", "a"));
            let request = request("/", &headers);
            let refused = admit(&request, TARGET_BYTES).err();
            let expected = (!is_let_in).then_some(Refusal::Framing);
            assert_eq!(refused, expected, "{headers:?}");
        }
    }

    #[test]
    fn methods_expectations_and_long_targets() {
        for (method, expected) in [
            ("GET", None),
            ("PROPFIND", None),
            ("propfind", None),
            ("get", Some(Refusal::MethodCase)),
            ("UPDATEREDIRECTREF", None),
            (
                "AN-UNLIKELY-METHOD-WITH-A-LONG-NAME",
                Some(Refusal::MethodTooLong),
            ),
            ("Post", Some(Refusal::MethodCase)),
            ("TRACE", Some(Refusal::Trace)),
            ("CONNECT", Some(Refusal::Connect)),
        ] {
            let mut request = request("/", &[("host", "a")]);
            request.method = method.parse().unwrap();
            assert_eq!(admit(&request, TARGET_BYTES).err(), expected, "{method}");
        }
        for (expectation, expected) in [
            ("100-continue", None),
            ("100-Continue", None),
            ("200-ok", Some(Refusal::Expectation)),
            ("", Some(Refusal::Expectation)),
        ] {
            let request = request("/", &[("host", "a"), ("expect", expectation)]);
            assert_eq!(
                admit(&request, TARGET_BYTES).err(),
                expected,
                "{expectation}"
            );
        }
        let request = request("/abc?d", &[("host", "a")]);
        assert!(admit(&request, 6).is_ok());
        assert_eq!(admit(&request, 5).err(), Some(Refusal::TargetTooLong(5)));
    }

    #[test]
    fn http_2_names_its_host_in_the_target() {
        for (uri, host, expected) in [
            ("http://shop.example/a", None, Ok("shop.example")),
            (
                "https://shop.example/a",
                Some("SHOP.example"),
                Ok("SHOP.example"),
            ),
            (
                "http://shop.example/a",
                Some("evil"),
                Err(Refusal::HostMismatch),
            ),
            (
                "http://user@shop.example/a",
                None,
                Err(Refusal::HostMalformed),
            ),
            ("/a", None, Err(Refusal::HostMissing)),
            ("/a", Some("shop.example"), Ok("shop.example")),
        ] {
            let headers: Vec<_> = host.iter().map(|host| ("host", *host)).collect();
            let mut request = request(uri, &headers);
            request.version = Version::HTTP_2;
            let got = admit(&request, TARGET_BYTES).map(|admitted| admitted.host.unwrap().as_str());
            assert_eq!(got, expected, "{uri} {host:?}");
        }
    }

    #[test]
    fn tunnels_and_paths() {
        let mut tunnel = request("shop.example:443", &[("host", "shop.example:443")]);
        tunnel.method = Method::CONNECT;
        assert_eq!(admit(&tunnel, TARGET_BYTES).unwrap_err(), Refusal::Connect);
        let everything = request("*", &[("host", "a")]);
        assert_eq!(
            admit(&everything, TARGET_BYTES).unwrap_err(),
            Refusal::Path(PathError::NotAbsolute)
        );
        let climbing = request("/a/../b", &[("host", "a")]);
        assert_eq!(
            admit(&climbing, TARGET_BYTES).unwrap_err(),
            Refusal::Path(PathError::DotSegment)
        );
    }
}
