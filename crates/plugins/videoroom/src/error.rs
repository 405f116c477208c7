//! What a request is refused with.

use portunus_api::{FieldError, Value, json};

/// The codes of Janus' VideoRoom.
pub(crate) mod code {
    pub(crate) const INVALID_REQUEST: u16 = 423;
    pub(crate) const JOIN_FIRST: u16 = 424;
    pub(crate) const ALREADY_JOINED: u16 = 425;
    pub(crate) const NO_SUCH_ROOM: u16 = 426;
    pub(crate) const ROOM_EXISTS: u16 = 427;
    pub(crate) const NO_SUCH_FEED: u16 = 428;
    pub(crate) const MISSING_ELEMENT: u16 = 429;
    pub(crate) const INVALID_ELEMENT: u16 = 430;
    pub(crate) const INVALID_SDP_TYPE: u16 = 431;
    pub(crate) const PUBLISHERS_FULL: u16 = 432;
    pub(crate) const UNAUTHORIZED: u16 = 433;
    pub(crate) const ALREADY_PUBLISHED: u16 = 434;
    pub(crate) const NOT_PUBLISHED: u16 = 435;
    pub(crate) const ID_EXISTS: u16 = 436;
    pub(crate) const INVALID_SDP: u16 = 437;
    pub(crate) const INVALID_FEED: u16 = 438;
    pub(crate) const UNKNOWN: u16 = 499;
}

/// An error as the client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(code::INVALID_ELEMENT, text)
    }

    pub(crate) fn unauthorized(what: &str) -> Self {
        Self::new(code::UNAUTHORIZED, format!("Unauthorized ({what})"))
    }

    /// The handle was in a room, and is in none any more.
    pub(crate) fn room_gone() -> Self {
        Self::new(code::NO_SUCH_ROOM, "No such room")
    }

    /// What stands in the way is that we do not have it yet.
    pub(crate) fn not_built(what: &str) -> Self {
        Self::new(code::UNKNOWN, format!("{what} is not available in this version of the gateway"))
    }

    /// `plugindata.data`.
    pub(crate) fn to_value(&self) -> Value {
        json!({ "videoroom": "event", "error_code": self.code, "error": self.text })
    }
}

impl From<FieldError> for Refusal {
    fn from(e: FieldError) -> Self {
        let code = match e {
            FieldError::Missing(_) => code::MISSING_ELEMENT,
            FieldError::Type(..) => code::INVALID_ELEMENT,
        };
        Self::new(code, e.to_string())
    }
}
