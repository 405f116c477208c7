//! Everything that can be set, with Janus' defaults, and the limits that cannot.

use crate::ServerInfo;
use std::time::Duration;

/// What the core has to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `api_secret`: wanted in `apisecret` of every request but `info` and `ping`.
    pub api_secret: Option<String>,
    /// `token_auth`: a valid token is wanted, or the secret if there is one.
    pub token_auth: bool,
    /// `token_auth_secret`: tokens are signed with this; without it they are those stored by the Admin API.
    pub token_auth_secret: Option<String>,
    /// `session_timeout`; zero for never.
    pub session_timeout: Duration,
    /// `reclaim_session_timeout`: how long a session outlives its connection; zero for not at all.
    pub reclaim_session_timeout: Duration,
    /// `candidates_timeout`: how long candidates wait for the offer they belong to.
    pub candidates_timeout: Duration,
    /// `full_trickle`: descriptions leave without candidates, which follow in `trickle` events.
    pub full_trickle: bool,
    /// `opaqueid_in_api`: replies and events of a handle carry its `opaque_id`.
    pub opaqueid_in_api: bool,
    /// `allow_loop_indication`: a client may choose its worker by `loop_index`.
    pub allow_loop_indication: bool,
    /// Workers of the media engine.
    pub workers: usize,
    /// `broadcast`: somebody wants [`Output::Notify`](crate::Output::Notify); none is made otherwise.
    pub broadcast: bool,
    /// Sessions at a time; one more is refused with 490.
    pub max_sessions: usize,
    /// Handles of one session; one more is refused with 461.
    pub max_handles_per_session: usize,
    /// What `info` tells of everything else.
    pub info: ServerInfo,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_secret: None,
            token_auth: false,
            token_auth_secret: None,
            session_timeout: Duration::from_secs(60),
            reclaim_session_timeout: Duration::ZERO,
            candidates_timeout: Duration::from_secs(45),
            full_trickle: false,
            opaqueid_in_api: false,
            allow_loop_indication: false,
            workers: 1,
            broadcast: false,
            max_sessions: 100_000,
            max_handles_per_session: 10_000,
            info: ServerInfo::default(),
        }
    }
}

/// What has a limit that nobody needs to set.
pub mod limits {
    use std::time::Duration;

    /// How often sessions are looked at for their timeout.
    pub const WATCHDOG: Duration = Duration::from_secs(2);
    /// How often plugins are told the time.
    pub const TICK: Duration = Duration::from_secs(1);
    /// `trickle` requests kept for a handle whose offer or answer is not there yet; the oldest goes first.
    pub const EARLY_TRICKLES: usize = 64;
    /// Candidates taken from one `trickle` request; further ones are left out.
    pub const CANDIDATES_PER_REQUEST: usize = 128;
    /// Requests and descriptions kept for a handle while its old PeerConnection closes; one more is refused with 471.
    pub const WAITING_REQUESTS: usize = 16;
    /// Requests kept for a handle while an earlier one waits for a task; one more is refused with 490.
    pub const WAITING_FOR_TASK: usize = 64;
    /// Tasks of all plugins at a time; one more fails at once.
    pub const TASKS: usize = 256;
    /// How long a task may take; then its plugin is told that it failed.
    pub const TASK: Duration = Duration::from_secs(5);
    /// How long the media engine may take to close a PeerConnection; then it counts as closed.
    pub const CLOSING: Duration = Duration::from_secs(3);
    /// How long a description waits for its candidates; then its PeerConnection is given up.
    pub const GATHERING: Duration = Duration::from_secs(5);
    /// Descriptions of one handle that wait for the media engine.
    pub const WAITING_DESCRIPTIONS: usize = 8;
    /// Events of one handle that wait behind a description; one more overtakes them.
    pub const WAITING_EVENTS: usize = 512;
    /// Bytes of an `opaque_id`; a longer one is refused with 467.
    pub const OPAQUE_ID_BYTES: usize = 1024;
}
