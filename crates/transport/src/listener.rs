//! Listeners: binding them, letting connections in, and ending it all.

use crate::acl::Acl;
use crate::connection::{Admission, Allowance, Line, Pulse, Stream, Ticket, watched};
use crate::counters::Counter;
use crate::http::{Demos, HttpApi, Recordings};
use crate::packets;
use crate::tls::{self, CertificateSlot};
use crate::unix::{self, SocketFile};
use crate::websocket::SocketApi;
use crate::{
    CertificateFiles, Counters, Error, Inbound, Limits, Mailboxes, Observer, PacketSettings, Settings, Side,
    Times,
};
use socket2::SockRef;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// How far the end of the process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Stage {
    Running,
    /// No new connections; each ends as soon as nothing is cut off by it.
    Draining,
    /// Whatever is left is dropped.
    Over,
}

/// What every connection of every listener may use.
pub(crate) struct Shared {
    pub(crate) inbound: mpsc::Sender<Inbound>,
    pub(crate) mailboxes: Mailboxes,
    limits: Limits,
    times: Arc<Times>,
    observer: Observer,
    allowance: Arc<Allowance>,
    stage: watch::Receiver<Stage>,
}

impl Shared {
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        self.mailboxes.counters()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn observer(&self) -> &Observer {
        &self.observer
    }

    pub(crate) fn times(&self) -> &Times {
        &self.times
    }

    /// Resolves when the process begins to end.
    pub(crate) async fn draining(&self) {
        self.reached(Stage::Draining).await;
    }

    /// Resolves when there is no time left.
    pub(crate) async fn over(&self) {
        self.reached(Stage::Over).await;
    }

    async fn reached(&self, wanted: Stage) {
        // A sender that is gone means that everything is.
        let _ = self.stage.clone().wait_for(|stage| *stage >= wanted).await;
    }
}

/// An open listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address it really has, with the port the system chose if 0 was asked for.
    pub address: SocketAddr,
    /// HTTP or WebSockets.
    pub protocol: Protocol,
    /// The API behind it.
    pub side: Side,
    /// TLS.
    pub secure: bool,
}

/// An open Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListeningPath {
    /// Where it is.
    pub path: PathBuf,
    /// WebSockets or packets.
    pub protocol: Protocol,
    /// The API behind it.
    pub side: Side,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 with long polls.
    Http,
    /// WebSockets.
    WebSockets,
    /// JSON texts, each a packet of a Unix socket.
    Packets,
}

/// The transports at work. Dropping it ends them without ceremony.
#[derive(Debug)]
pub struct Running {
    listening: Vec<Listening>,
    paths: Vec<ListeningPath>,
    /// Held until the end.
    files: Vec<SocketFile>,
    problems: Vec<Error>,
    certificates: Vec<Arc<CertificateSlot>>,
    stage: watch::Sender<Stage>,
    /// Closed when the last connection and listener have ended.
    done: mpsc::Receiver<()>,
}

impl Running {
    /// Every listener that could be opened.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// Every Unix socket that could be opened.
    pub fn paths(&self) -> &[ListeningPath] {
        &self.paths
    }

    /// Listeners that could not; the others go on without them.
    pub fn problems(&self) -> &[Error] {
        &self.problems
    }

    /// Reads all certificates and keys again. New handshakes use them; a file that cannot be used leaves the old
    /// certificate in place and is reported.
    pub fn reload_certificates(&self) -> Vec<Error> {
        self.certificates.iter().filter_map(|slot| slot.reload().err()).collect()
    }

