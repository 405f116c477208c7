//! What can be wrong with a text, and where.

use crate::ast::Place;

/// One thing wrong with a document. Displayed as `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Error {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

/// Every reason to refuse a document. Displayed as a plain sentence without a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Something else stands where `wanted` should.
    #[error("expected {wanted}, found {found}")]
    Unexpected {
        /// What the grammar wants here.
        wanted: &'static str,
        /// What stands here, shortened.
        found: String,
    },
    /// A bare word in the place of a value.
    #[error("`{0}` is not a value: texts stand in double quotes")]
    BareWord(String),
    /// A `/*` without its `*/`.
    #[error("this comment is never closed")]
    OpenComment,
    /// A text without its closing quote.
    #[error("this text is never closed: its ending double quote is missing")]
    OpenText,
    /// A `{`, `(` or `[` without its partner.
    #[error("this `{0}` is never closed")]
    OpenBracket(char),
    /// A text that is not UTF-8 after its `\x` escapes, or that holds a NUL.
    #[error("the escapes of this text do not make valid UTF-8 text")]
    BadText,
    /// An integer outside of 64 bits.
    #[error("the number {0} is out of range")]
    NumberOutOfRange(String),
    /// The same name twice in one group.
    #[error("duplicate setting `{name}`, first set at {first}")]
    Duplicate {
        /// The name.
        name: String,
        /// Where it was first.
        first: Place,
    },
    /// An array `[ ]` whose values are not all of one scalar kind.
    #[error("an array [ ] holds values of one kind only: {0} among {1} (a list ( ) may mix them)")]
    MixedArray(&'static str, &'static str),
    /// A group, list or array inside an array.
    #[error("an array [ ] holds single values only (a list ( ) may hold anything)")]
    NestedArray,
    /// Not a name by libconfig's rules.
    #[error("`{0}` is not a name: letters, digits, `-`, `_` and `*`, not starting with a digit, `-` or `_`")]
    BadName(String),
    /// A name above [`crate::MAX_NAME_BYTES`].
    #[error("a name is longer than {} bytes", crate::MAX_NAME_BYTES)]
    LongName,
    /// The caller could not give an included file.
    #[error("@include \"{pattern}\": {reason}")]
    Include {
        /// As written.
        pattern: String,
        /// The caller's reason.
        reason: String,
    },
    /// `@include` anywhere but between settings.
    #[error("@include may stand only where a setting may stand")]
    MisplacedInclude,
    /// A variable that is not there, or empty, and has no default.
    #[error("the variable `{0}` is not set: set it, write `${{{0}:-default}}`, or `$${{` for a plain `${{`")]
    Unset(String),
    /// A `${` that begins no reference.
    #[error("a reference is `${{NAME}}` or `${{NAME:-default}}`, and `$${{` stands for a plain `${{`")]
    BadReference,
    /// Above [`crate::MAX_INCLUDE_DEPTH`].
    #[error("files include one another more than {} deep", crate::MAX_INCLUDE_DEPTH)]
    IncludeDepth,
    /// Above [`crate::MAX_INCLUDED_FILES`].
    #[error("more than {} files are included", crate::MAX_INCLUDED_FILES)]
    TooManyFiles,
    /// Above [`crate::MAX_NESTING`].
    #[error("values are nested more than {} deep", crate::MAX_NESTING)]
    TooDeep,
    /// Above [`crate::MAX_BYTES`].
    #[error("the text is longer than {} bytes", crate::MAX_BYTES)]
    TooLong,
    /// Above [`crate::MAX_VALUES`].
    #[error("more than {} values", crate::MAX_VALUES)]
    TooManyValues,
}

/// Something accepted that deserves a word. Displayed as a plain sentence without a place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A path without quotes, which libconfig refuses.
    UnquotedPath(String),
    /// Two names of one group differ only in case: Janus finds the first.
    CaseTwin {
        /// The later name, which no look-up finds.
        name: String,
        /// Where the first one is.
        first: Place,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnquotedPath(path) => write!(f, "{path} should stand in double quotes"),
            Self::CaseTwin { name, first } => {
                write!(f, "`{name}` has no effect: the same name in other letter case is set at {first}")
            }
        }
    }
}
