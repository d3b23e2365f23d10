use std::{error::Error as StdError, fmt::Write as _, time::Duration};

use http::{HeaderValue, Response, StatusCode, header};

use crate::{Refused, refused::chain};

/// The response for a refused call: `503 Service Unavailable`, `Retry-After` when the wait is known, and a problem+json
/// body ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) that names the reason.
///
/// The response carries the [`Refused`] in its extensions, for classifiers further out.
///
/// `Retry-After` counts whole seconds, rounded up and at least one, since it cannot say less.
pub fn refused_response<B: From<String>>(refused: &Refused) -> Response<B> {
    let detail = match refused.retry_after() {
        Some(wait) => format!(
            "`{}`: {}; retry in {} s",
            refused.name(),
            refused.reason(),
            whole_seconds(wait)
        ),
        None => format!("`{}`: {}", refused.name(), refused.reason()),
    };
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, &detail);
    // So that a guard further out does not take it for a failure of the service.
    response.extensions_mut().insert(refused.clone());
    if let Some(wait) = refused.retry_after() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    response
}

/// The response for any error that came out of a stack of tower middlewares: a [`Refused`] anywhere in its chain gives
/// [`refused_response`], tower's time-out `504 Gateway Timeout`, anything else `502 Bad Gateway`. The error's own text
/// stays inside: it may name internal addresses.
pub fn error_response<B: From<String>>(err: &(dyn StdError + 'static)) -> Response<B> {
    if let Some(refused) = Refused::find(err) {
        return refused_response(refused);
    }
    if is_timeout(err) {
        return problem(
            StatusCode::GATEWAY_TIMEOUT,
            "the service behind did not answer in time",
        );
    }
    problem(
        StatusCode::BAD_GATEWAY,
        "the service behind failed to answer",
    )
}

fn is_timeout(err: &(dyn StdError + 'static)) -> bool {
    chain(err).any(|err| {
        err.is::<tower::timeout::error::Elapsed>() || err.is::<tokio::time::error::Elapsed>()
    })
}

fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait
        .as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0));
    seconds.max(1)
}

fn problem<B: From<String>>(status: StatusCode, detail: &str) -> Response<B> {
    let title = status.canonical_reason().unwrap_or("Error");
    let mut body = String::with_capacity(96 + detail.len());
    body.push_str("{\"type\":\"about:blank\",\"title\":");
    push_json_string(&mut body, title);
    // Writing to a string cannot fail.
    let _ = write!(body, ",\"status\":{},\"detail\":", status.as_u16());
    push_json_string(&mut body, detail);
    body.push('}');

    let mut response = Response::new(B::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

// A guard's name is free text, so it must not be able to break out of its string.
fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    fn refused(wait: Option<Duration>) -> Refused {
        Refused::sample("sto\"ck\n", Reason::CircuitOpen, wait)
    }

    #[test]
    fn retry_after_rounds_up_and_is_at_least_one_second() {
        for (wait, header) in [
            (0, "1"),
            (1, "1"),
            (999, "1"),
            (1000, "1"),
            (1001, "2"),
            (59_500, "60"),
        ] {
            let response = refused_response::<String>(&refused(Some(Duration::from_millis(wait))));
            assert_eq!(response.headers()[header::RETRY_AFTER], header, "{wait} ms");
        }
        assert!(
            !refused_response::<String>(&refused(None))
                .headers()
                .contains_key(header::RETRY_AFTER)
        );
    }

    #[test]
    fn the_body_is_valid_json_whatever_the_name_holds() {
        let response = refused_response::<String>(&refused(Some(Duration::from_millis(1500))));
        assert_eq!(response.status(), 503);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let body: serde_json::Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["title"], "Service Unavailable");
        assert_eq!(body["status"], 503);
        assert_eq!(
            body["detail"],
            "`sto\"ck\n`: the circuit is open; retry in 2 s"
        );
    }
}
