use std::time::Duration;

use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body::Body;

use super::{
    AnyError, Classify, ClassifyBody, ClassifyCall, ClassifyEnd, Head, Verdict, retry_after,
};
use crate::Refused;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

const CANCELLED: i32 = 1;
const UNKNOWN: i32 = 2;
const DEADLINE_EXCEEDED: i32 = 4;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;
const DATA_LOSS: i32 = 15;
const UNAUTHENTICATED: i32 = 16;

/// What a gRPC status code says about the server. For a gRPC client in code of your own; in a stack, see [`Grpc`], which
/// judges by this:
///
/// | code | verdict | because |
/// |---|---|---|
/// | 0 `OK` | success | |
/// | 1 `CANCELLED` | ignore | somebody on the caller's side lost interest, which says nothing about the server |
/// | 2 `UNKNOWN` | failure | the server's code failed in a way that it did not foresee; also what has no meaning |
/// | 3 `INVALID_ARGUMENT` | success | the caller's mistake, and the server noticed it |
/// | 4 `DEADLINE_EXCEEDED` | failure | the server was too slow |
/// | 5 `NOT_FOUND` | success | an answer |
/// | 6 `ALREADY_EXISTS` | success | an answer |
/// | 7 `PERMISSION_DENIED` | success | an answer |
/// | 8 `RESOURCE_EXHAUSTED` | failure | the server is overloaded, or asks this caller for less traffic |
/// | 9 `FAILED_PRECONDITION` | success | an answer: things are not in the state that the caller believed them in |
/// | 10 `ABORTED` | success | an answer: another transaction was first |
/// | 11 `OUT_OF_RANGE` | success | the caller's mistake |
/// | 12 `UNIMPLEMENTED` | success | a healthy server that does not offer what was asked for |
/// | 13 `INTERNAL` | failure | the server says that something in it is broken |
/// | 14 `UNAVAILABLE` | failure | the server says that it cannot serve now |
/// | 15 `DATA_LOSS` | failure | the server lost or corrupted data |
/// | 16 `UNAUTHENTICATED` | success | the caller's credentials |
/// | any other | failure | it has to be read as `UNKNOWN` |
///
/// ```
/// use tower_breaker::{CircuitBreaker, classify::grpc_verdict};
///
/// let breaker = CircuitBreaker::builder("stock").consecutive_failures(5).build()?;
/// let permit = breaker.try_acquire()?;
/// // let result = client.check(request).await;
/// let result: Result<tonic::Response<()>, _> = Err(tonic::Status::not_found("no such item"));
/// let code = result.map_or_else(|status| status.code(), |_| tonic::Code::Ok);
/// permit.record(grpc_verdict(code as i32));
/// assert_eq!(breaker.snapshot().succeeded, 1);
/// # Ok::<(), tower_breaker::BoxError>(())
/// ```
pub fn grpc_verdict(code: i32) -> Verdict {
    match code {
        CANCELLED => Verdict::Ignore,
        UNKNOWN | DEADLINE_EXCEEDED | RESOURCE_EXHAUSTED | INTERNAL | UNAVAILABLE | DATA_LOSS => {
            Verdict::Failure
        }
        0..=16 => Verdict::Success,
        _ => Verdict::Failure,
    }
}

/// Judges a gRPC response by its status code, as the table of [`grpc_verdict`] says; errors as [`AnyError`] does.
///
/// The code usually comes in the trailers, after the body, so use it with
/// [`until_end_of_body`](crate::CircuitBreakerLayer::until_end_of_body):
///
/// * A response with a `grpc-status` among its headers (trailers-only: the server had nothing but the status to say) is judged at its head.
/// * One without, and with an HTTP status other than `200`, comes from something in between that does not speak gRPC. It is judged
///   at its head by [gRPC's mapping](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md): `400` is `INTERNAL`, `401`
///   `UNAUTHENTICATED`, `403` `PERMISSION_DENIED`, `404` `UNIMPLEMENTED`, `429`, `502`, `503` and `504` `UNAVAILABLE`, the rest `UNKNOWN`.
/// * Any other is judged by its trailers. If they are missing or without a `grpc-status`, or if the body fails, that is a failure.
///
/// A layer that does not wait for the end of the body sees only the first two; every other response is a success to it.
///
/// A failure's `grpc-retry-pushback-ms` or `Retry-After` is the wait that the server asks for. A `grpc-retry-pushback-ms` that is negative, or no
/// number at all, forbids to make the call again ([gRFC A6](https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback)). A response that a guard further in made of its refusal
/// is ignored. For gRPC-Web, whose trailers are part of the body, put the breaker around the client's translation to gRPC.
#[derive(Debug, Clone, Copy, Default)]
pub struct Grpc;

