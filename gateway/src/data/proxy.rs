//! The way of a request through the gateway: let in, routed, sent on, and its answer sent back.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request, State},
    http::{Method, StatusCode, Uri, Version, request::Parts, uri::Authority},
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use service_kit::{
    problem::{self, Problem},
    telemetry::RouteName,
};
use tower::{BoxError, ServiceExt, timeout::error::Elapsed};

use super::{
    admit::{Refusal, admit},
    body::{RequestBodyError, Upload, marked},
    headers::{self, Seen},
    route::{Found, Key, RouteTable},
    upstream::Upstream,
};
use crate::config::Target;

/// Everything a request needs to find its way.
#[derive(Debug)]
pub struct DataPlane {
    /// Which path goes where.
    pub routes: RouteTable<(RouteName, Target)>,
    /// Every upstream, at the place its id says.
    pub upstreams: Vec<Upstream>,
    /// What the gateway answers itself.
    pub own: Router,
}

/// Answers one request.
pub async fn serve(State(plane): State<Arc<DataPlane>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (found, host) = match admit(&parts) {
        Ok(admitted) => {
            let key = Key {
                host: admitted.host.as_ref().map(Authority::host),
                path: &admitted.path,
                method: &parts.method,
                headers: &parts.headers,
            };
            (plane.routes.find(&key), admitted.host)
        }
        Err(refusal) => return refused(&refusal).into_response(),
    };
    let (route, target) = match found {
        Found::Route((route, target)) => (route.clone(), *target),
        Found::MethodNotAllowed(allow) => {
            return Problem::method_not_allowed()
                .allow(allow.to_header())
                .into_response();
        }
        Found::None => return Problem::unknown_path().into_response(),
    };
    let mut response = match target {
        Target::Own => {
            let own = plane.own.clone();
            own.oneshot(Request::from_parts(parts, body))
                .await
                .into_response()
        }
        Target::Upstream(id) => match plane.upstreams.get(id.index()) {
            Some(upstream) => send(upstream, parts, body, host.as_ref()).await,
            None => Problem::internal().into_response(),
        },
    };
    response.extensions_mut().insert(route);
    response
}

fn refused(refusal: &Refusal) -> Problem {
    Problem::of(refusal.status()).detail(refusal.to_string())
}

async fn send(
    upstream: &Upstream,
    mut parts: Parts,
    body: Body,
    host: Option<&Authority>,
) -> Response {
    let seen = Seen {
        peer: parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|peer| peer.0.ip().to_canonical()),
        host,
        version: parts.version,
    };
    headers::to_upstream(&mut parts.headers, seen);
    parts.uri = origin_form(parts.uri);
    parts.version = Version::HTTP_11;
    let method = parts.method.clone();
    let (body, upload) = marked(body);
    parts.extensions.insert(upload.clone());
    let request = Request::from_parts(parts, body);
    match upstream.proxied().oneshot(request).await {
        Ok(response) => answer(upstream, &method, response),
        Err(error) => failed(upstream, &error, &upload).into_response(),
    }
}

/// The path and query of a request target, as they were written.
fn origin_form(uri: Uri) -> Uri {
    uri.path_and_query()
        .cloned()
        .map(Uri::from)
        .unwrap_or_default()
}

fn answer(upstream: &Upstream, method: &Method, response: Response<Incoming>) -> Response {
    // No upgrade was asked for, so an upstream that switches protocols is confused, and its connection of no further use.
    if response.status().is_informational() {
        tracing::warn!(
            upstream = upstream.name(),
            status = response.status().as_u16(),
            "unasked informational response"
        );
        let problem =
            Problem::bad_gateway("The service behind this path sent an answer that makes no sense");
        return problem.into_response();
    }
    let (mut parts, body) = response.into_parts();
    headers::to_client(&mut parts.headers, parts.version, upstream.authority());
    parts.version = Version::HTTP_11;
    let has_no_body = *method == Method::HEAD || parts.status == StatusCode::NOT_MODIFIED;
    let body = if has_no_body {
        Body::new(UnknownLength(body))
    } else {
        Body::new(body)
    };
    Response::from_parts(parts, body)
}

fn failed(upstream: &Upstream, error: &BoxError, upload: &Upload) -> Problem {
    let problem = if RequestBodyError::caused(error) {
        match problem::from_stack_error(error) {
            too_large if too_large.status() == StatusCode::PAYLOAD_TOO_LARGE => too_large,
            _ => Problem::bad_request("The request body broke off"),
        }
    } else if error.is::<Elapsed>() && upload.waits_for_client() {
        Problem::of(StatusCode::REQUEST_TIMEOUT).detail("The request body did not arrive in time")
    } else {
        problem::from_stack_error(error)
    };
    tracing::debug!(upstream = upstream.name(), %error, status = problem.status().as_u16(), "proxied request failed");
    problem
}

/// The body of a response that has none, but whose head may speak of one: without this, its length of zero would be
/// announced as the length of what the head describes.
struct UnknownLength(Incoming);

impl HttpBody for UnknownLength {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