    /// Stops listening, lets requests be answered, long polls return a keepalive and WebSockets close, and returns
    /// when all is quiet; at the latest after `patience`, when what is left is dropped.
    pub async fn shutdown(mut self, patience: Duration) {
        self.stage.send_replace(Stage::Draining);
        if tokio::time::timeout(patience, self.done.recv()).await.is_err() {
            self.stage.send_replace(Stage::Over);
            let _ = tokio::time::timeout(Duration::from_secs(1), self.done.recv()).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stage.send_replace(Stage::Over);
    }
}

/// Opens the listeners of `settings` and serves them until [`Running`] is shut down or dropped. Must be called within
/// a tokio runtime.
///
/// A listener that cannot be opened is left out and reported by [`Running::problems`].
///
/// # Errors
/// [`Error::NoListener`] when listeners are wanted for the Janus API and none of them opens; the reasons are logged.
pub async fn start(
    settings: Settings,
    inbound: mpsc::Sender<Inbound>,
    mailboxes: Mailboxes,
) -> Result<Running, Error> {
    let (stage, stage_seen) = watch::channel(Stage::Running);
    let (alive, done) = mpsc::channel(1);
    let times = Arc::new(settings.times.clone());
    let shared = Arc::new(Shared {
        inbound,
        mailboxes,
        limits: settings.limits.clone(),
        allowance: Arc::new(Allowance::new(times.clone(), &settings.limits)),
        times,
        observer: settings.observer.clone(),
        stage: stage_seen,
    });
    let running = Running {
        listening: Vec::new(),
        paths: Vec::new(),
        files: Vec::new(),
        problems: Vec::new(),
        certificates: Vec::new(),
        stage,
        done,
    };
    let mut opening = Opening { running, shared, alive };
    for (side, http) in [(Side::Janus, &settings.http), (Side::Admin, &settings.admin_http)] {
        let Some(http) = http else { continue };
        let pages = match side {
            Side::Janus => (Demos::new(&settings.demos), settings.recordings.as_ref().map(Recordings::new)),
            Side::Admin => (None, None),
        };
        let ice_servers = settings.ice_servers.clone().filter(|_| side == Side::Janus);
        let api = Api::Http(HttpApi::new(side, http, pages, ice_servers, opening.shared.clone()));
        let acl = Acl::new(&http.acl, http.acl_forwarded);
        let front = opening.front(api, acl, http.connections, http.connections_per_address);
        let place = Place { side, protocol: Protocol::Http };
        opening
            .group(&front, place, &http.addresses, &http.secure_addresses, http.certificate.as_ref())
            .await;
    }
    for (side, ws) in [(Side::Janus, &settings.websockets), (Side::Admin, &settings.admin_websockets)] {
        let Some(ws) = ws else { continue };
        let api = Api::WebSockets(SocketApi::new(side, ws, opening.shared.clone()));
        let acl = Acl::new(&ws.acl, ws.acl_forwarded);
        let front = opening.front(api, acl, ws.connections, ws.connections_per_address);
        let place = Place { side, protocol: Protocol::WebSockets };
        opening.group(&front, place, &ws.addresses, &ws.secure_addresses, ws.certificate.as_ref()).await;
        opening.paths(&front, side, &ws.unix, &ws.secure_unix, ws.certificate.as_ref()).await;
    }
    for (side, packets) in [(Side::Janus, &settings.packets), (Side::Admin, &settings.admin_packets)] {
        if let Some(packets) = packets {
            opening.packets(side, packets).await;
        }
    }
    let Opening { running, .. } = opening;
    let open = running.listening.iter().map(|l| l.side).chain(running.paths.iter().map(|p| p.side));
    if open.into_iter().any(|side| side == Side::Janus) || running.problems.is_empty() {
        Ok(running)
    } else {
        Err(Error::NoListener)
    }
}

/// What is open so far.
struct Opening {
    running: Running,
    shared: Arc<Shared>,
    alive: mpsc::Sender<()>,
}

#[derive(Clone, Copy)]
struct Place {
    side: Side,
    protocol: Protocol,
}

impl Opening {
    fn front(&self, api: Api, acl: Acl, connections: usize, per_address: usize) -> Arc<Front> {
        let counters = self.shared.counters().clone();
        let admission = Admission::new(connections, per_address, self.shared.allowance.clone(), counters);
        Arc::new(Front { api, acl, admission: Arc::new(admission), shared: self.shared.clone() })
    }

    async fn group(
        &mut self,
        front: &Arc<Front>,
        place: Place,
        plain: &[SocketAddr],
        secure: &[SocketAddr],
        files: Option<&CertificateFiles>,
    ) {
        for address in plain {
            self.open(front, place, *address, None).await;
        }
        let Some(first) = secure.first() else { return };
        match self.acceptor(files, &first.to_string()) {
            Ok(acceptor) => {
                for address in secure {
                    self.open(front, place, *address, Some(acceptor.clone())).await;
                }
            }
            Err(problem) => self.problem(problem),
        }
    }

