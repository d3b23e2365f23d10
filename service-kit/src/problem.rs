//! Error answers as problem details (RFC 9457, `application/problem+json`).
//!
//! Every error a service sends is a [`Problem`]: `type`, `title`, `status` and `detail` are always there. A problem says
//! what the client can do about it and nothing about the inside: no addresses, no stack, no error chain.

use crate::BoxError;
use crate::layers::{BodyTimedOut, BodyTooLarge};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;
use tower_breaker::Refused;

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// A problem to answer with. One word in size, so that it is a cheap error type for handlers.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    inner: Box<Inner>,
}

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    status: StatusCode,
    kind: String,
    title: String,
    detail: String,
    extra: Map<String, Value>,
    retry_after: Option<Duration>,
    allow: Option<HeaderValue>,
}

impl Problem {
    /// A problem with a short, fixed `title`; the detail says the same until [`detail`](Self::detail) says more.
    pub fn new(status: StatusCode, title: impl Into<String>) -> Self {
        let title = title.into();
        let inner = Inner {
            status,
            kind: "about:blank".to_owned(),
            detail: title.clone(),
            title,
            extra: Map::new(),
            retry_after: None,
            allow: None,
        };
        Self {
            inner: Box::new(inner),
        }
    }

    /// A problem whose title is the status's standard phrase.
    pub fn of(status: StatusCode) -> Self {
        Self::new(
            status,
            status.canonical_reason().unwrap_or("Unknown Status"),
        )
    }

    /// 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::BAD_REQUEST).detail(detail)
    }

    /// 404 for a thing that is not there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::NOT_FOUND).detail(detail)
    }

    /// 404 for a path that is not there: the detail is exactly `Not Found`.
    pub fn unknown_path() -> Self {
        Self::of(StatusCode::NOT_FOUND)
    }

    /// 405; axum adds `Allow`.
    pub fn method_not_allowed() -> Self {
        Self::of(StatusCode::METHOD_NOT_ALLOWED)
            .detail("The path exists, but not for this method; see the Allow header")
    }

    /// 408 for a request whose body stopped coming.
    pub(crate) fn request_timeout() -> Self {
        Self::of(StatusCode::REQUEST_TIMEOUT)
            .detail("The rest of the request body did not arrive in time")
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::CONFLICT).detail(detail)
    }

    /// 413 with the limit that was exceeded.
    pub fn content_too_large(limit: Option<u64>) -> Self {
        let problem = Self::of(StatusCode::PAYLOAD_TOO_LARGE);
        match limit {
            Some(limit) => problem
                .detail(format!(
                    "The request body is larger than the limit of {limit} bytes"
                ))
                .with("limit_bytes", limit),
            None => problem.detail("The request body is larger than the limit"),
        }
    }

    /// 422.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::UNPROCESSABLE_ENTITY).detail(detail)
    }

    /// 500; what happened belongs into the log.
    pub fn internal() -> Self {
        Self::of(StatusCode::INTERNAL_SERVER_ERROR)
            .detail("The service failed to answer this request; it was logged")
    }

    /// 502.
    pub fn bad_gateway(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::BAD_GATEWAY).detail(detail)
    }

    /// 503.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::SERVICE_UNAVAILABLE).detail(detail)
    }

    /// 504.
    pub fn gateway_timeout(detail: impl Into<String>) -> Self {
        Self::of(StatusCode::GATEWAY_TIMEOUT).detail(detail)
    }

    /// What happened this time, for a person.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.inner.detail = detail.into();
        self
    }

    /// A URI naming the kind of problem; `about:blank` otherwise.
    pub fn kind(mut self, uri: impl Into<String>) -> Self {
        self.inner.kind = uri.into();
        self
    }

    /// A further member of the body; the five standard names are not replaced.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !matches!(name, "type" | "title" | "status" | "detail" | "instance") {
            self.inner.extra.insert(name.to_owned(), value.into());
        }
        self
    }

    /// `Retry-After`, rounded up to whole seconds (at least one).
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.inner.retry_after = Some(wait);
        self
    }

    /// The `Allow` header of a 405.
    pub fn allow(mut self, methods: HeaderValue) -> Self {
        self.inner.allow = Some(methods);
        self
    }

    /// The status it answers with.
    pub fn status(&self) -> StatusCode {
        self.inner.status
    }

    /// The detail it answers with.
    pub fn detail_text(&self) -> &str {
        &self.inner.detail
    }

    /// The body, as it is sent.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The body.
    pub fn to_json(&self) -> Value {
        // A map of texts, numbers and values cannot fail to be written.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The standard members first, in the order of the RFC.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4 + self.inner.extra.len()))?;
        map.serialize_entry("type", &self.inner.kind)?;
        map.serialize_entry("title", &self.inner.title)?;
        map.serialize_entry("status", &self.inner.status.as_u16())?;
        map.serialize_entry("detail", &self.inner.detail)?;
        for (name, value) in &self.inner.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.inner.status, self.inner.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = self.inner.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Some(wait) = self.inner.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        if let Some(allow) = self.inner.allow {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1)
}

