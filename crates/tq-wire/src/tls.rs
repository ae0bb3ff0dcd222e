//! TLS under both planes, where it is wanted: certificates of PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tq_proto::{Error, ErrorKind, Result};

/// PEM files of this process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsFiles {
    /// Its certificate, and those between it and the authority. A host needs one; a guest where the
    /// host asks for it.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate.
    pub key: Option<PathBuf>,
    /// The authorities it trusts. A guest needs them; a host that has them asks its guests for
    /// certificates.
    pub authority: Option<PathBuf>,
}

impl TlsFiles {
    /// How a host takes in guests.
    ///
    /// # Errors
    /// `InvalidArgument` where a file is missing or no such thing.
    pub fn acceptor(&self) -> Result<TlsAcceptor> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "TLS at a host needs a certificate and its key; give both files",
            ));
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("the protocol versions", None).caused_by(error))?;
        let builder = match &self.authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(roots(authority)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| unusable("authorities", Some(authority)).caused_by(error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder
            .with_single_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| unusable("a certificate", Some(certificate)).caused_by(error))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// How a guest connects to a host.
    ///
    /// # Errors
    /// `InvalidArgument` where a file is missing or no such thing.
    pub fn connector(&self) -> Result<TlsConnector> {
        let Some(authority) = &self.authority else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "TLS at a guest needs the certificate of the authority that vouches for the host; \
                 give its file",
            ));
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("the protocol versions", None).caused_by(error))?
            .with_root_certificates(roots(authority)?);
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|error| unusable("a certificate", Some(certificate)).caused_by(error))?,
            _ => builder.with_no_client_auth(),
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// The name that a host's certificate has to be for.
///
/// # Errors
/// `InvalidArgument` for what is neither a name nor an address.
pub fn server_name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(|error| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("{host:?} is no name or address that a certificate could be for"),
        )
        .caused_by(error)
    })
}

fn roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| unusable("authorities", Some(path)).caused_by(error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> =
        read.map_err(|error| unusable("certificates", Some(path)).caused_by(error))?;
    if found.is_empty() {
        return Err(unusable("certificates", Some(path)));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| unusable("a private key", Some(path)).caused_by(error))
}

fn unusable(what: &str, path: Option<&Path>) -> Error {
    let place = path.map_or_else(String::new, |path| format!(" of {}", path.display()));
    Error::new(
        ErrorKind::InvalidArgument,
        format!("{what}{place} cannot be used for TLS; give PEM files that belong together"),
    )
}
