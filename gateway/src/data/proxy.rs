//! The way of a request through the gateway: let in, routed, sent on, and its answer sent back.

use std::{
    cell::RefCell,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, Version, header::HOST, request::Parts},
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use service_kit::problem::{self, Problem};
use tower::{BoxError, ServiceExt, timeout::error::Elapsed};

use super::{
    admit::{Refusal, TARGET_BYTES, admit},
    answer_check::check_answer,
    body::{RequestBodyError, Upload, marked},
    headers::{Answered, Asked, ForwardingPolicy, Names, Prepared, Scratch},
    route::RouteTable,
    upstream::Upstream,
};
use crate::config::Target;

/// Everything a request needs to find its way.
#[derive(Debug)]
pub struct DataPlane {
    /// Which path goes where.
    pub routes: RouteTable<Target>,
    /// Every upstream, at the place its id says.
    pub upstreams: Vec<Upstream>,
    /// What the gateway answers itself.
    pub own: Router,
    /// What upstreams are told of clients.
    pub forwarding: ForwardingPolicy,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Answers one request.
pub async fn serve(State(plane): State<Arc<DataPlane>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let found = match admit(&parts, TARGET_BYTES) {
        Ok(admitted) if admitted.upgrade.is_some() => return no_upgrade().into_response(),
        Ok(admitted) => plane
            .routes
            .find(&admitted.path)
            .map(|(pattern, target)| (pattern.route_name(), *target, admitted.names)),
        Err(refusal) => return refused(&refusal),
    };
    let Some((route, target, names)) = found else {
        return Problem::unknown_path().into_response();
    };
    let mut response = match target {
        Target::Own => {
            let own = plane.own.clone();
            own.oneshot(Request::from_parts(parts, body))
                .await
                .into_response()
        }
        Target::Upstream(id) => match plane.upstreams.get(id.index()) {
            Some(upstream) => send(&plane.forwarding, upstream, names, parts, body).await,
            None => Problem::internal().into_response(),
        },
    };
    response.extensions_mut().insert(route);
    response
}

fn refused(refusal: &Refusal) -> Response {
    let mut response = Problem::of(refusal.status())
        .detail(refusal.to_string())
        .into_response();
    if refusal.ends_connection() {
        let close = http::HeaderValue::from_static("close");
        response
            .headers_mut()
            .insert(http::header::CONNECTION, close);
    }
    response
}

fn no_upgrade() -> Problem {
    Problem::of(StatusCode::NOT_IMPLEMENTED)
        .detail("upgrading the connection to another protocol is not supported")
}

/// The request's headers as the upstream gets them. The client of the upstream puts the endpoint's name in `Host`.
fn prepare(forwarding: &ForwardingPolicy, names: Names, parts: &mut Parts) -> Prepared {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let facts = forwarding.connection(peer.map(|peer| peer.0.ip()), false);
    let asked = Asked {
        names,
        version: parts.version,
        authority: parts.uri.authority(),
    };
    let headers: &mut HeaderMap = &mut parts.headers;
    let prepared =
        SCRATCH.with_borrow_mut(|scratch| forwarding.to_upstream(headers, &facts, asked, scratch));
    headers.remove(HOST);
    prepared
}

async fn send(
    forwarding: &ForwardingPolicy,
    upstream: &Upstream,
    names: Names,
    mut parts: Parts,
    body: Body,
) -> Response {
    let prepared = prepare(forwarding, names, &mut parts);
    parts.uri = origin_form(parts.uri);
    parts.version = Version::HTTP_11;
    let method = parts.method.clone();
    let (body, upload) = marked(body);
    parts.extensions.insert(upload.clone());
    let request = Request::from_parts(parts, body);
    match upstream.proxied().oneshot(request).await {
        Ok(response) => answer(forwarding, upstream, &method, &prepared, response),
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

fn answer(
    forwarding: &ForwardingPolicy,
    upstream: &Upstream,
    method: &Method,
    prepared: &Prepared,
    response: Response<Incoming>,
) -> Response {
    let (mut parts, body) = response.into_parts();
    let checked = check_answer(parts.status, parts.version, &parts.headers, false);
    let names = match checked {
        Ok(names) => names,
        Err(why) => {
            tracing::warn!(upstream = upstream.name(), status = parts.status.as_u16(), %why, "an answer that cannot be passed on");
            let problem = Problem::bad_gateway(
                "The service behind this path sent an answer that makes no sense",
            );
            return problem.into_response();
        }
    };
    let answered = Answered {
        names,
        version: parts.version,
        endpoint: upstream.authority(),
        request_id: prepared.request_id.as_ref(),
    };
    SCRATCH.with_borrow_mut(|scratch| {
        forwarding.to_client(&mut parts.headers, answered, scratch);
    });
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