    /// WebSockets on paths.
    async fn paths(
        &mut self,
        front: &Arc<Front>,
        side: Side,
        plain: &[PathBuf],
        secure: &[PathBuf],
        files: Option<&CertificateFiles>,
    ) {
        for path in plain {
            self.open_path(front, side, path, None).await;
        }
        let Some(first) = secure.first() else { return };
        match self.acceptor(files, &first.display().to_string()) {
            Ok(acceptor) => {
                for path in secure {
                    self.open_path(front, side, path, Some(acceptor.clone())).await;
                }
            }
            Err(problem) => self.problem(problem),
        }
    }

    fn acceptor(&mut self, files: Option<&CertificateFiles>, listener: &str) -> Result<TlsAcceptor, Error> {
        let files = files.ok_or_else(|| Error::NoCertificate { listener: listener.to_owned() })?;
        let slot = Arc::new(CertificateSlot::load(files)?);
        let acceptor = tls::acceptor(slot.clone())?;
        self.running.certificates.push(slot);
        Ok(acceptor)
    }

    async fn open_path(&mut self, front: &Arc<Front>, side: Side, path: &Path, tls: Option<TlsAcceptor>) {
        let (listener, file) = match unix::bind(path).await {
            Ok(bound) => bound,
            Err(source) => return self.problem(Error::BindPath { path: path.to_owned(), source }),
        };
        tracing::info!(path = %path.display(), ?side, secure = tls.is_some(), "listening");
        let path = path.to_owned();
        self.running.paths.push(ListeningPath { path, protocol: Protocol::WebSockets, side });
        self.running.files.push(file);
        tokio::spawn(accept_local(listener, front.clone(), tls, self.alive.clone()));
    }

    async fn packets(&mut self, side: Side, settings: &PacketSettings) {
        let path = settings.path.clone();
        match packets::serve(side, settings, self.shared.clone(), self.alive.clone()).await {
            Ok(file) => {
                tracing::info!(path = %path.display(), ?side, datagrams = settings.datagrams, "listening");
                self.running.paths.push(ListeningPath { path, protocol: Protocol::Packets, side });
                self.running.files.push(file);
            }
            Err(source) => self.problem(Error::BindPath { path, source }),
        }
    }

    async fn open(&mut self, front: &Arc<Front>, place: Place, wanted: SocketAddr, tls: Option<TlsAcceptor>) {
        let bound = match bind(wanted).await {
            Ok(listener) => listener.local_addr().map(|address| (listener, address)),
            Err(e) => Err(e),
        };
        let (listener, address) = match bound {
            Ok(bound) => bound,
            Err(source) => return self.problem(Error::Bind { address: wanted, source }),
        };
        let Place { side, protocol } = place;
        tracing::info!(%address, ?protocol, ?side, secure = tls.is_some(), "listening");
        self.running.listening.push(Listening { address, protocol, side, secure: tls.is_some() });
        tokio::spawn(accept(listener, front.clone(), tls, self.alive.clone()));
    }

    fn problem(&mut self, problem: Error) {
        tracing::error!(%problem, "a listener is left out");
        self.running.problems.push(problem);
    }
}

/// `[::]` takes IPv4 too; on a machine without IPv6, `0.0.0.0` is what was meant.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

enum Api {
    Http(HttpApi),
    WebSockets(SocketApi),
}

/// What one group of listeners has in common.
struct Front {
    api: Api,
    acl: Acl,
    admission: Arc<Admission>,
    shared: Arc<Shared>,
}

/// Bytes that the system holds of a connection before the other side's window has room for them.
const UNSENT: u32 = 128 << 10;

async fn accept(listener: TcpListener, front: Arc<Front>, tls: Option<TlsAcceptor>, alive: mpsc::Sender<()>) {
    let mut spare = Spare::take();
    loop {
        let accepted = tokio::select! {
            () = front.shared.draining() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                // Answers are written whole; waiting for more to send only delays them.
                let _ = socket.set_nodelay(true);
                // What a client does not read waits in our queues, which are counted, rather than in the system's, which
                // would take megabytes for each.
                let _ = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT);
                front.clone().admit(|pulse| Line::new(socket, pulse), peer, tls.clone(), alive.clone());
            }
            Err(e) if is_of_the_connection(&e) => {}
            Err(e) => {
                front.shared.counters().accept_errors.up();
                tracing::debug!(error = %e, "accepting failed");
                spare.refuse_one(&listener).await;
            }
        }
    }
}

