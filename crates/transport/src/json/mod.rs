//! JSON as Janus' clients meet it: jansson's strictness on the way in; its three spellings on the way out are the `api` crate's.

mod parse;

pub use parse::{Syntax, parse, parse_all};
pub use portunus_api::{JsonFormat, Spelling};
