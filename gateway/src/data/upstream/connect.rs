//! Connections to endpoints.

use std::{io, time::Duration};

use tokio::net::TcpStream;

use crate::data::endpoints::EndpointKey;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It took too long.
    #[error("connecting took longer than {0:?}")]
    TimedOut(Duration),
    /// The network or the other side refused.
    #[error("could not connect")]
    Failed(#[source] io::Error),
    /// The connection is there, but not what is to be spoken on it.
    #[error("the connection could not be set up")]
    Handshake(#[source] hyper::Error),
}

/// Opens a connection within `limit`.
///
/// # Errors
/// It could not be opened, or not in time.
pub async fn tcp(endpoint: &EndpointKey, limit: Duration) -> Result<TcpStream, ConnectError> {
    let connecting = async {
        match endpoint.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((&*endpoint.host, endpoint.port)).await,
        }
    };
    let stream = tokio::time::timeout(limit, connecting)
        .await
        .map_err(|_| ConnectError::TimedOut(limit))?
        .map_err(ConnectError::Failed)?;
    stream.set_nodelay(true).map_err(ConnectError::Failed)?;
    Ok(stream)
}
