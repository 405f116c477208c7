//! Settings: Janus' files, then the environment, then the command line, into plain typed values.
//!
//! Invariants: nothing is applied here; every key we know stands in `keys`, unknown ones are warnings with the
//! nearest name; a bad value or a syntax error anywhere refuses the start, after all problems of all files were
//! listed (Janus starts with built-in defaults then, without any secret); secrets never reach `Debug` output.
//!
//! Deliberately absent: the legacy INI files, reading anything at run time, and looking at certificates, folders
//! or interfaces, whose owners do that.

mod check;
mod container;
mod files;
mod handlers;
mod http;
mod ice_servers;
mod janus;
mod keys;
mod known_secrets;
mod listener;
mod network;
mod overlay;
mod pfunix;
mod plugin;
mod secret;
mod unbuilt;
mod values;
mod videoroom;
mod websockets;

#[cfg(test)]
mod tests;

pub(crate) use check::check;
pub(crate) use container::{ContainerDefaults, ContainerNetwork};
pub(crate) use files::{Disk, FileSource, include};
pub(crate) use http::{HttpApi, HttpSettings};
pub(crate) use ice_servers::{IceServers, Login};
pub(crate) use janus::{
    CertificateFiles, Certificates, Disabled, DtlsRole, Events, General, Log, Portunus, RotateSignal,
};
pub(crate) use listener::{Cors, Listener};
pub(crate) use network::{Media, Nat, TurnServer};
pub(crate) use pfunix::{PfunixSettings, UnixSocket};
pub(crate) use plugin::PluginSettings;
pub(crate) use portunus_jcfg::{Kind, Problem, Severity};
pub(crate) use secret::Secret;
pub(crate) use values::Interface;
pub(crate) use videoroom::VideoroomSettings;
pub(crate) use websockets::{WebSocketApi, WebSocketsSettings};

use portunus_jcfg::{Document, Place};
use portunus_telemetry::events::Handler;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::flags::Flags;
use files::read_document;
use keys::{ECHOTEST, HTTP, JANUS, PFUNIX, Table, VIDEOCALL, VIDEOROOM, WEBSOCKETS};

/// Where the files are if nobody says otherwise; `PORTUNUS_CONFIGS_FOLDER` at build time sets another.
pub(crate) const DEFAULT_FOLDER: &str = match option_env!("PORTUNUS_CONFIGS_FOLDER") {
    Some(folder) => folder,
    None => "/etc/janus",
};

/// Everything that can be set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Names, secrets, timeouts, logs.
    pub(crate) general: General,
    /// The DTLS certificate.
    pub(crate) certificates: Certificates,
    /// RTP, RTCP and DTLS.
    pub(crate) media: Media,
    /// ICE.
    pub(crate) nat: Nat,
    /// How media reaches the container; `None` outside of one.
    pub(crate) network: Option<ContainerNetwork>,
    /// What clients are told of ICE servers.
    pub(crate) ice_servers: IceServers,
    /// What is ours: ports, workers, limits.
    pub(crate) portunus: Portunus,
    /// Plugins to leave out.
    pub(crate) plugins: Disabled,
    /// Transports to leave out. Those that are built are off in `http`, `websockets` and `pfunix` already.
    pub(crate) transports: Disabled,
    /// Events.
    pub(crate) events: Events,
    /// The event handlers that are on; none without `events.broadcast`.
    pub(crate) handlers: Vec<Handler>,
    /// The HTTP transport.
    pub(crate) http: HttpSettings,
    /// The WebSocket transport.
    pub(crate) websockets: WebSocketsSettings,
    /// The transport over Unix sockets of packets.
    pub(crate) pfunix: PfunixSettings,
    /// The echo test plugin.
    pub(crate) echotest: PluginSettings,
    /// The VideoCall plugin.
    pub(crate) videocall: PluginSettings,
    /// The VideoRoom plugin.
    pub(crate) videoroom: VideoroomSettings,
}

