//! What a reader of settings has to tell: one line each, with the place it is about.

use std::fmt;
use std::sync::Arc;

use crate::ast::Place;
use crate::error::Error;

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Something will not do what the text suggests.
    Warning,
    /// The settings cannot be used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What a [`Problem`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The text cannot be read: syntax, duplicates, missing files.
    Syntax,
    /// A known setting with a value it cannot take.
    BadValue,
    /// A setting or section that nobody knows.
    Unknown,
    /// A known setting or file whose feature does not exist.
    NotSupported,
    /// Anything else: advice, doubtful values.
    Advice,
}

/// One finding. Displayed as `file:line: severity: message`, without `:line` where there is no line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub kind: Kind,
    /// The file, or the origin of a value that stands in none (`environment X`, `option -S`).
    pub file: Arc<str>,
    /// The line, from 1; 0 = none.
    pub line: u32,
    /// One plain sentence.
    pub message: String,
}

impl Problem {
    /// A finding at `place`.
    pub fn at(place: &Place, severity: Severity, kind: Kind, message: impl Into<String>) -> Self {
        Self { severity, kind, file: place.file.clone(), line: place.line, message: message.into() }
    }

    /// A finding about a whole file or origin.
    pub fn of(file: &str, severity: Severity, kind: Kind, message: impl Into<String>) -> Self {
        Self { severity, kind, file: file.into(), line: 0, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}: {}", self.file, self.severity, self.message),
            line => write!(f, "{}:{line}: {}: {}", self.file, self.severity, self.message),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let column = error.place.column;
        let message = match column {
            0 => error.fault.to_string(),
            column => format!("{} (column {column})", error.fault),
        };
        Self::at(&error.place, Severity::Error, Kind::Syntax, message)
    }
}
