//! One attempt: an endpoint is chosen, a connection taken or made, the request sent.

use std::{rc::Rc, time::Duration};

use http::{Request, Response, Uri, Version, header::HOST, uri::PathAndQuery};
use tower::BoxError;

use super::{Local, UpstreamBody};
use crate::{config::model::HostPolicy, data::body::Outgoing};

/// There is nowhere to send a request to.
#[derive(Debug, thiserror::Error)]
#[error("the upstream has no endpoint that could be used")]
pub struct NoEndpoint;

/// Sends a request, whose URI is a path and query, to one of the upstream's endpoints.
///
/// # Errors
/// Nothing could be sent, or no answer came.
pub async fn send(
    upstream: Rc<Local>,
    mut request: Request<Outgoing>,
    patience: Option<Duration>,
) -> Result<Response<UpstreamBody>, BoxError> {
    let endpoint = upstream.pick().ok_or(NoEndpoint)?;
    match &upstream.config.host {
        HostPolicy::Upstream => {
            request.headers_mut().insert(HOST, endpoint.host.clone());
        }
        HostPolicy::Literal(host) => {
            request.headers_mut().insert(HOST, host.clone());
        }
        HostPolicy::Preserve => {}
    }
    if !upstream.config.path_prefix.is_empty() {
        let prefixed = prefixed(&upstream.config.path_prefix, request.uri())?;
        *request.uri_mut() = prefixed;
    }
    *request.version_mut() = Version::HTTP_11;
    loop {
        let mut lease = match endpoint.pool.checkout() {
            Some(lease) => lease,
            None => endpoint.pool.connect().await?,
        };
        match lease.send(request).await {
            Ok(response) => {
                return Ok(response.map(|body| UpstreamBody::new(body, Some(lease), patience)));
            }
            // Closed by the other side while it was idle, before any of this request was sent: nothing has happened yet. A new
            // connection that fails so is another matter.
            Err(mut failed) => match failed.take_message() {
                Some(unsent) if lease.is_reused() => request = unsent,
                _ => return Err(failed.into_error().into()),
            },
        }
    }
}

fn prefixed(prefix: &str, uri: &Uri) -> Result<Uri, http::Error> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    Ok(format!("{prefix}{path}").parse::<PathAndQuery>()?.into())
}
