//! Certificates of the TLS listeners: PEM files behind a slot that can be refilled while connections come in.

use crate::{CertificateFiles, Error};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

/// The certificate new handshakes get.
#[derive(Debug)]
pub(crate) struct CertificateSlot {
    files: CertificateFiles,
    current: RwLock<Arc<CertifiedKey>>,
}

impl CertificateSlot {
    pub(crate) fn load(files: &CertificateFiles) -> Result<Self, Error> {
        let current = RwLock::new(Arc::new(read(files)?));
        Ok(Self { files: files.clone(), current })
    }

    /// Reads the files again. After an error the old certificate stays.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        let fresh = Arc::new(read(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl ResolvesServerCert for CertificateSlot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// TLS 1.2 and 1.3, HTTP/1.1 only.
pub(crate) fn acceptor(slot: Arc<CertificateSlot>) -> Result<TlsAcceptor, Error> {
    let path = slot.files.certificate.clone();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Certificate { path, reason: e.to_string() })?
        .with_no_client_auth()
        .with_cert_resolver(slot);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

pub(crate) fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

fn read(files: &CertificateFiles) -> Result<CertifiedKey, Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes(&files.certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|e| unusable(&files.certificate, e))?;
    if chain.is_empty() {
        return Err(unusable(&files.certificate, "it holds no certificate"));
    }
    let pem = bytes(&files.key)?;
    let text = String::from_utf8_lossy(&pem);
    // PKCS#8 says so in its label, the older forms in a header.
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::OutdatedEncryption { path: files.key.clone() });
    }
    let key = match text.find(ENCRYPTED_BEGIN) {
        Some(start) => decrypt(text.get(start..).unwrap_or_default(), files)?,
        None => PrivateKeyDer::from_pem_slice(&pem).map_err(|e| match e {
            rustls::pki_types::pem::Error::NoItemsFound => unusable(&files.key, "it holds no private key"),
            e => unusable(&files.key, e),
        })?,
    };
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|e| unusable(&files.key, e))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Some keys cannot be compared; the handshake will tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(e) => Err(unusable(&files.key, format!("it does not belong to the certificate ({e})"))),
    }
}

const ENCRYPTED_BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// An encrypted PKCS#8 key; `text` begins with it.
fn decrypt(text: &str, files: &CertificateFiles) -> Result<PrivateKeyDer<'static>, Error> {
    let path = &files.key;
    let Some(password) = &files.password else { return Err(Error::PasswordMissing { path: path.clone() }) };
    let end = text.find(ENCRYPTED_END).ok_or_else(|| unusable(path, "unterminated PEM block"))?;
    let block = text.get(..end + ENCRYPTED_END.len()).unwrap_or_default();
    // Some editors leave carriage returns or blanks at line ends, which the strict reader refuses.
    let tidy: String = block.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    let (_, document) = pkcs8::SecretDocument::from_pem(&tidy).map_err(|e| unusable(path, e))?;
    let encrypted =
        pkcs8::EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|e| unusable(path, e))?;
    let plain = encrypted
        .decrypt(password.expose())
        .map_err(|_| unusable(path, "wrong password, or an unsupported scheme of encryption"))?;
    Ok(PrivateKeyDer::Pkcs8(plain.as_bytes().to_vec().into()))
}

fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|e| unusable(path, why_unreadable(path, &e)))
}

/// Why a file cannot be read, in words that help: for a lack of permission who we are and whose file it is.
pub fn why_unreadable(path: &Path, error: &std::io::Error) -> String {
    use std::os::unix::fs::MetadataExt;
    if error.kind() != std::io::ErrorKind::PermissionDenied {
        return error.to_string();
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let us = format!("we run as user {uid}, group {gid}");
    match std::fs::metadata(path) {
        Ok(file) => {
            let mode = file.mode() & 0o7777;
            format!(
                "{error}: {us}, and the file is that of user {}, group {}, mode {mode:04o}",
                file.uid(),
                file.gid()
            )
        }
        Err(_) => format!("{error}: {us}, and may not look into its folder"),
    }
}

fn unusable(path: &Path, reason: impl ToString) -> Error {
    Error::Certificate { path: path.to_owned(), reason: reason.to_string() }
}
