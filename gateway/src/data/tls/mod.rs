//! TLS on both sides, by rustls.
//!
//! Certificates and authorities are read at start, where a file that is of no use is an error that names it. A listener's certificate is
//! looked at again and again afterwards ([`Certificate::follow`]). What a connection is made of does not matter to the code that
//! speaks HTTP on it: [`Stream`] is one type for all.

mod client;
mod pem;
mod server;
mod stream;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::Connector;
pub use pem::TlsFileError;
pub use server::{Acceptor, Certificate};
pub use stream::Stream;

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// The one place that says whose cryptography is used. It is handed to every configuration, so that nothing depends on a default
/// of the process that a dependency might have set.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
