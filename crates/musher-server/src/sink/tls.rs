//! TLS for webhooks: rustls over ring, and the certificates that this machine trusts.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::webhook::Failed;

/// Whom webhooks may be sent to. Read when the first is sent: most projects have none.
#[derive(Clone, Default)]
pub(crate) struct Trust(Arc<OnceCell<Arc<ClientConfig>>>);

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

impl Trust {
    /// The other end of the stream, if it proves that it is this host.
    pub(super) async fn encrypt(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failed> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failed::because(format_args!("`{host}` is no name that a certificate can have")))?;
        let config = self.0.get_or_try_init(of_this_machine).await?;
        TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
            .map_err(|error| Failed::because(format_args!("no encrypted connection to `{host}`: {error}")))
    }

    #[cfg(test)]
    pub(super) fn of(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self(Arc::new(OnceCell::new_with(config(certificates).ok())))
    }
}

async fn of_this_machine() -> Result<Arc<ClientConfig>, Failed> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|_| Failed::because("a defect of musher: reading the trusted certificates panicked"))?;
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(Failed::because(format_args!(
            "this machine trusts no certificate{why}: install `ca-certificates`, or name a file in SSL_CERT_FILE"
        )));
    }
    config(found.certs)
}

fn config(certificates: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, Failed> {
    let mut roots = RootCertStore::empty();
    // A machine may hold one that is too old to be understood; the others count all the same.
    roots.add_parsable_certificates(certificates);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Failed::because)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
