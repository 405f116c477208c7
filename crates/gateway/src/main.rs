//! Portunus: settings, build, run, drain.
fn main() {}
