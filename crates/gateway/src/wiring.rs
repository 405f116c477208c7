//! Settings as they were read into settings as each part wants them. Nothing is decided here that a user could not set.

use crate::settings::{
    self, CertificateFiles, DtlsRole, HttpApi, Interface, Listener, Settings, UnixSocket, WebSocketApi,
};
use anyhow::Context;
use portunus_core::{ModuleInfo, Random, ServerInfo};
use portunus_media::certificate::KeyKind;
use portunus_media::{Certificate, Engine, TurnTransport, TurnTrust};
use portunus_plugin::recording::Places;
use portunus_plugin::{HandleId, MediaEvent, Plugin};
use portunus_plugin_echotest::EchoTest;
use portunus_plugin_videocall::VideoCall;
use portunus_plugin_videoroom::VideoRoom;
use portunus_telemetry::events::{Backend, Event, EventType, Handler, Handlers};
use portunus_transport as transport;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// What we were built from, if the build says so.
pub(crate) const COMMIT: &str = match option_env!("PORTUNUS_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
const BUILD_TIME: &str = match option_env!("PORTUNUS_BUILD_TIME") {
    Some(time) => time,
    None => "unknown",
};
/// Data messages are passed on while so many media events wait, at most.
const MAX_WAITING_DATA: usize = 256;
/// Where the demo pages of the source tree are.
const SOURCE_DEMOS: &str = "html_samples";

/// Starts the media engine; its events go to the control task. To be called in a runtime.
///
/// # Errors
/// A port or the certificate cannot be used.
pub(crate) fn start_engine(
    settings: &Settings,
    events: mpsc::Sender<(HandleId, MediaEvent)>,
) -> anyhow::Result<Engine> {
    let pass_on = move |handle, event: MediaEvent| {
        // Data messages are large: few of them may wait. The worker keeps some more, then drops.
        let waiting = events.max_capacity() - events.capacity();
        if matches!(event, MediaEvent::Data(_)) && waiting > MAX_WAITING_DATA {
            return Err((handle, event));
        }
        events.try_send((handle, event)).map_err(mpsc::error::TrySendError::into_inner)
    };
    let mut wanted = media(settings)?;
    let mut engine = Engine::start(wanted.clone(), pass_on.clone())?;
    let deaf = engine.local_addresses().is_empty() && wanted.port_range.is_none();
    if deaf && !wanted.allow_loopback && !has_files(settings) {
        // Tried out on a machine without a network: then the browser is on this machine, too.
        tracing::info!("no network address is there: media uses loopback");
        engine.shutdown(crate::DRAIN);
        wanted.allow_loopback = true;
        engine = Engine::start(wanted, pass_on)?;
    }
    crate::turn_rest::keep(settings, &engine);
    Ok(engine)
}

/// The addresses of this machine that media would use, best first.
///
/// # Errors
/// They cannot be listed, or the certificate cannot be used.
pub(crate) fn media_addresses(settings: &Settings) -> anyhow::Result<Vec<IpAddr>> {
    // The certificate has no say in it.
    let mut other = settings.clone();
    other.certificates.files = None;
    Ok(portunus_media::usable_addresses(&media(&other)?)?)
}

/// The media engine's settings.
fn media(settings: &Settings) -> anyhow::Result<portunus_media::Settings> {
    let Settings { media, nat, portunus, certificates, .. } = settings;
    let mut wanted = portunus_media::Settings::new(certificate(certificates)?);
    wanted.dtls_ciphers.clone_from(&certificates.dtls_ciphers);
    wanted.workers = portunus.workers;
    wanted.base_port = portunus.udp_port;
    wanted.single_port = portunus.single_port;
    wanted.port_range.clone_from(&media.rtp_port_range);
    wanted.ipv6 = media.ipv6;
    wanted.ipv6_link_local = media.ipv6_linklocal;
    wanted.allow_loopback = nat.allow_loopback;
    wanted.ice_enforce.clone_from(&nat.ice_enforce_list);
    wanted.ice_ignore.clone_from(&nat.ice_ignore_list);
    wanted.nat_1_1_mapping.clone_from(&nat.nat_1_1_mapping);
    wanted.keep_private_host = nat.keep_private_host;
    wanted.sdp_address = match &settings.general.interface {
        Some(Interface::Address(ip)) => Some(*ip),
        Some(Interface::Name(name)) => Some(address_of(name)?),
        None => None,
    };
    wanted.ice_lite = nat.ice_lite;
    wanted.ice_tcp = nat.ice_tcp;
    wanted.full_trickle = nat.full_trickle;
    wanted.trickle_hold = nat.trickle_hold;
    wanted.trickle_delay = nat.trickle_delay;
    wanted.ignore_mdns = nat.ignore_mdns;
    wanted.stun_server = nat.stun_server.as_ref().map(|s| (s.host.clone(), s.port));
    if let Some(server) = &nat.turn_server {
        wanted.turn_servers = vec![turn_server(server)];
    }
    wanted.turn_trust = match turn_trust(settings) {
        // What the service will tell is not known yet.
        Err(error) if nat.turn_rest.is_some() && settings.portunus.turn_ca.is_none() => {
            tracing::warn!(error = format!("{error:#}"), "TURN servers over TLS cannot be used");
            None
        }
        trust => trust?,
    };
    wanted.consent_freshness = nat.ice_consent_freshness;
    wanted.hangup_on_failed = nat.hangup_on_failed;
    wanted.dtls_mtu = media.dtls_mtu;
    wanted.dtls_accept_self_signed = certificates.dtls_accept_selfsigned;
    wanted.dtls_answer_passive = portunus.dtls_answer_role == DtlsRole::Passive;
    wanted.min_nack_queue = media.min_nack_queue;
    wanted.nack_optimizations = media.nack_optimizations;
    wanted.no_media_timer = media.no_media_timer;
    wanted.slow_link_threshold = media.slowlink_threshold;
    wanted.twcc_period = media.twcc_period;
    wanted.gather = portunus.gather;
    wanted.pad_frames = portunus.pad_frames;
    wanted.narrate = !settings.handlers.is_empty();
    wanted.stats_period = settings.events.stats_period;
    // The DSCP is the upper six bits of the TOS byte.
    wanted.tos = media.dscp.map(|dscp| dscp << 2);
    Ok(wanted)
}

pub(crate) fn turn_server(server: &settings::TurnServer) -> portunus_media::TurnServer {
    portunus_media::TurnServer {
        host: server.host.clone(),
        port: server.port,
        transport: server.transport,
        username: server.user.clone().unwrap_or_default(),
        password: server.password.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default(),
    }
}

/// Whom to trust as a TURN server over TLS, if there is one.
///
/// # Errors
/// The file of authorities cannot be used, or the system has none.
pub(crate) fn turn_trust(settings: &Settings) -> anyhow::Result<Option<TurnTrust>> {
    let nat = &settings.nat;
    let over_tls = nat.turn_server.as_ref().is_some_and(|server| server.transport == TurnTransport::Tls)
        || nat.turn_rest.is_some();
    if nat.ice_lite || !over_tls {
        return Ok(None);
    }
    let Some(file) = &settings.portunus.turn_ca else {
        let why =
            "the system has no certificates to check the TURN server with: name some in `portunus.turn_ca`";
        return TurnTrust::system().map(Some).context(why);
    };
    let pem = std::fs::read(file).with_context(|| format!("cannot read turn_ca {}", file.display()))?;
    let trust = TurnTrust::of_authorities(&pem);
    trust.map(Some).with_context(|| format!("cannot use turn_ca {}", file.display()))
}

/// The DTLS certificate: from files, or made for this run.
///
/// # Errors
/// The files cannot be used.
pub(crate) fn certificate(settings: &settings::Certificates) -> anyhow::Result<Certificate> {
    let now = SystemTime::now();
    let Some(files) = &settings.files else {
        let kind = if settings.rsa_private_key { KeyKind::Rsa2048 } else { KeyKind::EcdsaP256 };
        return Ok(Certificate::generate(kind, now)?);
    };
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            let why = transport::why_unreadable(path, &error);
            anyhow::anyhow!("cannot read the DTLS certificate or key {}: {why}", path.display())
        })
    };
    let password = files.password.as_ref().map(settings::Secret::expose);
    let certificate = Certificate::load(&read(&files.pem)?, &read(&files.key)?, password)
        .with_context(|| format!("cannot use the DTLS certificate {}", files.pem.display()))?;
    if certificate.is_expired(now) {
        tracing::warn!(file = %files.pem.display(), "the DTLS certificate has expired");
    }
    Ok(certificate)
}

