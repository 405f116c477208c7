//! The command line: Janus' letters and names, read but not yet judged.
//!
//! Values stay text here: `settings` lays them over the files and checks them there, so that a bad value gives
//! the same message wherever it came from. Deliberately absent: any effect.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;

use crate::settings::{ContainerDefaults, Secret};

/// The API level of Janus whose command line, files and answers we follow.
pub(crate) const JANUS_VERSION: &str = "1.4.2";

/// What stood on the command line.
#[derive(Parser, Debug, Clone, Default)]
#[command(
    name = "portunus",
    about = "A WebRTC media gateway that speaks the Janus API",
    after_help = "portunus doctor [options] looks at this machine as the gateway would use it, and says what to change.\n\
                  portunus start [options] is the entry point of the container: samples, generator script, then the gateway.\n\
                  portunus healthcheck [options] asks the gateway in this container how it is: exit code 0 or 1.",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true,
    max_term_width = 110
)]
pub(crate) struct Flags {
    /// Show this text
    #[arg(short = 'h', long)]
    help: bool,
    /// Show the version
    #[arg(short = 'V', long)]
    version: bool,
    /// Read all settings, list every problem and stop: exit code 0 if nothing is wrong or unknown
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Go to the background
    #[arg(short = 'b', long)]
    pub(crate) daemon: bool,
    /// Write the process id to this file and keep it locked
    #[arg(short = 'p', long, value_name = "path")]
    pub(crate) pid_file: Option<String>,
    /// Do not log to the standard output
    #[arg(short = 'N', long)]
    pub(crate) disable_stdout: bool,
    /// Log to the standard output even in the background
    #[arg(long)]
    pub(crate) log_stdout: bool,
    /// Log to this file
    #[arg(short = 'L', long, value_name = "path")]
    pub(crate) log_file: Option<String>,
    /// Open the log file anew on this signal (SIGUSR1 or SIGHUP)
    #[arg(short = 'R', long, value_name = "signal")]
    pub(crate) log_rotate_sig: Option<String>,
    /// Refuse to start with fewer open files allowed than this
    #[arg(short = 'l', long, value_name = "number")]
    pub(crate) check_openfiles_limits: Option<String>,
    /// Folder to work in when in the background [default: /]
    #[arg(short = 'H', long, value_name = "path")]
    pub(crate) cwd_path: Option<String>,
    /// Address or interface whose address stands in descriptions
    #[arg(short = 'i', long, value_name = "address")]
    pub(crate) interface: Option<String>,
    /// Accepted and not used: nothing is loaded at run time
    #[arg(short = 'P', long, value_name = "path")]
    pub(crate) plugins_folder: Option<String>,
    /// Configuration file to use
    #[arg(short = 'C', long, value_name = "file")]
    pub(crate) config: Option<String>,
    /// Folder of the configuration files
    #[arg(short = 'F', long, value_name = "path")]
    pub(crate) configs_folder: Option<String>,
    /// DTLS certificate
    #[arg(short = 'c', long, value_name = "file")]
    pub(crate) cert_pem: Option<String>,
    /// Key of the DTLS certificate
    #[arg(short = 'k', long, value_name = "file")]
    pub(crate) cert_key: Option<String>,
    /// Pass phrase of that key
    #[arg(short = 'K', long, value_name = "text", value_parser = secret)]
    pub(crate) cert_pwd: Option<Secret>,
    /// STUN server that tells our public addresses
    #[arg(short = 'S', long, value_name = "address:port")]
    pub(crate) stun_server: Option<String>,
    /// Public addresses to put in host candidates, with commas between them
    #[arg(short = '1', long = "nat-1-1", value_name = "ips")]
    pub(crate) nat_1_1: Option<String>,
    /// With --nat-1-1: keep the private addresses beside the public ones
    #[arg(short = '2', long)]
    pub(crate) keep_private_host: bool,
    /// The only interfaces to use (beginnings of names or addresses, with commas between them)
    #[arg(short = 'E', long, value_name = "list")]
    pub(crate) ice_enforce_list: Option<String>,
    /// Interfaces and addresses not to use [default: vmnet]
    #[arg(short = 'X', long, value_name = "list")]
    pub(crate) ice_ignore_list: Option<String>,
    /// Use IPv6 addresses
    #[arg(short = '6', long)]
    pub(crate) ipv6_candidates: bool,
    /// Use link-local IPv6 addresses too
    #[arg(short = 'O', long)]
    pub(crate) ipv6_link_local: bool,
    /// Send candidates one by one
    #[arg(short = 'f', long)]
    pub(crate) full_trickle: bool,
    /// With --full-trickle: milliseconds between our checks and our candidates [default: 0, at once]
    #[arg(long, value_name = "number")]
    pub(crate) trickle_hold_ms: Option<String>,
    /// With --full-trickle: milliseconds between our description and our candidates [default: 0, at once]
    #[arg(long, value_name = "number")]
    pub(crate) trickle_delay_ms: Option<String>,
    /// ICE lite: answer checks, send none
    #[arg(short = 'I', long)]
    pub(crate) ice_lite: bool,
    /// ICE over TCP
    #[arg(short = 'T', long)]
    pub(crate) ice_tcp: bool,
    /// Milliseconds for which sent packets are kept at least
    #[arg(short = 'Q', long, value_name = "number")]
    pub(crate) min_nack_queue: Option<String>,
    /// Seconds of silence after which a medium counts as stopped
    #[arg(short = 't', long, value_name = "number")]
    pub(crate) no_media_timer: Option<String>,
    /// Lost packets a second from which on a link is slow [default: 0, never]
    #[arg(short = 'W', long, value_name = "number")]
    pub(crate) slowlink_threshold: Option<String>,
    /// Ports for media
    #[arg(short = 'r', long, value_name = "min-max")]
    pub(crate) rtp_port_range: Option<String>,
    /// Milliseconds between transport-wide feedback messages [default: 200]
    #[arg(short = 'B', long, value_name = "number")]
    pub(crate) twcc_period: Option<String>,
    /// Public name of this server [default: MyJanusInstance]
    #[arg(short = 'n', long, value_name = "name")]
    pub(crate) server_name: Option<String>,
    /// Seconds until a silent session ends [default: 60]
    #[arg(short = 's', long, value_name = "number")]
    pub(crate) session_timeout: Option<String>,
    /// Seconds for which a session without its connection may be claimed [default: 0]
    #[arg(short = 'm', long, value_name = "number")]
    pub(crate) reclaim_session_timeout: Option<String>,
    /// 0 (nothing) to 7 (everything) [default: 4]
    #[arg(short = 'd', long, value_name = "0-7")]
    pub(crate) debug_level: Option<String>,
    /// Put the time before each log line
    #[arg(short = 'D', long)]
    pub(crate) debug_timestamps: bool,
    /// No colours in the log
    #[arg(short = 'o', long)]
    pub(crate) disable_colors: bool,
    /// Accepted and not used: there are no locks to debug
    #[arg(short = 'M', long)]
    pub(crate) debug_locks: bool,
    /// Secret that every request of the Janus API must carry
    #[arg(short = 'a', long, value_name = "text", value_parser = secret)]
    pub(crate) apisecret: Option<Secret>,
    /// Requests must carry a token
    #[arg(short = 'A', long)]
    pub(crate) token_auth: bool,
    /// Secret that tokens are signed with
    #[arg(long, value_name = "text", value_parser = secret)]
    pub(crate) token_auth_secret: Option<Secret>,
    /// Event handlers on
    #[arg(short = 'e', long)]
    pub(crate) event_handlers: bool,
    /// Plain RTP without DTLS, for tests only
    #[arg(short = 'w', long)]
    pub(crate) no_webrtc_encryption: bool,
    /// What is to be done
    #[arg(skip)]
    pub(crate) verb: Verb,
    /// The container's own defaults, for the verbs that are about it
    #[arg(skip)]
    pub(crate) container: Option<ContainerDefaults>,
    /// What is no option; ignored with a warning
    #[arg(hide = true)]
    pub(crate) rest: Vec<String>,
}

