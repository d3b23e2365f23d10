//! The way of a request through a worker: let in, routed, sent on, and its answer sent back.

use std::rc::Rc;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, request::Parts,
};
use http_body::Body;
use hyper::body::Incoming;
use service_kit::{
    problem::{self, Problem},
    runtime::own_errors::Turn,
    telemetry::trace_context::{TRACEPARENT, TRACESTATE, TraceContext},
};
use tower::{BoxError, Service, ServiceExt, timeout::error::Elapsed};

use super::{
    admit::{Refusal, admit, fits},
    body::{Outgoing, RequestBodyError, ResponseBody},
    exchange::Exchange,
    headers::{self, Seen},
    worker::{Facts, LocalTarget, Worker},
};

/// What a worker's stacks are to the code around them.
pub trait Stack<B>:
    Service<Request<Outgoing>, Response = Response<B>, Error = BoxError, Future: 'static>
    + Clone
    + 'static
{
}

impl<S, B> Stack<B> for S where
    S: Service<Request<Outgoing>, Response = Response<B>, Error = BoxError, Future: 'static>
        + Clone
        + 'static
{
}

/// Answers one request.
pub async fn serve<S, B>(
    worker: &Worker<S>,
    facts: &Facts,
    request: Request<Incoming>,
    turn: Option<Turn>,
) -> Response<ResponseBody<B>>
where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError>,
{
    let trace = TraceContext::from_headers(request.headers());
    let exchange = Exchange::begin(request.method().clone(), trace, &worker.notes);
    let mut response = route(worker, facts, request, &exchange).await;
    exchange.answered(response.status());
    if worker.draining() || facts.is_used_up() {
        end_connection(&mut response);
    }
    response.map(|body| body.carrying(exchange, turn))
}

/// HTTP/2 has no such header; hyper removes it there.
fn end_connection<B>(response: &mut Response<B>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
}

async fn route<S, B>(
    worker: &Worker<S>,
    facts: &Facts,
    request: Request<Incoming>,
    exchange: &Rc<Exchange>,
) -> Response<ResponseBody<B>>
where
    S: Stack<B>,
    B: Body<Data = Bytes, Error = BoxError>,
{
    let (parts, body) = request.into_parts();
    if let Err(refusal) = fits(&parts, &worker.plane.limits) {
        return refused(&refusal);
    }
    let (found, host) = match admit(&parts) {
        Ok(admitted) => (worker.plane.routes.find(&admitted.path), admitted.host),
        Err(refusal) => return refused(&refusal),
    };
    let target = found.and_then(|(_, target)| {
        let shared = worker.plane.targets.get(*target)?;
        exchange.routed(&shared.metrics);
        worker.targets.get(*target)
    });
    match target {
        None => answer(Problem::unknown_path()),
        Some(LocalTarget::Own) => own(worker, parts, body, exchange).await,
        Some(LocalTarget::Upstream { stack, route }) => {
            let limit = worker.plane.limits.body;
            if announces_more_than(&parts, limit) {
                return answer(Problem::content_too_large(Some(limit)));
            }
            let mut parts = parts;
            let seen = Seen {
                peer: Some(facts.peer),
                host: host.as_ref(),
                version: parts.version,
            };
            forward(&mut parts, seen, exchange);
            let method = parts.method.clone();
            let patience = worker.plane.limits.body_timeout;
            let body = Outgoing::new(body, limit, patience, exchange.clone());
            let request = Request::from_parts(parts, body);
            match stack.clone().oneshot(request).await {
                Ok(response) => from_upstream(route.authority(), &method, response),
                Err(error) => failed(route.upstream(), &error, exchange),
            }
        }
    }
}

fn refused<B>(refusal: &Refusal) -> Response<ResponseBody<B>> {
    answer(Problem::of(refusal.status()).detail(refusal.to_string()))
}

fn announces_more_than(parts: &Parts, limit: u64) -> bool {
    parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > limit)
}

/// Makes the client's request the upstream's.
fn forward(parts: &mut Parts, seen: Seen<'_>, exchange: &Exchange) {
    headers::to_upstream(&mut parts.headers, seen);
    // hyper asks the client for its body when the upstream's connection asks for it.
    parts.headers.remove(header::EXPECT);
    let trace = &exchange.trace;
    parts.headers.insert(TRACEPARENT, trace.traceparent_value());
    match trace.tracestate() {
        Some(state) => parts.headers.insert(TRACESTATE, state.clone()),
        None => parts.headers.remove(TRACESTATE),
    };
    parts.uri = origin_form(std::mem::take(&mut parts.uri));
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
}

/// The path and query of a request target, as they were written.
fn origin_form(uri: Uri) -> Uri {
    let plain = uri.scheme().is_none() && uri.authority().is_none();
    if plain {
        return uri;
    }
    uri.into_parts()
        .path_and_query
        .map(Uri::from)
        .unwrap_or_default()
}

/// A problem, as it goes out.
pub fn answer<B>(problem: Problem) -> Response<ResponseBody<B>> {
    use axum::response::IntoResponse;
    problem.into_response().map(ResponseBody::own)
}

async fn own<S, B>(
    worker: &Worker<S>,
    parts: Parts,
    body: Incoming,
    exchange: &Exchange,
) -> Response<ResponseBody<B>> {
    let request = Request::from_parts(parts, axum::body::Body::new(body));
    let trace = exchange.trace.clone();
    let answered = trace.scope(worker.own.clone().oneshot(request)).await;
    match answered {
        Ok(response) => response.map(ResponseBody::own),
        Err(never) => match never {},
    }
}

fn from_upstream<B>(
    authority: &HeaderValue,
    method: &Method,
    response: Response<B>,
) -> Response<ResponseBody<B>> {
    // No upgrade was asked for, so an upstream that switches protocols is confused, and its connection of no further use.
    if response.status().is_informational() {
        return answer(Problem::bad_gateway(
            "The service behind this path sent an answer that makes no sense",
        ));
    }
    let (mut parts, body) = response.into_parts();
    headers::to_client(&mut parts.headers, parts.version, authority);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    let has_no_body = *method == Method::HEAD || parts.status == StatusCode::NOT_MODIFIED;
    let body = ResponseBody::upstream(body).of_unknown_length(has_no_body);
    Response::from_parts(parts, body)
}

fn failed<B>(upstream: &str, error: &BoxError, exchange: &Exchange) -> Response<ResponseBody<B>> {
    let problem = match RequestBodyError::find(&**error) {
        Some(RequestBodyError::TooLarge(limit)) => Problem::content_too_large(Some(*limit)),
        Some(RequestBodyError::TooSlow) => too_slow(),
        Some(RequestBodyError::Broken(_)) => Problem::bad_request("The request body broke off"),
        None if error.is::<Elapsed>() && exchange.waits_for_client() => too_slow(),
        None => problem::from_stack_error(error),
    };
    tracing::debug!(upstream, %error, status = problem.status().as_u16(), "proxied request failed");
    answer(problem)
}

fn too_slow() -> Problem {
    Problem::of(StatusCode::REQUEST_TIMEOUT).detail("The request body did not arrive in time")
}
