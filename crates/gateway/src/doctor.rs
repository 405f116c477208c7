//! `portunus doctor`: looks at this machine as the gateway would use it, and says what to change, line by line.
//!
//! It starts nothing and changes nothing. What it finds out stands in [`Facts`]; what that means is decided by
//! [`diagnose`], which has neither clock nor network.

mod facts;

use crate::flags::Flags;
use crate::settings::{self, Disk, Severity};
use facts::{Facts, Port, PortState, Shown, Validity};
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

/// Open files below this are few: a WebSocket, a long poll or a port of a peer each take one.
const OPEN_FILES: u64 = 65_536;
/// What the media sockets ask for.
const BUFFER: u64 = 4 << 20;
/// Certificates are renewed before they are this close to their end.
const RENEW: Duration = Duration::from_secs(14 * 24 * 3600);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// It will not work.
    Problem,
    /// It will work badly, or for few.
    Warning,
    /// As it should be.
    Fine,
}

/// Something found, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    weight: Weight,
    text: String,
    /// The exact line to add or to run.
    remedy: Option<String>,
}

fn finding(weight: Weight, text: impl Into<String>) -> Finding {
    Finding { weight, text: text.into(), remedy: None }
}

impl Finding {
    fn remedy(mut self, line: impl Into<String>) -> Self {
        self.remedy = Some(line.into());
        self
    }
}

/// Looks, and writes what it found. The result is the exit code: 0 without a problem, else 1.
pub(crate) fn run(flags: &Flags, out: &mut dyn Write) -> io::Result<i32> {
    let environment = |name: &str| std::env::var(name).ok();
    let (settings, problems) = match settings::load(flags, &environment, &Disk) {
        Ok(loaded) => loaded,
        Err(problems) => {
            problems.iter().try_for_each(|problem| writeln!(out, "problem  {problem}"))?;
            writeln!(out, "The settings cannot be used: nothing else was looked at.")?;
            return Ok(1);
        }
    };
    for problem in problems.iter().filter(|problem| problem.severity != Severity::Note) {
        writeln!(out, "warning  {problem}")?;
    }
    if settings.nat.stun_server.is_some() {
        writeln!(out, "Asking the STUN server, five seconds at most ...")?;
        out.flush()?;
    }
    let mut findings = diagnose(&Facts::gather(&settings));
    findings.sort_by_key(|finding| finding.weight);
    for Finding { weight, text, remedy } in &findings {
        let word = match weight {
            Weight::Problem => "problem ",
            Weight::Warning => "warning ",
            Weight::Fine => "fine    ",
        };
        writeln!(out, "{word} {text}")?;
        if let Some(remedy) = remedy {
            writeln!(out, "           {remedy}")?;
        }
    }
    let count = |weight| findings.iter().filter(|finding| finding.weight == weight).count();
    writeln!(out, "{} problems, {} warnings", count(Weight::Problem), count(Weight::Warning))?;
    Ok(i32::from(count(Weight::Problem) > 0))
}

/// What the facts mean.
fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = facts.ports.iter().map(port).collect();
    found.extend(facts.listeners.iter().map(|why| finding(Weight::Problem, format!("listeners: {why}"))));
    found.extend(addresses(facts));
    found.extend(facts.stun.as_ref().map(|(server, answer)| stun(server, answer.as_ref())));
    found.extend(facts.turn_trust.iter().map(|why| finding(Weight::Problem, format!("TURN: {why}"))));
    found.extend(facts.certificates.iter().map(|shown| certificate(shown, facts.now)));
    found.push(open_files(facts.open_files));
    found.extend(buffers(facts));
    found.push(time(facts));
    found
}

fn port(port: &Port) -> Finding {
    let Port { what, address, state } = port;
    match state {
        PortState::Free => finding(Weight::Fine, format!("{what}: {address} is free")),
        PortState::Taken => {
            let text = format!("{what}: {address} is taken, by a running gateway or by another program");
            finding(Weight::Warning, text).remedy(format!("ss -lntup 'sport = :{}'", address.port()))
        }
        PortState::Forbidden => {
            let text = format!("{what}: {address} may not be opened: ports below 1024 want a capability");
            finding(Weight::Problem, text).remedy("setcap cap_net_bind_service=+ep /usr/bin/portunus")
        }
        PortState::Failed(why) => {
            finding(Weight::Problem, format!("{what}: {address} cannot be opened: {why}"))
        }
    }
}

