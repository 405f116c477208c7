//! `mjr2pcap` as a program of its own; `portunus-pp-rec` does the same when it is called so.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

// The other tools use all of it.
#[allow(dead_code)]
#[path = "../output.rs"]
mod output;
#[path = "../mjr2pcap.rs"]
mod tool;

fn main() -> std::process::ExitCode {
    tool::main()
}