/// The first word, if it is one of these: what is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Verb {
    /// No such word: serve.
    #[default]
    Serve,
    /// `doctor`: look at this machine.
    Doctor,
    /// `start`: the container's entry point.
    Start,
    /// `healthcheck`: ask the running gateway how it is.
    Healthcheck,
}

impl Verb {
    fn named(word: &OsString) -> Option<Self> {
        match word.to_str()? {
            "doctor" => Some(Self::Doctor),
            "start" => Some(Self::Start),
            "healthcheck" => Some(Self::Healthcheck),
            _ => None,
        }
    }
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::from(text))
}

/// Why the program ends before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Exit code.
    pub(crate) code: i32,
    /// What to print: on the standard output if `code` is 0, else on the standard error.
    pub(crate) text: String,
}

impl Flags {
    /// Reads the command line; the first of `args` is the program's name.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Stop> {
        let mut args: Vec<OsString> = args.into_iter().collect();
        let verb = args.get(1).and_then(Verb::named);
        if verb.is_some() {
            args.remove(1);
        }
        let mut command = Self::command().mut_args(|arg| {
            // As in Janus, an option takes the next word whatever it looks like.
            let takes_value = arg.get_action().takes_values() && !arg.is_positional();
            arg.allow_hyphen_values(takes_value)
        });
        let mut flags = command
            .try_get_matches_from_mut(&args)
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| Stop { code: 1, text: explain(&error, &args) })?;
        if flags.help {
            return Err(Stop { code: 0, text: command.render_help().to_string() });
        }
        if flags.version {
            let text = format!("Portunus {} (Janus API {JANUS_VERSION})\n", env!("CARGO_PKG_VERSION"));
            return Err(Stop { code: 0, text });
        }
        flags.verb = verb.unwrap_or_default();
        Ok(flags)
    }
}

