//! `application/json` bodies, in and out.

use crate::layers::BodyTooLarge;
use crate::problem::{self, Problem};
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// A JSON body.
///
/// Rejections: 415 without a JSON content type, 413 beyond the body limit, 400 for text that is not JSON (with line and
/// column), 422 for JSON that is not a `T` (with `pointer`, RFC 6901, to the member at fault). Give `T`
/// `#[serde(deny_unknown_fields)]` to refuse unknown members by name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        if !is_json(request.headers()) {
            return Err(wrong_content_type(request.headers()));
        }
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

fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some("application/json") => true,
        Some(other) => other.starts_with("application/") && other.ends_with("+json"),
        None => false,
    }
}

fn wrong_content_type(headers: &HeaderMap) -> Problem {
    let found = match headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    {
        Some(Ok(found)) => format!("it was sent as {found:?}"),
        Some(Err(_)) => "its Content-Type is not readable".to_owned(),
        None => "it has no Content-Type".to_owned(),
    };
    Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(format!(
        "The request body must be sent with Content-Type: application/json; {found}"
    ))
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
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        rejected(error.inner(), &pointer)
    })?;
    deserializer.end().map_err(|error| rejected(&error, ""))?;
    Ok(value)
}

fn rejected(error: &serde_json::Error, pointer: &str) -> Problem {
    let (line, column) = (error.line(), error.column());
    let reason = without_position(&error.to_string());
    match error.classify() {
        Category::Data => {
            let place = if pointer.is_empty() {
                "The request body".to_owned()
            } else {
                format!("Member `{pointer}`")
            };
            Problem::unprocessable(format!("{place} is not acceptable: {reason}"))
                .with("pointer", pointer)
        }
        Category::Eof | Category::Syntax | Category::Io => Problem::bad_request(format!(
            "The request body is not valid JSON: {reason} at line {line} column {column}"
        ))
        .with("line", line)
        .with("column", column),
    }
}

/// serde_json ends every message with the position, which is a member of its own here.
fn without_position(message: &str) -> String {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(reason, _)| reason)
        .to_owned()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => pointer.push_str(variant),
            // serde could not say where; a pointer to the parent is still right.
            Segment::Unknown => {
                pointer.pop();
            }
        }
    }
    pointer
}
