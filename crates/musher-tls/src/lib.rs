//! TLS of the requests that musher makes, to forges and to webhooks: rustls over ring, and the certificates that this
//! machine trusts.
//!
//! It knows no HTTP and none of musher's nouns: [`Trust`] turns a stream into an encrypted one, or says why not.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

/// Why there is no encrypted connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate is for a name or an address, and this is neither.
    #[error("`{0}` is no name that a certificate can have")]
    Name(String),
    /// Nothing to prove anybody by.
    #[error("this machine trusts no certificate{why}: install `ca-certificates`, or name a file in SSL_CERT_FILE")]
    Nobody {
        /// What went wrong when they were read, in brackets; empty when there just are none.
        why: String,
    },
    /// The other end did not prove that it is this host, or does not speak TLS.
    #[error("no encrypted connection to `{host}`: {error}")]
    Refused {
        /// Who it should have been.
        host: String,
        /// What went wrong.
        error: std::io::Error,
    },
    /// Not a fault of the other end.
    #[error("a defect of musher: {0}")]
    Defect(String),
}

/// Whom to believe that they are who they say. Read when the first connection is made; clones are the same.
#[derive(Clone, Default)]
pub struct Trust(Arc<OnceCell<Arc<ClientConfig>>>);

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

impl Trust {
    /// Whoever these certificates (DER) vouch for, and nobody else.
    ///
    /// # Errors
    /// A defect: the library has no protocol that it calls safe.
    pub fn of(certificates: Vec<Vec<u8>>) -> Result<Self, TlsError> {
        let certificates = certificates.into_iter().map(CertificateDer::from).collect();
        Ok(Self(Arc::new(OnceCell::new_with(Some(config(certificates)?)))))
    }

    /// The other end of the stream, if it proves that it is this host: a name, or an address without brackets.
    ///
    /// # Errors
    /// [`TlsError`] says why not.
    pub async fn encrypt(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, TlsError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))?;
        let config = self.0.get_or_try_init(of_this_machine).await?;
        let connected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        connected.map_err(|error| TlsError::Refused { host: host.to_owned(), error })
    }
}

async fn of_this_machine() -> Result<Arc<ClientConfig>, TlsError> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|_| TlsError::Defect("reading the trusted certificates panicked".to_owned()))?;
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(TlsError::Nobody { why });
    }
    config(found.certs)
}

fn config(certificates: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    // A machine may hold one that is too old to be understood; the others count all the same.
    roots.add_parsable_certificates(certificates);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error: Error| TlsError::Defect(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
