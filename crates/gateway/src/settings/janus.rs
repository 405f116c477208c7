//! `janus.jcfg` without its network sections: `general`, `certificates`, `plugins`, `transports`, `loggers`,
//! `events`, and our own `portunus`.

use portunus_jcfg::{Document, Kind, Problem, Reader, Section, Severity};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ice_servers::{self, IceServers};
use super::keys::JANUS;
use super::network::{Media, Nat};
use super::values::{Interface, seconds};
use super::{Secret, network, values};
use crate::flags::Flags;
use crate::networks::Network;

/// The admin secret of Janus' own samples, known to everybody.
pub(super) const DEMO_ADMIN_SECRET: &str = "janusoverlord";

/// Most workers that may be asked for.
const MAX_WORKERS: usize = 1024;

/// The whole file.
#[derive(Debug, Clone)]
pub(super) struct Janus {
    pub(super) general: General,
    pub(super) certificates: Certificates,
    pub(super) media: Media,
    pub(super) nat: Nat,
    pub(super) ice_servers: IceServers,
    pub(super) portunus: Portunus,
    pub(super) plugins: Disabled,
    pub(super) transports: Disabled,
    pub(super) events: Events,
    pub(super) loggers: Disabled,
}

/// Section `general`.
#[derive(Debug, Clone)]
pub(crate) struct General {
    /// Put behind the names of recordings while they are open.
    pub(crate) recordings_tmp_ext: Option<String>,
    /// Folders that nothing is recorded in.
    pub(crate) protected_folders: Vec<PathBuf>,
    /// Folder of the configuration files, as it was resolved.
    pub(crate) configs_folder: PathBuf,
    /// What is logged, and where to.
    pub(crate) log: Log,
    /// Go to the background.
    #[allow(dead_code, reason = "nothing uses it yet: see its line in `keys`")]
    pub(crate) daemonize: bool,
    /// Folder to work in when in the background.
    #[allow(dead_code, reason = "nothing uses it yet: see its line in `keys`")]
    pub(crate) cwd_path: PathBuf,
    /// Where the process id is kept, under a lock.
    pub(crate) pid_file: Option<PathBuf>,
    /// Fewer open files allowed than this: refuse to start.
    pub(crate) check_openfiles_limit: Option<u64>,
    /// Wanted in every request of the Janus API.
    pub(crate) api_secret: Option<Secret>,
    /// Wanted in every request of the Admin API.
    pub(crate) admin_secret: Option<Secret>,
    /// The admin secret is the one of Janus' samples and was not allowed: the Admin API is for this machine
    /// only, and its listeners in these settings are bound to loopback already.
    pub(crate) admin_loopback_only: bool,
    /// Requests must carry a token.
    pub(crate) token_auth: bool,
    /// Tokens are signed with this; without it they are stored ones.
    pub(crate) token_auth_secret: Option<Secret>,
    /// Whose address stands in descriptions; found out if absent.
    pub(crate) interface: Option<Interface>,
    /// What `info` calls this server.
    pub(crate) server_name: String,
    /// Silence after which a session ends; zero = never.
    pub(crate) session_timeout: Duration,
    /// How long candidates wait for their offer.
    pub(crate) candidates_timeout: Duration,
    /// How long a session outlives its connection; zero = not at all.
    pub(crate) reclaim_session_timeout: Duration,
    /// As in the file; how many workers there are is [`Portunus::workers`].
    pub(crate) event_loops: usize,
    /// A client may choose its worker.
    pub(crate) allow_loop_indication: bool,
    /// Replies and events carry `opaque_id`.
    pub(crate) opaqueid_in_api: bool,
    /// `info` does not list libraries.
    pub(crate) hide_dependencies: bool,
    /// Media without DTLS and SRTP, for tests.
    #[allow(dead_code, reason = "nothing uses it yet: see its line in `keys`")]
    pub(crate) no_webrtc_encryption: bool,
}

impl RotateSignal {
    /// The number that `get_status` tells, on Linux.
    pub(crate) const fn number(self) -> i32 {
        match self {
            Self::Hup => 1,
            Self::Usr1 => 10,
        }
    }
}

