//! Janus' configuration files: libconfig text (`.jcfg`) to values and back.
//!
//! Purpose: [`parse`] turns text into a [`Document`] that knows the file, line and column of every setting
//! and keeps the comments; [`Document::print`] writes it back; [`Reader`] and [`Section`] read typed values
//! out of it and collect every [`Problem`] on the way instead of stopping at the first; [`edit`] changes one group of
//! a text and leaves the rest byte by byte; [`expand`] puts in what stands for `${NAME}`.
//!
//! Invariants: any text is either parsed or refused with its place and never panics; what was printed parses
//! to an equal document; all sizes are bounded by the constants below.
//!
//! Deliberately absent: files and folders (the caller resolves `@include`), the environment (the caller
//! looks variables up), the legacy INI
//! syntax (`.cfg`), and serde (the typed reader needs places and defaults that serde cannot carry).
//!
//! Differences from libconfig: an unquoted absolute path is taken as text with a warning (Debian's
//! `janus.transport.mqtt.jcfg` has two of them), a comma may end a list, numbers out of range are refused
//! instead of wrapped, and `@include` stands where a setting may stand, not in the middle of a value.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::as_conversions
    )
)]
#![warn(missing_docs)]

mod ast;
pub mod edit;
mod error;
mod expand;
mod glob;
mod lex;
mod nearest;
mod parse;
mod print;
mod problem;
mod reader;

pub use ast::{
    Comment, CommentStyle, Document, Entry, Group, Include, Integer, Item, List, Place, Radix, Setting,
    Trivia, Value, text_is_true,
};
pub use error::{Error, Fault, Notice};
pub use expand::{Lookup, escape, expand, expand_text};
pub use glob::{has_wildcard, matches_glob};
pub use nearest::nearest;
pub use parse::{IncludeRequest, IncludedFile, Parsed, parse, parse_without_includes};
pub use problem::{Kind, Problem, Severity};
pub use reader::{Reader, Section};

/// Most bytes of text in one document, its included files counted.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Deepest nesting of groups, lists and arrays.
pub const MAX_NESTING: usize = 64;
/// Deepest chain of files that include one another (libconfig's own limit).
pub const MAX_INCLUDE_DEPTH: usize = 10;
/// Most included files in one document.
pub const MAX_INCLUDED_FILES: usize = 256;
/// Most settings and list items in one document.
pub const MAX_VALUES: usize = 1_000_000;
/// Longest name of a setting, in bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// Errors kept before a parse gives up on a document.
pub const MAX_ERRORS: usize = 100;