/// Whoever comes by a path is of this machine.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn accept_local(
    listener: UnixListener,
    front: Arc<Front>,
    tls: Option<TlsAcceptor>,
    alive: mpsc::Sender<()>,
) {
    loop {
        let accepted = tokio::select! {
            () = front.shared.draining() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => front.clone().admit(|_| socket, LOCAL, tls.clone(), alive.clone()),
            Err(e) if is_of_the_connection(&e) => {}
            Err(e) => {
                front.shared.counters().accept_errors.up();
                tracing::debug!(error = %e, "accepting failed");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Errors of a connection that ended while it waited (accept(2)); the listener is fine.
fn is_of_the_connection(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(e.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A descriptor kept for the day when there are no others: given up for a moment, it lets a connection be refused
/// instead of left hanging.
struct Spare(Option<File>);

impl Spare {
    fn take() -> Self {
        Self(File::open("/dev/null").ok())
    }

    async fn refuse_one(&mut self, listener: &TcpListener) {
        const PAUSE: Duration = Duration::from_millis(20);
        let refused = if self.0.take().is_some() {
            let refused = tokio::time::timeout(PAUSE, listener.accept()).await;
            matches!(refused, Ok(Ok(_)))
        } else {
            false
        };
        if !refused {
            tokio::time::sleep(PAUSE).await;
        }
        *self = Self::take();
    }
}

impl Front {
    fn admit<T>(
        self: Arc<Self>,
        socket: impl FnOnce(Arc<Pulse>) -> T,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        alive: mpsc::Sender<()>,
    ) where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // An IPv4 client of a `[::]` listener is an IPv4 client.
        let address = peer.ip().to_canonical();
        self.shared.counters().accepted.up();
        if !self.acl.allows_connection(address) {
            self.shared.counters().refused_acl.up();
            return;
        }
        let Some(ticket) = self.admission.admit(address) else { return };
        let socket = socket(ticket.pulse().clone());
        let gauge = Gauge::new(self.shared.counters().clone(), &self.api, tls.is_some());
        tokio::spawn(async move {
            let _alive = (alive, gauge);
            let pulse = ticket.pulse().clone();
            tokio::select! {
                () = self.serve(socket, peer, tls, ticket) => {}
                () = pulse.evicted() => {}
                () = self.shared.over() => {}
            }
        });
    }

    async fn serve<T>(&self, socket: T, peer: SocketAddr, tls: Option<TlsAcceptor>, ticket: Ticket)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // Each stage stands on the heap by itself: an idle connection costs what its own stage needs, not what the
        // largest does.
        let Some(tls) = tls else { return Box::pin(self.speak(socket, peer, &ticket)).await };
        match Box::pin(watched(ticket.pulse(), tls.accept(socket))).await {
            Some(Ok(socket)) => Box::pin(self.speak(socket, peer, &ticket)).await,
            Some(Err(e)) => {
                self.shared.counters().tls_failures.up();
                tracing::debug!(%peer, error = %e, "TLS handshake failed");
            }
            None => {
                self.shared.counters().tls_failures.up();
                self.shared.counters().timed_out.up();
            }
        }
    }

    async fn speak<T>(&self, socket: T, peer: SocketAddr, ticket: &Ticket)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let pulse: &Arc<Pulse> = ticket.pulse();
        let stream = Stream::new(socket, pulse.clone(), self.shared.limits.read_rate);
        pulse.on_idle();
        match &self.api {
            Api::Http(api) => Box::pin(api.speak(stream, peer, pulse)).await,
            Api::WebSockets(api) => Box::pin(api.speak(stream, peer.ip().to_canonical(), pulse)).await,
        }
    }
}

/// Counts a connection as long as it lives.
struct Gauge {
    counters: Arc<Counters>,
    which: fn(&Counters) -> &Counter,
}

impl Gauge {
    fn new(counters: Arc<Counters>, api: &Api, secure: bool) -> Self {
        let which: fn(&Counters) -> &Counter = match api {
            Api::Http(api) => match (api.side(), secure) {
                (Side::Janus, false) => |c| &c.http_connections,
                (Side::Janus, true) => |c| &c.https_connections,
                (Side::Admin, false) => |c| &c.admin_http_connections,
                (Side::Admin, true) => |c| &c.admin_https_connections,
            },
            Api::WebSockets(_) => |c| &c.websocket_connections,
        };
        which(&counters).up();
        Self { counters, which }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        (self.which)(&self.counters).down();
    }
}
