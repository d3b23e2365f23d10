//! A `GET` over HTTP/1.1.

use ::http::{Request, StatusCode, header, uri::PathAndQuery};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{CheckError, LARGEST, USER_AGENT, drive::drive};

pub(super) async fn get<Io>(
    io: Io,
    authority: &str,
    path: &PathAndQuery,
) -> Result<StatusCode, CheckError>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = Request::get(path.as_str())
        .header(header::HOST, authority)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(LARGEST)
        .handshake(TokioIo::new(io))
        .await?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        // To its end: an endpoint whose answers break off is not well. One that has much to say is.
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            read += frame?.data_ref().map_or(0, Bytes::len);
            if read > LARGEST {
                break;
            }
        }
        Ok(status)
    };
    drive(connection, exchange).await
}
