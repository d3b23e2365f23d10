//! The way of a request through a worker: let in, routed, sent on, and its answer sent back.

use std::{
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
    request::Parts,
};
use http_body::Body;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use service_kit::{
    problem::{self, Problem},
    runtime::own_errors::Turn,
    telemetry::trace_context::{TRACEPARENT, TRACESTATE, TraceContext},
};
use tower::{BoxError, Service, ServiceExt, timeout::error::Elapsed};
use tower_breaker::fallback::Degraded;

use super::{
    admit::{Refusal, admit, headers_fit},
    answer_check::check_answer,
    body::{Outgoing, RequestBodyError, ResponseBody},
    endpoints::NoneAvailable,
    exchange::Exchange,
    headers::{Answered, Asked, Names, Prepared},
    host::Host,
    route::{Found, Key},
    tunnel,
    worker::{Facts, LocalTarget, Route, Worker},
};

/// What a worker's stacks are to the code around them.
pub trait Stack<B>:
    Service<
        Request<Outgoing>,
        Response = Response<ResponseBody<B>>,
        Error = BoxError,
        Future: 'static,
    > + Clone
    + 'static
{
}

impl<S, B> Stack<B> for S where
    S: Service<
            Request<Outgoing>,
            Response = Response<ResponseBody<B>>,
            Error = BoxError,
            Future: 'static,
        > + Clone
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
    let exchange = Exchange::begin(request.method().clone(), trace, facts.peer, &worker.notes);
    let mut response = {
        let mut answer = pin!(route(worker, facts, request, &exchange));
        match worker.plane.limits.request_timeout {
            None => answer.await,
            Some(limit) => tokio::time::timeout(limit, answer.as_mut())
                .await
                .unwrap_or_else(|_| too_long()),
        }
    };
    exchange.answered(response.status());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // What follows is no HTTP, and nothing is expected of it here.
        if let Some(turn) = turn {
            turn.never_ends();
        }
        return response.map(|body| body.carrying(exchange, None));
    }
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
    let (mut parts, body) = request.into_parts();
    let Admission {
        target,
        asks_upgrade,
        names,
    } = match find(worker, &parts, exchange) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let LocalTarget::Upstream { stack, route } = target else {
        return Box::pin(own(worker, parts, body, exchange)).await;
    };
    let limit = worker.plane.limits.body;
    if announces_more_than(&parts.headers, limit) {
        return answer(Problem::content_too_large(Some(limit)));
    }
    let upgrade = asks_upgrade
        .then(|| parts.extensions.remove::<OnUpgrade>())
        .flatten();
    let (prepared, asked_host) = forward(
        worker,
        facts,
        names,
        &mut parts,
        exchange,
        upgrade.is_some(),
    );
    exchange.asked_for(asked_host);
    let method = parts.method.clone();
    let patience = worker.plane.limits.body_timeout;
    let mut body = Outgoing::new(body, limit, patience, exchange.clone());
    if let Some(most) = route.kept_body() {
        body = body.kept(most);
    }
    let request = Request::from_parts(parts, body);
    let deadline = route
        .total_timeout()
        .and_then(|limit| exchange.started().checked_add(limit));
    match call(stack.clone(), request, deadline).await {
        Ok(response) => {
            let answered = Asking {
                method: &method,
                prepared: &prepared,
                upgrade,
            };
            from_upstream(worker, route, answered, response).map(|body| body.until(deadline))
        }
        Err(error) => failed(route.upstream(), &error, exchange),
    }
}

async fn call<S, B>(
    stack: S,
    request: Request<Outgoing>,
    deadline: Option<Instant>,
) -> Result<Response<ResponseBody<B>>, BoxError>
where
    S: Stack<B>,
{
    // Pinned here, because both ways to wait for it would have a place for it of their own.
    let mut call = pin!(stack.oneshot(request));
    match deadline {
        None => call.await,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), call.as_mut()).await?,
    }
}

/// A request that was let in.
struct Admission<'w, S> {
    /// Who answers it.
    target: &'w LocalTarget<S>,
    /// Whether it asks for another protocol.
    asks_upgrade: bool,
    /// Which fields it has.
    names: Names,
}

/// Lets a request in and finds its route.
#[allow(
    clippy::result_large_err,
    reason = "it is the answer, and is moved once"
)]
fn find<'w, S, B>(
    worker: &'w Worker<S>,
    parts: &Parts,
    exchange: &Exchange,
) -> Result<Admission<'w, S>, Response<ResponseBody<B>>> {
    let limits = &worker.plane.limits;
    headers_fit(&parts.headers, limits.header_bytes, limits.headers).map_err(refused)?;
    let admitted = admit(parts, limits.uri_bytes).map_err(refused)?;
    let key = Key {
        host: admitted.host.as_ref().map(Host::name),
        path: &admitted.path,
        method: &parts.method,
        headers: &parts.headers,
    };
    let place = match worker.plane.routes.find(&key) {
        Found::Route(place) => *place,
        Found::MethodNotAllowed(allow) => {
            return Err(answer(
                Problem::method_not_allowed().allow(allow.to_header()),
            ));
        }
        Found::None => return Err(answer(Problem::unknown_path())),
    };
    let found = worker
        .targets
        .get(place)
        .zip(worker.plane.targets.get(place));
    let Some((target, shared)) = found else {
        return Err(answer(Problem::unknown_path()));
    };
    exchange.routed(&shared.metrics);
    Ok(Admission {
        target,
        asks_upgrade: admitted.upgrade.is_some(),
        names: admitted.names,
    })
}