/// The log settings of section `general`.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// Log to the standard output.
    pub(crate) to_stdout: bool,
    /// Append to this file.
    pub(crate) to_file: Option<PathBuf>,
    /// Open the file anew on this signal.
    pub(crate) rotate_signal: Option<RotateSignal>,
    /// Janus' level: 0 nothing, 1 fatal, 2 errors, 3 warnings, 4 what happens, 5 to 7 more and more detail.
    pub(crate) level: u8,
    /// Time before each line.
    pub(crate) timestamps: bool,
    /// Colours on the standard output.
    pub(crate) colors: bool,
    /// Text before each line.
    pub(crate) prefix: Option<String>,
}

/// `log_rotate_sig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RotateSignal {
    /// SIGUSR1
    Usr1,
    /// SIGHUP
    Hup,
}

/// Section `certificates`: what DTLS shows to browsers.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    /// Certificate and key; generated if absent.
    pub(crate) files: Option<CertificateFiles>,
    /// Generate an RSA key, not an ECDSA one.
    pub(crate) rsa_private_key: bool,
    /// Peers may show self-signed certificates, as browsers do.
    pub(crate) dtls_accept_selfsigned: bool,
    /// Names of cipher suites, with colons between them; the default ones if absent.
    pub(crate) dtls_ciphers: Option<String>,
}

/// A certificate with its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    /// The certificate, followed by its intermediates.
    pub(crate) pem: PathBuf,
    /// Its key; the same file if no other was named.
    pub(crate) key: PathBuf,
    /// Its pass phrase.
    pub(crate) password: Option<Secret>,
}

/// What is ours about recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recordings {
    /// Folders that recordings may be in; unset: those of the configuration, the working folder and `/archive`.
    pub(crate) roots: Option<Vec<PathBuf>>,
    /// What was written is forced to the disk so often; unset: the system decides.
    pub(crate) fsync: Option<Duration>,
    /// Threads that write.
    pub(crate) threads: usize,
    /// They are shown at `/recordings`.
    pub(crate) page: bool,
    /// Asked of everybody there; without it they are shown to this machine only.
    pub(crate) password: Option<Secret>,
}

/// Section `portunus`, which is ours.
#[derive(Debug, Clone)]
pub(crate) struct Portunus {
    /// Where recordings may be, and how they are written.
    pub(crate) recordings: Recordings,
    /// RTP may only be forwarded into these; anywhere if there are none.
    pub(crate) forward_networks: Option<Vec<Network>>,
    /// Each line of the log is a JSON object.
    pub(crate) log_json: bool,
    /// Worker `i` uses UDP port `udp_port + i`; 0 = any free ports.
    pub(crate) udp_port: u16,
    /// All workers share `udp_port`.
    pub(crate) single_port: bool,
    /// Media workers (`workers`, else `general.event_loops`); 0 = one a core.
    pub(crate) workers: usize,
    /// No start without an answer of the STUN server.
    pub(crate) stun_required: bool,
    /// Our part in DTLS when we answer.
    pub(crate) dtls_answer_role: DtlsRole,
    /// Folder served at `/demos`; nothing if absent.
    pub(crate) demos_folder: Option<PathBuf>,
    /// The secrets of Janus' samples are meant.
    pub(crate) allow_demo_secrets: bool,
    /// Sessions at a time.
    pub(crate) max_sessions: usize,
    /// Handles of one session.
    pub(crate) max_handles_per_session: usize,
    /// Bytes of a request.
    pub(crate) max_body_bytes: usize,
    /// From the first byte of a request head to its last.
    pub(crate) header_timeout: Duration,
    /// Connections of one transport at a time; each transport's own default if absent.
    pub(crate) max_connections: Option<usize>,
    /// Connections of one address at a time; 0 = no such limit.
    pub(crate) max_connections_per_address: usize,
    /// Events kept for one session that nobody fetches.
    pub(crate) max_events_per_session: usize,
    /// Where metrics, health and readiness are told; nowhere if absent.
    pub(crate) metrics: Option<SocketAddr>,
    /// Where captures of the Admin API are written; nowhere if absent.
    pub(crate) captures_folder: Option<PathBuf>,
    /// Authorities whose TURN servers over TLS are trusted; those of the system if absent.
    pub(crate) turn_ca: Option<PathBuf>,
    /// How long calls go on after SIGTERM.
    pub(crate) drain_timeout: Duration,
    /// How long the rest of a frame is waited for.
    pub(crate) gather: Duration,
    /// Packets of a frame are made equally long.
    pub(crate) pad_frames: bool,
}

