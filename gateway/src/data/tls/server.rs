//! The side of the clients: a listener's certificate, and its handshakes.

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{net::TcpStream, runtime::Handle};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_util::sync::CancellationToken;

use super::{HTTP1, HTTP2, Stream, pem, pem::TlsFileError, provider};
use crate::config::model::ServerTls;

/// Makes handshakes with clients. Shared by all workers: so are the sessions that clients resume, whichever worker they meet.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// With this certificate, as it is at each handshake.
    ///
    /// # Errors
    /// The cryptography cannot do what TLS 1.2 and 1.3 need.
    pub fn new(certificate: Arc<Certificate>, http2: bool) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        if http2 {
            config.alpn_protocols.push(HTTP2.to_vec());
        }
        config.alpn_protocols.push(HTTP1.to_vec());
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Makes one. A client that does not say what it speaks gets HTTP/1.1.
    ///
    /// # Errors
    /// The client does not speak TLS, or nothing of what is spoken here, or does not like the certificate.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let stream = self.0.accept(stream).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

/// A listener's certificate, which may be replaced while the listener is in use: connections that are there keep what they began with.
#[derive(Debug)]
pub struct Certificate {
    config: ServerTls,
    current: ArcSwap<CertifiedKey>,
}

/// What stood in both files.
type Files = (Vec<u8>, Vec<u8>);

impl Certificate {
    /// Reads it, and returns what [`follow`](Self::follow) compares with.
    ///
    /// # Errors
    /// A file cannot be read, makes no sense, or does not belong to the other one.
    pub fn read(config: &ServerTls) -> Result<(Arc<Self>, Files), TlsFileError> {
        let files = files(config)?;
        let current = ArcSwap::from_pointee(parse(config, &files)?);
        let certificate = Self {
            config: config.clone(),
            current,
        };
        Ok((Arc::new(certificate), files))
    }

    /// Looks at the files again and again, and takes what they say if it has changed and makes sense. Contents are compared and
    /// not times: a file that is put in place of another one may be older, and a link may come to lead elsewhere.
    pub fn follow(
        self: Arc<Self>,
        listener: Arc<str>,
        mut seen: Files,
        runtime: &Handle,
        stop: CancellationToken,
    ) {
        let every = self.config.reload.max(SHORTEST);
        runtime.spawn(stop.run_until_cancelled_owned(async move {
            let mut was_readable = true;
            loop {
                tokio::time::sleep(every).await;
                let this = self.clone();
                let read = tokio::task::spawn_blocking(move || files(&this.config)).await;
                let Ok(read) = read else { continue };
                match read {
                    Ok(found) => {
                        was_readable = true;
                        if found != seen {
                            self.replace(&listener, &found);
                            // Also if it was of no use, so that it is said once.
                            seen = found;
                        }
                    }
                    Err(error) if was_readable => {
                        was_readable = false;
                        keeps(&listener, &error);
                    }
                    Err(_) => {}
                }
            }
        }));
    }

    fn replace(&self, listener: &str, files: &Files) {
        match parse(&self.config, files) {
            Ok(new) => {
                self.current.store(Arc::new(new));
                tracing::info!(listener, "a new certificate is in use");
            }
            // Half of a change, most likely: the other file follows.
            Err(error) => keeps(listener, &error),
        }
    }
}

/// Nobody changes certificates more often.
const SHORTEST: Duration = Duration::from_millis(10);

fn keeps(listener: &str, error: &TlsFileError) {
    tracing::warn!(listener, %error, "the certificate that was in use stays in use");
}

const CERTIFICATE: &str = "tls.certificate";
const KEY: &str = "tls.key";

fn files(config: &ServerTls) -> Result<Files, TlsFileError> {
    Ok((
        pem::read(CERTIFICATE, &config.certificate)?,
        pem::read(KEY, &config.key)?,
    ))
}

fn parse(config: &ServerTls, (certificate, key): &Files) -> Result<CertifiedKey, TlsFileError> {
    let (certificate_path, key_path): (&Path, &Path) = (&config.certificate, &config.key);
    let chain = pem::certificates(CERTIFICATE, certificate_path, certificate)?;
    let key = pem::private_key(KEY, key_path, key)?;
    CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| TlsFileError::unusable(KEY, key_path, error))
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}