/// Reads everything. `Ok`: the settings with warnings and notes; `Err`: all problems, at least one an error.
pub(crate) fn load(
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<String>,
    files: &dyn FileSource,
) -> Result<(Settings, Vec<Problem>), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut source = Sources { flags, env, files, problems: &mut problems, network: None };
    let folder = source.named_folder().unwrap_or_else(|| DEFAULT_FOLDER.into());
    let main = source.main_document(&folder);
    let (folder, network) = (source.folder(&main, folder), source.network);
    let http = source.document(&folder, &HTTP);
    let websockets = source.document(&folder, &WEBSOCKETS);
    let pfunix = source.optional_document(&folder, &PFUNIX);
    let echotest = source.document(&folder, &ECHOTEST);
    let videocall = source.document(&folder, &VIDEOCALL);
    let videoroom = source.document(&folder, &VIDEOROOM);
    let handlers: Vec<_> =
        handlers::TABLES.map(|kind| (kind, source.optional_document(&folder, kind.0))).into();
    let janus = janus::read(&main, &folder, flags, &mut problems);
    let echotest_on = !janus.plugins.has("libjanus_echotest.so");
    let videocall_on = !janus.plugins.has("libjanus_videocall.so");
    let videoroom_on = !janus.plugins.has("libjanus_videoroom.so");
    let mut settings = Settings {
        http: http::read(&http, &janus.portunus, &mut problems),
        websockets: websockets::read(&websockets, &janus.portunus, &mut problems),
        pfunix: pfunix::read(&pfunix, &janus.portunus, &mut problems),
        echotest: plugin::read(&echotest, &ECHOTEST, echotest_on, &mut problems),
        videocall: plugin::read(&videocall, &VIDEOCALL, videocall_on, &mut problems),
        videoroom: videoroom::read(&videoroom, videoroom_on, &mut problems),
        general: janus.general,
        certificates: janus.certificates,
        media: janus.media,
        nat: janus.nat,
        network,
        ice_servers: janus.ice_servers,
        portunus: janus.portunus,
        plugins: janus.plugins,
        transports: janus.transports,
        handlers: read_handlers(handlers, &janus.events, &mut problems),
        events: janus.events,
    };
    let modules = unbuilt::Modules {
        plugins: &settings.plugins,
        transports: &settings.transports,
        loggers: &janus.loggers,
        events: &settings.events,
    };
    unbuilt::look(files, env, &folder, &modules, &mut problems);
    settings.leave_out_transports();
    settings.guard_admin(&main, &mut problems);
    if !settings.portunus.allow_demo_secrets {
        known_secrets::look(&main, &videoroom, &mut problems);
    }
    settings.check_apis(&main, &mut problems);
    settings.check_recordings_page(&main, &mut problems);
    settings.check_ice_servers(&main, &mut problems);
    match problems.iter().any(|problem| problem.severity == Severity::Error) {
        true => Err(problems),
        false => Ok((settings, problems)),
    }
}

/// The folder of the configuration files that option or environment name.
pub(crate) fn named_folder(flags: &Flags, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let variable = env("PORTUNUS_GENERAL_CONFIGS_FOLDER").filter(|text| !text.is_empty());
    flags.configs_folder.clone().or(variable).map(PathBuf::from)
}

/// Where metrics and health are told, by `janus.jcfg`, environment and options alone. A file with mistakes counts as
/// empty: who asks this wants to know how a gateway is that read the file before.
pub(crate) fn health_address(
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<String>,
    files: &dyn FileSource,
) -> Option<SocketAddr> {
    let mut problems = Vec::new();
    let mut source = Sources { flags, env, files, problems: &mut problems, network: None };
    let folder = source.named_folder().unwrap_or_else(|| DEFAULT_FOLDER.into());
    let main = source.main_document(&folder);
    janus::read(&main, &folder, flags, &mut problems).portunus.metrics
}

/// All variables of the environment that we look at, short names first.
pub(crate) fn variables() -> Vec<String> {
    let short = overlay::SHORT_NAMES.iter().map(|&(name, ..)| name.to_owned());
    let keys = keys::TABLES.iter().flat_map(|table| table.keys.iter().map(move |key| (table, key)));
    let mut all: Vec<String> =
        short.chain(keys.flat_map(|(table, key)| overlay::variables(table, key))).collect();
    let mut seen = std::collections::HashSet::new();
    all.retain(|name| seen.insert(name.clone()));
    all
}

impl Settings {
    fn leave_out_transports(&mut self) {
        if self.transports.has("libjanus_http.so") {
            for api in [&mut self.http.api, &mut self.http.admin] {
                (api.plain, api.secure) = (None, None);
            }
        }
        if self.transports.has("libjanus_websockets.so") {
            for api in [&mut self.websockets.api, &mut self.websockets.admin] {
                (api.plain, api.secure) = (None, None);
            }
        }
        if self.transports.has("libjanus_pfunix.so") {
            (self.pfunix.api, self.pfunix.admin) = (None, None);
        }
    }