/// `setup:` of our answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DtlsRole {
    /// We begin the handshake, as Janus does.
    Active,
    /// The browser begins.
    Passive,
}

/// Names of modules to leave out, as Janus names their files: `libjanus_echotest.so`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Disabled(pub(crate) Vec<String>);

impl Disabled {
    /// Whether `file` is to be left out.
    pub(crate) fn has(&self, file: &str) -> bool {
        self.0.iter().any(|name| name == file)
    }
}

/// Section `events`.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    /// Event handlers to leave out.
    pub(crate) disable: Disabled,
    /// Events are made.
    pub(crate) broadcast: bool,
    /// The statistics of all media of a PeerConnection in one event.
    pub(crate) combine_media_stats: bool,
    /// Seconds between statistics; 0 for none.
    pub(crate) stats_period: u32,
}

/// Reads the document, into which environment and options have been laid.
pub(super) fn read(document: &Document, folder: &Path, flags: &Flags, problems: &mut Vec<Problem>) -> Janus {
    let reader = Reader::new(document);
    let general = read_general(&reader, folder, flags);
    let certificates = read_certificates(&reader);
    let portunus = read_portunus(&reader, general.event_loops);
    let mut media = network::read_media(&reader);
    let nat = network::read_nat(&reader);
    let own_ports = one_port_wins(document, &mut media, &portunus);
    if portunus.stun_required && nat.stun_server.is_none() {
        let place = super::place_of(document, "portunus", "stun_required");
        let message = "`portunus.stun_required` has no effect: there is no `nat.stun_server`";
        reader.push(&place, Severity::Warning, Kind::Advice, message);
    }
    let disabled =
        |section: &str| Disabled(JANUS.open(&reader, section).get_list("disable").unwrap_or_default());
    let janus = Janus {
        plugins: disabled("plugins"),
        transports: disabled("transports"),
        loggers: disabled("loggers"),
        general,
        certificates,
        media,
        nat,
        ice_servers: ice_servers::read(&reader),
        portunus,
        events: read_events(&reader),
    };
    problems.extend(reader.finish());
    problems.extend(own_ports);
    janus
}

fn read_general(reader: &Reader<'_>, folder: &Path, flags: &Flags) -> General {
    let mut s = JANUS.open(reader, "general");
    for key in ["api_secret", "admin_secret", "token_auth_secret"] {
        if s.get_text(key).is_some_and(|text| text.trim().is_empty()) {
            s.report(key, Severity::Warning, Kind::Advice, "is empty: no secret is asked for");
        }
    }
    let daemonize = s.get_bool("daemonize", false);
    General {
        configs_folder: folder.to_owned(),
        // Without a value it is `tmp`, as in Janus.
        recordings_tmp_ext: s.get_text("recordings_tmp_ext").map(|ext| match ext.trim() {
            "" => "tmp".to_owned(),
            ext => ext.to_owned(),
        }),
        protected_folders: s
            .get_list("protected_folders")
            .unwrap_or_default()
            .into_iter()
            .map(PathBuf::from)
            .collect(),
        // In the background the standard output is closed, unless the option asks for it.
        log: read_log(&mut s, !daemonize || flags.log_stdout),
        daemonize,
        cwd_path: flags.cwd_path.as_deref().unwrap_or("/").into(),
        pid_file: s.get_path("pid_file"),
        check_openfiles_limit: Some(s.get_int("check_openfiles_limit", 0, 0..=u64::from(u32::MAX)))
            .filter(|&limit| limit > 0),
        api_secret: values::secret(&mut s, "api_secret"),
        admin_secret: values::secret(&mut s, "admin_secret"),
        admin_loopback_only: false,
        token_auth: s.get_bool("token_auth", false),
        token_auth_secret: values::secret(&mut s, "token_auth_secret"),
        interface: s.get_filled("interface").map(Interface::from),
        server_name: s.get_filled("server_name").unwrap_or_else(|| "MyJanusInstance".to_owned()),
        session_timeout: seconds(&mut s, "session_timeout", 60),
        candidates_timeout: seconds(&mut s, "candidates_timeout", 45),
        reclaim_session_timeout: seconds(&mut s, "reclaim_session_timeout", 0),
        event_loops: s.get_int("event_loops", 0, 0..=MAX_WORKERS),
        allow_loop_indication: s.get_bool("allow_loop_indication", false),
        opaqueid_in_api: s.get_bool("opaqueid_in_api", false),
        hide_dependencies: s.get_bool("hide_dependencies", false),
        no_webrtc_encryption: s.get_bool("no_webrtc_encryption", false),
    }
}

