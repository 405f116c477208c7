//! A server behind docker's default bridge, nothing published, and a client behind a home router: whoever checks first
//! decides whether there is a call (`peer::held`).

use super::*;
use portunus_sdp::Candidate;
use std::collections::{HashMap, HashSet};

/// For how long a NAT remembers a packet that nobody answered.
const UNREPLIED: Duration = Duration::from_secs(30);
/// Added to a port that another flow has already.
const REMAPPED: u16 = 7;

/// The two NATs. Both keep ports where they can, and let in only what was asked for.
#[derive(Default)]
pub(crate) struct Bridge {
    /// The client's router lets everybody in.
    open: bool,
    /// Where the client has sent to.
    asked: HashSet<SocketAddr>,
    /// Clients that the server has sent to.
    flows: HashSet<SocketAddr>,
    /// Clients that came uninvited, and until when that is remembered.
    uninvited: HashMap<SocketAddr, Instant>,
    /// The server's own address by each that it was given instead.
    given: HashMap<SocketAddr, SocketAddr>,
}

impl Bridge {
    /// A packet of `side` leaves: its source as the other side sees it.
    pub(super) fn leave(
        &mut self,
        side: usize,
        from: SocketAddr,
        to: SocketAddr,
        now: Instant,
    ) -> SocketAddr {
        if side == CLIENT {
            self.asked.insert(to);
            return from;
        }
        match self.uninvited.get_mut(&to) {
            Some(until) if *until > now && !self.flows.contains(&to) => {
                *until = now + UNREPLIED;
                let given = SocketAddr::new(from.ip(), from.port() + REMAPPED);
                self.given.insert(given, from);
                given
            }
            _ => {
                self.flows.insert(to);
                from
            }
        }
    }

    /// Where a packet for `to` goes, behind the NAT.
    pub(super) fn destination(&self, to: SocketAddr) -> SocketAddr {
        self.given.get(&to).copied().unwrap_or(to)
    }

    /// Whether a packet for `to` is let in at `side`.
    pub(super) fn arrive(&mut self, side: usize, from: SocketAddr, to: SocketAddr, now: Instant) -> bool {
        if side == CLIENT {
            return self.open || self.asked.contains(&from);
        }
        if self.given.contains_key(&to) {
            return true;
        }
        let invited = self.flows.contains(&from);
        if !invited {
            self.uninvited.insert(from, now + UNREPLIED);
        }
        invited
    }
}

/// A call that the server offers, with a signalling latency of 30 ms each way: after how long media may flow.
struct Call {
    s: Simulation,
    /// What each side is told, and when.
    mail: Vec<(Instant, usize, Option<Candidate>)>,
    released: Option<Instant>,
}

const LATENCY: Duration = Duration::from_millis(30);

impl Call {
    fn new(server: impl FnOnce(&mut Settings), client: impl FnOnce(&mut Settings)) -> Self {
        let mut s = Simulation::with_both(vec![audio(0)], client, |settings| {
            settings.full_trickle = true;
            server(settings);
        });
        s.nat = Some(Bridge::default());
        Self { s, mail: Vec::new(), released: None }
    }

    /// Runs, and carries candidates both ways.
    fn run(&mut self, time: Duration) {
        let end = self.s.now + time;
        while self.s.now < end {
            self.carry();
            self.s.run(MS);
        }
    }

    fn carry(&mut self) {
        for side in [CLIENT, SERVER] {
            let events = std::mem::take(&mut self.s.events[side]);
            for event in events {
                match event {
                    MediaEvent::Candidate(candidate) => {
                        if side == SERVER {
                            self.released.get_or_insert(self.s.now);
                        }
                        let candidate = candidate.map(|c| *c);
                        self.mail.push((self.s.now + LATENCY, 1 - side, candidate));
                    }
                    other => self.s.events[side].push(other),
                }
            }
        }
        let now = self.s.now;
        let (due, later) = std::mem::take(&mut self.mail).into_iter().partition(|(at, ..)| *at <= now);
        self.mail = later;
        let due: Vec<_> = due;
        for (_, side, candidate) in due {
            let handle = self.s.handles[side];
            self.s.command(side, MediaCommand::Candidate { handle, candidate });
        }
    }

