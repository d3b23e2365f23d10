//! A listener as workers see it.

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::net::TcpStream;

use super::detect::{Protocol, detect};
use crate::data::tls::{Acceptor, Stream};

/// What is spoken on the connections of a listener. All workers share it.
#[derive(Debug, Clone)]
pub struct Front {
    /// Its name in logs.
    pub name: Arc<str>,
    /// Whether HTTP/2 is spoken: by ALPN with TLS, by prior knowledge without.
    pub http2: bool,
    /// `None` for plain text.
    pub tls: Option<Acceptor>,
}

/// One worker's socket of a listener.
#[derive(Debug)]
pub struct Socket {
    /// It. Does not block.
    pub listener: TcpListener,
    /// What is spoken on its connections.
    pub front: Arc<Front>,
}

/// A connection that is ready for its first request.
pub(super) struct Begun {
    pub stream: Stream,
    pub protocol: Protocol,
    pub read_ahead: Bytes,
}

impl Front {
    /// Finds out what is spoken, within `idle` for a client without TLS to say the first word, and within `handshake` for the
    /// whole handshake of one with TLS.
    ///
    /// # Errors
    /// The client went away, took too long or speaks nothing that is spoken here.
    pub(super) async fn begin(
        &self,
        mut stream: TcpStream,
        idle: Duration,
        handshake: Duration,
    ) -> io::Result<Begun> {
        if let Some(acceptor) = &self.tls {
            // Boxed, so that connections without TLS do not carry the room for it.
            let accepting = Box::pin(acceptor.accept(stream));
            let stream = tokio::time::timeout(handshake, accepting).await??;
            let protocol = if stream.agreed_on_http2() {
                Protocol::Http2
            } else {
                Protocol::Http1
            };
            return Ok(Begun {
                stream,
                protocol,
                read_ahead: Bytes::new(),
            });
        }
        let (protocol, read_ahead) = if self.http2 {
            tokio::time::timeout(idle, detect(&mut stream)).await??
        } else {
            (Protocol::Http1, Vec::new())
        };
        Ok(Begun {
            stream: Stream::Plain(stream),
            protocol,
            read_ahead: read_ahead.into(),
        })
    }
}
