//! One TCP connection: its place among all, its deadlines, and the bytes in between.

mod admission;
mod allowance;
mod head_scan;
mod line;
mod pulse;
mod stream;

pub(crate) use admission::{Admission, Ticket};
pub(crate) use allowance::Allowance;
pub(crate) use line::Line;
pub(crate) use pulse::{Pulse, watched};
pub(crate) use stream::Stream;
