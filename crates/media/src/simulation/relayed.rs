//! Peers that reach each other through a TURN server of ours.

use super::*;
use crate::turn::fake::{Done, FakeServer, PASSWORD, USER};
use crate::turn::{Found, TurnServer, TurnTransport};
use portunus_sdp::CandidateKind;

/// A TURN server on the simulated network.
pub(crate) struct Turn {
    address: SocketAddr,
    server: FakeServer,
    /// From where the server's worker uses it.
    client: Option<SocketAddr>,
    /// Whether packets pass between the two sides without it.
    direct: bool,
}

impl Simulation {
    /// Gives the server a TURN server.
    fn with_turn(media: Vec<Negotiated>, direct: bool, change: impl FnOnce(&mut Settings)) -> Self {
        let mut s = Self::new(media, |settings| {
            settings.narrate = true;
            change(settings);
        });
        let server = FakeServer::new("127.0.0.78:50000".parse().unwrap());
        s.turn = Some(Turn { address: "127.0.0.77:3478".parse().unwrap(), server, client: None, direct });
        s
    }

    fn begin_turn(&mut self) {
        let turn = self.turn.as_ref().unwrap();
        let server = TurnServer {
            host: "turn.example".to_owned(),
            port: 3478,
            transport: TurnTransport::Udp,
            username: USER.to_owned(),
            password: PASSWORD.to_owned(),
        };
        let found = Found { server: Arc::new(server), addresses: vec![turn.address] };
        self.workers[SERVER].simulate_turn(&[found], self.now);
        self.collect(SERVER);
    }

    fn turn(&mut self) -> &mut FakeServer {
        &mut self.turn.as_mut().unwrap().server
    }

    /// What the TURN server does with a datagram; whether it was for it, or for nobody.
    pub(super) fn pass_turn(&mut self, f: &Flying) -> bool {
        let Some(turn) = &mut self.turn else { return false };
        if Some(f.to) == turn.client {
            self.deliver_to(SERVER, f.to, f.from, &f.bytes);
            return true;
        }
        let onwards = if f.to == turn.address {
            turn.client = Some(f.from);
            match turn.server.take(f.from, &f.bytes) {
                Done::Answer(answer) => Some((turn.address, f.from, answer)),
                Done::Relayed(peer, packet) => Some((turn.server.relayed, peer, packet)),
                Done::Nothing => None,
            }
        } else if f.to == turn.server.relayed {
            let packet = turn.server.relay(f.from, &f.bytes);
            packet.and_then(|packet| Some((turn.address, turn.client?, packet)))
        } else {
            return f.from != turn.server.relayed && !turn.direct;
        };
        if let Some((from, to, bytes)) = onwards {
            let at = self.now + self.delay;
            let place = self.flying.partition_point(|f| f.at <= at);
            self.flying.insert(place, Flying { at, from, to, bytes });
        }
        true
    }

    /// How the server's packets go now.
    fn path(&self) -> Option<(&'static str, SocketAddr)> {
        let mut paths = self.events[SERVER].iter().rev().filter_map(|e| match e {
            MediaEvent::Path(pair) => Some((pair.local_kind, pair.local)),
            _ => None,
        });
        paths.next()
    }

    fn echo_packets(&mut self, n: u16) {
        for i in 0..n {
            self.send(&rtp("0", "", OPUS, 77, 100 + i, 960 * u32::from(i), &[7; 80]));
            self.run(MS * 20);
        }
        self.run(MS * 100);
    }
}

#[test]
fn media_go_through_the_relay_where_nothing_else_gets_through() {
    let mut s = Simulation::with_turn(vec![audio(0)], false, |_| {});
    s.begin_turn();
    s.run(MS * 200);
    s.connect();
    assert_eq!(s.path(), Some(("relay", s.turn.as_ref().unwrap().server.relayed)));
    s.echo("0");
    s.echo_packets(50);
    assert_eq!(s.received.len(), 50);
    assert!(s.turn().by_channel >= 50, "{} as channel data", s.turn().by_channel);
}

