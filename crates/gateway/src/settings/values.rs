//! Shapes that several settings share.

use portunus_jcfg::Section;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Secret;

/// Longest time a setting may ask for, in seconds: ten years.
const MAX_SECONDS: u64 = 10 * 365 * 24 * 3600;

/// Whole seconds.
pub(super) fn seconds(section: &mut Section<'_>, key: &str, default: u64) -> Duration {
    Duration::from_secs(section.get_int(key, default, 0..=MAX_SECONDS))
}

/// Whole milliseconds within `range`.
pub(super) fn milliseconds(
    section: &mut Section<'_>,
    key: &str,
    default: u64,
    range: RangeInclusive<u64>,
) -> Duration {
    Duration::from_millis(section.get_int(key, default, range))
}

/// An address without a port.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    text.trim().parse().map_err(|_| format!("must be an IP address, not `{text}`"))
}

/// A text to keep out of logs; empty means none.
pub(super) fn secret(section: &mut Section<'_>, key: &str) -> Option<Secret> {
    section.get_filled(key).map(|text| Secret::from(text.as_str()))
}

/// `lowest-highest`. As in Janus a reversed pair is swapped and a highest of 0 means 65535; `None` when that
/// leaves every port.
pub(super) fn ports(text: &str) -> Result<Option<RangeInclusive<u16>>, String> {
    let port = |part: &str| part.trim().parse::<u16>().ok();
    let pair = text.split_once('-').and_then(|(low, high)| Some((port(low)?, port(high)?)));
    let (low, high) = pair.ok_or_else(|| format!("must be two ports, `lowest-highest`, not `{text}`"))?;
    let (low, high) = if high == 0 { (low, u16::MAX) } else { (low.min(high), low.max(high)) };
    Ok((low > 1 || high < u16::MAX).then(|| low.max(1)..=high))
}

/// An address or the name of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interface {
    /// `192.0.2.1`
    Address(IpAddr),
    /// `eth0`
    Name(String),
}

impl From<String> for Interface {
    fn from(text: String) -> Self {
        match text.trim().parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(text.trim().to_owned()),
        }
    }
}

/// Splits `host`, `host:port` or `[v6]:port`. An address of IPv6 without brackets is all host.
pub(super) fn host_and_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges_follow_janus() {
        let table = [
            ("20000-40000", Ok(Some(20000..=40000))),
            ("40000-20000", Ok(Some(20000..=40000))),
            (" 20000 - 20010 ", Ok(Some(20000..=20010))),
            ("20000-0", Ok(Some(20000..=65535))),
            ("0-100", Ok(Some(1..=100))),
            ("0-0", Ok(None)),
            ("1-65535", Ok(None)),
            ("20000", Err(())),
            ("a-b", Err(())),
            ("20000-70000", Err(())),
            ("-1-5", Err(())),
        ];
        for (text, wanted) in table {
            assert_eq!(ports(text).map_err(|_| ()), wanted, "{text}");
        }
    }

    #[test]
    fn hosts_and_ports_come_apart() {
        let table = [
            ("stun.example", ("stun.example", None)),
            ("stun.example:3479", ("stun.example", Some("3479"))),
            ("192.0.2.1:3479", ("192.0.2.1", Some("3479"))),
            ("2001:db8::1", ("2001:db8::1", None)),
            ("[2001:db8::1]:3479", ("2001:db8::1", Some("3479"))),
            ("[2001:db8::1]", ("2001:db8::1", None)),
        ];
        for (text, wanted) in table {
            assert_eq!(host_and_port(text), wanted, "{text}");
        }
    }

    #[test]
    fn an_interface_is_an_address_or_a_name() {
        assert_eq!(Interface::from("192.0.2.1".to_owned()), Interface::Address([192, 0, 2, 1].into()));
        assert_eq!(Interface::from("eth0".to_owned()), Interface::Name("eth0".to_owned()));
    }
}
