//! The verbs of the Admin API. Its envelope is that of [`crate::Request`].

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdminVerb {
    /// `info`
    Info,
    /// `ping`
    Ping,
    /// `get_status`
    GetStatus,
    /// `set_session_timeout`: of all sessions, or of the one addressed.
    SetSessionTimeout,
    /// `set_log_level`
    SetLogLevel,
    /// `set_locking_debug`
    SetLockingDebug,
    /// `set_refcount_debug`
    SetRefcountDebug,
    /// `set_log_timestamps`
    SetLogTimestamps,
    /// `set_log_colors`
    SetLogColors,
    /// `set_min_nack_queue`
    SetMinNackQueue,
    /// `set_nack_optimizations`
    SetNackOptimizations,
    /// `set_no_media_timer`
    SetNoMediaTimer,
    /// `set_slowlink_threshold`
    SetSlowlinkThreshold,
    /// `accept_new_sessions`
    AcceptNewSessions,
    /// `message_plugin`
    MessagePlugin,
    /// `query_transport`
    QueryTransport,
    /// `query_eventhandler`
    QueryEventHandler,
    /// `query_logger`
    QueryLogger,
    /// `custom_event`
    CustomEvent,
    /// `custom_logline`
    CustomLogline,
    /// `drain`, which is ours: let what goes on go on, take nothing new, and end.
    Drain,
    /// `list_sessions`
    ListSessions,
    /// `add_token`
    AddToken,
    /// `allow_token`
    AllowToken,
    /// `disallow_token`
    DisallowToken,
    /// `list_tokens`
    ListTokens,
    /// `remove_token`
    RemoveToken,
    /// `resolve_address`
    ResolveAddress,
    /// `test_stun`
    TestStun,
    /// `loops_info`
    LoopsInfo,
    /// `destroy_session`
    DestroySession,
    /// `list_handles`
    ListHandles,
    /// `detach_handle`
    DetachHandle,
    /// `hangup_webrtc`
    HangupWebrtc,
    /// `handle_info`
    HandleInfo,
    /// `explain_handle`, which is ours: why a stream is frozen or poor.
    ExplainHandle,
    /// `start_pcap`
    StartPcap,
    /// `stop_pcap`
    StopPcap,
    /// `start_text2pcap`
    StartText2pcap,
    /// `stop_text2pcap`
    StopText2pcap,
    /// A word the Admin API does not have.
    Other,
}

impl AdminVerb {
    const WORDS: [(&'static str, Self); 40] = [
        ("info", Self::Info),
        ("ping", Self::Ping),
        ("get_status", Self::GetStatus),
        ("set_session_timeout", Self::SetSessionTimeout),
        ("set_log_level", Self::SetLogLevel),
        ("set_locking_debug", Self::SetLockingDebug),
        ("set_refcount_debug", Self::SetRefcountDebug),
        ("set_log_timestamps", Self::SetLogTimestamps),
        ("set_log_colors", Self::SetLogColors),
        ("set_min_nack_queue", Self::SetMinNackQueue),
        ("set_nack_optimizations", Self::SetNackOptimizations),
        ("set_no_media_timer", Self::SetNoMediaTimer),
        ("set_slowlink_threshold", Self::SetSlowlinkThreshold),
        ("accept_new_sessions", Self::AcceptNewSessions),
        ("message_plugin", Self::MessagePlugin),
        ("query_transport", Self::QueryTransport),
        ("query_eventhandler", Self::QueryEventHandler),
        ("query_logger", Self::QueryLogger),
        ("custom_event", Self::CustomEvent),
        ("custom_logline", Self::CustomLogline),
        ("drain", Self::Drain),
        ("list_sessions", Self::ListSessions),
        ("add_token", Self::AddToken),
        ("allow_token", Self::AllowToken),
        ("disallow_token", Self::DisallowToken),
        ("list_tokens", Self::ListTokens),
        ("remove_token", Self::RemoveToken),
        ("resolve_address", Self::ResolveAddress),
        ("test_stun", Self::TestStun),
        ("loops_info", Self::LoopsInfo),
        ("destroy_session", Self::DestroySession),
        ("list_handles", Self::ListHandles),
        ("detach_handle", Self::DetachHandle),
        ("hangup_webrtc", Self::HangupWebrtc),
        ("handle_info", Self::HandleInfo),
        ("explain_handle", Self::ExplainHandle),
        ("start_pcap", Self::StartPcap),
        ("stop_pcap", Self::StopPcap),
        ("start_text2pcap", Self::StartText2pcap),
        ("stop_text2pcap", Self::StopText2pcap),
    ];

    /// The verb a word stands for, whatever its case.
    pub fn from_word(word: &str) -> Self {
        Self::WORDS.iter().find(|(w, _)| w.eq_ignore_ascii_case(word)).map_or(Self::Other, |(_, v)| *v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_ignore_case() {
        assert_eq!(AdminVerb::from_word("GET_status"), AdminVerb::GetStatus);
        assert_eq!(AdminVerb::from_word("create"), AdminVerb::Other);
    }
}