/// What a failed call through a stack of guards and a client means to our own caller.
///
/// A refusal by a breaker or bulkhead: 503 with `Retry-After`; a time-out: 504; a body beyond the limit: 413; a
/// [`Problem`] in the chain: itself; anything else (connection refused, reset, nonsense from the upstream): 502.
pub fn from_stack_error(error: &BoxError) -> Problem {
    let error: &(dyn std::error::Error + 'static) = error.as_ref();
    if let Some(refused) = Refused::find(error) {
        return refused_problem(refused);
    }
    for cause in chain(error) {
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            return problem.clone();
        }
        if cause.is::<tower::timeout::error::Elapsed>() || cause.is::<tokio::time::error::Elapsed>()
        {
            return Problem::gateway_timeout(
                "A service this request depends on did not answer in time",
            );
        }
        if let Some(too_large) = cause.downcast_ref::<BodyTooLarge>() {
            return Problem::content_too_large(Some(too_large.limit));
        }
        if cause.is::<BodyTimedOut>() {
            return Problem::request_timeout();
        }
    }
    Problem::bad_gateway(
        "A service this request depends on could not be reached or broke off its answer",
    )
}

fn refused_problem(refused: &Refused) -> Problem {
    let problem = Problem::unavailable(format!(
        "{} is not taking calls now: {}",
        refused.name(),
        refused.reason()
    ))
    .with("guard", refused.name())
    .with("reason", refused.reason().as_str());
    problem.retry_after(refused.retry_after().unwrap_or(Duration::from_secs(1)))
}

/// The error and its causes.
pub(crate) fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_breaker::CircuitBreaker;

    #[test]
    fn the_standard_members_are_always_there_in_order() {
        let problem = Problem::conflict("taken")
            .with("key", 7)
            .with("status", 200)
            .kind("https://example.test/taken");
        let text = serde_json::to_string(&problem).expect("JSON");
        let expected = r#"{"type":"https://example.test/taken","title":"Conflict","status":409,"detail":"taken","key":7}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn retry_after_is_whole_seconds_rounded_up() {
        for (wait, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_999, "60")] {
            let response = Problem::unavailable("x")
                .retry_after(Duration::from_millis(wait))
                .into_response();
            assert_eq!(
                response.headers()[header::RETRY_AFTER],
                seconds,
                "{wait} ms"
            );
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the stack failed at 10.0.0.7:8081")]
    struct Wrapped(#[source] BoxError);

    fn wrapped(error: impl Into<BoxError>) -> Problem {
        from_stack_error(&(Box::new(Wrapped(error.into())) as BoxError))
    }

    #[test]
    fn a_refusal_is_503_with_the_wait() {
        let breaker = CircuitBreaker::builder("product")
            .consecutive_failures(1)
            .open_for(Duration::from_secs(90))
            .build()
            .expect("right");
        breaker.try_acquire().expect("closed").failure();
        let refused = breaker.try_acquire().expect_err("open");
        let problem = wrapped(refused);
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        let json = problem.to_json();
        assert_eq!(
            (json["guard"].as_str(), json["reason"].as_str()),
            (Some("product"), Some("circuit_open"))
        );
        let wait = problem.into_response().headers()[header::RETRY_AFTER]
            .to_str()
            .map(str::to_owned)
            .expect("text");
        assert!(wait == "90" || wait == "89", "{wait}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_is_504() {
        let elapsed =
            tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
        assert_eq!(
            wrapped(elapsed.expect_err("never ready")).status(),
            StatusCode::GATEWAY_TIMEOUT
        );
        let elapsed = tower::timeout::error::Elapsed::new();
        assert_eq!(wrapped(elapsed).status(), StatusCode::GATEWAY_TIMEOUT);
    }

    #[test]
    fn a_problem_comes_out_as_it_went_in() {
        let problem = Problem::not_found("no product 9").with("product_id", 9);
        assert_eq!(wrapped(problem.clone()), problem);
    }

    #[test]
    fn a_body_beyond_the_limit_is_413() {
        let problem = wrapped(BodyTooLarge { limit: 10 });
        assert_eq!(
            (problem.status(), problem.to_json()["limit_bytes"].as_u64()),
            (StatusCode::PAYLOAD_TOO_LARGE, Some(10))
        );
    }

    #[test]
    fn anything_else_is_502_and_says_nothing_of_the_inside() {
        let problem = wrapped("connection refused to 10.0.0.7:8081");
        assert_eq!(problem.status(), StatusCode::BAD_GATEWAY);
        assert!(!problem.to_json().to_string().contains("10.0.0.7"));
    }
}