#[test]
fn the_relay_is_the_last_of_the_candidates_and_the_last_choice() {
    let mut s = Simulation::with_turn(vec![audio(0)], true, |_| {});
    s.begin_turn();
    s.run(MS * 200);
    let [_, answer] = s.exchange(false);
    let kinds: Vec<_> = answer.candidates.iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [CandidateKind::Host, CandidateKind::Relay]);
    let text = answer.candidates[1].to_string();
    assert!(
        text.starts_with("candidate:2 1 udp 505413631 127.0.0.78 50000 typ relay raddr 127.0.0.1 rport "),
        "{text}"
    );
    s.run_until(MS * 5000, "both up", |s| s.events.iter().all(|e| e.contains(&MediaEvent::Up)));
    s.run(MS * 5000);
    assert_eq!(s.path(), Some(("host", s.addresses[SERVER])));
}

#[test]
fn a_relay_that_comes_up_late_is_used_by_who_still_has_no_path() {
    let mut s = Simulation::with_turn(vec![audio(0)], false, |_| {});
    s.exchange(false);
    s.run(MS * 2000);
    s.begin_turn();
    s.run_until(MS * 10_000, "both up", |s| s.events.iter().all(|e| e.contains(&MediaEvent::Up)));
    assert_eq!(s.path().map(|(kind, _)| kind), Some("relay"));
}

#[test]
fn after_a_restart_a_relay_that_came_up_late_is_answered_from() {
    let mut s = Simulation::with_turn(vec![audio(0)], true, |_| {});
    s.connect();
    s.begin_turn();
    s.run(MS * 500);
    // From now on only the relay gets through.
    s.turn.as_mut().unwrap().direct = false;
    s.run(MS * 500);
    let [_, answer] = s.exchange(true);
    assert!(answer.candidates.iter().any(|c| c.kind == CandidateKind::Relay));
    s.run_until(MS * 20_000, "the path", |s| s.path().is_some_and(|(kind, _)| kind == "relay"));
    s.run(MS * 1000);
    s.echo("0");
    s.echo_packets(50);
    assert!(s.received.len() >= 45, "{} came back", s.received.len());
}

#[test]
fn a_relay_that_is_lost_is_replaced_under_a_running_call() {
    let mut s = Simulation::with_turn(vec![audio(0)], false, |_| {});
    s.turn().lifetime = 20;
    s.begin_turn();
    s.run(MS * 200);
    s.connect();
    s.echo("0");
    let relayed: SocketAddr = "127.0.0.78:50001".parse().unwrap();
    let turn = s.turn();
    (turn.relayed, turn.errors) = (relayed, vec![(0x004, 437)]);
    turn.permissions.clear();
    turn.channels.clear();
    s.run_until(MS * 25_000, "a new path", |s| s.path() == Some(("relay", relayed)));
    s.run(MS * 2000);
    s.received.clear();
    s.echo_packets(50);
    assert!(s.received.len() >= 45, "{} came back", s.received.len());
    assert_eq!(s.hangup(SERVER), None);
}

#[test]
fn who_wants_nothing_but_the_relay_gets_nothing_else() {
    let mut s = Simulation::with_turn(vec![audio(0)], true, |_| {});
    s.relay_only = true;
    s.begin_turn();
    s.run(MS * 200);
    let [_, answer] = s.exchange(false);
    assert_eq!(answer.candidates.len(), 1);
    assert_eq!(answer.candidates[0].kind, CandidateKind::Relay);
    s.run_until(MS * 5000, "both up", |s| s.events.iter().all(|e| e.contains(&MediaEvent::Up)));
    s.run(MS * 5000);
    assert_eq!(s.path(), Some(("relay", s.turn.as_ref().unwrap().server.relayed)));
}

#[test]
fn without_a_relay_who_wants_nothing_else_gets_no_path() {
    let mut s = Simulation::with_turn(vec![audio(0)], true, |_| {});
    s.relay_only = true;
    let [_, answer] = s.exchange(false);
    assert!(answer.candidates.is_empty());
    s.run_until(MS * 40_000, "failed", |s| s.hangup(SERVER).is_some());
    assert_eq!(s.hangup(SERVER).as_deref(), Some("ICE failed"));
}