/// Janus' words where it has words for it.
fn explain(error: &clap::Error, args: &[OsString]) -> String {
    let words = || args.iter().skip(1).map(|arg| arg.to_string_lossy());
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => name.clone(),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            // Janus shows the whole word: `--nosuch=5`, or a bundle of letters.
            let guilty = |word: &str| match (named.strip_prefix("--"), named.strip_prefix('-')) {
                (Some(_), _) => word.starts_with(&named),
                (None, Some(letter)) => {
                    word.starts_with('-') && !word.starts_with("--") && word.contains(letter)
                }
                _ => false,
            };
            let word = words().find(|word| guilty(word)).map_or(named.clone(), |word| word.into_owned());
            format!("Unknown option {word}\n")
        }
        ErrorKind::InvalidValue | ErrorKind::TooFewValues => {
            format!("Missing argument for {}\n", words().next_back().unwrap_or_default())
        }
        ErrorKind::TooManyValues => format!("{named} takes no value\n"),
        _ => format!("{}\n", error.render().to_string().lines().next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Flags, Stop> {
        Flags::read(std::iter::once("portunus").chain(words.iter().copied()).map(OsString::from))
    }

    #[test]
    fn words_that_are_no_option_end_the_program_as_in_janus() {
        let table: [(&[&str], &str); 9] = [
            (&["--nosuch"], "Unknown option --nosuch\n"),
            (&["--nosuch=5"], "Unknown option --nosuch=5\n"),
            (&["-d", "4", "--debug-levels"], "Unknown option --debug-levels\n"),
            (&["-Z"], "Unknown option -Z\n"),
            (&["-NZ"], "Unknown option -NZ\n"),
            (&["-S"], "Missing argument for -S\n"),
            (&["-o", "--stun-server"], "Missing argument for --stun-server\n"),
            (&["-oS"], "Missing argument for -oS\n"),
            (&["--daemon=1"], "--daemon takes no value\n"),
        ];
        for (words, wanted) in table {
            let stop = read(words).expect_err("refused");
            assert_eq!((stop.code, stop.text.as_str()), (1, wanted), "{words:?}");
        }
    }

    #[test]
    fn help_and_version_end_the_program_well() {
        for word in ["-V", "--version"] {
            let stop = read(&["-d", "4", word]).expect_err("stops");
            assert_eq!(stop.code, 0);
            assert!(stop.text.contains(env!("CARGO_PKG_VERSION")), "{}", stop.text);
            assert!(stop.text.contains(JANUS_VERSION), "{}", stop.text);
        }
        for word in ["-h", "--help"] {
            let stop = read(&[word]).expect_err("stops");
            assert_eq!(stop.code, 0);
            let letters = "bpNLRlHiPCFckKS12EX6OfITQtWrBnsmdDoMaAewhV".chars();
            for letter in letters {
                assert!(stop.text.contains(&format!("-{letter}, --")), "-{letter}:\n{}", stop.text);
            }
        }
    }

    #[test]
    fn a_value_may_stand_behind_its_option_in_every_way_and_the_last_one_wins() {
        for words in [
            &["-d", "5"][..],
            &["-d5"],
            &["--debug-level", "5"],
            &["--debug-level=5"],
            &["-od5"],
            &["-d", "1", "--debug-level=5", "-o", "-o"],
        ] {
            assert_eq!(read(words).expect("reads").debug_level.as_deref(), Some("5"), "{words:?}");
        }
        let flags = read(&["-n", "-o", "-r", "--daemon"]).expect("reads");
        assert_eq!((flags.server_name.as_deref(), flags.disable_colors), (Some("-o"), false));
        assert_eq!((flags.rtp_port_range.as_deref(), flags.daemon), (Some("--daemon"), false));
    }

    #[test]
    fn words_without_a_dash_are_kept_aside() {
        let flags = read(&["one", "-o", "two", "--", "-d"]).expect("reads");
        assert_eq!(flags.rest, ["one", "two", "-d"]);
        assert!(flags.disable_colors);
    }

    #[test]
    fn a_verb_is_the_first_word_and_options_follow() {
        for (words, verb) in [
            (&["-o"][..], Verb::Serve),
            (&["doctor", "-o"], Verb::Doctor),
            (&["start", "-o"], Verb::Start),
            (&["healthcheck", "-o"], Verb::Healthcheck),
        ] {
            let flags = read(words).expect("reads");
            assert!(flags.verb == verb && flags.disable_colors && flags.rest.is_empty(), "{words:?}");
        }
        let flags = read(&["-o", "start"]).expect("reads");
        assert_eq!((flags.verb, flags.rest.as_slice()), (Verb::Serve, &["start".to_owned()][..]));
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let flags = read(&["-a", "hunter2", "--token-auth-secret=hunter2", "-K", "hunter2"]).expect("reads");
        assert_eq!(flags.apisecret.as_ref().map(Secret::expose), Some("hunter2"));
        assert!(!format!("{flags:?}").contains("hunter2"));
    }
}
