//! Why a transport does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What went wrong while starting or reloading.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address cannot be listened on: not local, taken, or not permitted.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A path cannot be listened on.
    #[error("cannot listen on {path}: {source}", path = path.display())]
    BindPath {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A TLS listener without certificate or key.
    #[error("no certificate and key are set for the secure listener on {listener}")]
    NoCertificate {
        /// Which listener: its address or path.
        listener: String,
    },
    /// A certificate or key file that cannot be read or used.
    #[error("cannot use {path}: {reason}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// In words.
        reason: String,
    },
    /// A private key under a password that is not told.
    #[error("the key in {path} is encrypted: it needs `cert_pwd`", path = path.display())]
    PasswordMissing {
        /// The file.
        path: PathBuf,
    },
    /// A private key in an encrypted form that is no longer read.
    #[error(
        "the key in {path} is encrypted in a form that is out of use: convert it with \
         `openssl pkcs8 -topk8 -in {path} -out <new file>`",
        path = path.display()
    )]
    OutdatedEncryption {
        /// The file.
        path: PathBuf,
    },
    /// Nothing at all could be opened.
    #[error("no listener could be opened")]
    NoListener,
}