fn addresses(facts: &Facts) -> Option<Finding> {
    let Some(first) = facts.addresses.first() else {
        let text = "no network address is usable for media";
        return Some(
            finding(Weight::Problem, text)
                .remedy("nat: { allow_loopback = true }   # for a trial on this machine"),
        );
    };
    if facts.mapped {
        return Some(finding(Weight::Fine, "media: candidates have the addresses of nat_1_1_mapping"));
    }
    let public = facts.addresses.iter().find(|ip| !is_private(**ip));
    if let Some(public) = public {
        return Some(finding(Weight::Fine, format!("media: {public} is a public address")));
    }
    let seen = facts.stun.as_ref().and_then(|(_, answer)| *answer);
    match seen {
        Some(seen) if facts.addresses.contains(&seen) => {
            Some(finding(Weight::Fine, format!("media: {seen} is what the world sees")))
        }
        Some(seen) => {
            let text = format!(
                "media: all addresses are private ({first}, ...), and the world sees {seen}. With a 1:1 NAT or published \
                 ports say so; behind any other NAT only clients that reach the reflexive candidate get media"
            );
            Some(finding(Weight::Warning, text).remedy(format!("nat: {{ nat_1_1_mapping = \"{seen}\" }}")))
        }
        None => {
            let text = format!(
                "media: all addresses are private ({first}, ...), with neither a mapping nor a STUN server: clients from \
                 elsewhere get no media"
            );
            let line =
                "nat: { nat_1_1_mapping = \"the public address\" }   # or stun_server = \"a STUN server\"";
            Some(finding(Weight::Warning, text).remedy(line))
        }
    }
}

fn stun(server: &str, answer: Option<&IpAddr>) -> Finding {
    match answer {
        Some(ip) => finding(Weight::Fine, format!("STUN: {server} answers, and sees {ip}")),
        None => {
            let text =
                format!("STUN: {server} does not answer over UDP: there will be no reflexive candidates");
            finding(Weight::Warning, text)
                .remedy("let UDP out to it, or take `stun_server` out of section `nat`")
        }
    }
}

fn certificate(shown: &Shown, now: u64) -> Finding {
    let Shown { what, file, state } = shown;
    let file = file.display();
    match state {
        Validity::Broken(why) => finding(Weight::Problem, format!("certificate of {what}: {file}: {why}")),
        Validity::Until(end) if *end < now => {
            let text = format!("certificate of {what}: {file} has expired {} days ago", (now - end) / 86_400);
            // Browsers look at the fingerprint of DTLS only.
            let weight = if *what == "DTLS" { Weight::Warning } else { Weight::Problem };
            finding(weight, text).remedy("renew it; the running gateway takes the new file over within 5 s")
        }
        Validity::Until(end) => {
            let left = end - now;
            let text = format!("certificate of {what}: {file} is good for {} days", left / 86_400);
            match left < RENEW.as_secs() {
                true => finding(Weight::Warning, text)
                    .remedy("renew it; the running gateway takes the new file over within 5 s"),
                false => finding(Weight::Fine, text),
            }
        }
    }
}

fn open_files(limit: Option<u64>) -> Finding {
    match limit {
        Some(limit) if limit < OPEN_FILES => {
            let text = format!("only {limit} files may be open: each connection takes one");
            finding(Weight::Warning, text)
                .remedy(format!("LimitNOFILE={OPEN_FILES}   # systemd; else: ulimit -n {OPEN_FILES}"))
        }
        Some(limit) => finding(Weight::Fine, format!("{limit} files may be open")),
        None => finding(Weight::Fine, "any number of files may be open"),
    }
}

fn buffers(facts: &Facts) -> Vec<Finding> {
    let all = [("net.core.rmem_max", facts.receive_buffer), ("net.core.wmem_max", facts.send_buffer)];
    let one = |(name, value): (&str, Option<u64>)| {
        let value = value?;
        let text =
            format!("{name} is {value}: the media sockets want {BUFFER}, or packets are lost in bursts");
        let short = finding(Weight::Warning, text)
            .remedy(format!("sysctl -w {name}={BUFFER}   # and in /etc/sysctl.d"));
        Some(if value < BUFFER { short } else { finding(Weight::Fine, format!("{name} is {value}")) })
    };
    all.into_iter().filter_map(one).collect()
}

fn time(facts: &Facts) -> Finding {
    const BUILT: u64 = 1_760_000_000;
    if facts.now < BUILT {
        let text = "the clock is years behind: signed tokens and certificates are judged by it";
        return finding(Weight::Problem, text).remedy("timedatectl set-ntp true");
    }
    match facts.clock_synchronised {
        Some(false) => {
            let text = "the clock is not synchronised: signed tokens are judged by it";
            finding(Weight::Warning, text).remedy("timedatectl set-ntp true")
        }
        Some(true) => finding(Weight::Fine, "the clock is synchronised"),
        None => finding(Weight::Fine, "the clock looks right"),
    }
}