/// The core's settings.
pub(crate) fn core(settings: &Settings, engine: &Engine) -> portunus_core::Settings {
    let Settings { general, nat, portunus, .. } = settings;
    let expose = |secret: &Option<settings::Secret>| secret.as_ref().map(|s| s.expose().to_owned());
    portunus_core::Settings {
        api_secret: expose(&general.api_secret),
        admin_secret: expose(&general.admin_secret),
        admin: settings.admin_is_on(),
        token_auth: general.token_auth,
        token_auth_secret: expose(&general.token_auth_secret),
        session_timeout: general.session_timeout,
        reclaim_session_timeout: general.reclaim_session_timeout,
        candidates_timeout: general.candidates_timeout,
        full_trickle: nat.full_trickle,
        allow_force_relay: nat.allow_force_relay,
        opaqueid_in_api: general.opaqueid_in_api,
        allow_loop_indication: general.allow_loop_indication,
        workers: engine.workers(),
        broadcast: !settings.handlers.is_empty(),
        combine_media_stats: settings.events.combine_media_stats,
        stats_period: settings.events.stats_period,
        log_rotate_signal: general.log.rotate_signal.map_or(0, settings::RotateSignal::number),
        max_sessions: portunus.max_sessions,
        max_handles_per_session: portunus.max_handles_per_session,
        tuning: tuning(settings),
        info: info(settings, engine),
    }
}

