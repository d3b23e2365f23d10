//! Any response: what `HttpStatus` and `Grpc` make of its status and headers. They must not panic, must agree with the tables
//! in their documentation, and must ask for a wait only with a failure, and for one that can be added to a clock.
#![no_main]

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use libfuzzer_sys::fuzz_target;
use tower_breaker::classify::{
    ClassifyBody, ClassifyCall, ClassifyEnd, Grpc, Head, HttpStatus, Verdict, grpc_verdict,
};

// No error comes from here.
type Never = std::convert::Infallible;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    status: u16,
    retry_after: Option<&'a [u8]>,
    date: Option<&'a [u8]>,
    grpc_status: Option<&'a [u8]>,
    pushback: Option<&'a [u8]>,
}

impl Input<'_> {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::RETRY_AFTER, self.retry_after),
            (header::DATE, self.date),
            (
                "grpc-status".parse().expect("a valid name"),
                self.grpc_status,
            ),
            (
                "grpc-retry-pushback-ms".parse().expect("a valid name"),
                self.pushback,
            ),
        ] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value).ok()) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

fn check(verdict: Verdict, wait: Option<Duration>) {
    if let Some(wait) = wait {
        assert_eq!(
            verdict,
            Verdict::Failure,
            "a wait of {wait:?} without a failure"
        );
        assert!(Instant::now().checked_add(wait).is_some(), "{wait:?}");
    }
}

fn digits(value: Option<&HeaderValue>) -> Option<u64> {
    let text = value?.to_str().ok()?.trim();
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fuzz_target!(|input: Input<'_>| {
    let Ok(status) = StatusCode::from_u16(input.status) else {
        return;
    };
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    *response.headers_mut() = input.headers();
    let result: Result<_, &Never> = Ok(&response);

    let verdict = ClassifyCall::<_, Never>::verdict(HttpStatus, result);
    assert_eq!(verdict == Verdict::Failure, HttpStatus::is_failure(status));
    let wait = ClassifyCall::<_, Never>::retry_after(&HttpStatus, result);
    check(verdict, wait);
    let asked = digits(response.headers().get(header::RETRY_AFTER));
    if let (Verdict::Failure, Some(seconds)) = (verdict, asked) {
        assert_eq!(
            wait.map(|wait| wait.as_secs()),
            Some(seconds.min(u32::MAX.into()))
        );
    }

    let verdict = ClassifyCall::<_, Never>::verdict(Grpc, result);
    check(
        verdict,
        ClassifyCall::<_, Never>::retry_after(&Grpc, result),
    );
    let code = response.headers().get("grpc-status").map(|code| {
        let code = code.to_str().ok().and_then(|code| code.parse().ok());
        code.unwrap_or(2)
    });
    if let Some(code) = code {
        assert_eq!(verdict, grpc_verdict(code));
    } else if status != StatusCode::OK {
        assert!(matches!(verdict, Verdict::Success | Verdict::Failure));
    }
    match ClassifyBody::<_, Never>::head(Grpc, &response) {
        Head::Known(known) => assert_eq!(known, verdict),
        // As trailers, the same headers say the same.
        Head::AtEnd(end) => {
            let trailers: Result<_, &Never> = Ok(Some(response.headers()));
            check(end.end(trailers), end.retry_after(trailers));
            assert_eq!(end.end(Ok::<_, &Never>(None)), Verdict::Failure);
        }
    }
});