fn refused<B>(refusal: Refusal) -> Response<ResponseBody<B>> {
    let mut response = answer(Problem::of(refusal.status()).detail(refusal.to_string()));
    if refusal.ends_connection() {
        end_connection(&mut response);
    }
    response
}

fn announces_more_than(headers: &HeaderMap, limit: u64) -> bool {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > limit)
}

/// Makes the client's request the upstream's. Returns what was taken out of it, and the host it asked for.
fn forward<S>(
    worker: &Worker<S>,
    facts: &Facts,
    names: Names,
    parts: &mut Parts,
    exchange: &Exchange,
    upgrades: bool,
) -> (Prepared, Option<HeaderValue>) {
    let uri = std::mem::take(&mut parts.uri).into_parts();
    let asked = Asked {
        names,
        version: parts.version,
        authority: uri.authority.as_ref(),
    };
    let headers = &mut parts.headers;
    let prepared = {
        let mut scratch = worker.scratch.borrow_mut();
        worker
            .forwarding
            .to_upstream(headers, &facts.forwarding, asked, &mut scratch)
    };
    // hyper asks the client for its body when the upstream's connection asks for it.
    headers.remove(header::EXPECT);
    let trace = &exchange.trace;
    headers.insert(TRACEPARENT, trace.traceparent_value());
    match trace.tracestate() {
        Some(state) => headers.insert(TRACESTATE, state.clone()),
        None => headers.remove(TRACESTATE),
    };
    if let (true, Some(protocol)) = (upgrades, &prepared.upgrade) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
    exchange.set_takes_trailers(prepared.takes_trailers);
    let asked_host = headers.get(header::HOST).cloned();
    // The path and query of the request target, as they were written.
    parts.uri = uri.path_and_query.map(Uri::from).unwrap_or_default();
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    (prepared, asked_host)
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

/// What of a request matters for its answer.
struct Asking<'r> {
    method: &'r Method,
    prepared: &'r Prepared,
    upgrade: Option<OnUpgrade>,
}

fn from_upstream<S, B>(
    worker: &Worker<S>,
    route: &Route,
    asking: Asking<'_>,
    response: Response<ResponseBody<B>>,
) -> Response<ResponseBody<B>> {
    let (mut parts, body) = response.into_parts();
    if parts.extensions.get::<Degraded>().is_some() {
        parts.extensions.clear();
        return Response::from_parts(parts, body);
    }
    let asked = asking
        .upgrade
        .as_ref()
        .and(asking.prepared.upgrade.as_ref());
    let checked = check_answer(parts.status, parts.version, &parts.headers, asked);
    let names = match checked {
        Ok(names) => names,
        Err(why) => {
            tracing::warn!(upstream = route.upstream(), status = parts.status.as_u16(), %why, "an answer that cannot be passed on");
            return answer(Problem::bad_gateway(
                "The service behind this path sent an answer that makes no sense",
            ));
        }
    };
    let protocol = parts.headers.get(header::UPGRADE).cloned();
    let answered = Answered {
        names,
        version: parts.version,
        request_id: asking.prepared.request_id.as_ref(),
    };
    worker.forwarding.to_client(
        &mut parts.headers,
        answered,
        &mut worker.scratch.borrow_mut(),
    );
    parts.version = Version::HTTP_11;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(client)) = (parts.status, asking.upgrade) {
        tunnel::open(worker, client, &mut parts.extensions);
        let upgrade = HeaderValue::from_static("upgrade");
        parts.headers.insert(header::CONNECTION, upgrade);
        if let Some(protocol) = protocol {
            parts.headers.insert(header::UPGRADE, protocol);
        }
    }
    parts.extensions.clear();
    let has_no_body = *asking.method == Method::HEAD || parts.status == StatusCode::NOT_MODIFIED;
    Response::from_parts(parts, body.of_unknown_length(has_no_body))
}

fn failed<B>(upstream: &str, error: &BoxError, exchange: &Exchange) -> Response<ResponseBody<B>> {
    let problem = match RequestBodyError::find(&**error) {
        Some(RequestBodyError::TooLarge(limit)) => Problem::content_too_large(Some(*limit)),
        Some(RequestBodyError::TooSlow) => too_slow(),
        Some(RequestBodyError::Broken(_)) => Problem::bad_request("The request body broke off"),
        None if error.is::<Elapsed>() && exchange.waits_for_client() => too_slow(),
        None if error.is::<NoneAvailable>() => {
            Problem::unavailable("No instance of the service behind this path is well")
                .retry_after(SOON)
        }
        None => problem::from_stack_error(error),
    };
    tracing::debug!(upstream, %error, status = problem.status().as_u16(), "proxied request failed");
    answer(problem)
}

/// When endpoints may be well again, if nothing is known of that.
const SOON: Duration = Duration::from_secs(1);

fn too_long<B>() -> Response<ResponseBody<B>> {
    answer(Problem::unavailable(
        "The service took too long to answer this request",
    ))
}

fn too_slow() -> Problem {
    Problem::of(StatusCode::REQUEST_TIMEOUT).detail("The request body did not arrive in time")
}