/// What of the core's settings is taken over while running.
pub(crate) fn reload(settings: &Settings) -> portunus_core::Reload {
    let general = &settings.general;
    let expose = |secret: &Option<settings::Secret>| secret.as_ref().map(|s| s.expose().to_owned());
    portunus_core::Reload {
        api_secret: expose(&general.api_secret),
        admin_secret: expose(&general.admin_secret),
        session_timeout: general.session_timeout,
        reclaim_session_timeout: general.reclaim_session_timeout,
        candidates_timeout: general.candidates_timeout,
        ice_servers: settings.ice_servers.is_on(),
        tuning: tuning(settings),
    }
}

/// What can be changed while running, as it is at the start.
fn tuning(settings: &Settings) -> portunus_core::Tuning {
    let Settings { general, media, .. } = settings;
    portunus_core::Tuning {
        log_level: general.log.level,
        log_handles: std::collections::BTreeMap::new(),
        log_timestamps: general.log.timestamps,
        log_colors: general.log.colors,
        locking_debug: false,
        refcount_debug: false,
        min_nack_queue: u32::try_from(media.min_nack_queue.as_millis()).unwrap_or(u32::MAX),
        nack_optimizations: media.nack_optimizations,
        no_media_timer: u32::try_from(media.no_media_timer.as_secs()).unwrap_or(u32::MAX),
        slowlink_threshold: media.slowlink_threshold,
    }
}

/// The media engine's part of it.
pub(crate) fn media_tuning(tuning: &portunus_core::Tuning) -> portunus_media::Tuning {
    portunus_media::Tuning {
        min_nack_queue: Duration::from_millis(tuning.min_nack_queue.into()),
        nack_optimizations: tuning.nack_optimizations,
        no_media_timer: Duration::from_secs(tuning.no_media_timer.into()),
        slow_link_threshold: tuning.slowlink_threshold,
    }
}

