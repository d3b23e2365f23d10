//! Files with certificates and keys.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// A file that is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{key} = {path:?}: {why}", path = path.display().to_string())]
pub struct TlsFileError {
    /// The key of the configuration that names it.
    key: &'static str,
    path: PathBuf,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is not PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("has no certificate in it")]
    NoCertificate,
    #[error("cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl TlsFileError {
    fn of(key: &'static str, path: &Path, why: impl Into<Why>) -> Self {
        Self {
            key,
            path: path.to_owned(),
            why: why.into(),
        }
    }

    /// A key or certificate that could be read, but not used.
    pub(super) fn unusable(key: &'static str, path: &Path, error: rustls::Error) -> Self {
        Self::of(key, path, error)
    }
}

/// A file as it is.
pub(super) fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    std::fs::read(path).map_err(|error| TlsFileError::of(key, path, error))
}

/// All certificates in a file; at least one.
pub(super) fn certificates(
    key: &'static str,
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let found = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsFileError::of(key, path, error))?;
    if found.is_empty() {
        return Err(TlsFileError::of(key, path, Why::NoCertificate));
    }
    Ok(found)
}

/// The first private key in a file.
pub(super) fn private_key(
    key: &'static str,
    path: &Path,
    text: &[u8],
) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| TlsFileError::of(key, path, error))
}

/// The authorities in a file.
pub(super) fn authorities(key: &'static str, path: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, path, &read(key, path)?)? {
        roots
            .add(certificate)
            .map_err(|error| TlsFileError::of(key, path, error))?;
    }
    Ok(roots)
}