/// Nobody on the internet reaches it: RFC 1918, RFC 6598, loopback, link-local, RFC 4193.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = u32::from(ip) & 0xffc0_0000 == 0x6440_0000;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            ports: Vec::new(),
            listeners: None,
            addresses: vec!["203.0.112.7".parse().unwrap()],
            mapped: false,
            turn_trust: None,
            stun: None,
            certificates: Vec::new(),
            open_files: Some(1 << 20),
            receive_buffer: Some(BUFFER),
            send_buffer: Some(BUFFER),
            clock_synchronised: Some(true),
            now: 1_800_000_000,
        }
    }

    /// The worst finding that has these words in it.
    fn worst(facts: &Facts, words: &str) -> (Weight, String) {
        let mut found = diagnose(facts);
        found.sort_by_key(|finding| finding.weight);
        let one = found.iter().find(|finding| finding.text.contains(words));
        let one = one.unwrap_or_else(|| panic!("{words} in {found:#?}"));
        (one.weight, one.remedy.clone().unwrap_or_default())
    }

    #[test]
    fn a_sound_machine_has_nothing_to_mend() {
        assert!(diagnose(&facts()).iter().all(|finding| finding.weight == Weight::Fine));
    }

    #[test]
    fn private_addresses_want_a_mapping_and_are_told_which() {
        let private = Facts { addresses: vec!["10.1.2.3".parse().unwrap()], ..facts() };
        let (weight, remedy) = worst(&private, "all addresses are private");
        assert!(weight == Weight::Warning && remedy.contains("nat_1_1_mapping"), "{remedy}");
        let seen = "198.51.99.4".parse().unwrap();
        let asked = Facts { stun: Some(("stun.example".into(), Some(seen))), ..private };
        assert_eq!(worst(&asked, "the world sees").1, "nat: { nat_1_1_mapping = \"198.51.99.4\" }");
        let mapped = Facts { mapped: true, ..asked };
        assert_eq!(worst(&mapped, "nat_1_1_mapping").0, Weight::Fine);
        assert_eq!(
            worst(&Facts { addresses: Vec::new(), ..facts() }, "no network address").0,
            Weight::Problem
        );
    }

    #[test]
    fn certificates_limits_buffers_and_clocks_are_judged() {
        let shown = |what, state| Shown { what, file: "/c.pem".into(), state };
        let now = facts().now;
        for (what, state, weight) in [
            ("HTTPS", Validity::Until(now - 86_400), Weight::Problem),
            ("DTLS", Validity::Until(now - 86_400), Weight::Warning),
            ("HTTPS", Validity::Until(now + 86_400), Weight::Warning),
            ("HTTPS", Validity::Until(now + 90 * 86_400), Weight::Fine),
            ("WSS", Validity::Broken("no key".into()), Weight::Problem),
        ] {
            let with = Facts { certificates: vec![shown(what, state)], ..facts() };
            assert_eq!(worst(&with, "certificate of").0, weight, "{what}");
        }
        assert_eq!(worst(&Facts { open_files: Some(1024), ..facts() }, "files").0, Weight::Warning);
        let small = Facts { receive_buffer: Some(212_992), ..facts() };
        assert_eq!(
            worst(&small, "rmem_max").1,
            "sysctl -w net.core.rmem_max=4194304   # and in /etc/sysctl.d"
        );
        assert_eq!(worst(&Facts { now: 5, ..facts() }, "clock").0, Weight::Problem);
        assert_eq!(worst(&Facts { clock_synchronised: Some(false), ..facts() }, "clock").0, Weight::Warning);
    }

    #[test]
    fn an_interface_that_is_not_there_is_a_problem() {
        let without = Facts { listeners: Some("interface `x0` is not there".into()), ..facts() };
        assert_eq!(worst(&without, "x0").0, Weight::Problem);
    }

    #[test]
    fn authorities_of_a_turn_server_that_cannot_be_read_are_a_problem() {
        let without = Facts { turn_trust: Some("cannot read turn_ca /ca.pem".into()), ..facts() };
        assert_eq!(worst(&without, "TURN: cannot read turn_ca").0, Weight::Problem);
    }

    #[test]
    fn ports_that_cannot_be_opened_say_why() {
        let with = |state| Facts {
            ports: vec![Port { what: "Janus API", address: "0.0.0.0:80".parse().unwrap(), state }],
            ..facts()
        };
        assert_eq!(worst(&with(PortState::Free), "Janus API").0, Weight::Fine);
        assert_eq!(worst(&with(PortState::Taken), "Janus API").1, "ss -lntup 'sport = :80'");
        assert_eq!(worst(&with(PortState::Forbidden), "Janus API").0, Weight::Problem);
        assert_eq!(worst(&with(PortState::Failed("no such address".into())), "Janus API").0, Weight::Problem);
    }

    #[test]
    fn addresses_nobody_outside_reaches_are_private() {
        for (ip, private) in [
            ("10.0.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("172.20.0.1", true),
            ("8.8.8.8", false),
            ("fd00::1", true),
            ("2a00::1", false),
        ] {
            assert_eq!(is_private(ip.parse().unwrap()), private, "{ip}");
        }
    }
}