fn read_log(s: &mut Section<'_>, stdout_is_open: bool) -> Log {
    Log {
        to_stdout: s.get_bool("log_to_stdout", true) && stdout_is_open,
        to_file: s.get_path("log_to_file"),
        rotate_signal: s.get_with("log_rotate_sig", rotate_signal),
        level: s.get_with("debug_level", debug_level).unwrap_or(4),
        timestamps: s.get_bool("debug_timestamps", false),
        colors: s.get_bool("debug_colors", true),
        prefix: s.get_filled("log_prefix"),
    }
}

fn rotate_signal(text: &str) -> Result<RotateSignal, String> {
    match text.trim() {
        "SIGUSR1" => Ok(RotateSignal::Usr1),
        "SIGHUP" => Ok(RotateSignal::Hup),
        _ => Err(format!("must be SIGUSR1 or SIGHUP, not `{text}`")),
    }
}

/// Janus' number, or a word that people put into LOG_LEVEL.
fn debug_level(text: &str) -> Result<u8, String> {
    const WORDS: &[(&str, u8)] = &[
        ("off", 0),
        ("none", 0),
        ("fatal", 1),
        ("error", 2),
        ("err", 2),
        ("warning", 3),
        ("warn", 3),
        ("info", 4),
        ("verbose", 5),
        ("verb", 5),
        ("huge", 6),
        ("debug", 7),
        ("dbg", 7),
        ("trace", 7),
    ];
    let text = text.trim();
    let word = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|&(_, level)| level);
    let number = text.parse().ok().filter(|level| (0..=7).contains(level));
    word.or(number).ok_or_else(|| {
        format!("must be a number from 0 to 7, or off, fatal, error, warn, info, debug, trace, not `{text}`")
    })
}

fn read_events(reader: &Reader<'_>) -> Events {
    let mut s = JANUS.open(reader, "events");
    Events {
        disable: Disabled(s.get_list("disable").unwrap_or_default()),
        broadcast: s.get_bool("broadcast", false),
        combine_media_stats: s.get_bool("combine_media_stats", false),
        stats_period: s.get_int("stats_period", 1, 0..=86_400),
    }
}

fn read_certificates(reader: &Reader<'_>) -> Certificates {
    let mut s = JANUS.open(reader, "certificates");
    Certificates {
        files: certificate_files(&mut s),
        rsa_private_key: s.get_bool("rsa_private_key", false),
        dtls_accept_selfsigned: s.get_bool("dtls_accept_selfsigned", true),
        dtls_ciphers: s.get_filled("dtls_ciphers"),
    }
}

/// `cert_pem`, `cert_key` and `cert_pwd`, as in all files.
pub(super) fn certificate_files(s: &mut Section<'_>) -> Option<CertificateFiles> {
    let key = s.get_path("cert_key");
    let password = values::secret(s, "cert_pwd");
    let Some(pem) = s.get_path("cert_pem") else {
        if key.is_some() {
            s.report(
                "cert_key",
                Severity::Error,
                Kind::BadValue,
                "is a key without its certificate, `cert_pem`",
            );
        }
        return None;
    };
    Some(CertificateFiles { key: key.unwrap_or_else(|| pem.clone()), pem, password })
}

/// A list of networks; one that is none is an error, so that nothing is allowed by mistake.
fn read_networks(s: &mut Section<'_>, key: &str) -> Option<Vec<Network>> {
    s.get_list_with(key, |text| {
        text.parse().map_err(|()| format!("`{text}` is no network like 10.0.0.0/8 or fd00::/8"))
    })
}