fn info(settings: &Settings, engine: &Engine) -> ServerInfo {
    let Settings { general, media, nat, .. } = settings;
    ServerInfo {
        commit: COMMIT.to_owned(),
        compile_time: BUILD_TIME.to_owned(),
        log_to_stdout: general.log.to_stdout,
        log_path: general.log.to_file.as_ref().map(|path| path.display().to_string()),
        server_name: general.server_name.clone(),
        local_ip: engine.sdp_address(),
        public_ips: nat.nat_1_1_mapping.clone(),
        ipv6: media.ipv6,
        ipv6_link_local: media.ipv6_linklocal,
        ice_lite: nat.ice_lite,
        ice_tcp: nat.ice_tcp,
        ice_consent_freshness: nat.ice_consent_freshness,
        hangup_on_failed: nat.hangup_on_failed,
        mdns: !nat.ignore_mdns,
        min_nack_queue: u32::try_from(media.min_nack_queue.as_millis()).unwrap_or(u32::MAX),
        nack_optimizations: media.nack_optimizations,
        twcc_period: u32::try_from(media.twcc_period.as_millis()).unwrap_or(u32::MAX),
        dscp: media.dscp.map(u32::from),
        dtls_mtu: media.dtls_mtu.into(),
        stun_server: nat.stun_server.as_ref().map(|s| format!("{}:{}", s.host, s.port)),
        ice_servers: settings.ice_servers.is_on(),
        turn_server: nat.turn_server.as_ref().map(|s| format!("{}:{}", s.host, s.port)),
        static_event_loops: u32::try_from(general.event_loops).unwrap_or(u32::MAX),
        dependencies: (!general.hide_dependencies).then(Vec::new),
        transports: transports(settings),
        events: settings.handlers.iter().map(event_handler).collect(),
        ..ServerInfo::default()
    }
}

fn module(package: &str, name: &str, description: &str, version: u32) -> ModuleInfo {
    ModuleInfo {
        package: package.to_owned(),
        name: name.to_owned(),
        author: "The Portunus authors".to_owned(),
        description: description.to_owned(),
        version_string: format!("0.0.{version}"),
        version,
    }
}

fn event_handler(handler: &Handler) -> ModuleInfo {
    let (name, description) = match &handler.backend {
        Backend::Http(_) => ("JANUS SampleEventHandler plugin", "Events by HTTP POST."),
        Backend::WebSocket(_) => ("JANUS WebSocketsEventHandler plugin", "Events over a WebSocket."),
        Backend::Gelf(_) => ("JANUS GelfEventHandler plugin", "Events to a Graylog server."),
        Backend::Mqtt(_) => ("JANUS MQTTEventHandler plugin", "Events to an MQTT broker."),
    };
    module(handler.backend.package(), name, description, 1)
}

fn transports(settings: &Settings) -> Vec<ModuleInfo> {
    let http = (settings.http.api.is_on() || settings.http.admin.is_on()).then(|| {
        let name = "JANUS REST (HTTP/HTTPS) transport plugin";
        module("janus.transport.http", name, "The Janus API over HTTP with long polls.", 2)
    });
    let websockets = (settings.websockets.api.is_on() || settings.websockets.admin.is_on()).then(|| {
        let name = "JANUS WebSockets transport plugin";
        module("janus.transport.websockets", name, "The Janus API over WebSockets.", 1)
    });
    let unix = (settings.pfunix.api.is_some() || settings.pfunix.admin.is_some()).then(|| {
        let name = "JANUS Unix Sockets transport plugin";
        module("janus.transport.pfunix", name, "The Janus API over Unix sockets.", 1)
    });
    http.into_iter().chain(websockets).chain(unix).collect()
}

/// Where recordings may be.
pub(crate) fn places(settings: &Settings) -> Places {
    let working = std::env::current_dir().unwrap_or_default();
    let roots = match &settings.portunus.recordings.roots {
        Some(roots) => roots.clone(),
        None => {
            let rooms = settings.videoroom.rooms.iter();
            let folders =
                rooms.filter_map(|room| Some(PathBuf::from(room.settings.get("rec_dir")?.as_str()?)));
            // A service that runs in the root of the file system has chosen no folder: that would allow all of them.
            let own = Some(working.clone()).filter(|folder| folder.parent().is_some());
            folders.chain(own).chain([PathBuf::from("/archive")]).collect()
        }
    };
    let roots: Vec<_> = roots.iter().map(|root| working.join(root)).collect();
    Places::new(&working, &roots, &settings.general.protected_folders)
}

/// How recordings are written.
pub(crate) fn recorder(settings: &Settings) -> portunus_recorder::Settings {
    portunus_recorder::Settings {
        threads: settings.portunus.recordings.threads,
        temporary: settings.general.recordings_tmp_ext.clone(),
        sync: settings.portunus.recordings.fsync,
        ..portunus_recorder::Settings::default()
    }
}

