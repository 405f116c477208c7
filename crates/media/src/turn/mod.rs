//! Relay candidates of our own: allocations on TURN servers (RFC 8656), one for each worker and server.
//!
//! `client` is one allocation without a socket, `message` its bytes, `credentials` how it proves who it is, `stream` a
//! connection where UDP does not get through. The worker opens, drives and shares them (`worker::relays`). Absent on
//! purpose: relays that speak TCP to the peer, IPv6 relays beside IPv4 ones, even ports.

mod client;
mod credentials;
#[cfg(test)]
pub(crate) mod fake;
mod message;
mod relays;
mod stream;

pub(crate) use client::{Allocation, Client, Event, Failure};
pub(crate) use credentials::Credentials;
pub(crate) use message::{MAGIC, xor_address};
pub(crate) use relays::{Relay, Relays};
pub(crate) use stream::Stream;

use crate::worker::{Mailbox, WorkerMessage};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Servers used at once; more are ignored.
pub const MAX_TURN_SERVERS: usize = 4;
/// Names are looked up again after this long, and after this long where one was not found.
const RESOLVE_AGAIN: Duration = Duration::from_secs(600);
const RESOLVE_RETRY: Duration = Duration::from_secs(30);

/// How a TURN server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnTransport {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
    /// A connection with TLS.
    Tls,
}

/// A server that relays for us, and who we are to it.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnServer {
    /// Name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How to reach it.
    pub transport: TurnTransport,
    /// The user; empty where none is asked for.
    pub username: String,
    /// The user's password.
    pub password: String,
}

impl fmt::Debug for TurnServer {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.transport {
            TurnTransport::Udp => "udp",
            TurnTransport::Tcp => "tcp",
            TurnTransport::Tls => "tls",
        };
        write!(f, "{}:{} over {name}", self.host, self.port)
    }
}

/// Whose certificates a TURN server over TLS may show. Its name is checked in any case.
#[derive(Clone)]
pub struct TurnTrust(Arc<ClientConfig>);

impl fmt::Debug for TurnTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnTrust")
    }
}

impl TurnTrust {
    /// Those the system trusts.
    ///
    /// # Errors
    /// There are none.
    pub fn system() -> Result<Self, rustls::Error> {
        let config = builder()?.with_platform_verifier()?.with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Only those that one of these authorities signed.
    ///
    /// # Errors
    /// There is no certificate in the text, or one that cannot be used.
    pub fn of_authorities(pem: &[u8]) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| rustls::Error::General(e.to_string()))?;
            roots.add(certificate)?;
        }
        if roots.is_empty() {
            return Err(rustls::Error::General("no certificate in it".to_owned()));
        }
        let config = builder()?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
}

/// A server and where its name led.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) server: Arc<TurnServer>,
    pub(crate) addresses: Vec<SocketAddr>,
}

/// The TURN servers of an engine, to be replaced while it runs.
#[derive(Clone)]
pub struct TurnServers {
    workers: Vec<Mailbox>,
    /// To who looks their names up, once there are some.
    changes: Arc<OnceLock<Sender<Vec<TurnServer>>>>,
}

impl TurnServers {
    pub(crate) fn new(workers: Vec<Mailbox>) -> Self {
        Self { workers, changes: Arc::default() }
    }

    /// Uses these from now on, [`MAX_TURN_SERVERS`] at most. Allocations on others, or with other credentials, get no new
    /// peers and are kept while some use them.
    pub fn set(&self, servers: Vec<TurnServer>) {
        let changes = self.changes.get_or_init(|| look_up_in_background(self.workers.clone()));
        let _ = changes.send(servers);
    }
}

/// Looks the names of servers up on a thread of its own, again and again, and tells the workers. What is sent into the
/// channel replaces the servers; it ends when that is gone.
fn look_up_in_background(workers: Vec<Mailbox>) -> Sender<Vec<TurnServer>> {
    let (changes, inbox) = channel();
    let look_up = move || look_up(&inbox, &workers);
    if let Err(error) = std::thread::Builder::new().name("turn-lookup".to_owned()).spawn(look_up) {
        tracing::warn!(%error, "cannot look up the TURN server");
    }
    changes
}

fn look_up(changes: &Receiver<Vec<TurnServer>>, workers: &[Mailbox]) {
    let mut servers: Vec<Arc<TurnServer>> = Vec::new();
    let mut wait = RESOLVE_AGAIN;
    let mut warned = false;
    loop {
        match changes.recv_timeout(wait) {
            Ok(new) => {
                servers = new.into_iter().take(MAX_TURN_SERVERS).map(Arc::new).collect();
                warned = false;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let mut found = Vec::new();
        let mut missing = false;
        for server in &servers {
            let addresses = match (server.host.as_str(), server.port).to_socket_addrs() {
                Ok(addresses) => addresses.collect(),
                Err(error) if warned => {
                    tracing::debug!(?server, %error, "TURN server not found");
                    Vec::new()
                }
                Err(error) => {
                    tracing::warn!(?server, %error, "TURN server not found; going on without its relay candidates");
                    Vec::new()
                }
            };
            missing |= addresses.is_empty();
            found.push(Found { server: Arc::clone(server), addresses });
        }
        warned = missing;
        wait = if missing { RESOLVE_RETRY } else { RESOLVE_AGAIN };
        if !workers.iter().all(|worker| worker.send(WorkerMessage::TurnServers(found.clone()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Waker;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_password_is_never_shown() {
        let server = TurnServer {
            host: "turn.example".to_owned(),
            port: 5349,
            transport: TurnTransport::Tls,
            username: "user".to_owned(),
            password: "hunter2".to_owned(),
        };
        assert_eq!(format!("{server:?}"), "turn.example:5349 over tls");
    }

    #[test]
    fn workers_are_told_where_the_servers_of_the_moment_are() {
        let (inbox, told) = sync_channel(10);
        let servers = TurnServers::new(vec![Mailbox::new(inbox, Arc::new(Waker::new().unwrap()))]);
        let named = |host: &str, username: &str| TurnServer {
            host: host.to_owned(),
            port: 3478,
            transport: TurnTransport::Udp,
            username: username.to_owned(),
            password: String::new(),
        };
        let hear = || match told.recv_timeout(Duration::from_secs(10)).unwrap() {
            WorkerMessage::TurnServers(found) => {
                found.into_iter().map(|f| (f.server.username.clone(), f.addresses)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        servers.set(vec![named("127.0.0.1", "first")]);
        let at = vec!["127.0.0.1:3478".parse().unwrap()];
        assert_eq!(hear(), [("first".to_owned(), at.clone())]);
        // A name that cannot be one is looked up nowhere.
        servers.clone().set(vec![named("127.0.0.1", "second"), named("no name", "third")]);
        assert_eq!(hear(), [("second".to_owned(), at), ("third".to_owned(), Vec::new())]);
        servers.set(vec![named("127.0.0.1", "many"); 9]);
        assert_eq!(hear().len(), MAX_TURN_SERVERS);
    }

    #[test]
    fn an_empty_file_of_authorities_is_an_error() {
        let error = TurnTrust::of_authorities(b"# nothing\n").unwrap_err().to_string();
        assert!(error.contains("no certificate"), "{error}");
        let own = rcgen::generate_simple_self_signed(["turn.example".to_owned()]).unwrap().cert.pem();
        assert!(TurnTrust::of_authorities(own.as_bytes()).is_ok());
    }
}
