//! A request over HTTP/2, with the `h2` crate itself: its connection is a future, which needs no executor and no task.

use ::http::{HeaderMap, Request, StatusCode};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{CheckError, LARGEST, drive::drive};

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// At most [`LARGEST`] and a frame.
    pub body: Bytes,
    /// Whether the body is all of it.
    pub whole: bool,
    pub trailers: HeaderMap,
}

/// A body that is empty is not sent.
pub(super) async fn call<Io>(io: Io, request: Request<()>, body: Bytes) -> Result<Reply, CheckError>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = h2::client::Builder::new()
        .enable_push(false)
        .max_header_list_size(16 * 1024)
        .handshake::<_, Bytes>(io)
        .await?;
    let exchange = async move {
        let mut sender = sender.ready().await?;
        let (response, mut stream) = sender.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            stream.send_data(body, true)?;
        }
        let (head, mut incoming) = response.await?.into_parts();
        let mut reply = Reply {
            status: head.status,
            headers: head.headers,
            body: Bytes::new(),
            whole: true,
            trailers: HeaderMap::new(),
        };
        let mut read = BytesMut::new();
        while let Some(data) = incoming.data().await {
            let data = data?;
            let _ = incoming.flow_control().release_capacity(data.len());
            read.extend_from_slice(&data);
            if read.len() > LARGEST {
                reply.whole = false;
                break;
            }
        }
        reply.body = read.freeze();
        if reply.whole {
            reply.trailers = incoming.trailers().await?.unwrap_or_default();
        }
        Ok(reply)
    };
    drive(connection, exchange).await
}
