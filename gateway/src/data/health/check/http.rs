//! Whether a `GET` is answered with 2xx, over the protocol that the upstream is spoken to with.

use ::http::{Request, StatusCode, Uri, Version, header, uri::PathAndQuery};
use bytes::Bytes;

use super::{CheckError, USER_AGENT, http1, http2};
use crate::{
    config::model::Protocol,
    data::health::connect::{Connect, Peer, Speak},
};

pub(super) async fn check<C: Connect>(
    connect: &C,
    protocol: Protocol,
    peer: &Peer,
    path: &PathAndQuery,
) -> Result<(), CheckError> {
    let speak = match protocol {
        Protocol::Http1 => Speak::Http1,
        Protocol::Http2 => Speak::Http2,
        Protocol::Auto => Speak::Either,
    };
    let connection = connect.connect(peer, speak).await;
    let connection = connection.map_err(CheckError::Connect)?;
    let authority = peer.authority();
    let status = if connection.http2 {
        let request = Request::get(uri(peer, &authority, path.as_str())?)
            .version(Version::HTTP_2)
            .header(header::USER_AGENT, USER_AGENT)
            .body(())?;
        http2::call(connection.io, request, Bytes::new())
            .await?
            .status
    } else {
        http1::get(connection.io, &authority, path).await?
    };
    judge(status)
}

/// A redirect is no answer, but where one could be had.
fn judge(status: StatusCode) -> Result<(), CheckError> {
    if status.is_success() {
        Ok(())
    } else {
        Err(CheckError::Status(status))
    }
}

/// As HTTP/2 has it, whole.
pub(super) fn uri(peer: &Peer, authority: &str, path: &str) -> Result<Uri, ::http::Error> {
    let scheme = if peer.https { "https" } else { "http" };
    Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path)
        .build()
}
