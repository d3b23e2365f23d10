//! `application/json` bodies, in and out.

use super::strict::ObjectsOnly;
use super::wording;
use crate::layers::BodyTooLarge;
use crate::problem::{self, Problem};
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// A JSON body.
///
/// Rejections: 415 without one JSON content type or with a content coding, 413 beyond the body limit, 400 for text that
/// is not JSON (with line and column), 422 for JSON that is not a `T` (with `pointer`, RFC 6901, to the member at fault).
/// Give `T` `#[serde(deny_unknown_fields)]` to refuse unknown members by name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        check(request.headers())?;
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(|error| unreadable(&error))?;
        parse(&body.to_bytes()).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                Problem::internal().into_response()
            }
        }
    }
}

/// What the headers say about the body, if that is not JSON as it is read here.
fn check(headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(coding) = content_coding(headers) {
        return Err(unsupported(format!(
            "The request body must be sent as it is, without Content-Encoding; it was sent as {coding:?}"
        )));
    }
    content_type(headers).map_err(|found| {
        unsupported(format!(
            "The request body must be sent with Content-Type: application/json; {found}"
        ))
    })
}

fn unsupported(detail: String) -> Problem {
    Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(detail)
}

/// The first coding that would have to be undone.
fn content_coding(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .find_map(|value| {
            value
                .split(',')
                .map(str::trim)
                .find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
                .map(str::to_owned)
        })
}

/// Why the Content-Type is not the right one.
fn content_type(headers: &HeaderMap) -> Result<(), String> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else {
        return Err("it has no Content-Type".to_owned());
    };
    if values.next().is_some() {
        return Err("it has more than one Content-Type".to_owned());
    }
    let Ok(value) = value.to_str() else {
        return Err("its Content-Type is not readable".to_owned());
    };
    let mut parts = value.split(';');
    let essence = parts.next().unwrap_or("").trim().to_ascii_lowercase();
    let json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !json {
        return Err(format!("it was sent as {value:?}"));
    }
    let charset = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, text)| name.trim().eq_ignore_ascii_case("charset") && !is_utf8(text));
    match charset {
        Some(_) => Err(format!("JSON is UTF-8, but it was sent as {value:?}")),
        None => Ok(()),
    }
}

fn is_utf8(charset: &str) -> bool {
    charset
        .trim()
        .trim_matches('"')
        .eq_ignore_ascii_case("utf-8")
}

