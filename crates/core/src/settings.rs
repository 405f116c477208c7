//! Everything that can be set, with Janus' defaults, and the limits that cannot.

use crate::ServerInfo;
use portunus_api::HandleId;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the core has to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `api_secret`: wanted in `apisecret` of every request but `info` and `ping`.
    pub api_secret: Option<String>,
    /// `admin_secret`: wanted in `admin_secret` of every request of the Admin API but `info` and `ping`.
    pub admin_secret: Option<String>,
    /// Somebody can reach the Admin API: what it tells of each handle is kept.
    pub admin: bool,
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
    /// `allow_force_relay`: a client's offer may say that only relays are to be used (`force_relay`).
    pub allow_force_relay: bool,
    /// `allow_loop_indication`: a client may choose its worker by `loop_index`.
    pub allow_loop_indication: bool,
    /// Workers of the media engine.
    pub workers: usize,
    /// `broadcast`: somebody wants [`Output::Notify`](crate::Output::Notify); none is made otherwise.
    pub broadcast: bool,
    /// `combine_media_stats`: the statistics of all media of a PeerConnection in one notice.
    pub combine_media_stats: bool,
    /// `stats_period`, seconds: told, not obeyed here.
    pub stats_period: u32,
    /// The number of `log_rotate_sig`, 0 without: told, not obeyed here.
    pub log_rotate_signal: i32,
    /// Sessions at a time; one more is refused with 490.
    pub max_sessions: usize,
    /// Handles of one session; one more is refused with 461.
    pub max_handles_per_session: usize,
    /// What the Admin API can change for others than the core.
    pub tuning: Tuning,
    /// What `info` tells of everything else.
    pub info: ServerInfo,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_secret: None,
            admin_secret: None,
            admin: false,
            token_auth: false,
            token_auth_secret: None,
            session_timeout: Duration::from_secs(60),
            reclaim_session_timeout: Duration::ZERO,
            candidates_timeout: Duration::from_secs(45),
            full_trickle: false,
            opaqueid_in_api: false,
            allow_force_relay: false,
            allow_loop_indication: false,
            workers: 1,
            broadcast: false,
            combine_media_stats: false,
            stats_period: 1,
            log_rotate_signal: 0,
            max_sessions: 100_000,
            max_handles_per_session: 10_000,
            tuning: Tuning::default(),
            info: ServerInfo::default(),
        }
    }
}

/// What of [`Settings`] a running core takes over when they are read again.
#[derive(Clone, Debug)]
pub struct Reload {
    /// See [`Settings::api_secret`].
    pub api_secret: Option<String>,
    /// See [`Settings::admin_secret`].
    pub admin_secret: Option<String>,
    /// See [`Settings::session_timeout`].
    pub session_timeout: Duration,
    /// See [`Settings::reclaim_session_timeout`].
    pub reclaim_session_timeout: Duration,
    /// See [`Settings::candidates_timeout`].
    pub candidates_timeout: Duration,
    /// See [`ServerInfo::ice_servers`].
    pub ice_servers: bool,
    /// See [`Settings::tuning`].
    pub tuning: Tuning,
}

/// What can be changed while running and takes effect elsewhere: in the log and in the media engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// `debug_level`: 0 nothing to 7 everything.
    pub log_level: u8,
    /// Handles of which more is logged, and up to which level.
    pub log_handles: BTreeMap<HandleId, u8>,
    /// `debug_timestamps`
    pub log_timestamps: bool,
    /// `debug_colors`
    pub log_colors: bool,
    /// `debug_locks`: there are no locks to tell of; kept because clients show it.
    pub locking_debug: bool,
    /// `refcount_debug`: there are no references to count; kept because clients show it.
    pub refcount_debug: bool,
    /// `min_nack_queue`, milliseconds.
    pub min_nack_queue: u32,
    /// `nack_optimizations`
    pub nack_optimizations: bool,
    /// `no_media_timer`, seconds.
    pub no_media_timer: u32,
    /// `slowlink_threshold`, packets a second.
    pub slowlink_threshold: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            log_level: 4,
            log_handles: BTreeMap::new(),
            log_timestamps: false,
            log_colors: true,
            locking_debug: false,
            refcount_debug: false,
            min_nack_queue: 200,
            nack_optimizations: false,
            no_media_timer: 1,
            slowlink_threshold: 0,
        }
    }
}

/// What has a limit that nobody needs to set.
pub mod limits {
    use std::time::Duration;

    /// How often sessions are looked at for their timeout.
    pub const WATCHDOG: Duration = Duration::from_secs(2);
    /// How often event handlers are told how much there is.
    pub const UPDATE: Duration = Duration::from_secs(15);
    /// How often plugins are told the time.
    pub const TICK: Duration = Duration::from_secs(1);
    /// Idle sessions that are ended at a time while the process ends: calls that go on are not to wait for that, nor are the servers where
    /// all of them go next.
    pub const IDLE_ENDED: usize = 500;
    /// Bytes of a `trickle` request that is kept. A longer one is dropped.
    pub const EARLY_TRICKLE_BYTES: usize = 16 << 10;
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
    /// Questions of operators that are open at a time; one more fails at once.
    pub const QUESTIONS: usize = 64;
    /// How long the answer to a question may take; then it has failed.
    pub const QUESTION: Duration = Duration::from_secs(6);
    /// Stored tokens; one more is refused with 490.
    pub const TOKENS: usize = 100_000;
    /// `min_nack_queue` at most, milliseconds.
    pub const NACK_QUEUE: u32 = 1000;
    /// Handles of which more is logged at a time; one more is refused with 490.
    pub const LOG_HANDLES: usize = 64;
    /// Bytes of an `opaque_id`; a longer one is refused with 467.
    pub const OPAQUE_ID_BYTES: usize = 1024;
}
