//! Which attempts have failed so that another one may be made.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode};
use tower::BoxError;
use tower_breaker::classify::{Classify, ClassifyCall, HttpStatus, Verdict};

use crate::{
    config::model::Retry,
    data::{
        body::{Outgoing, RequestBodyError},
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
