//! JSON as Janus' clients meet it: jansson's strictness on the way in, its three spellings on the way out.

mod parse;
mod write;

pub use parse::{Syntax, parse, parse_all};
pub use write::{JsonFormat, Spelling};
