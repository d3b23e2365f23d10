//! Which requests are let in at all, before any route is looked up.

use std::fmt;

use axum::http::{
    HeaderMap, Method, StatusCode, Version,
    header::{CONNECTION, HOST, UPGRADE},
    request::Parts,
    uri::{Authority, Scheme},
};

use super::path::{PathError, SafePath};
use crate::config::model::Limits;

/// A request that may be routed.
#[derive(Debug)]
pub struct Admitted<'r> {
    /// Its path, which has one reading.
    pub path: SafePath<'r>,
    /// The host it asked for. Only HTTP/1.0 may leave it out.
    pub host: Option<Authority>,
}

/// Why a request was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// `CONNECT`: this is no forward proxy.
    Connect,
    /// An upgrade to another protocol.
    Upgrade(String),
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
    /// A request target that is longer than this.
    TargetTooLong(usize),
    /// Headers that are together larger than this.
    HeadersTooLarge(usize),
}

impl Refusal {
    /// The status to answer with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Connect | Self::Upgrade(_) => StatusCode::NOT_IMPLEMENTED,
            Self::TargetTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("CONNECT is not supported: this gateway opens no tunnels"),
            Self::Upgrade(protocol) => write!(
                f,
                "upgrading the connection to {protocol:?} is not supported"
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
            Self::TargetTooLong(limit) => {
                write!(f, "the request target is longer than the limit of {limit} bytes")
            }
            Self::HeadersTooLarge(limit) => {
                write!(f, "the headers are larger than the limit of {limit} bytes")
            }
            Self::Scheme => f.write_str("the request line must be a path, or an http URL"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Checks the size of a head. How many headers there may be is hyper's to check, which has to stop reading them.
///
/// # Errors
/// It is too large.
pub fn fits(request: &Parts, limits: &Limits) -> Result<(), Refusal> {
    let path = request.uri.path_and_query();
    if path.is_some_and(|path| path.as_str().len() > limits.uri_bytes) {
        return Err(Refusal::TargetTooLong(limits.uri_bytes));
    }
    // As they stand in an HTTP/1 head: a colon, a space and the end of the line.
    let headers = request.headers.iter();
    let size: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > limits.header_bytes {
        return Err(Refusal::HeadersTooLarge(limits.header_bytes));
    }
    Ok(())
}

/// Checks a request.
///
/// # Errors
/// The first reason found to refuse it.
pub fn admit(request: &Parts) -> Result<Admitted<'_>, Refusal> {
    if request.method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let path = SafePath::parse(request.uri.path()).map_err(Refusal::Path)?;
    let host = host(request)?;
    if let Some(protocol) = wanted_upgrade(&request.headers) {
        return Err(Refusal::Upgrade(protocol));
    }
    Ok(Admitted { path, host })
}

fn host(request: &Parts) -> Result<Option<Authority>, Refusal> {
    let mut values = request.headers.get_all(HOST).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(authority(value.as_bytes()).ok_or(Refusal::HostMalformed)?),
        (Some(_), Some(_)) => return Err(Refusal::HostRepeated),
    };
    let named = request.uri.authority();
    if request.version < Version::HTTP_2 {
        if request
            .uri
            .scheme()
            .is_some_and(|scheme| *scheme != Scheme::HTTP)
        {
            return Err(Refusal::Scheme);
        }
        if header.is_none() && request.version == Version::HTTP_11 {
            return Err(Refusal::HostMissing);
        }
    }
    match (named, header) {
        (None, header) => Ok(header),
        (Some(named), None) => authority(named.as_str().as_bytes())
            .ok_or(Refusal::HostMalformed)
            .map(Some),
        (Some(named), Some(header)) if *named == header => Ok(Some(header)),
        (Some(_), Some(_)) => Err(Refusal::HostMismatch),
    }
}

/// A host with an optional port. Stricter than [`Authority`], which lets in user information and odd characters that would
/// have to be quoted wherever the host is repeated.
fn authority(bytes: &[u8]) -> Option<Authority> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(byte);
    if !bytes.iter().all(is_plain) {
        return None;
    }
    let authority = Authority::try_from(bytes).ok()?;
    let port_is_valid = match authority.as_str().strip_prefix(authority.host()) {
        Some("") => true,
        Some(port) => authority.port_u16().is_some() || port == ":",
        None => false,
    };
    (!authority.host().is_empty() && port_is_valid).then_some(authority)
}

/// The protocol that the client wants to change to. `h2c` does not count: a server is free to ignore an upgrade, clients
/// that offer this one go on in HTTP/1.1, and the offer itself is not passed on.
fn wanted_upgrade(headers: &HeaderMap) -> Option<String> {
    let names_upgrade = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    if !names_upgrade {
        return None;
    }
    headers
        .get_all(UPGRADE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(|protocol| protocol.trim_ascii())
        .find(|protocol| !protocol.is_empty() && !protocol.eq_ignore_ascii_case(b"h2c"))
        .map(|protocol| String::from_utf8_lossy(protocol).into_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

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
            ("/a", vec!["shop.example"], shop.clone()),
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
            ("http://shop.example/a", vec!["shop.example"], shop.clone()),
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
            let got = admit(&request).map(|admitted| admitted.host.map(|host| host.to_string()));
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
        assert_eq!(admit(&request).unwrap().host, None);
    }

    #[test]
    fn upgrades() {
        for (headers, wanted) in [
            (
                vec![("connection", "Upgrade"), ("upgrade", "websocket")],
                Some("websocket"),
            ),
            (
                vec![
                    ("connection", "keep-alive, upgrade"),
                    ("upgrade", "h2c, websocket"),
                ],
                Some("websocket"),
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
            let request = request("/", &headers);
            let refused = admit(&request).err();
            assert_eq!(
                refused,
                wanted.map(|wanted| Refusal::Upgrade(wanted.to_owned())),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn tunnels_and_paths() {
        let mut tunnel = request("shop.example:443", &[("host", "shop.example:443")]);
        tunnel.method = Method::CONNECT;
        assert_eq!(admit(&tunnel).unwrap_err(), Refusal::Connect);
        let everything = request("*", &[("host", "a")]);
        assert_eq!(
            admit(&everything).unwrap_err(),
            Refusal::Path(PathError::NotAbsolute)
        );
        let climbing = request("/a/../b", &[("host", "a")]);
        assert_eq!(
            admit(&climbing).unwrap_err(),
            Refusal::Path(PathError::DotSegment)
        );
    }
}