    /// Somebody can reach the Admin API.
    pub(crate) fn admin_is_on(&self) -> bool {
        self.http.admin.is_on() || self.websockets.admin.is_on() || self.pfunix.admin.is_some()
    }

    /// The secret of Janus' samples protects nothing: with it the Admin API stays on this machine.
    fn guard_admin(&mut self, main: &Document, problems: &mut Vec<Problem>) {
        let place = place_of(main, "general", "admin_secret");
        let mut say = |severity, message: &str| {
            problems.push(Problem::at(&place, severity, Kind::Advice, message));
        };
        match self.general.admin_secret.as_ref().map(Secret::expose) {
            Some(janus::DEMO_ADMIN_SECRET) if !self.portunus.allow_demo_secrets => {}
            None if self.admin_is_on() => {
                // Whoever names an address has thought about who can reach it.
                let unplaced =
                    |l: &&mut Listener| l.ip.is_none() && l.interface.is_none() && l.unix.is_none();
                self.admin_listeners().filter(unplaced).for_each(Listener::keep_to_loopback);
                return say(
                    Severity::Warning,
                    "no `general.admin_secret`: the Admin API asks for none, and listens on loopback only where no \
                     address is set for it",
                );
            }
            _ => return,
        }
        self.general.admin_loopback_only = true;
        self.admin_listeners().for_each(Listener::keep_to_loopback);
        let severity = if self.admin_is_on() { Severity::Warning } else { Severity::Note };
        say(
            severity,
            "everybody knows this admin secret: the Admin API listens on loopback only; set `general.admin_secret` \
             to a secret of your own (or ALLOW_DEMO_SECRETS=true if you mean it)",
        );
    }

    fn admin_listeners(&mut self) -> impl Iterator<Item = &mut Listener> {
        let (http, websockets) = (&mut self.http.admin, &mut self.websockets.admin);
        let all = [&mut http.plain, &mut http.secure, &mut websockets.plain, &mut websockets.secure];
        all.into_iter().flatten()
    }

    fn check_recordings_page(&self, main: &Document, problems: &mut Vec<Problem>) {
        if !self.portunus.recordings.page {
            return;
        }
        let place = place_of(main, "portunus", "recordings_page");
        let first = self.http.api.base_path.split('/').find(|name| !name.is_empty());
        if !self.http.api.is_on() {
            let message = "`portunus.recordings_page` shows nothing: HTTP is off";
            problems.push(Problem::at(&place, Severity::Warning, Kind::Advice, message));
        } else if first.is_some_and(|name| name.eq_ignore_ascii_case("recordings")) {
            let message =
                "`portunus.recordings_page` is at /recordings, and so is the Janus API (`general.base_path`)";
            problems.push(Problem::at(&place, Severity::Error, Kind::BadValue, message));
        }
    }

    fn check_ice_servers(&self, main: &Document, problems: &mut Vec<Problem>) {
        if self.ice_servers.is_on() && !self.http.api.is_on() {
            let key = if self.ice_servers.service.is_some() { "auth_service" } else { "urls" };
            let message = format!("`ice_servers.{key}` reaches no client: HTTP is off");
            let place = place_of(main, "ice_servers", key);
            problems.push(Problem::at(&place, Severity::Warning, Kind::Advice, message));
        }
    }

    fn check_apis(&self, main: &Document, problems: &mut Vec<Problem>) {
        if !self.http.api.is_on() && !self.websockets.api.is_on() && self.pfunix.api.is_none() {
            let message = "no transport offers the Janus API: HTTP, WebSockets and Unix sockets are all off";
            problems.push(Problem::of(&main.file, Severity::Error, Kind::BadValue, message));
        }
        let stored_tokens = self.general.token_auth && self.general.token_auth_secret.is_none();
        if stored_tokens && !self.admin_is_on() {
            let message = "`general.token_auth` is on without `token_auth_secret`: stored tokens need the Admin API, \
                           and no transport offers it";
            let place = place_of(main, "general", "token_auth");
            problems.push(Problem::at(&place, Severity::Error, Kind::BadValue, message));
        }
    }
}

/// The event handlers that are enabled, and not left out by `events.disable`.
fn read_handlers(
    documents: Vec<(handlers::Kind, Document)>,
    events: &Events,
    problems: &mut Vec<Problem>,
) -> Vec<Handler> {
    let mut found = Vec::new();
    for (kind, document) in documents {
        let name = kind.0.file.rsplit('.').next().unwrap_or_default();
        if events.disable.has(&format!("libjanus_{name}.so")) {
            continue;
        }
        let Some(handler) = handlers::read(kind, &document, problems) else { continue };
        if events.broadcast {
            found.push(handler);
        } else {
            let message = "is enabled but gets nothing: `events.broadcast` of janus.jcfg is off";
            problems.push(Problem::of(&document.file, Severity::Warning, Kind::Advice, message));
        }
    }
    found
}

