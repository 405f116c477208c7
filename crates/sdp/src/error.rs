//! What can be wrong with a description.

/// Why a description or a candidate was refused. [`Error::janus_text`] is the reason of Janus' error 465.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text does not begin with `v=`.
    #[error("Invalid SDP (doesn't start with v=)")]
    NotSdp,
    /// No `o=`, `s=` or `m=` line.
    #[error("Missing mandatory lines (o=, s= or m=)")]
    MissingLines,
    /// The m-line of the transport has no ICE credentials or no usable fingerprint, own or of the session.
    #[error("no {0} for the first m-line")]
    NoTransport(&'static str),
    /// A limit of [`crate::limits`] is exceeded.
    #[error("Invalid SDP (more than {limit} {what})")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A line that cannot be read.
    #[error("{what}: {text}")]
    Malformed {
        /// Its number, counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
        /// Its beginning, without control characters.
        text: String,
    },
    /// A candidate text that cannot be read.
    #[error("invalid candidate: {0}")]
    Candidate(&'static str),
}

impl Error {
    /// The reason of the 465 error a client gets for it.
    pub fn janus_text(&self) -> String {
        match self {
            Error::NoTransport(_) | Error::Candidate(_) => "Error processing SDP".to_owned(),
            other => other.to_string(),
        }
    }
}