fn unreadable(error: &axum::Error) -> Problem {
    match problem::chain(error).find_map(|cause| cause.downcast_ref::<BodyTooLarge>()) {
        Some(too_large) => Problem::content_too_large(Some(too_large.limit)),
        None => Problem::bad_request("The request body broke off before its end"),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::bad_request(
            "The request body is empty; a JSON value is expected",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize(ObjectsOnly(&mut deserializer)) {
        Ok(value) => deserializer
            .end()
            .map(|()| value)
            .map_err(|error| malformed(&error)),
        Err(error) => Err(match serde_json::from_slice::<IgnoredAny>(body) {
            // A body that is no JSON at all is malformed first, wherever a member was found wrong before that.
            Err(syntax) => malformed(&syntax),
            Ok(_) if error.inner().is_data() => unacceptable(error.inner(), error.path()),
            // What is skipped is not checked as closely as what is read: a text that is not UTF-8, say.
            Ok(_) => malformed(error.inner()),
        }),
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let reason = without_position(&error.to_string());
    Problem::bad_request(format!(
        "The request body is not valid JSON: {reason} at line {line} column {column}"
    ))
    .with("line", line)
    .with("column", column)
}

fn unacceptable(error: &serde_json::Error, path: &serde_path_to_error::Path) -> Problem {
    let message = without_position(&error.to_string());
    let mut pointer = pointer(path);
    if let Some(name) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        pointer.push('/');
        pointer.push_str(&escape(name));
        return Problem::unprocessable(format!("Member `{pointer}` is missing"))
            .with("pointer", pointer);
    }
    let place = if pointer.is_empty() {
        "The request body".to_owned()
    } else {
        format!("Member `{pointer}`")
    };
    let reason = wording::of_message(&message);
    Problem::unprocessable(format!("{place} is not acceptable: {reason}")).with("pointer", pointer)
}

/// serde_json ends every message with the position.
fn without_position(message: &str) -> String {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(reason, _)| reason)
        .to_owned()
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escape(key),
            Segment::Enum { variant } => escape(variant),
            // serde could not say where; a pointer to the parent is still right.
            Segment::Unknown => break,
        };
        pointer.push('/');
        pointer.push_str(&part);
    }
    pointer
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::{Json, content_type, parse};
    use crate::problem::Problem;
    use axum::extract::FromRequest;
    use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        user: String,
        lines: Vec<Line>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        id: u32,
        #[serde(default)]
        gift: bool,
    }

    fn refused(body: &str) -> (u16, String, serde_json::Value) {
        let problem: Problem = parse::<Order>(body.as_bytes()).expect_err(body);
        let json = problem.to_json();
        (
            problem.status().as_u16(),
            problem.detail_text().to_owned(),
            json,
        )
    }

    #[test]
    fn takes_what_fits() {
        let order =
            parse::<Order>(br#" {"user":"a","lines":[{"id":1,"gift":true}]} "#).expect("fits");
        assert_eq!(
            order,
            Order {
                user: "a".to_owned(),
                lines: vec![Line { id: 1, gift: true }]
            }
        );
    }

    #[test]
    fn malformed_text_is_400_with_its_place() {
        let cases = [
            ("{\n  \"user\": ,}", 2, 11),
            ("{\"user\":\"a\"", 1, 11),
            ("[1", 1, 2),
            ("{\"user\":1,\"lines\":[}", 1, 20),
            ("{\"user\":\"a\",\"lines\":[]} {}", 1, 25),
            ("nonsense", 1, 2),
        ];
        for (body, line, column) in cases {
            let (status, detail, json) = refused(body);
            assert_eq!(status, 400, "{body}: {detail}");
            assert_eq!(
                (json["line"].as_u64(), json["column"].as_u64()),
                (Some(line), Some(column)),
                "{body}: {detail}"
            );
        }
    }

    #[test]
    fn a_text_that_is_not_unicode_is_400() {
        let problem = parse::<Order>(b"{\"user\":\"\xff\",\"lines\":[]}").expect_err("not UTF-8");
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_body_too_deep_or_a_number_too_large_is_400() {
        let deep = format!("{{\"user\":\"a\",\"lines\":{}", "[".repeat(10_000));
        assert_eq!(refused(&deep).0, 400);
        assert_eq!(refused(r#"{"user":"a","lines":[{"id":1e999}]}"#).0, 400);
    }

    #[test]
    fn an_empty_body_is_400() {
        assert_eq!(refused(" \n").0, 400);
    }

    #[test]
    fn wrong_members_are_422_with_a_pointer() {
        let cases = [
            (r#"{"lines":[]}"#, "/user", "Member `/user` is missing"),
            (
                r#"{"user":1,"lines":[]}"#,
                "/user",
                "integer `1`, expected a text",
            ),
            (
                r#"{"user":"a","lines":[{"id":1},{"id":-1}]}"#,
                "/lines/1/id",
                "expected a whole number from 0 to 4294967295",
            ),
            (
                r#"{"user":"a","lines":[{"id":1.5}]}"#,
                "/lines/0/id",
                "floating point `1.5`",
            ),
            (
                r#"{"user":"a","lines":[{"id":99999999999}]}"#,
                "/lines/0/id",
                "integer `99999999999`",
            ),
            (
                r#"{"user":"a","lines":[{}]}"#,
                "/lines/0/id",
                "Member `/lines/0/id` is missing",
            ),
            (
                r#"{"user":"a","lines":[],"x/y":1}"#,
                "/x~1y",
                "unknown field `x/y`",
            ),
            (
                r#"{"user":"a","user":"b","lines":[]}"#,
                "",
                "duplicate field `user`",
            ),
            (r#"["a",[]]"#, "", "expected an object"),
            (r#""text""#, "", "expected an object"),
            ("null", "", "expected an object"),
        ];
        for (body, pointer, text) in cases {
            let (status, detail, json) = refused(body);
            assert_eq!(status, 422, "{body}: {detail}");
            assert_eq!(json["pointer"], pointer, "{body}: {detail}");
            assert!(detail.contains(text), "{body}: {detail}");
        }
    }

    #[test]
    fn content_types() {
        let cases = [
            (Some("application/json"), true),
            (Some("application/json; charset=utf-8"), true),
            (Some("Application/JSON"), true),
            (Some("application/vnd.shop+json"), true),
            (Some("text/json"), false),
            (Some("application/jsonp"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (None, false),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            }
            assert_eq!(content_type(&headers).is_ok(), expected, "{value:?}");
        }
    }

    #[tokio::test]
    async fn a_missing_content_type_is_415() {
        let request = Request::new(axum::body::Body::from("{}"));
        let problem = Json::<Order>::from_request(request, &())
            .await
            .expect_err("no content type");
        assert_eq!(problem.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
