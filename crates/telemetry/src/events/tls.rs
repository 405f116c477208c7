//! Whom clients of ours trust: the certificates of the system (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;

/// TLS 1.2 and 1.3.
///
/// # Errors
/// The system's certificates cannot be used.
pub(crate) fn client() -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(Arc::new(config))
}
