//! `portunus healthcheck`: asks the gateway of this container how it is.
//!
//! It reads what `start` reads, as far as that says where the health port is, and changes nothing.

use super::{Env, Layout, Parameters, adopt};
use crate::announce;
use crate::flags::Flags;
use crate::settings::{self, Disk};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than any answer has.
const MAX_ANSWER: usize = 4096;

/// Asks, says in a line what it heard, and gives the exit code: 0 if all is well.
pub(crate) fn healthcheck(flags: Flags, env: Env<'_>) -> ExitCode {
    match check(flags, env) {
        Ok(line) => {
            announce::say(&line);
            ExitCode::SUCCESS
        }
        Err(line) => {
            announce::complain(&line);
            ExitCode::FAILURE
        }
    }
}

fn check(flags: Flags, env: Env<'_>) -> Result<String, String> {
    let address = address(flags, env)?
        .ok_or("unhealthy: there is no health port to ask: `portunus.metrics_port` is 0")?;
    match ask(address, PATIENCE) {
        Ok((200, _)) => Ok(format!("healthy: http://{address}/healthz says so")),
        Ok((status, text)) => Err(format!("unhealthy: http://{address}/healthz answers {status}: {text}")),
        Err(error) => Err(format!("unhealthy: http://{address}/healthz: {error}")),
    }
}

/// Where the gateway that `start` has started tells of itself.
pub(super) fn address(mut flags: Flags, env: Env<'_>) -> Result<Option<SocketAddr>, String> {
    let layout = Layout::of(env);
    let parameters = Parameters::read(env).map_err(|failure| failure.text)?;
    let wanted = layout.configuration(&flags, &parameters, env);
    // The start has put the script there if, and only if, it has used that folder.
    let generated = parameters.script.as_ref().is_some_and(|name| layout.fallback().join(name).is_file());
    adopt(&mut flags, &layout, if generated { layout.fallback() } else { wanted });
    Ok(settings::health_address(&flags, env, &Disk).map(|mut address| {
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        address
    }))
}

/// Status and first line of the answer to `GET /healthz`.
pub(super) fn ask(address: SocketAddr, patience: Duration) -> io::Result<(u16, String)> {
    let deadline = Instant::now() + patience;
    let left = || match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
        left => Ok(left),
    };
    let mut connection = TcpStream::connect_timeout(&address, left()?)?;
    connection.set_write_timeout(Some(left()?))?;
    let head = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while answer.len() < MAX_ANSWER {
        connection.set_read_timeout(Some(left()?))?;
        match connection.read(&mut part) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
            }
            Err(error) => return Err(error),
        }
    }
    status(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

fn status(answer: &str) -> Option<(u16, String)> {
    let code = answer.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let line = body.lines().next().unwrap_or_default().trim();
    Some((code, line.chars().filter(|c| !c.is_control()).collect()))
}
