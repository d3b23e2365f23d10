//! One attempt: an endpoint is chosen, a connection taken or made, the request sent.

use std::{rc::Rc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{COOKIE, LOCATION},
    uri::PathAndQuery,
};
use hyper::body::Incoming;
use tower::BoxError;
use tower_breaker::{
    classify::{HttpStatus, Verdict},
    retry::Replay,
};

use super::{Local, UpstreamBody, form, local::Node, pool::Lease, processed::was_not_processed};
use crate::{
    config::model::{Balancer, HashOn},
    data::{
        body::{Outgoing, RequestBodyError},
        endpoints::{EndpointId, InFlight, Moment, Wanted, hash_key},
        exchange::Exchange,
        headers::{hide_endpoint, set_host},
        retry::Copies,
    },
};

/// How long one attempt may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// To the head of the answer. Kept by the stack; here it says when giving up is the endpoint's fault.
    pub head: Option<Duration>,
    /// Between two pieces of the answer's body.
    pub body: Option<Duration>,
}

/// Sends a request, whose URI is a path and query, to one of the upstream's endpoints.
///
/// # Errors
/// Nothing could be sent, or no answer came.
pub async fn send(
    upstream: Rc<Local>,
    mut request: Request<Outgoing>,
    patience: Patience,
) -> Result<Response<UpstreamBody>, BoxError> {
    let exchange = request.body().exchange().clone();
    let config = &upstream.shared.config;
    let now = Moment::now();
    let picked = {
        let tried = exchange.tried();
        let wanted = Wanted {
            hash: hash(&config.balancer, &request),
            avoid: &tried,
        };
        upstream.pick(wanted, now)?
    };
    let node = upstream.node(picked.endpoint());
    let mut in_flight = picked.start(now);
    if let Some(limit) = patience.head {
        in_flight = in_flight.within(limit);
    }
    let mut trying = Trying::begin(&exchange, in_flight);
    set_host(
        request.headers_mut(),
        &config.host,
        exchange.host(),
        &node.host,
    );
    if !config.path_prefix.is_empty() {
        let prefixed = prefixed(&config.path_prefix, request.uri())?;
        *request.uri_mut() = prefixed;
    }
    *request.version_mut() = Version::HTTP_11;
    let attempted = attempt(&node, request, &exchange).await;
    match (attempted, trying.in_flight.take()) {
        (Ok((mut response, lease)), Some(mut in_flight)) => {
            let now = Moment::now();
            in_flight.answered(now);
            let is_failure = HttpStatus::is_failure(response.status());
            if is_failure {
                in_flight.settle(Verdict::Failure, now);
            }
            if response.headers().contains_key(LOCATION) {
                hide_endpoint(
                    response.headers_mut(),
                    &node.host,
                    &mut upstream.scratch.borrow_mut(),
                );
            }
            // A connection that has been switched to another protocol carries no more requests.
            let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            let lease = (!switched).then_some(lease);
            let mut response =
                response.map(|body| UpstreamBody::new(body, lease, in_flight, patience.body));
            response.body_mut().look().await?;
            if !is_failure {
                trying.succeeded();
            }
            Ok(response)
        }
        (Err(error), Some(in_flight)) => {
            let verdict = match RequestBodyError::find(&*error) {
                Some(_) => Verdict::Ignore,
                None => Verdict::Failure,
            };
            in_flight.finish(verdict, Moment::now());
            Err(error)
        }
        // It is taken here alone.
        (Ok(_), None) => Err("an attempt that is not counted".into()),
        (Err(error), None) => Err(error),
    }
}

/// An attempt that another one will not be sent to the same endpoint after, unless it succeeds: also if it is given up in the middle.
struct Trying<'e> {
    exchange: &'e Exchange,
    endpoint: EndpointId,
    // Until the head of the answer is there.
    in_flight: Option<InFlight>,
    succeeded: bool,
}

impl<'e> Trying<'e> {
    fn begin(exchange: &'e Exchange, in_flight: InFlight) -> Self {
        let endpoint = in_flight.endpoint().id();
        exchange.goes_to(endpoint);
        Self {
            exchange,
            endpoint,
            in_flight: Some(in_flight),
            succeeded: false,
        }
    }

    fn succeeded(&mut self) {
        self.succeeded = true;
    }
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if self.succeeded {
            return;
        }
        self.exchange.has_tried(self.endpoint);
        // Given up while the client had not sent all of its request: whoever holds back a body must not make endpoints look bad.
        if let Some(in_flight) = self.in_flight.take()
            && self.exchange.waits_for_client()
        {
            in_flight.finish(Verdict::Ignore, Moment::now());
        }
    }
}

/// How often a request is sent again that an HTTP/2 endpoint has not processed.
const UNPROCESSED: u32 = 3;

async fn attempt(
    node: &Node,
    mut request: Request<Outgoing>,
    exchange: &Exchange,
) -> Result<(Response<Incoming>, Lease), BoxError> {
    let mut unprocessed = 0;
    loop {
        let mut lease = match node.pool.checkout() {
            Some(lease) => lease,
            // In a box, because there is seldom need of it, and the future of every request would have room for it.
            None => Box::pin(node.pool.connect()).await?,
        };
        let spare = if lease.is_http2() {
            form::for_http2(&mut request, node)?;
            unprocessed += 1;
            // What has been handed to an HTTP/2 connection does not come back. Boxed, because few requests have one.
            (unprocessed <= UNPROCESSED)
                .then(|| Copies.replay(&request).map(Box::new))
                .flatten()
        } else {
            form::for_http1(&mut request)?;
            None
        };
        let mut failed = match lease.send(request).await {
            Ok(response) => return Ok((response, lease)),
            Err(failed) => failed,
        };
        // Closed by the other side while it was idle, before any of this request was sent: nothing has happened yet. A new
        // connection that fails so is another matter.
        if let Some(unsent) = failed.take_message()
            && lease.is_reused()
            && unprocessed <= UNPROCESSED
        {
            request = unsent;
            continue;
        }
        let error = failed.into_error();
        if lease.is_http2() {
            // Of a body that fails HTTP/2 knows no more than that the stream has been reset.
            if let Some(error) = exchange.request_body_error() {
                return Err(error.into());
            }
            if let Some(spare) = spare
                && spare.body().is_kept()
                && was_not_processed(&error)
            {
                request = *spare;
                continue;
            }
        }
        return Err(error.into());
    }
}

fn prefixed(prefix: &str, uri: &Uri) -> Result<Uri, http::Error> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    Ok(format!("{prefix}{path}").parse::<PathAndQuery>()?.into())
}

/// What the endpoint is chosen by, if it is by a hash.
fn hash(balancer: &Balancer, request: &Request<Outgoing>) -> Option<u64> {
    let Balancer::ConsistentHash(on) = balancer else {
        return None;
    };
    match on {
        HashOn::Path => Some(hash_key(request.uri().path().as_bytes())),
        HashOn::Client => {
            let peer = request.body().exchange().peer.to_string();
            Some(hash_key(peer.as_bytes()))
        }
        HashOn::Header(name) => request
            .headers()
            .get(name)
            .map(|value| hash_key(value.as_bytes())),
        HashOn::Cookie(name) => cookie(request.headers(), name).map(hash_key),
    }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .flat_map(|line| line.split(|&byte| byte == b';'))
        .map(<[u8]>::trim_ascii)
        .find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}
