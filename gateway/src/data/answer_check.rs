//! Which answers of an upstream are passed on at all.

use std::fmt;

use http::{
    HeaderMap, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

/// An answer that cannot be passed on, because it has no or more than one meaning. Its connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAnswer {
    /// The protocol was switched, though nobody asked for that.
    UnaskedSwitch,
    /// Another informational answer where the final one should be.
    Informational,
    /// Two lengths, or two ways to find the end of the body.
    Framing,
}

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnaskedSwitch => "the protocol was switched unasked",
            Self::Informational => "an informational answer came instead of a final one",
            Self::Framing => "the length of the body has more than one reading",
        })
    }
}

impl std::error::Error for BadAnswer {}

/// Checks the head of an answer. `asked_upgrade` is whether the request that it belongs to asked for another protocol.
///
/// # Errors
/// The first reason found not to pass it on.
pub fn check_answer(
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
    asked_upgrade: bool,
) -> Result<(), BadAnswer> {
    // HTTP/2 has no such thing (RFC 9113, section 8.6).
    let may_switch = asked_upgrade && version != Version::HTTP_2;
    if status == StatusCode::SWITCHING_PROTOCOLS && !may_switch {
        return Err(BadAnswer::UnaskedSwitch);
    }
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(BadAnswer::Informational);
    }
    let encodings = headers.get_all(TRANSFER_ENCODING);
    let mut encodings = encodings.iter();
    let Some(encoding) = encodings.next() else {
        return one_length(headers);
    };
    let is_chunked = encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !is_chunked
        || encodings.next().is_some()
        || version != Version::HTTP_11
        || headers.contains_key(CONTENT_LENGTH)
    {
        return Err(BadAnswer::Framing);
    }
    Ok(())
}

fn one_length(headers: &HeaderMap) -> Result<(), BadAnswer> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (Some(length), None) if !is_number(length.as_bytes()) => Err(BadAnswer::Framing),
        (_, None) => Ok(()),
        (_, Some(_)) => Err(BadAnswer::Framing),
    }
}

fn is_number(length: &[u8]) -> bool {
    (1..20).contains(&length.len()) && length.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

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
            let got = check_answer(StatusCode::OK, version, &headers, false);
            assert_eq!(got, expected, "{fields:?}");
        }
    }

    #[test]
    fn a_switch_must_have_been_asked_for() {
        let none = HeaderMap::new();
        for (status, asked, expected) in [
            (101, true, Ok(())),
            (101, false, Err(BadAnswer::UnaskedSwitch)),
            (100, false, Err(BadAnswer::Informational)),
            (103, true, Err(BadAnswer::Informational)),
            (200, true, Ok(())),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                check_answer(status, Version::HTTP_11, &none, asked),
                expected
            );
        }
    }
}