    /// The server offers, the client answers so much later; says whether there is a call after `time`.
    fn offered(&mut self, thinking: Duration, time: Duration) -> bool {
        let mut offer = self.s.negotiate(SERVER, None, true, false, true).expect("an offer");
        (offer.candidates, offer.end_of_candidates) = (Vec::new(), false);
        self.run(LATENCY + thinking);
        let mut answer = self.s.negotiate(CLIENT, Some(offer), false, false, true).expect("an answer");
        if !answer.end_of_candidates {
            answer.candidates.clear();
        }
        self.run(LATENCY);
        self.s.negotiate(SERVER, Some(answer), true, false, false);
        self.run(time);
        self.s.events.iter().all(|events| events.contains(&MediaEvent::Up))
    }
}

fn hold(settings: &mut Settings) {
    settings.trickle_hold = MS * 100;
}

fn trickling(settings: &mut Settings) {
    settings.full_trickle = true;
}

#[test]
fn a_client_that_checks_first_spoils_the_way_for_good() {
    let mut call = Call::new(|_| {}, |_| {});
    assert!(!call.offered(Duration::ZERO, MS * 20_000));
    assert_eq!(call.s.hangup(SERVER), None, "it is still trying");
    call.run(MS * 12_000);
    assert_eq!(call.s.hangup(SERVER).as_deref(), Some("ICE failed"));
}

#[test]
fn held_candidates_leave_when_the_checks_have() {
    for thinking in [0, 200, 1500, 20_000] {
        for client in [|_: &mut Settings| {}, trickling] {
            let mut call = Call::new(hold, client);
            assert!(call.offered(MS * thinking, MS * 2000), "after {thinking} ms");
        }
    }
}

#[test]
fn a_client_that_says_that_its_candidates_are_complete_waits_no_longer_than_the_hold() {
    let mut call = Call::new(hold, |_| {});
    let begun = call.s.now;
    assert!(call.offered(Duration::ZERO, MS * 1000));
    let released = call.released.unwrap() - begun;
    // 60 ms of signalling, the hold, the grain of the timers.
    assert!(released >= MS * 160 && released <= MS * 172, "{released:?}");
}

#[test]
fn a_plain_delay_is_a_bet_on_how_long_the_answer_takes() {
    let delay = |settings: &mut Settings| settings.trickle_delay = MS * 1000;
    assert!(Call::new(delay, |_| {}).offered(MS * 100, MS * 3000));
    assert!(!Call::new(delay, |_| {}).offered(MS * 1500, MS * 20_000));
}

#[test]
fn candidates_are_told_once_and_end() {
    let mut call = Call::new(hold, trickling);
    let mut told = Vec::new();
    let offer = call.s.negotiate(SERVER, None, true, false, true).expect("an offer");
    assert!(!offer.end_of_candidates, "they follow");
    call.s.run(MS * 5000);
    assert!(call.s.events[SERVER].is_empty(), "nobody has answered");
    let answer = call.s.negotiate(CLIENT, Some(offer), false, false, true).expect("an answer");
    call.s.negotiate(SERVER, Some(answer), true, false, false);
    call.s.run(MS * 5000);
    told.extend(call.s.events[SERVER].iter().filter(|e| matches!(e, MediaEvent::Candidate(_))).cloned());
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(matches!(told[1], MediaEvent::Candidate(None)));
}

#[test]
fn a_changed_port_is_noticed_by_what_the_client_saw() {
    for (open, spoilt) in [(true, true), (false, false)] {
        let held = if spoilt { |_: &mut Settings| {} } else { hold };
        let mut call = Call::new(held, |_| {});
        call.s.nat = Some(Bridge { open, ..Bridge::default() });
        assert!(call.offered(Duration::ZERO, MS * 5000));
        let handle = call.s.handles[SERVER];
        call.s.command(SERVER, MediaCommand::Report { handle, question: 1 });
        let report = call.s.events[SERVER].iter().find_map(|e| match e {
            MediaEvent::Report { report, .. } => Some(report.ice.clone()),
            _ => None,
        });
        let ice = report.unwrap();
        let told = call.s.addresses[SERVER];
        let seen = SocketAddr::new(told.ip(), told.port() + REMAPPED);
        assert_eq!(ice.remapped, spoilt.then_some((told, seen)));
        let trickle = ice.trickle.unwrap();
        assert_eq!((trickle.holding, trickle.kept_back.is_some()), (false, !spoilt));
    }
}
