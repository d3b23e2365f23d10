//! The side of the upstreams: whom to trust, and handshakes with them.

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::{HTTP1, HTTP2, Stream, pem, provider};
use crate::config::model::{ClientTls, Discovery, Protocol, Upstream};

/// Makes handshakes with the endpoints of one upstream. Shared by all workers and by its health checks, and so are the sessions
/// that can be resumed.
#[derive(Clone)]
pub struct Connector {
    http1: TlsConnector,
    http2: TlsConnector,
    either: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl Connector {
    /// For an upstream that may have endpoints with `https`.
    ///
    /// # Errors
    /// The file of authorities is of no use, or the name is none.
    pub fn new(upstream: &Upstream) -> Result<Option<Self>, tower::BoxError> {
        let may_be_https = match &upstream.discovery {
            Discovery::Static(endpoints) => endpoints.iter().any(|endpoint| endpoint.https),
            Discovery::File { .. } => true,
            Discovery::Dns(dns) | Discovery::Srv(dns) => dns.https,
        };
        if !may_be_https {
            return Ok(None);
        }
        let of_upstream =
            |error: &dyn fmt::Display| format!("upstreams.{}: {error}", upstream.name);
        Self::of(&upstream.tls)
            .map(Some)
            .map_err(|error| of_upstream(&error).into())
    }

    fn of(config: &ClientTls) -> Result<Self, tower::BoxError> {
        let roots = match &config.ca {
            Some(path) => Arc::new(pem::authorities("tls.ca", path)?),
            None => system_roots(),
        };
        let server_name = config
            .server_name
            .as_ref()
            .map(|name| server_name(name))
            .transpose()?;
        let plain = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let speaking = |protocols: &[&[u8]]| {
            let mut config = plain.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        };
        Ok(Self {
            http1: speaking(&[HTTP1]),
            http2: speaking(&[HTTP2]),
            either: speaking(&[HTTP2, HTTP1]),
            server_name,
        })
    }

    /// Makes one with the endpoint that goes by this name, to speak this protocol.
    ///
    /// # Errors
    /// The other side is not who it should be, or does not speak TLS, or HTTP/2 where nothing else will do.
    pub async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        protocol: Protocol,
    ) -> io::Result<Stream> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(host)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        let connector = match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
            Protocol::Auto => &self.either,
        };
        let stream = connector.connect(name, stream).await?;
        let stream = Stream::Tls(Box::new(TlsStream::Client(stream)));
        if protocol == Protocol::Http2 && !stream.agreed_on_http2() {
            let what = "the other side does not speak HTTP/2";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        Ok(stream)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, rustls::pki_types::InvalidDnsNameError> {
    ServerName::try_from(name.to_owned())
}

/// The authorities that the system trusts: those of the file or directory named by `SSL_CERT_FILE` or `SSL_CERT_DIR`, or its usual
/// places. Read once; a system without any is no reason not to start, because all endpoints may turn out to be without TLS.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "an authority of the system cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!(
                "the system trusts no authority: no https endpoint without tls.ca can be reached"
            );
        }
        Arc::new(roots)
    };
    ROOTS.get_or_init(read).clone()
}