/// The plugins, in the order in which `info` lists them.
pub(crate) fn plugins(settings: &Settings) -> Vec<Box<dyn Plugin>> {
    let places = places(settings);
    let echotest =
        || -> Box<dyn Plugin> { Box::new(EchoTest::new(settings.echotest.events, places.clone())) };
    let videocall =
        || -> Box<dyn Plugin> { Box::new(VideoCall::new(settings.videocall.events, places.clone())) };
    let videoroom = || -> Box<dyn Plugin> { Box::new(videoroom(settings, places.clone())) };
    let echotest = settings.echotest.enabled.then(echotest);
    let videocall = settings.videocall.enabled.then(videocall);
    let videoroom = settings.videoroom.enabled.then(videoroom);
    echotest.into_iter().chain(videocall).chain(videoroom).collect()
}

/// The video room plugin with the rooms of its file. As with Janus, a room that cannot be is left out.
fn videoroom(settings: &Settings, places: Places) -> VideoRoom {
    let (wanted, general) = (&settings.videoroom, &settings.general);
    let expose = |secret: &Option<settings::Secret>| secret.as_ref().map(|s| s.expose().to_owned());
    let own = portunus_plugin_videoroom::Settings {
        admin_key: expose(&wanted.admin_key),
        lock_rtp_forward: wanted.lock_rtp_forward,
        events: wanted.events,
        string_ids: wanted.string_ids,
        automatic_layers: wanted.automatic_layers,
        rec_format: wanted.rec_format,
        token_secret: expose(&general.token_auth_secret).filter(|_| general.token_auth),
        places,
    };
    let mut plugin = VideoRoom::new(own, random());
    for room in &wanted.rooms {
        if let Err(reason) = plugin.add_room(&room.id, &room.settings, Instant::now()) {
            tracing::error!(room = room.id, reason, "a room of janus.plugin.videoroom.jcfg is left out");
        }
    }
    plugin
}

