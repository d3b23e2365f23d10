//! How a check reaches an endpoint. TLS is put in by an implementation of [`Connect`]; this knows plain text only.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// Whom to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Host name or IP address, for `Host` and certificates; an IPv6 address without brackets.
    pub host: Arc<str>,
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub https: bool,
}

/// What is to be spoken: without TLS by prior knowledge, with it what ALPN offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speak {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Either; without TLS that is HTTP/1.1.
    Either,
}

/// A connection, up to its TLS handshake.
#[derive(Debug)]
pub struct Connected<Io> {
    /// It.
    pub io: Io,
    /// Whether HTTP/2 is spoken on it.
    pub http2: bool,
}

/// Makes connections. Time-outs are the caller's.
pub trait Connect: Send + Sync + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// A new one; never one that was used before.
    fn connect(
        &self,
        peer: &Peer,
        speak: Speak,
    ) -> impl Future<Output = io::Result<Connected<Self::Io>>> + Send;
}

/// Without TLS. Endpoints with `https` cannot be reached by it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Connect for Plain {
    type Io = TcpStream;

    async fn connect(&self, peer: &Peer, speak: Speak) -> io::Result<Connected<TcpStream>> {
        if peer.https {
            let what = "this gateway has no TLS for its checks";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        let io = TcpStream::connect(peer.address).await?;
        // A check is one small write and one small answer.
        io.set_nodelay(true)?;
        Ok(Connected {
            io,
            http2: speak == Speak::Http2,
        })
    }
}

impl Peer {
    /// As in `Host` and `:authority`: without the port that goes without saying.
    #[must_use]
    pub fn authority(&self) -> String {
        let port = self.address.port();
        let usual = if self.https { 443 } else { 80 };
        let host = &self.host;
        // The only hosts with a colon are IPv6 addresses.
        match (host.contains(':'), port == usual) {
            (true, true) => format!("[{host}]"),
            (true, false) => format!("[{host}]:{port}"),
            (false, true) => host.to_string(),
            (false, false) => format!("{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_is_left_out_and_ipv6_bracketed() {
        let authority = |host: &str, port: u16, https| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let host = host.into();
            Peer {
                host,
                address,
                https,
            }
            .authority()
        };
        assert_eq!(authority("a", 80, false), "a");
        assert_eq!(authority("a", 443, false), "a:443");
        assert_eq!(authority("a", 443, true), "a");
        assert_eq!(authority("::1", 8080, false), "[::1]:8080");
        assert_eq!(authority("::1", 80, false), "[::1]");
    }
}
