//! Binding, with an error that says which key to change.

use super::RunError;
use std::net::SocketAddr;
use tokio::net::TcpListener;

pub(crate) async fn bind(
    address: SocketAddr,
    key: &'static str,
) -> Result<(TcpListener, SocketAddr), RunError> {
    let failed = |error: std::io::Error| RunError::Listen {
        address,
        key,
        reason: crate::io_reason(&error),
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