/// Random bits nobody can guess: a session's id is what keeps strangers out of it.
pub(crate) fn random() -> Random {
    Box::new(|| {
        let mut bytes = [0; 8];
        // The library ends the process itself when the system has no random numbers.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    })
}

/// The transports' settings.
///
/// # Errors
/// An interface that is not there.
pub(crate) fn transport(
    settings: &Settings,
    observer: transport::Observer,
) -> anyhow::Result<transport::Settings> {
    let portunus = &settings.portunus;
    // One spelling for both APIs of a transport, as in its file.
    let of_http = settings.http.json.into();
    let of_websockets = settings.websockets.json.into();
    let of_unix = settings.pfunix.json.into();
    let admin_http = http(settings, &settings.http.admin, &of_http)?;
    Ok(transport::Settings {
        http: http(settings, &settings.http.api, &of_http)?,
        websockets: websockets(settings, &settings.websockets.api, &of_websockets)?,
        admin_http: admin_http.map(|http| open_to_pages(http, settings)),
        admin_websockets: websockets(settings, &settings.websockets.admin, &of_websockets)?,
        packets: packets(settings, settings.pfunix.api.as_ref(), &of_unix),
        admin_packets: packets(settings, settings.pfunix.admin.as_ref(), &of_unix),
        demos: demos(settings),
        recordings: recordings(settings),
        // They change while running: see `ice`.
        ice_servers: None,
        observer,
        limits: transport::Limits {
            body: portunus.max_body_bytes,
            message: portunus.max_body_bytes,
            queued_events: portunus.max_events_per_session,
            ..transport::Limits::default()
        },
        times: transport::Times { head: portunus.header_timeout, ..transport::Times::default() },
    })
}

/// Tells event handlers of requests and connections.
pub(crate) fn observer(settings: &Settings, handlers: &Handlers) -> transport::Observer {
    if handlers.is_empty() {
        return transport::Observer::default();
    }
    let handlers = handlers.clone();
    transport::Observer::new(
        settings.http.events,
        settings.websockets.events,
        settings.pfunix.events,
        move |body| {
            handlers.tell(Event::of(EventType::Transport, None, body));
        },
    )
}

/// Administration pages stand on other ports, and Janus lets all pages ask. With a secret of the request's own that gives
/// nothing away; without one a page somebody was lured to could read what this machine's Admin API says.
fn open_to_pages(mut http: transport::HttpSettings, settings: &Settings) -> transport::HttpSettings {
    if settings.general.admin_secret.is_some() && http.cors.allow_origin.is_none() {
        http.cors.allow_origin = Some("*".to_owned());
    }
    http
}

fn http(
    settings: &Settings,
    api: &HttpApi,
    spelling: &transport::Spelling,
) -> anyhow::Result<Option<transport::HttpSettings>> {
    let http = &settings.http;
    if !api.is_on() {
        return Ok(None);
    }
    Ok(Some(transport::HttpSettings {
        addresses: addresses(api.plain.as_ref())?,
        secure_addresses: addresses(api.secure.as_ref())?,
        base_path: api.base_path.clone(),
        format: spelling.clone(),
        acl: api.acl.clone(),
        acl_forwarded: api.acl_forwarded,
        cors: cors(&http.cors),
        certificate: http.certificate.as_ref().map(tls_files),
        connections: http.connections,
        connections_per_address: settings.portunus.max_connections_per_address,
    }))
}

fn websockets(
    settings: &Settings,
    api: &WebSocketApi,
    spelling: &transport::Spelling,
) -> anyhow::Result<Option<transport::WebSocketSettings>> {
    let websockets = &settings.websockets;
    if !api.is_on() {
        return Ok(None);
    }
    let ping_pong =
        websockets.ping_pong.map(|p| transport::PingPong { trigger: p.trigger, timeout: p.timeout });
    Ok(Some(transport::WebSocketSettings {
        addresses: addresses(api.plain.as_ref())?,
        secure_addresses: addresses(api.secure.as_ref())?,
        unix: paths(api.plain.as_ref()),
        secure_unix: paths(api.secure.as_ref()),
        format: spelling.clone(),
        acl: api.acl.clone(),
        acl_forwarded: api.acl_forwarded,
        cors: cors(&websockets.cors),
        certificate: websockets.certificate.as_ref().map(tls_files),
        ping_pong,
        connections: websockets.connections,
        connections_per_address: settings.portunus.max_connections_per_address,
    }))
}

fn packets(
    settings: &Settings,
    socket: Option<&UnixSocket>,
    spelling: &transport::Spelling,
) -> Option<transport::PacketSettings> {
    Some(transport::PacketSettings {
        path: socket?.path.clone(),
        datagrams: socket?.datagrams,
        format: spelling.clone(),
        connections: settings.pfunix.clients,
    })
}

/// Where a listener binds; all addresses of the machine if nothing else was asked for.
fn addresses(listener: Option<&Listener>) -> anyhow::Result<Vec<SocketAddr>> {
    let Some(listener) = listener.filter(|listener| listener.unix.is_none()) else { return Ok(Vec::new()) };
    let ip = match (listener.ip, &listener.interface) {
        (Some(ip), _) => ip,
        (None, Some(name)) => address_of(name)?,
        (None, None) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Ok(vec![SocketAddr::new(ip, listener.port)])
}

fn paths(listener: Option<&Listener>) -> Vec<PathBuf> {
    listener.and_then(|listener| listener.unix.clone()).into_iter().collect()
}

/// An address, written as such or by the name of its interface.
fn address_of(interface: &str) -> anyhow::Result<IpAddr> {
    let name = interface.trim();
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    // IPv4 first, as in what we advertise.
    let mut found = portunus_media::interface_addresses(name)?;
    found.sort_by_key(IpAddr::is_ipv6);
    found.first().copied().with_context(|| format!("interface `{name}` is not there or has no address"))
}

fn cors(cors: &settings::Cors) -> transport::Cors {
    transport::Cors { allow_origin: cors.allow_origin.clone(), enforce: cors.enforce }
}

fn tls_files(files: &CertificateFiles) -> transport::CertificateFiles {
    let password = files.password.as_ref().map(|password| password.expose().into());
    transport::CertificateFiles { certificate: files.pem.clone(), key: files.key.clone(), password }
}

fn demos(settings: &Settings) -> Vec<transport::Demo> {
    demos_folder(settings).map(|path| transport::Demo { name: String::new(), path }).into_iter().collect()
}

/// What is shown of recordings: nothing unless that is switched on.
pub(crate) fn recordings(settings: &Settings) -> Option<transport::Recordings> {
    let recordings = &settings.portunus.recordings;
    let places = places(settings);
    recordings.page.then(|| transport::Recordings {
        roots: places.roots().map(Path::to_owned).collect(),
        barred: places.protected().to_vec(),
        temporary: settings.general.recordings_tmp_ext.clone(),
        password: recordings.password.as_ref().map(|password| password.expose().into()),
    })
}

/// The folder of the demo pages: the one that is set, or, without any configuration, that of the source tree we were
/// started in.
pub(crate) fn demos_folder(settings: &Settings) -> Option<PathBuf> {
    let source = || Some(PathBuf::from(SOURCE_DEMOS)).filter(|f| !has_files(settings) && f.is_dir());
    settings.portunus.demos_folder.clone().or_else(source)
}

/// Somebody wrote a configuration; otherwise this is a trial with embedded defaults.
fn has_files(settings: &Settings) -> bool {
    settings.general.configs_folder.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Flags;
    use crate::settings::Disk;

    /// Built-in defaults with these variables of the environment.
    fn settings(variables: &[(&str, &str)]) -> Settings {
        let flags = Flags::read(["portunus", "-F", "no-such-folder"].map(Into::into)).unwrap();
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        settings::load(&flags, &find, &Disk).unwrap().0
    }

    #[test]
    fn without_files_both_transports_listen_on_all_addresses() {
        let wanted = transport(&settings(&[]), transport::Observer::default()).unwrap();
        let (http, ws) = (wanted.http.unwrap(), wanted.websockets.unwrap());
        assert_eq!(http.addresses, ["[::]:8088".parse::<SocketAddr>().unwrap()]);
        assert_eq!(ws.addresses, ["[::]:8188".parse::<SocketAddr>().unwrap()]);
        assert!(http.secure_addresses.is_empty() && ws.secure_addresses.is_empty());
        assert!(wanted.admin_http.is_none() && wanted.admin_websockets.is_none());
    }

    #[test]
    fn the_admin_api_has_its_listeners_and_lets_pages_ask_only_for_a_secret() {
        let on = [("PORTUNUS_HTTP_ADMIN_HTTP", "true"), ("PORTUNUS_WEBSOCKETS_ADMIN_WS", "true")];
        for (secret, origin) in [("own secret", Some("*")), ("", None)] {
            let variables = [on[0], on[1], ("PORTUNUS_GENERAL_ADMIN_SECRET", secret)];
            let wanted = transport(&settings(&variables), transport::Observer::default()).unwrap();
            let admin = wanted.admin_http.unwrap();
            assert_eq!(admin.cors.allow_origin.as_deref(), origin);
            assert_eq!(admin.addresses[0].port(), 7088);
            assert_eq!(wanted.admin_websockets.unwrap().addresses[0].port(), 7188);
        }
    }

    #[test]
    fn a_listener_binds_where_it_is_told_and_nowhere_else() {
        let table = [
            (("PORTUNUS_HTTP_IP", "127.0.0.1"), Some("127.0.0.1:8088")),
            (("PORTUNUS_HTTP_INTERFACE", "127.0.0.2"), Some("127.0.0.2:8088")),
            (("PORTUNUS_HTTP_INTERFACE", "no-such-interface"), None),
        ];
        for (variable, address) in table {
            let found = transport(&settings(&[variable]), transport::Observer::default())
                .map(|t| t.http.unwrap().addresses);
            match address {
                Some(address) => assert_eq!(found.unwrap(), [address.parse::<SocketAddr>().unwrap()]),
                None => assert!(found.is_err(), "{variable:?}"),
            }
        }
    }

    #[test]
    fn media_settings_arrive_at_the_engine() {
        let wanted = media(&settings(&[
            ("PORTUNUS_MEDIA_DSCP", "46"),
            ("PORTUNUS_NAT_NAT_1_1_MAPPING", "203.0.113.5"),
            ("PORTUNUS_NAT_FULL_TRICKLE", "true"),
            ("PORTUNUS_MEDIA_RTP_PORT_RANGE", "20000-20010"),
            ("STUN_SERVER", "stun.example:3479"),
            ("PORTUNUS_GENERAL_INTERFACE", "192.0.2.9"),
        ]))
        .unwrap();
        assert_eq!(wanted.tos, Some(184), "expedited forwarding");
        assert_eq!(wanted.nat_1_1_mapping, [IpAddr::from([203, 0, 113, 5])]);
        assert_eq!(wanted.port_range, Some(20_000..=20_010));
        assert_eq!(wanted.stun_server, Some(("stun.example".to_owned(), 3479)));
        assert_eq!(wanted.sdp_address, Some([192, 0, 2, 9].into()));
        assert!(wanted.full_trickle && !wanted.allow_loopback);
        assert_eq!(wanted.min_nack_queue, Duration::from_millis(200));
    }

    #[test]
    fn a_turn_server_is_taken_over_with_whom_to_trust() {
        let with = |transport, ca: Option<&str>| {
            let mut variables = vec![
                ("PORTUNUS_NAT_TURN_SERVER", "turn.example"),
                ("PORTUNUS_NAT_TURN_PORT", "5349"),
                ("PORTUNUS_NAT_TURN_TYPE", transport),
                ("PORTUNUS_NAT_TURN_USER", "me"),
                ("PORTUNUS_NAT_TURN_PWD", "hunter2"),
            ];
            variables.extend(ca.map(|file| ("PORTUNUS_TURN_CA", file)));
            media(&settings(&variables))
        };
        let wanted = with("tcp", None).unwrap();
        let expected = portunus_media::TurnServer {
            host: "turn.example".to_owned(),
            port: 5349,
            transport: TurnTransport::Tcp,
            username: "me".to_owned(),
            password: "hunter2".to_owned(),
        };
        assert_eq!(wanted.turn_servers, [expected]);
        assert!(wanted.turn_trust.is_none());
        let error = with("tls", Some("/no/such/file")).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read turn_ca /no/such/file");
    }

    #[test]
    fn a_disabled_plugin_is_not_there() {
        let packages = |variables: &[(&str, &str)]| {
            let plugins = plugins(&settings(variables));
            plugins.iter().map(|p| p.about().package).collect::<Vec<_>>()
        };
        let [echo, call, room] =
            ["echotest", "videocall", "videoroom"].map(|name| format!("janus.plugin.{name}"));
        let without = |name: &str| packages(&[("PORTUNUS_PLUGINS_DISABLE", &format!("libjanus_{name}.so"))]);
        assert_eq!(packages(&[]), [&*echo, &call, &room]);
        assert_eq!(without("echotest"), [&*call, &room]);
        assert_eq!(without("videocall"), [&*echo, &room]);
        assert_eq!(without("videoroom"), [&*echo, &call]);
    }

    #[test]
    fn recordings_are_shown_only_if_that_is_switched_on() {
        assert!(recordings(&settings(&[])).is_none());
        assert!(recordings(&settings(&[("PORTUNUS_RECORDINGS_PASSWORD", "secret")])).is_none());
        let shown = recordings(&settings(&[
            ("PORTUNUS_RECORDINGS_PAGE", "true"),
            ("PORTUNUS_RECORDINGS_PASSWORD", "do not print"),
            ("PORTUNUS_RECORDINGS_ROOTS", "/srv/a,/srv/b/../c,/srv/kept/d"),
            ("PORTUNUS_GENERAL_PROTECTED_FOLDERS", "/srv/kept,/srv/a/kept"),
            ("PORTUNUS_GENERAL_RECORDINGS_TMP_EXT", "part"),
        ]));
        let shown = shown.unwrap();
        assert_eq!(shown.roots, [Path::new("/srv/a"), Path::new("/srv/c")]);
        assert_eq!(shown.barred, [Path::new("/srv/kept"), Path::new("/srv/a/kept")]);
        assert_eq!(shown.temporary.as_deref(), Some("part"));
        assert!(shown.password.is_some() && !format!("{shown:?}").contains("do not print"));
    }

    #[test]
    fn ids_differ() {
        let mut random = random();
        assert_ne!(random(), random());
    }
}
