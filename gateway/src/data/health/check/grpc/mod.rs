//! gRPC's own health check, `grpc.health.v1.Health/Check`: well is what answers `SERVING`. A service that the server does not know
//! (`NOT_FOUND`) and a server without the check (`UNIMPLEMENTED`) are not.

mod message;
mod status;

use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header};

use super::{CheckError, USER_AGENT, http::uri, http2};
use crate::data::health::connect::{Connect, Peer, Speak};
use http2::Reply;
use message::Serving;
pub use status::GrpcStatus;

const PATH: &str = "/grpc.health.v1.Health/Check";

pub(super) async fn check<C: Connect>(
    connect: &C,
    peer: &Peer,
    service: &str,
    limit: Duration,
) -> Result<(), CheckError> {
    let connection = connect.connect(peer, Speak::Http2).await;
    let connection = connection.map_err(CheckError::Connect)?;
    if !connection.http2 {
        return Err(CheckError::Malformed("does not speak HTTP/2"));
    }
    let request = Request::post(uri(peer, &peer.authority(), PATH)?)
        .version(Version::HTTP_2)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, USER_AGENT)
        .header("grpc-timeout", timeout(limit))
        .body(())?;
    let reply = http2::call(connection.io, request, message::request(service)).await?;
    judge(&reply)
}

/// Eight digits at most, says the protocol.
fn timeout(limit: Duration) -> HeaderValue {
    let millis = limit.as_millis().clamp(1, 99_999_999);
    HeaderValue::from_str(&format!("{millis}m")).unwrap_or(HeaderValue::from_static("1S"))
}

fn judge(reply: &Reply) -> Result<(), CheckError> {
    if reply.status != StatusCode::OK {
        return Err(CheckError::Status(reply.status));
    }
    let kind = reply.headers.get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Err(CheckError::Malformed("does not speak gRPC"));
    }
    // An answer without a message has its status in the head.
    let status = |map: &HeaderMap| map.get("grpc-status").map(GrpcStatus::read);
    match status(&reply.trailers).or_else(|| status(&reply.headers)) {
        None => return Err(CheckError::Malformed("an answer without a gRPC status")),
        Some(GrpcStatus::OK) => {}
        Some(failed) => return Err(CheckError::Grpc(failed)),
    }
    match message::response(&reply.body).filter(|_| reply.whole) {
        None => Err(CheckError::Malformed(
            "an answer that is no HealthCheckResponse",
        )),
        Some(Serving::Serving) => Ok(()),
        Some(Serving::Not(what)) => Err(CheckError::NotServing(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn reply(kind: &'static str, body: &'static [u8], trailer: Option<&'static str>) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let mut trailers = HeaderMap::new();
        if let Some(status) = trailer {
            trailers.insert("grpc-status", HeaderValue::from_static(status));
        }
        Reply {
            status: StatusCode::OK,
            headers,
            body: Bytes::from_static(body),
            whole: true,
            trailers,
        }
    }
    const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

    #[test]
    fn only_serving_with_status_ok_is_well() {
        assert!(judge(&reply("application/grpc", SERVING, Some("0"))).is_ok());
        assert!(judge(&reply("application/grpc+proto", SERVING, Some("0"))).is_ok());
        let bad = [
            (
                reply("text/html", SERVING, Some("0")),
                "does not speak gRPC",
            ),
            (
                reply("application/grpc", SERVING, None),
                "without a gRPC status",
            ),
            (
                reply("application/grpc", SERVING, Some("12")),
                "12 (UNIMPLEMENTED)",
            ),
            (reply("application/grpc", b"", Some("5")), "5 (NOT_FOUND)"),
            (
                reply("application/grpc", b"", Some("0")),
                "no HealthCheckResponse",
            ),
            (
                reply("application/grpc", &[0, 0, 0, 0, 2, 8, 2], Some("0")),
                "NOT_SERVING",
            ),
            (reply("application/grpc", SERVING, Some("x")), "2 (UNKNOWN)"),
        ];
        for (reply, why) in bad {
            let error = judge(&reply).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_status_in_the_head_counts_and_half_an_answer_does_not() {
        let mut head_only = reply("application/grpc", b"", None);
        head_only
            .headers
            .insert("grpc-status", HeaderValue::from_static("5"));
        assert!(matches!(judge(&head_only), Err(CheckError::Grpc(_))));
        let mut half = reply("application/grpc", SERVING, Some("0"));
        half.whole = false;
        assert!(judge(&half).is_err());
        half.status = StatusCode::SERVICE_UNAVAILABLE;
        assert!(matches!(judge(&half), Err(CheckError::Status(_))));
    }

    #[test]
    fn the_time_out_fits_its_header() {
        assert_eq!(timeout(Duration::from_millis(1500)), "1500m");
        assert_eq!(timeout(Duration::MAX), "99999999m");
        assert_eq!(timeout(Duration::ZERO), "1m");
    }
}
