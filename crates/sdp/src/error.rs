//! What can be wrong with a description.

/// Why a description or a candidate was refused. [`Error::janus_text`] is the text of Janus' error 465.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    #[error("more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A line that cannot be read.
    #[error("line {line}: {what}")]
    Malformed {
        /// Its number, counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A candidate text that cannot be read.
    #[error("invalid candidate: {0}")]
    Candidate(&'static str),
}

impl Error {
    /// The reason of the 465 error a client gets for it.
    pub fn janus_text(&self) -> &'static str {
        match self {
            Error::NotSdp => "Invalid SDP (doesn't start with v=)",
            Error::MissingLines => "Missing mandatory lines (o=, s= or m=)",
            Error::NoTransport(_)
            | Error::TooLarge { .. }
            | Error::Malformed { .. }
            | Error::Candidate(_) => "Error processing SDP",
        }
    }
}
