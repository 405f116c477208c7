//! The one table of Janus' error codes.

use serde_json::{Value, json};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// An error code of the Janus or Admin API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number on the wire.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// Janus' text for the code when nothing more precise is known.
            pub const fn default_text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// The secret or token is wrong or missing.
    Unauthorized = 403, "Unauthorized request (wrong or missing secret/token)";
    /// The token does not allow this plugin.
    UnauthorizedPlugin = 405, "Unauthorized access to plugin (wrong token)";
    /// Something only this transport knows about.
    TransportSpecific = 450, "Transport specific error";
    /// No request at all.
    MissingRequest = 452, "Missing request";
    /// A verb that does not exist here.
    UnknownRequest = 453, "Unknown request";
    /// The text is not JSON.
    InvalidJson = 454, "Invalid JSON";
    /// The JSON is not an object, or an object in it is none.
    InvalidJsonObject = 455, "Invalid JSON Object";
    /// A required element is missing.
    MissingMandatoryElement = 456, "Missing mandatory element";
    /// A verb at the wrong level.
    InvalidRequestPath = 457, "Invalid path for this request";
    /// No such session.
    SessionNotFound = 458, "Session not found";
    /// No such handle.
    HandleNotFound = 459, "Handle not found";
    /// No such plugin.
    PluginNotFound = 460, "Plugin not found";
    /// The plugin refused the handle.
    PluginAttach = 461, "Error attaching plugin";
    /// The plugin failed on a message.
    PluginMessage = 462, "Error sending message to plugin";
    /// The plugin failed on a detach.
    PluginDetach = 463, "Error detaching from plugin";
    /// A jsep that is neither offer nor answer.
    JsepUnknownType = 464, "Unsupported JSEP type";
    /// The SDP cannot be used.
    JsepInvalidSdp = 465, "Invalid SDP";
    /// A candidate for a stream that does not exist.
    TrickleInvalidStream = 466, "Invalid stream";
    /// An element of the wrong type.
    InvalidElementType = 467, "Invalid element type";
    /// The wanted session id is taken.
    SessionConflict = 468, "Session ID already in use";
    /// An answer without an offer.
    UnexpectedAnswer = 469, "Unexpected ANSWER (no OFFER)";
    /// No such token.
    TokenNotFound = 470, "Token not found";
    /// The PeerConnection is in another state.
    WebrtcState = 471, "Wrong WebRTC state";
    /// The server is draining.
    NotAcceptingSessions = 472, "Currently not accepting new sessions";
    /// Everything else.
    Unknown = 490, "Unknown error";
}

/// What crosses to a client when a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// The text beside it.
    pub reason: String,
}

impl ApiError {
    /// An error with a text of its own.
    pub fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The `error` member of a reply.
    pub fn to_value(&self) -> Value {
        json!({ "code": self.code.code(), "reason": self.reason })
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.default_text())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.code.code())
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_are_unique() {
        assert!(ErrorCode::ALL.windows(2).all(|w| w[0].code() < w[1].code()));
    }

    #[test]
    fn an_error_is_written_code_first() {
        let e = ApiError::from(ErrorCode::SessionNotFound);
        assert_eq!(e.to_value().to_string(), r#"{"code":458,"reason":"Session not found"}"#);
    }
}
