use std::time::Duration;

use http::{Response, StatusCode};
use http_body::Body;

use super::{
    AnyError, BodyErrors, Classify, ClassifyBody, ClassifyCall, Head, Verdict, retry_after,
};
use crate::Refused;

/// Judges an HTTP response by its status; errors as [`AnyError`] does.
///
/// | status | verdict | because |
/// |---|---|---|
/// | 5xx except the two below | failure | the server says so itself |
/// | 501, 505 | success | a healthy server that does not offer what was asked for |
/// | 429 | failure | the server is overloaded, and asks for less traffic |
/// | anything else | success | it did its work; a 4xx is the caller's mistake |
///
/// A response that a guard further in made of its refusal (`.respond()`) is ignored, as the refusal itself would be: it carries the
/// [`Refused`] in its extensions. They do not cross the wire, so the refusals of another process are failures of it.
///
/// A failure's `Retry-After`, in seconds or as a date, is the wait that the server asks for. A date counts from the response's own
/// `Date`, so that the two clocks need not agree, or from this machine's clock if there is none.
///
/// At the end of the body ([`until_end_of_body`](crate::CircuitBreakerLayer::until_end_of_body)) a response that is a failure by its
/// status is one at once; any other must also have brought its whole body, and is a failure if the body fails.
///
/// It recognises refusals in errors as `AnyError` does, so over a typed guard it must be [`TypedGuard`](super::TypedGuard)`(HttpStatus)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpStatus;

impl HttpStatus {
    /// Whether a response with this status is a failure of the server.
    pub fn is_failure(status: StatusCode) -> bool {
        match status {
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => false,
            StatusCode::TOO_MANY_REQUESTS => true,
            status => status.is_server_error(),
        }
    }
}

impl<Req, B, Err: 'static> Classify<Req, Response<B>, Err> for HttpStatus {
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        *self
    }
}

impl<B, Err: 'static> ClassifyCall<Response<B>, Err> for HttpStatus {
    fn verdict(self, result: Result<&Response<B>, &Err>) -> Verdict {
        match result {
            Ok(response) if response.extensions().get::<Refused>().is_some() => Verdict::Ignore,
            Ok(response) if Self::is_failure(response.status()) => Verdict::Failure,
            result => AnyError.verdict(result),
        }
    }

    fn retry_after(&self, result: Result<&Response<B>, &Err>) -> Option<Duration> {
        let response = result.ok()?;
        let failed =
            Self::is_failure(response.status()) && response.extensions().get::<Refused>().is_none();
        failed
            .then(|| retry_after::in_headers(response.headers()))
            .flatten()
    }
}

impl<B: Body, Err: 'static> ClassifyBody<B, Err> for HttpStatus {
    type End = BodyErrors;

    fn head(self, response: &Response<B>) -> Head<BodyErrors> {
        BodyErrors::unless(ClassifyCall::<_, Err>::verdict(self, Ok(response)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxError, Reason};

    fn judge(result: Result<u16, BoxError>) -> Verdict {
        let result = result.map(|status| {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        });
        HttpStatus.verdict(result.as_ref())
    }

    #[test]
    fn only_what_the_server_is_to_blame_for_is_a_failure() {
        for status in [200, 204, 304, 400, 401, 404, 408, 422, 499, 501, 505] {
            assert_eq!(judge(Ok(status)), Verdict::Success, "{status}");
        }
        for status in [429, 500, 502, 503, 504, 507, 599] {
            assert_eq!(judge(Ok(status)), Verdict::Failure, "{status}");
        }
        assert_eq!(judge(Err("connection reset".into())), Verdict::Failure);
        let refused = Refused::sample("inner", Reason::BulkheadFull, None);
        assert_eq!(judge(Err(refused.into())), Verdict::Ignore);
    }

    #[test]
    fn retry_after_is_heeded_in_failures_only() {
        let hint = |status: u16, refused: bool| {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            let wait = http::HeaderValue::from_static("7");
            response.headers_mut().insert("retry-after", wait);
            if refused {
                let refused = Refused::sample("inner", Reason::BulkheadFull, None);
                response.extensions_mut().insert(refused);
            }
            ClassifyCall::<_, BoxError>::retry_after(&HttpStatus, Ok(&response))
        };
        let seven = Some(Duration::from_secs(7));
        assert_eq!((hint(503, false), hint(429, false)), (seven, seven));
        assert_eq!((hint(301, false), hint(404, false)), (None, None));
        assert_eq!(hint(503, true), None);
    }
}
