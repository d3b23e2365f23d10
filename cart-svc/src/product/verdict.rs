//! What an answer of product-svc says about its health.

use tower_breaker::{BoxError, Refused, classify::Verdict};

use super::ProductError;
use crate::domain::Offer;

/// A product, or the word that there is none, is a success. A status below 500 (but for 408 and 429) blames the question, not the
/// service. A refusal by a guard further in says nothing. All else, time-outs included, is a failure.
pub(super) fn verdict(result: Result<&Option<Offer>, &BoxError>) -> Verdict {
    let Err(error) = result else {
        return Verdict::Success;
    };
    if Refused::find(error.as_ref()).is_some() {
        return Verdict::Ignore;
    }
    match error.downcast_ref::<ProductError>() {
        Some(ProductError::Status(status))
            if !status.is_server_error() && !matches!(status.as_u16(), 408 | 429) =>
        {
            Verdict::Ignore
        }
        _ => Verdict::Failure,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn statuses_are_judged_by_who_is_to_blame() {
        for (status, expected) in [
            (StatusCode::INTERNAL_SERVER_ERROR, Verdict::Failure),
            (StatusCode::SERVICE_UNAVAILABLE, Verdict::Failure),
            (StatusCode::TOO_MANY_REQUESTS, Verdict::Failure),
            (StatusCode::REQUEST_TIMEOUT, Verdict::Failure),
            (StatusCode::BAD_REQUEST, Verdict::Ignore),
            (StatusCode::UNAUTHORIZED, Verdict::Ignore),
            (StatusCode::FOUND, Verdict::Ignore),
        ] {
            let error: BoxError = ProductError::Status(status).into();
            assert_eq!(verdict(Err(&error)), expected, "{status}");
        }
    }

    #[test]
    fn an_unknown_product_is_a_healthy_answer() {
        assert_eq!(verdict(Ok(&None)), Verdict::Success);
    }

    #[test]
    fn transport_errors_and_time_outs_are_failures() {
        let transport: BoxError = ProductError::Transport("reset".into()).into();
        let elapsed: BoxError = tower::timeout::error::Elapsed::new().into();
        assert_eq!(verdict(Err(&transport)), Verdict::Failure);
        assert_eq!(verdict(Err(&elapsed)), Verdict::Failure);
    }
}
