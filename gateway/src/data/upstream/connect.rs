//! Connections to endpoints.

use std::{io, sync::Arc, time::Duration};

use tokio::net::TcpStream;

use crate::{
    config::model::Protocol,
    data::{
        endpoints::EndpointKey,
        tls::{Connector, Stream},
    },
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It took too long, TLS included.
    #[error("connecting took longer than {0:?}")]
    TimedOut(Duration),
    /// The network or the other side refused.
    #[error("could not connect")]
    Failed(#[source] io::Error),
    /// The other side is not trusted, or does not speak TLS.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The connection is there, but not what is to be spoken on it.
    #[error("the connection could not be set up")]
    Handshake(#[source] hyper::Error),
    /// The connection that several requests waited for.
    #[error(transparent)]
    Shared(#[from] Arc<ConnectError>),
}

/// Connects to one endpoint.
#[derive(Debug, Clone)]
pub struct Dial {
    /// Which.
    pub endpoint: EndpointKey,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// How long it may take.
    pub limit: Duration,
    /// For endpoints that speak TLS.
    pub tls: Option<Arc<Connector>>,
}

impl Dial {
    /// Whether what answers may speak HTTP/2.
    #[must_use]
    pub fn may_speak_http2(&self) -> bool {
        match self.protocol {
            Protocol::Http1 => false,
            Protocol::Http2 => true,
            Protocol::Auto => self.endpoint.https,
        }
    }

    /// Opens a connection, up to its TLS handshake.
    ///
    /// # Errors
    /// It could not be opened, or not in time.
    pub async fn connect(&self) -> Result<Stream, ConnectError> {
        if self.endpoint.https {
            // Boxed, so that requests to endpoints without TLS do not carry the room for it.
            return Box::pin(self.in_time(self.tls())).await;
        }
        self.in_time(self.tcp()).await.map(Stream::Plain)
    }

    async fn in_time<T>(
        &self,
        connecting: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        tokio::time::timeout(self.limit, connecting)
            .await
            .map_err(|_| ConnectError::TimedOut(self.limit))?
    }

    async fn tcp(&self) -> Result<TcpStream, ConnectError> {
        let endpoint = &self.endpoint;
        let stream = match endpoint.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((&*endpoint.host, endpoint.port)).await,
        };
        let stream = stream.map_err(ConnectError::Failed)?;
        stream.set_nodelay(true).map_err(ConnectError::Failed)?;
        Ok(stream)
    }

    async fn tls(&self) -> Result<Stream, ConnectError> {
        let Some(connector) = &self.tls else {
            return Err(ConnectError::Tls(io::ErrorKind::Unsupported.into()));
        };
        let stream = self.tcp().await?;
        connector
            .connect(stream, &self.endpoint.host, self.protocol)
            .await
            .map_err(ConnectError::Tls)
    }
}
