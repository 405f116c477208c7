//! A gateway under measurement: started with a folder of settings of its own, pinned to a core, ended when dropped.

use anyhow::{Context, bail};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It listens within this.
const START: Duration = Duration::from_secs(15);
/// It ends within this when asked to.
const END: Duration = Duration::from_secs(5);

/// Which gateway, and how it is set up.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    /// Further lines of section `general`.
    pub(crate) general: &'static str,
    pub(crate) ours: bool,
}

pub(crate) struct Gateway {
    child: Child,
    folder: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Gateway {
    /// Media only at addresses that begin with `media`; all threads on core `core`.
    pub(crate) fn start(kind: &Kind, media: &str, core: usize) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = std::env::temp_dir().join(format!("rooms-{}-{}", std::process::id(), address.port()));
        std::fs::create_dir(&folder)?;
        for (name, text) in settings(kind, media, address.port()) {
            std::fs::File::create(folder.join(name))?.write_all(text.as_bytes())?;
        }
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(&kind.program).arg("-F").arg(&folder);
        if !kind.ours {
            command.arg("-C").arg(folder.join("janus.jcfg"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(&folder);
        let child = command.spawn().with_context(|| format!("cannot start {kind:?}"))?;
        let mut gateway = Self { child, folder, address };
        let until = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = gateway.child.try_wait()? {
                bail!("{} ended at once: {status}", kind.name);
            }
            if Instant::now() > until {
                bail!("{} does not listen", kind.name);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(gateway)
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(portunus_media::bench::cpu_time_of(self.child.id())?)
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024.0)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let until = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(Path::new(&self.folder));
    }
}

fn settings(kind: &Kind, media: &str, port: u16) -> Vec<(&'static str, String)> {
    let general = kind.general;
    let extra = if kind.ours {
        "portunus: { udp_port = 0 }".to_owned()
    } else {
        let plugins = [
            "audiobridge",
            "duktape",
            "echotest",
            "lua",
            "nosip",
            "recordplay",
            "sip",
            "streaming",
            "textroom",
            "videocall",
            "voicemail",
        ];
        let names = plugins.map(|name| format!("libjanus_{name}.so")).join(",");
        let transports = ["http", "rabbitmq", "mqtt", "nanomsg", "pfunix"];
        let others = transports.map(|name| format!("libjanus_{name}.so")).join(",");
        format!("plugins: {{ disable = \"{names}\" }}\ntransports: {{ disable = \"{others}\" }}")
    };
    let core = format!(
        "general: {{\n  debug_level = 4\n  session_timeout = 0\n  {general}\n}}\n\
         nat: {{ ice_enforce_list = \"{media}\" }}\n{extra}\n"
    );
    let http = "general: { http = false }\nadmin: { admin_http = false }\n".to_owned();
    let sockets = format!(
        "general: {{\n  json = \"compact\"\n  ws = true\n  ws_port = {port}\n  ws_ip = \"127.0.0.1\"\n}}\n\
         admin: {{ admin_ws = false }}\n"
    );
    vec![
        ("janus.jcfg", core),
        ("janus.transport.http.jcfg", http),
        ("janus.transport.websockets.jcfg", sockets),
        ("janus.plugin.videoroom.jcfg", "general: { }\n".to_owned()),
    ]
}
