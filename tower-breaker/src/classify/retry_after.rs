//! `Retry-After`, [RFC 9110 section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};

// What exceeds any limit that a circuit may set, and is far from overflowing as nanoseconds: 136 years.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// The wait that these headers ask for. `None` if there is none, or none that can be read; zero if it is over.
pub(super) fn in_headers(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, header::RETRY_AFTER)?;
    if let Some(seconds) = decimal(value) {
        return Some(Duration::from_secs(seconds).min(FOREVER));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    // By the sender's own clock, if it shows it: then it does not matter that ours is wrong.
    let now = text(headers, header::DATE)
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or_else(SystemTime::now);
    let wait = until.duration_since(now).unwrap_or(Duration::ZERO);
    Some(wait.min(FOREVER))
}

/// A number of milliseconds in a header of that name. `None` if it is anything else, such as negative.
pub(super) fn milliseconds(headers: &HeaderMap, name: HeaderName) -> Option<Duration> {
    let wait = Duration::from_millis(decimal(text(headers, name)?)?);
    Some(wait.min(FOREVER))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

// Only digits, unlike what `parse` takes. A number too large to hold is as good as the largest.
fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry_after: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        in_headers(&headers)
    }

    const NOON: &str = "Sun, 06 Nov 1994 12:00:00 GMT";

    #[test]
    fn seconds_are_digits_and_nothing_else() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(wait("0", None), seconds(0));
        assert_eq!(wait("120", None), seconds(120));
        assert_eq!(wait(" 5 ", None), seconds(5));
        assert_eq!(wait("99999999999999999999999", None), Some(FOREVER));
        for nonsense in ["", "-1", "+5", "1.5", "5s", "soon", "1e3", "0x10"] {
            assert_eq!(wait(nonsense, None), None, "{nonsense:?}");
        }
        assert_eq!(in_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn a_date_counts_from_the_responses_own_date_in_each_of_its_three_forms() {
        for date in [
            "Sun, 06 Nov 1994 12:01:30 GMT",
            "Sunday, 06-Nov-94 12:01:30 GMT",
            "Sun Nov  6 12:01:30 1994",
        ] {
            assert_eq!(
                wait(date, Some(NOON)),
                Some(Duration::from_secs(90)),
                "{date}"
            );
        }
        let past = "Sun, 06 Nov 1994 11:00:00 GMT";
        assert_eq!(wait(past, Some(NOON)), Some(Duration::ZERO));
        let far = "Fri, 31 Dec 9999 23:59:59 GMT";
        assert_eq!(wait(far, Some(NOON)), Some(FOREVER));
    }

    #[test]
    fn a_date_without_a_readable_date_beside_it_counts_from_now() {
        assert_eq!(wait(NOON, None), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        for date in [None, Some("yesterday")] {
            let wait = wait(&soon, date).unwrap().as_secs();
            assert!((90..=100).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn milliseconds_may_not_be_negative() {
        let name = HeaderName::from_static("grpc-retry-pushback-ms");
        let wait = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name.clone(), value.parse().unwrap());
            milliseconds(&headers, name.clone())
        };
        assert_eq!(wait("250"), Some(Duration::from_millis(250)));
        assert_eq!(wait("-1"), None);
        assert_eq!(wait("99999999999999999999999"), Some(FOREVER));
    }
}
