//! Binding, with an error that says which key to change.

use super::launch::Sharing;
use super::{RunError, bind_shared};
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Connections that wait to be accepted; the kernel has a limit of its own (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

pub(super) async fn bind(
    address: SocketAddr,
    key: &'static str,
    sharing: Sharing,
) -> Result<(TcpListener, SocketAddr), RunError> {
    let failed = |error: std::io::Error| RunError::Listen {
        address,
        key,
        reason: crate::io_reason(&error),
    };
    let listener = match sharing {
        Sharing::Alone => TcpListener::bind(address).await,
        Sharing::Shared => bind_shared(address, BACKLOG).and_then(TcpListener::from_std),
    };
    let listener = listener.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
