//! TLS to forges: rustls over ring, and the certificates that this machine trusts.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::error::ForgeError;

/// Whom a forge may be. Read when the first connection is made.
#[derive(Clone, Default)]
pub(crate) struct Trust(Arc<OnceCell<Arc<ClientConfig>>>);

impl Trust {
    /// The other end of the stream, if it proves that it is this host.
    pub(crate) async fn encrypt(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, ForgeError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ForgeError::unavailable(format!("`{host}` is no name that a certificate can have")))?;
        let config = self.0.get_or_try_init(of_this_machine).await?;
        TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
            .map_err(|error| ForgeError::unavailable(format!("no encrypted connection to `{host}`: {error}")))
    }
}

async fn of_this_machine() -> Result<Arc<ClientConfig>, ForgeError> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|_| ForgeError::unavailable("a defect of musher: reading the trusted certificates panicked"))?;
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        let fix = "install `ca-certificates`, or name a file in SSL_CERT_FILE";
        return Err(ForgeError::unavailable(format!("this machine trusts no certificate{why}: {fix}")));
    }
    let mut roots = RootCertStore::empty();
    // A machine may hold one that is too old to be understood; the others count all the same.
    roots.add_parsable_certificates(found.certs);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ForgeError::unavailable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