fn read_recordings(s: &mut Section<'_>) -> Recordings {
    let fsync = seconds(s, "recordings_fsync_s", 0);
    let page = s.get_bool("recordings_page", false);
    let password = values::secret(s, "recordings_password");
    let roots = s.get_list("recordings_roots");
    let mut warn = |key, message| s.report(key, Severity::Warning, Kind::Advice, message);
    if page && roots.is_none() {
        warn(
            "recordings_page",
            "shows what is below each `rec_dir`, the working folder and /archive: set `recordings_roots` to the folders \
             of recordings",
        );
    }
    if !page && password.is_some() {
        warn("recordings_password", "protects nothing: `recordings_page` is off");
    }
    if page && password.is_none() && s.get_text("recordings_password").is_some() {
        let message = "is empty: recordings are shown to this machine only";
        s.report("recordings_password", Severity::Warning, Kind::Advice, message);
    }
    Recordings {
        roots: roots.map(|roots: Vec<String>| roots.into_iter().map(PathBuf::from).collect()),
        fsync: (!fsync.is_zero()).then_some(fsync),
        threads: s.get_int("recording_threads", 2, 1..=64),
        page,
        password,
    }
}

fn read_portunus(reader: &Reader<'_>, event_loops: usize) -> Portunus {
    let mut s = JANUS.open(reader, "portunus");
    let udp_port = s.get_int("udp_port", 10_000_u16, 0..=u16::MAX);
    let single_port = s.get_bool("single_port", false);
    let workers = match s.get_int("workers", 0, 0..=MAX_WORKERS) {
        0 => event_loops,
        workers => workers,
    };
    if !single_port && udp_port > 0 && usize::from(udp_port) + workers > usize::from(u16::MAX) + 1 {
        let message = format!("leaves no ports for {workers} workers: worker i uses port {udp_port} + i");
        s.report("udp_port", Severity::Error, Kind::BadValue, message);
    }
    if single_port && udp_port == 0 {
        s.report("single_port", Severity::Error, Kind::BadValue, "needs a port: `udp_port` is 0");
    }
    let metrics_port = s.get_int("metrics_port", 0, 0..=u16::MAX);
    let metrics_ip = s.get_with("metrics_ip", values::ip).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let roles = [("active", DtlsRole::Active), ("passive", DtlsRole::Passive)];
    Portunus {
        recordings: read_recordings(&mut s),
        forward_networks: read_networks(&mut s, "forward_networks"),
        log_json: s.get_enum("log_format", &[("text", false), ("json", true)], false),
        udp_port,
        single_port,
        workers,
        stun_required: s.get_bool("stun_required", false),
        dtls_answer_role: s.get_enum("dtls_answer_role", &roles, DtlsRole::Active),
        demos_folder: s.get_path("demos_folder"),
        allow_demo_secrets: s.get_bool("allow_demo_secrets", false),
        max_sessions: s.get_int("max_sessions", 100_000, 1..=10_000_000),
        max_handles_per_session: s.get_int("max_handles_per_session", 10_000, 1..=1_000_000),
        max_body_bytes: s.get_int("max_body_bytes", 1 << 20, 1024..=1 << 26),
        header_timeout: Duration::from_secs(s.get_int("header_timeout_s", 10, 1..=300)),
        max_connections: Some(s.get_int("max_connections", 0, 0..=1_000_000)).filter(|&most| most > 0),
        max_connections_per_address: s.get_int("max_connections_per_address", 0, 0..=1_000_000),
        max_events_per_session: s.get_int("max_events_per_session", 1000, 10..=1_000_000),
        metrics: Some(metrics_port).filter(|&port| port > 0).map(|port| SocketAddr::new(metrics_ip, port)),
        captures_folder: s.get_path("captures_folder"),
        turn_ca: s.get_path("turn_ca"),
        drain_timeout: seconds(&mut s, "drain_timeout_s", 8),
        gather: Duration::from_micros(s.get_int("gather_us", 0, 0..=2_000)),
        pad_frames: s.get_bool("pad_frames", true),
    }
}

/// Who asks for our port layout by name does not get Janus' port for each handle as well.
fn one_port_wins(document: &Document, media: &mut Media, portunus: &Portunus) -> Option<Problem> {
    let ours = document.section("portunus")?;
    let asked = ours.get("udp_port").or(ours.get("single_port").filter(|_| portunus.single_port))?;
    media.rtp_port_range.take()?;
    let message = format!("`portunus.{}` is set: `media.rtp_port_range` is not used", asked.name());
    Some(Problem::at(&asked.place, Severity::Note, Kind::Advice, message))
}