// `None` while it is not known.
fn code_of_head<B>(response: &Response<B>) -> Option<i32> {
    if let Some(code) = code_in(response.headers()) {
        return Some(code);
    }
    match response.status() {
        StatusCode::OK => None,
        StatusCode::BAD_REQUEST => Some(INTERNAL),
        StatusCode::UNAUTHORIZED => Some(UNAUTHENTICATED),
        StatusCode::FORBIDDEN => Some(PERMISSION_DENIED),
        StatusCode::NOT_FOUND => Some(UNIMPLEMENTED),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Some(UNAVAILABLE),
        _ => Some(UNKNOWN),
    }
}

fn code_in(headers: &HeaderMap) -> Option<i32> {
    let code = headers.get(GRPC_STATUS)?;
    let code = code.to_str().ok().and_then(|code| code.parse().ok());
    Some(code.unwrap_or(UNKNOWN))
}

fn wait_in(headers: &HeaderMap) -> Option<Duration> {
    retry_after::milliseconds(headers, RETRY_PUSHBACK).or_else(|| retry_after::in_headers(headers))
}

impl<Req, B, Err: 'static> Classify<Req, Response<B>, Err> for Grpc {
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        *self
    }
}

impl Grpc {
    fn known_at_head<B>(response: &Response<B>) -> Option<Verdict> {
        if response.extensions().get::<Refused>().is_some() {
            return Some(Verdict::Ignore);
        }
        code_of_head(response).map(grpc_verdict)
    }
}

impl<B, Err: 'static> ClassifyCall<Response<B>, Err> for Grpc {
    fn verdict(self, result: Result<&Response<B>, &Err>) -> Verdict {
        match result {
            Ok(response) => Self::known_at_head(response).unwrap_or(Verdict::Success),
            Err(err) => ClassifyCall::<Response<B>, Err>::verdict(AnyError, Err(err)),
        }
    }

    fn retry_after(&self, result: Result<&Response<B>, &Err>) -> Option<Duration> {
        let response = result.ok()?;
        let failed = Self::known_at_head(response) == Some(Verdict::Failure);
        failed.then(|| wait_in(response.headers())).flatten()
    }

    fn forbids_retry(&self, result: Result<&Response<B>, &Err>) -> bool {
        result.is_ok_and(|response| {
            let headers = response.headers();
            headers.contains_key(RETRY_PUSHBACK)
                && retry_after::milliseconds(headers, RETRY_PUSHBACK).is_none()
        })
    }
}

impl<B: Body, Err: 'static> ClassifyBody<B, Err> for Grpc {
    type End = GrpcEnd;

    fn head(self, response: &Response<B>) -> Head<GrpcEnd> {
        Self::known_at_head(response).map_or(Head::AtEnd(GrpcEnd(())), Head::Known)
    }
}

/// Judges the trailers of a gRPC response, for [`Grpc`].
#[derive(Debug, Clone, Copy)]
pub struct GrpcEnd(());

impl<E> ClassifyEnd<E> for GrpcEnd {
    fn end(self, end: Result<Option<&HeaderMap>, &E>) -> Verdict {
        match end {
            Ok(trailers) => grpc_verdict(trailers.and_then(code_in).unwrap_or(UNKNOWN)),
            Err(_) => Verdict::Failure,
        }
    }

    fn retry_after(&self, end: Result<Option<&HeaderMap>, &E>) -> Option<Duration> {
        let failed = ClassifyEnd::<E>::end(*self, end) == Verdict::Failure;
        let trailers = end.ok().flatten()?;
        failed.then(|| wait_in(trailers)).flatten()
    }
}
