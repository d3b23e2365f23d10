//! For services that serve the public address by themselves instead of as an axum router.

use super::Context;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Serves the public address, and ends when told to. The ops listener, signals, readiness and the order of the drain stay
/// service-kit's.
pub trait OwnServer: Send + Sync + 'static {
    /// From now on answers end their connections, so that clients go elsewhere before connections are closed on them.
    fn announce_drain(&self);

    /// Ends accepting, waits for what is under way, up to `limit` or until `hurry` is cancelled, then cuts off the rest. Returns
    /// how many connections were cut off.
    fn finish<'a>(
        &'a self,
        limit: Duration,
        hurry: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = usize> + Send + 'a>>;
}

impl Context {
    /// The public listener, bound with `SO_REUSEPORT` so that further ones may share its address. Only for a service that
    /// was started with [`run_own`](super::run_own), and once.
    pub fn take_listener(&self) -> Option<std::net::TcpListener> {
        self.take_public_listener()
    }
}

/// Another listener at an address that one has been bound to with `SO_REUSEPORT` already. Does not block; `backlog` is how
/// many connections wait to be accepted.
///
/// # Errors
/// The address is in use by a socket that does not share it, or is not this machine's.
pub fn bind_shared(address: SocketAddr, backlog: u32) -> std::io::Result<std::net::TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(backlog)?.into_std()
}