fn place_of(document: &Document, section: &str, key: &str) -> Place {
    let setting = document.section(section).and_then(|section| section.get(key));
    setting.map_or_else(|| Place::of(&document.file), |setting| setting.place.clone())
}

/// Gets the documents together; whatever cannot be read is a problem and an empty document.
struct Sources<'s> {
    flags: &'s Flags,
    env: &'s dyn Fn(&str) -> Option<String>,
    files: &'s dyn FileSource,
    problems: &'s mut Vec<Problem>,
    /// What was decided for the container.
    network: Option<ContainerNetwork>,
}

impl Sources<'_> {
    /// The folder that somebody named for this start.
    fn named_folder(&self) -> Option<PathBuf> {
        named_folder(self.flags, self.env)
    }

    /// Where the other files are: options and environment have been laid over the document.
    fn folder(&self, main: &Document, first: PathBuf) -> PathBuf {
        let setting = main.section("general").and_then(|general| general.get("configs_folder"));
        let text = setting.and_then(|setting| setting.value.as_text());
        text.filter(|text| !text.trim().is_empty()).map_or(first, PathBuf::from)
    }

    fn main_document(&mut self, folder: &Path) -> Document {
        let mut document = match &self.flags.config {
            Some(file) => self.read(Path::new(file), Severity::Error),
            // A folder with a slip in its name would mean a gateway without secrets: that deserves more than a note.
            None if self.named_folder().is_some() => self.read(&folder.join("janus.jcfg"), Severity::Warning),
            None => self.read(&folder.join("janus.jcfg"), Severity::Note),
        };
        if let Some(container) = &self.flags.container {
            container.lay_under(&mut document, self.problems);
        }
        overlay::environment(&mut document, &JANUS, self.env, self.problems);
        overlay::options(&mut document, self.flags, self.problems);
        if self.flags.container.is_some() {
            self.network = Some(container::choose_network(&mut document, self.env, self.problems));
        }
        document
    }

    fn document(&mut self, folder: &Path, table: &Table) -> Document {
        let mut document = self.read(&folder.join(format!("{}.jcfg", table.file)), Severity::Note);
        overlay::environment(&mut document, table, self.env, self.problems);
        document
    }

    /// A file that nobody misses.
    fn optional_document(&mut self, folder: &Path, table: &Table) -> Document {
        let path = folder.join(format!("{}.jcfg", table.file));
        let there = self.files.read(&path).is_ok();
        let mut document = match there {
            true => self.read(&path, Severity::Note),
            false => Document::empty(&path.display().to_string()),
        };
        overlay::environment(&mut document, table, self.env, self.problems);
        document
    }

    /// `absent`: how bad it is if there is no such file.
    fn read(&mut self, path: &Path, absent: Severity) -> Document {
        let name = path.display().to_string();
        if path.extension().is_some_and(|ending| ending == "cfg") {
            self.refuse_legacy(path);
            return Document::empty(&name);
        }
        let mut say = |severity, message: &str| {
            self.problems.push(Problem::of(&name, severity, Kind::Syntax, message));
        };
        let mut doubts = Vec::new();
        let document = match read_document(self.files, self.env, path, &mut doubts) {
            Ok(Some(document)) => Some(document),
            Ok(None) => {
                let legacy = path.with_extension("cfg");
                match (self.files.read(&legacy), absent) {
                    (Ok(_), _) => self.refuse_legacy(&legacy),
                    (Err(_), Severity::Error) => say(absent, "there is no such file"),
                    (Err(_), _) => say(absent, "there is no such file: built-in defaults"),
                }
                None
            }
            Err(mistakes) => {
                self.problems.extend(mistakes);
                None
            }
        };
        self.problems.extend(doubts);
        document.unwrap_or_else(|| Document::empty(&name))
    }

    fn refuse_legacy(&mut self, path: &Path) {
        let new = path.with_extension("jcfg");
        let message = format!(
            "the old INI format is not read: convert it with `janus-cfgconv {} {}` (it comes with Janus)",
            path.display(),
            new.display()
        );
        let name = path.display().to_string();
        self.problems.push(Problem::of(&name, Severity::Error, Kind::Syntax, message));
    }
}
