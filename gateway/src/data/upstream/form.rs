//! What a request looks like in either version of HTTP.

use http::{
    HeaderValue, Request, Uri, Version,
    header::{CONNECTION, HOST, TE, UPGRADE},
    uri::{Authority, PathAndQuery, Scheme},
};

use super::local::Node;
use crate::data::body::Outgoing;

/// Takes what HTTP/1.1 has in `Host` into the request target, and says that trailers are welcome if they are to the client: gRPC
/// servers insist on it. Nothing is done to a request that has this form already.
///
/// # Errors
/// The host is none.
pub fn for_http2(request: &mut Request<Outgoing>, node: &Node) -> Result<(), http::Error> {
    if request.version() == Version::HTTP_2 {
        return Ok(());
    }
    let takes_trailers = request.body().exchange().takes_trailers();
    let headers = request.headers_mut();
    let host = headers.remove(HOST).unwrap_or_else(|| node.host.clone());
    // There is no upgrade in HTTP/2: the request is one without.
    headers.remove(CONNECTION);
    headers.remove(UPGRADE);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let authority = match &node.authority {
        Some(authority) if host == node.host => authority.clone(),
        _ => Authority::try_from(host.as_bytes())?,
    };
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    uri.scheme = Some(if node.https {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    uri.authority = Some(authority);
    uri.path_and_query
        .get_or_insert_with(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(uri)?;
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

/// The way back, for a request that found its shared connection closed and then an endpoint that speaks HTTP/1.1 alone.
///
/// # Errors
/// The host is none.
pub fn for_http1(request: &mut Request<Outgoing>) -> Result<(), http::Error> {
    if request.version() != Version::HTTP_2 {
        return Ok(());
    }
    let uri = std::mem::take(request.uri_mut()).into_parts();
    if let Some(authority) = &uri.authority {
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().insert(HOST, host);
    }
    request.headers_mut().remove(TE);
    *request.uri_mut() = uri.path_and_query.map(Uri::from).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
    Ok(())
}
