//! The command line.

use crate::call::LAYERS;
use crate::engine::{Schedule, Settings, Spacing};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Puts load on a Janus-API server and says what became of it.
///
/// Ends with 0 if media flowed and all limits were kept, with 1 if not, with 2 if it was called wrongly.
#[derive(Debug, Parser)]
#[command(name = "portunus-loadtest", version)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

/// How the API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    Ws,
    Http,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The API: ws://, wss://, http:// or https:// [default: ws://127.0.0.1:8188, with --transport http http://127.0.0.1:8088/janus].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// WebSocket, or HTTP with long polls; --server says it, too.
    #[arg(long, global = true, value_enum)]
    pub(crate) transport: Option<Transport>,
    /// The server's API secret.
    #[arg(long, global = true, env = "LOADTEST_API_SECRET", hide_env_values = true)]
    pub(crate) api_secret: Option<String>,
    /// A token, where the server wants one.
    #[arg(long, global = true, env = "LOADTEST_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Take any certificate of a TLS server.
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
    /// This machine's address for media [default: all IPv4 addresses; loopback if the server is on it].
    #[arg(long, global = true, value_name = "IP")]
    pub(crate) address: Option<IpAddr>,
    /// Threads for media [default: one for each core].
    #[arg(long, global = true, value_parser = threads)]
    pub(crate) threads: Option<usize>,
    /// The server's process, if it runs here: its CPU time, memory, threads and descriptors are told.
    #[arg(long, global = true)]
    pub(crate) pid: Option<u32>,
    /// How long to measure [default: 30s].
    #[arg(long, global = true, value_parser = duration)]
    duration: Option<Duration>,
    /// How long to wait before that, once everybody is there [default: 5s].
    #[arg(long, global = true, value_parser = duration)]
    warm_up: Option<Duration>,
    /// How many join at the same time.
    #[arg(long, global = true, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) joins: u32,
    /// Nobody's connection and first frame may take longer.
    #[arg(long, global = true, value_parser = duration, default_value = "15s")]
    pub(crate) setup_timeout: Duration,
    /// Write all figures to this file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a report with charts to this file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// More lost packets than this are a failure, in percent.
    #[arg(long, global = true, value_name = "PERCENT", value_parser = percent)]
    pub(crate) max_loss: Option<f64>,
    /// A higher 99th percentile of the latency is a failure.
    #[arg(long, global = true, value_name = "MS", value_parser = positive)]
    pub(crate) max_p99_ms: Option<f64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Publishers and subscribers in video rooms.
    Videoroom(Videoroom),
    /// Clients that get back what they send.
    Echotest(Echotest),
    /// Calls between two users each.
    Videocall(Videocall),
    /// Sessions, handles and messages without media.
    Signalling(Signalling),
    /// Subscribers that come and go: what they leave behind.
    Churn(Churn),
    /// Sessions that only say that they are there.
    Idle(Idle),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Echotest {
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Videocall {
    /// Calls at the same time; --joins says how many are made at the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) calls: u32,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Signalling {
    /// Sessions in all; --joins says how many at the same time.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sessions: u32,
    /// Messages of each, beside create, attach, detach and destroy.
    #[arg(long, default_value_t = 1)]
    pub(crate) requests: u32,
    /// Sessions use each other's connections, as those of a back end or behind a proxy do. Otherwise each has its own, as in a
    /// browser. HTTP only.
    #[arg(long)]
    pub(crate) shared_connections: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Churn {
    /// Subscribers that join each second.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// How long each stays once it sees something.
    #[arg(long, value_parser = duration, default_value = "1s")]
    pub(crate) stay: Duration,
    /// More memory than this when all have left is a failure, in percent.
    #[arg(long, default_value_t = 5.0, value_parser = percent, value_name = "PERCENT")]
    pub(crate) max_growth: f64,
    /// Publishers, to all of which each subscribes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) publishers: u32,
    /// What the server wants of those who make rooms.
    #[arg(long)]
    pub(crate) admin_key: Option<String>,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}

impl Churn {
    /// The room that it happens in.
    pub(crate) fn room(&self) -> Videoroom {
        Videoroom {
            rooms: 1,
            publishers: self.publishers,
            subscribers: 0,
            meeting: false,
            multistream: true,
            per_feed: false,
            room: None,
            admin_key: self.admin_key.clone(),
            pin: None,
            ramp: None,
            hold: Duration::ZERO,
            knee_loss: 0.0,
            knee_p99_ms: 0.0,
            overshoot: None,
            media: self.media.clone(),
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Idle {
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sessions: u32,
    /// How many are made each second.
    #[arg(long, default_value_t = 500.0, value_parser = positive)]
    pub(crate) rate: f64,
}

/// From so many subscribers, by so many more each time, to so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ramp {
    pub(crate) start: u32,
    pub(crate) step: u32,
    pub(crate) end: u32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Videoroom {
    /// Rooms, each with as many publishers and subscribers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rooms: u32,
    /// Publishers in each room.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) publishers: u32,
    /// Subscribers in each room, each to all publishers of it.
    #[arg(long, default_value_t = 1)]
    pub(crate) subscribers: u32,
    /// Everybody publishes and subscribes to all others; --subscribers does not count.
    #[arg(long, conflicts_with = "subscribers")]
    pub(crate) meeting: bool,
    /// One PeerConnection for all that somebody subscribes to (the default).
    #[arg(long, conflicts_with = "per_feed")]
    pub(crate) multistream: bool,
    /// One PeerConnection for each publisher that somebody subscribes to.
    #[arg(long)]
    pub(crate) per_feed: bool,
    /// An existing room, which is neither made nor destroyed; only with one room.
    #[arg(long, value_name = "ID")]
    pub(crate) room: Option<u64>,
    /// What the server wants of those who make rooms.
    #[arg(long)]
    pub(crate) admin_key: Option<String>,
    /// What the room wants of those who join.
    #[arg(long)]
    pub(crate) pin: Option<String>,
    /// Add subscribers to each room by steps until the server cannot serve them all: the knee.
    #[arg(long, value_name = "START:STEP:END", value_parser = ramp, conflicts_with_all = ["meeting", "subscribers", "per_feed"])]
    pub(crate) ramp: Option<Ramp>,
    /// How long each step is measured.
    #[arg(long, value_parser = duration, default_value = "10s", requires = "ramp")]
    pub(crate) hold: Duration,
    /// A step that loses as much is beyond the knee.
    #[arg(long, default_value_t = 0.5, value_parser = positive, value_name = "PERCENT", requires = "ramp")]
    pub(crate) knee_loss: f64,
    /// A step whose latency has as high a 99th percentile is beyond the knee.
    #[arg(long, default_value_t = 100.0, value_parser = positive, value_name = "MS", requires = "ramp")]
    pub(crate) knee_p99_ms: f64,
    /// Then measure with so many percent of the knee's subscribers what still comes.
    #[arg(long, value_name = "PERCENT", requires = "ramp", value_parser = clap::value_parser!(u32).range(101..=1000))]
    pub(crate) overshoot: Option<u32>,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MediaArgs {
    /// No audio.
    #[arg(long, conflicts_with = "no_video")]
    pub(crate) no_audio: bool,
    /// No video.
    #[arg(long)]
    pub(crate) no_video: bool,
    /// Bits of video a second, such as 1500k or 1.5M; with --simulcast, of the best layer.
    #[arg(long, value_parser = bitrate, default_value = "1.5M")]
    pub(crate) bitrate: u64,
    /// Frames a second.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    pub(crate) fps: u32,
    /// How the packets of a frame are spaced.
    #[arg(long, value_enum, default_value = "chromium")]
    pub(crate) spacing: Spacing,
    /// How many times as large a keyframe is.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) keyframe_factor: u32,
    /// Video in three layers.
    #[arg(long)]
    pub(crate) simulcast: bool,
    /// Ask for lost packets of video, and repeat those that others ask for (the default).
    #[arg(long, conflicts_with = "no_nack")]
    pub(crate) nack: bool,
    /// Lost packets stay lost.
    #[arg(long)]
    pub(crate) no_nack: bool,
    /// Percent of all packets that are dropped here, of those that go and of those that come.
    #[arg(long, default_value_t = 0.0, value_parser = percent, value_name = "PERCENT")]
    pub(crate) loss: f64,
    /// A picture that stands longer than this is frozen.
    #[arg(long, default_value_t = 150.0, value_parser = positive, value_name = "MS")]
    pub(crate) freeze_ms: f64,
}

/// What a client sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media {
    pub(crate) audio: bool,
    pub(crate) video: bool,
    pub(crate) bitrate: u64,
    pub(crate) simulcast: bool,
}

/// What scenarios without media go by.
impl Default for Media {
    fn default() -> Self {
        Self { audio: false, video: false, bitrate: 0, simulcast: false }
    }
}

impl MediaArgs {
    pub(crate) const fn media(&self) -> Media {
        Media {
            audio: !self.no_audio,
            video: !self.no_video,
            bitrate: self.bitrate,
            simulcast: self.simulcast,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            fps: self.fps,
            spacing: self.spacing,
            keyframe_factor: self.keyframe_factor,
            nack: !self.no_nack,
            loss: self.loss,
            freeze_ns: (self.freeze_ms * 1e6) as u64,
        }
    }
}

impl Common {
    /// How long to measure.
    pub(crate) fn duration(&self) -> Duration {
        self.duration.unwrap_or(Duration::from_secs(30))
    }

    /// How long to wait before that.
    pub(crate) fn warm_up(&self) -> Duration {
        self.warm_up.unwrap_or(Duration::from_secs(5))
    }

    /// The address of the API.
    pub(crate) fn url(&self) -> Result<String, String> {
        let Some(url) = &self.server else {
            return Ok(match self.transport {
                Some(Transport::Http) => "http://127.0.0.1:8088/janus".to_owned(),
                _ => "ws://127.0.0.1:8188".to_owned(),
            });
        };
        let (scheme, rest) = url.split_once("://").ok_or(format!("--server {url}: no scheme"))?;
        let over = match scheme {
            "ws" | "wss" => Transport::Ws,
            "http" | "https" => Transport::Http,
            _ => return Err(format!("--server {url}: neither ws, wss, http nor https")),
        };
        if rest.is_empty() || rest.starts_with('/') {
            return Err(format!("--server {url}: no host"));
        }
        if self.transport.is_some_and(|wanted| wanted != over) {
            return Err(format!("--server {url} and --transport do not fit together"));
        }
        Ok(url.clone())
    }
}

impl Options {
    /// What clap cannot check.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.common.url()?;
        if self.common.duration().is_zero() {
            return Err("--duration is zero".to_owned());
        }
        self.check_effect()?;
        if let Scenario::Videoroom(room) = &self.scenario {
            if room.room.is_some() && room.rooms > 1 {
                return Err("--room names one room, --rooms asks for more".to_owned());
            }
            if room.meeting && room.publishers < 2 {
                return Err("--meeting needs two --publishers at least".to_owned());
            }
        }
        if let Scenario::Signalling(signalling) = &self.scenario
            && signalling.shared_connections
            && !self.common.url()?.starts_with("http")
        {
            return Err(
                "--shared-connections is about HTTP: over WebSocket each session has a connection".to_owned()
            );
        }
        let Some(media) = self.media() else { return Ok(()) };
        if media.simulcast && media.no_video {
            return Err("--simulcast is about video, which --no-video leaves out".to_owned());
        }
        let (least, most) = Schedule::bitrates(media.fps);
        let poorest = media.bitrate / if media.simulcast { LAYERS.map(|(_, part)| part)[2] } else { 1 };
        if !media.no_video && (poorest < least || media.bitrate > most) {
            let (of, factor) = if media.simulcast { (" in three layers", LAYERS[2].1) } else { ("", 1) };
            return Err(format!(
                "--bitrate: {} frames a second{of} take {} to {most} bits a second",
                media.fps,
                least * factor
            ));
        }
        Ok(())
    }

    /// An option that would do nothing is a mistake of whoever gives it.
    fn check_effect(&self) -> Result<(), String> {
        let given = |name, is: bool| is.then_some(name);
        let common = &self.common;
        let measured =
            [given("--duration", common.duration.is_some()), given("--warm-up", common.warm_up.is_some())];
        let of_media = [
            given("--max-loss", common.max_loss.is_some()),
            given("--max-p99-ms", common.max_p99_ms.is_some()),
            given("--address", common.address.is_some()),
            given("--threads", common.threads.is_some()),
        ];
        let without_effect: Vec<&str> = match &self.scenario {
            Scenario::Signalling(_) => measured.into_iter().chain(of_media).flatten().collect(),
            Scenario::Idle(_) => of_media.into_iter().flatten().collect(),
            Scenario::Videoroom(room) if room.ramp.is_some() => measured.into_iter().flatten().collect(),
            _ => Vec::new(),
        };
        if without_effect.is_empty() {
            return Ok(());
        }
        let ramp = matches!(&self.scenario, Scenario::Videoroom(_));
        let what = if ramp { "videoroom --ramp" } else { self.name() };
        Err(format!("{} without effect with {what}", without_effect.join(", ")))
    }

    /// What is sent, if anything is.
    pub(crate) const fn media(&self) -> Option<&MediaArgs> {
        match &self.scenario {
            Scenario::Videoroom(room) => Some(&room.media),
            Scenario::Echotest(echo) => Some(&echo.media),
            Scenario::Videocall(calls) => Some(&calls.media),
            Scenario::Churn(churn) => Some(&churn.media),
            Scenario::Signalling(_) | Scenario::Idle(_) => None,
        }
    }

    /// The scenario's name.
    pub(crate) const fn name(&self) -> &'static str {
        match &self.scenario {
            Scenario::Videoroom(_) => "videoroom",
            Scenario::Echotest(_) => "echotest",
            Scenario::Videocall(_) => "videocall",
            Scenario::Signalling(_) => "signalling",
            Scenario::Churn(_) => "churn",
            Scenario::Idle(_) => "idle",
        }
    }
}

fn ramp(text: &str) -> Result<Ramp, String> {
    let numbers: Option<Vec<u32>> = text.split(':').map(|n| n.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[start, step, end]) if start > 0 && step > 0 && end >= start => Ok(Ramp { start, step, end }),
        _ => Err(format!("{text} is no START:STEP:END with 0 < START <= END and 0 < STEP")),
    }
}

/// `30s`, `2m`, `1h`, `500ms`, or seconds alone.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit} is no unit of time: ms, s, m or h")),
    };
    let number: f64 = number.parse().map_err(|_| format!("{text} is no time"))?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| format!("{text} is no time"))
}

fn bitrate(text: &str) -> Result<u64, String> {
    let (number, factor) = match text.as_bytes() {
        [.., b'k' | b'K'] => (&text[..text.len() - 1], 1e3),
        [.., b'm' | b'M'] => (&text[..text.len() - 1], 1e6),
        _ => (text, 1.0),
    };
    let number: f64 = number.parse().map_err(|_| format!("{text} is no bitrate"))?;
    let rate = number * factor;
    if !(10_000.0..=1e9).contains(&rate) {
        return Err("a bitrate lies between 10k and 1000M".to_owned());
    }
    Ok(rate as u64)
}

fn threads(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| format!("{text} is no number"))?;
    if (1..=1024).contains(&number) { Ok(number) } else { Err("from 1 to 1024".to_owned()) }
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    if (0.0..=100.0).contains(&number) {
        Ok(number)
    } else {
        Err("a share lies between 0 and 100".to_owned())
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("must be above 0".to_owned()) }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
