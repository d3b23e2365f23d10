//! Which attempts have failed so that another one may be made.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode};
use tower::{BoxError, timeout::error::Elapsed};
use tower_breaker::classify::{Classify, ClassifyCall, HttpStatus, Verdict};

use crate::{
    config::model::Retry,
    data::{
        body::{Outgoing, RequestBodyError},
        endpoints::NoneAvailable,
        upstream::{connect::ConnectError, processed::was_not_processed},
    },
};

/// Judges attempts.
///
/// What was not sent has done nothing, and may be sent again whatever it is. What was sent may be sent again if its method is
/// idempotent (RFC 9110, section 9.2.2), or if the configuration says so of the method. A request whose body was too large to be kept
/// has only one attempt.
#[derive(Debug, Clone)]
pub struct RetryJudge {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    methods: Vec<Method>,
    statuses: Vec<StatusCode>,
}

/// Judges one attempt.
#[derive(Debug)]
pub struct RetryJudgeCall {
    rules: Arc<Rules>,
    is_repeatable: bool,
    is_kept: bool,
    waits_for_client: bool,
}

impl RetryJudge {
    /// As configured.
    #[must_use]
    pub fn new(config: &Retry) -> Self {
        let rules = Rules {
            methods: config.methods.clone(),
            statuses: config.statuses.clone(),
        };
        Self {
            rules: Arc::new(rules),
        }
    }

    /// Whether a request with this method may be sent twice.
    #[must_use]
    pub fn may_repeat(&self, method: &Method) -> bool {
        method.is_idempotent() || self.rules.methods.contains(method)
    }
}

impl<Res> Classify<Request<Outgoing>, Res, BoxError> for RetryJudge
where
    RetryJudgeCall: ClassifyCall<Res, BoxError>,
{
    type Call = RetryJudgeCall;

    fn begin(&self, copy: &Request<Outgoing>) -> RetryJudgeCall {
        let method = copy.method();
        RetryJudgeCall {
            is_repeatable: self.may_repeat(method),
            is_kept: copy.body().is_kept(),
            waits_for_client: copy.body().exchange().waits_for_client(),
            rules: self.rules.clone(),
        }
    }
}

impl<B> ClassifyCall<Response<B>, BoxError> for RetryJudgeCall {
    fn verdict(self, result: Result<&Response<B>, &BoxError>) -> Verdict {
        let failed = match result {
            Ok(response) if self.rules.statuses.contains(&response.status()) => self.is_repeatable,
            Ok(_) => return Verdict::Success,
            Err(error) if RequestBodyError::find(&**error).is_some() => false,
            // The client holds back its body, and would from another endpoint, too.
            Err(error) if error.is::<Elapsed>() && self.waits_for_client => false,
            // Nobody was asked. There will be nobody in a moment either, and the budget is for those who can be helped.
            Err(error) if error.is::<NoneAvailable>() => false,
            Err(error) if error.is::<ConnectError>() || was_not_processed(&**error) => true,
            Err(_) => self.is_repeatable,
        };
        if failed && self.is_kept {
            Verdict::Failure
        } else {
            Verdict::Ignore
        }
    }

    fn retry_after(&self, result: Result<&Response<B>, &BoxError>) -> Option<Duration> {
        HttpStatus.retry_after(result)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::data::body::testing::{coming, data, exchange};

    fn rules() -> Retry {
        Retry {
            attempts: 2,
            methods: vec![Method::PATCH],
            body: 8,
            backoff: Duration::ZERO,
            backoff_max: Duration::ZERO,
            budget_ratio: 0.2,
            budget_per_second: 10,
            retry_after: Duration::from_secs(1),
            statuses: vec![StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE],
        }
    }

    fn answer(status: u16) -> Result<Response<()>, BoxError> {
        Ok(Response::builder().status(status).body(()).unwrap())
    }

    fn verdict(method: &Method, body: Outgoing, result: Result<Response<()>, BoxError>) -> Verdict {
        let mut copy = Request::new(body);
        *copy.method_mut() = method.clone();
        let call: RetryJudgeCall =
            Classify::<_, Response<()>, BoxError>::begin(&RetryJudge::new(&rules()), &copy);
        call.verdict(result.as_ref())
    }

    fn of(method: &Method, result: Result<Response<()>, BoxError>) -> Verdict {
        verdict(method, Outgoing::nothing(exchange()), result)
    }

    fn refused() -> BoxError {
        ConnectError::Failed(io::ErrorKind::ConnectionRefused.into()).into()
    }

    fn broken() -> BoxError {
        io::Error::from(io::ErrorKind::ConnectionReset).into()
    }

    #[test]
    fn what_was_sent_is_sent_again_only_if_it_may_be_repeated() {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            assert_eq!(of(&method, answer(503)), Verdict::Failure, "{method}");
            assert_eq!(of(&method, answer(502)), Verdict::Failure, "{method}");
            assert_eq!(of(&method, Err(broken())), Verdict::Failure, "{method}");
        }
        let own = Method::from_bytes(b"PURGE").unwrap();
        for method in [Method::POST, own] {
            assert_eq!(of(&method, answer(503)), Verdict::Ignore, "{method}");
            assert_eq!(of(&method, Err(broken())), Verdict::Ignore, "{method}");
        }
    }

    #[test]
    fn what_was_not_sent_is_sent_again_whatever_it_is() {
        for method in [Method::GET, Method::POST] {
            assert_eq!(of(&method, Err(refused())), Verdict::Failure, "{method}");
        }
    }

    #[test]
    fn nobody_is_asked_again_when_there_is_nobody() {
        let nobody = || NoneAvailable { total: 3 }.into();
        for method in [Method::GET, Method::POST] {
            assert_eq!(of(&method, Err(nobody())), Verdict::Ignore, "{method}");
        }
    }

    #[test]
    fn other_answers_are_answers() {
        for status in [200, 304, 404, 429, 500, 504] {
            assert_eq!(
                of(&Method::GET, answer(status)),
                Verdict::Success,
                "{status}"
            );
        }
    }

    #[test]
    fn the_clients_own_failure_is_not_repeated() {
        let too_slow: BoxError = RequestBodyError::TooSlow.into();
        assert_eq!(of(&Method::PUT, Err(too_slow)), Verdict::Ignore);
    }

    #[tokio::test]
    async fn a_body_that_was_too_large_is_not_sent_again() {
        use http_body_util::BodyExt;
        for (most, expected) in [(4, Verdict::Failure), (3, Verdict::Ignore)] {
            for error in [refused, broken] {
                let (sender, incoming) = coming().await;
                let mut body = Outgoing::new(incoming, 100, None, exchange()).kept(most);
                let copy = body.copy().unwrap();
                sender.send(data("1234")).unwrap();
                body.frame().await.unwrap().unwrap();
                assert_eq!(
                    verdict(&Method::PUT, copy, Err(error())),
                    expected,
                    "{most}"
                );
            }
        }
    }

    #[test]
    fn retry_after_is_read() {
        let response = Response::builder()
            .status(503)
            .header("retry-after", "7")
            .body(())
            .unwrap();
        let copy = Request::new(Outgoing::nothing(exchange()));
        let call: RetryJudgeCall =
            Classify::<_, Response<()>, BoxError>::begin(&RetryJudge::new(&rules()), &copy);
        assert_eq!(
            call.retry_after(Ok(&response)),
            Some(Duration::from_secs(7))
        );
    }
}
