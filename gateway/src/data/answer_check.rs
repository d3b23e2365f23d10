//! Which answers of an upstream are passed on at all.

use std::fmt;

use super::headers::Names;

use http::{
    HeaderMap, HeaderValue, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE},
};

/// An answer that cannot be passed on, because it has no or more than one meaning. Its connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAnswer {
    /// The protocol was switched, though nobody asked for that, or to another one than was asked for.
    UnaskedSwitch,
    /// Another informational answer where the final one should be.
    Informational,
    /// Two lengths, or two ways to find the end of the body.
    Framing,
}

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnaskedSwitch => {
                "the protocol was switched unasked, or to another than was asked for"
            }
            Self::Informational => "an informational answer came instead of a final one",
            Self::Framing => "the length of the body has more than one reading",
        })
    }
}

impl std::error::Error for BadAnswer {}

/// Checks the head of an answer, and gives the fields that are there. `asked` are the protocols that the request asked for, the
/// value of its `Upgrade`.
///
/// # Errors
/// The first reason found not to pass it on.
pub fn check_answer(
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
    asked: Option<&HeaderValue>,
) -> Result<Names, BadAnswer> {
    // HTTP/2 has no such thing (RFC 9113, section 8.6).
    let may_switch = version != Version::HTTP_2 && is_asked(headers, asked);
    if status == StatusCode::SWITCHING_PROTOCOLS && !may_switch {
        return Err(BadAnswer::UnaskedSwitch);
    }
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(BadAnswer::Informational);
    }
    let found = Names::of(headers);
    let has_length = found.has(Names::CONTENT_LENGTH);
    let is_plain = if found.has(Names::TRANSFER_ENCODING) {
        version == Version::HTTP_11 && !has_length && is_chunked(headers)
    } else {
        !has_length || is_one_number(headers)
    };
    is_plain.then_some(found).ok_or(BadAnswer::Framing)
}

/// Whether the protocol that an answer switches to is one of those asked for.
fn is_asked(headers: &HeaderMap, asked: Option<&HeaderValue>) -> bool {
    let (Some(asked), Some(switched)) = (asked, headers.get(UPGRADE)) else {
        return false;
    };
    let switched = switched.as_bytes().trim_ascii();
    asked
        .as_bytes()
        .split(|&byte| byte == b',')
        .any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(switched))
}

fn is_chunked(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = encodings.next();
    first.is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && encodings.next().is_none()
}

fn is_one_number(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next();
    first.is_some_and(|length| is_number(length.as_bytes())) && lengths.next().is_none()
}

fn is_number(length: &[u8]) -> bool {
    (1..20).contains(&length.len()) && length.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn answers_with_one_reading_pass() {
        let (http10, http11) = (Version::HTTP_10, Version::HTTP_11);
        let framing = Err(BadAnswer::Framing);
        let length = "content-length";
        let encoding = "transfer-encoding";
        for (version, fields, expected) in [
            (http11, vec![], Ok(())),
            (http10, vec![], Ok(())),
            (http11, vec![(length, "3")], Ok(())),
            (http11, vec![(encoding, "chunked")], Ok(())),
            (http11, vec![(encoding, "Chunked")], Ok(())),
            (http10, vec![(encoding, "chunked")], framing),
            (http11, vec![(encoding, "gzip, chunked")], framing),
            (http11, vec![(encoding, "gzip")], framing),
            (
                http11,
                vec![(encoding, "chunked"), (encoding, "chunked")],
                framing,
            ),
            (http11, vec![(encoding, "chunked"), (length, "3")], framing),
            (http11, vec![(length, "3"), (length, "3")], framing),
            (http11, vec![(length, "3"), (length, "4")], framing),
            (http11, vec![(length, "3, 3")], framing),
            (http11, vec![(length, "+3")], framing),
            (http11, vec![(length, "")], framing),
        ] {
            let headers: HeaderMap = fields
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .fold(HeaderMap::new(), |mut headers, (name, value)| {
                    headers.append(name, value);
                    headers
                });
            let got = check_answer(StatusCode::OK, version, &headers, None).map(drop);
            assert_eq!(got, expected, "{fields:?}");
        }
    }

    #[test]
    fn a_switch_must_be_to_what_was_asked_for() {
        let unasked = Err(BadAnswer::UnaskedSwitch);
        for (status, switched, asked, expected) in [
            (101, Some("websocket"), Some("websocket"), Ok(())),
            (101, Some("WebSocket"), Some("h2c, websocket"), Ok(())),
            (101, Some("other"), Some("websocket"), unasked),
            (101, Some(""), Some("websocket"), unasked),
            (101, None, Some("websocket"), unasked),
            (101, Some("websocket"), None, unasked),
            (100, None, None, Err(BadAnswer::Informational)),
            (103, None, Some("websocket"), Err(BadAnswer::Informational)),
            (200, Some("other"), Some("websocket"), Ok(())),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let headers = switched
                .map(|switched| (UPGRADE, HeaderValue::from_static(switched)))
                .into_iter()
                .collect();
            let asked = asked.map(HeaderValue::from_static);
            let got = check_answer(status, Version::HTTP_11, &headers, asked.as_ref()).map(drop);
            assert_eq!(got, expected, "{status} {switched:?} {asked:?}");
        }
    }
}
