//! What a request is refused with.

use portunus_api::{FieldError, Value, json};

/// The codes of Janus' VideoCall.
pub(crate) mod code {
    pub(crate) const INVALID_REQUEST: u16 = 472;
    pub(crate) const REGISTER_FIRST: u16 = 473;
    pub(crate) const INVALID_ELEMENT: u16 = 474;
    pub(crate) const MISSING_ELEMENT: u16 = 475;
    pub(crate) const USERNAME_TAKEN: u16 = 476;
    pub(crate) const ALREADY_REGISTERED: u16 = 477;
    pub(crate) const NO_SUCH_USERNAME: u16 = 478;
    pub(crate) const USE_ECHO_TEST: u16 = 479;
    pub(crate) const ALREADY_IN_CALL: u16 = 480;
    pub(crate) const NO_CALL: u16 = 481;
    pub(crate) const MISSING_SDP: u16 = 482;
    pub(crate) const INVALID_SDP: u16 = 483;
}

/// An error as the client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: u16,
    text: String,
}

impl Refusal {
    pub(crate) fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(code::INVALID_ELEMENT, text)
    }

    pub(crate) fn missing_sdp() -> Self {
        Self::new(code::MISSING_SDP, "Missing SDP")
    }

    /// `plugindata.data`.
    pub(crate) fn to_value(&self) -> Value {
        json!({ "videocall": "event", "error_code": self.code, "error": self.text })
    }
}

impl From<FieldError> for Refusal {
    fn from(error: FieldError) -> Self {
        let code = match error {
            FieldError::Missing(_) => code::MISSING_ELEMENT,
            FieldError::Type(..) => code::INVALID_ELEMENT,
        };
        Self::new(code, error.to_string())
    }
}
