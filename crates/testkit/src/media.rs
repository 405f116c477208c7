//! A media engine of values only: commands in, events out, and the table of routes as the commands made it.
//!
//! It behaves as `media` does seen from the control task: a first negotiation makes a peer, a peer that goes takes its
//! routes along as source and as sink, commands for a peer that is not there mean nothing. Commands are looked at twice:
//! when control gives them ([`Engine::on_given`]), against what control can know, and when they arrive.

use crate::Random;
use portunus_plugin::media::{MediaCommand, Negotiation};
use portunus_plugin::{HandleId, MediaEvent, RouteEnd};
use portunus_sdp::{Candidate, LocalSsrc, LocalTransport, Setup};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// Without a sign of the browser for so long, ICE has failed.
const ICE_FAILS: Duration = Duration::from_secs(8);

/// How the engine behaves where it may choose.
#[derive(Clone, Debug)]
pub struct Manners {
    /// Handshakes that fail, of a hundred.
    pub failing: u64,
    /// Descriptions that never come, of a thousand.
    pub silent: u64,
}

/// What the engine does later by itself.
#[derive(Clone, Debug)]
pub enum Later {
    /// Give our part of a description.
    Local(HandleId, u64, u64),
    /// The handshake with the browser is over.
    Shaken(HandleId, u64, bool),
    /// Has the browser come?
    Look(HandleId, u64),
}

/// What comes of an input: events for control, and things to do later.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For control, in order.
    pub events: Vec<(HandleId, MediaEvent)>,
    /// Things to do.
    pub later: Vec<(Duration, Later)>,
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    random: Random,
    manners: Manners,
    peers: BTreeMap<HandleId, Peer>,
    /// By sink.
    routes: BTreeMap<RouteEnd, RouteEnd>,
    /// What control knows to exist: m-lines with (send, receive).
    given: BTreeMap<HandleId, BTreeMap<String, (bool, bool)>>,
    generation: u64,
    faults: Vec<(HandleId, String)>,
}

#[derive(Debug)]
struct Peer {
    generation: u64,
    restarts: u64,
    /// The browser's user name, as its description says.
    remote: Option<String>,
    /// The user name of the browser's PeerConnection that has applied our description.
    browser: Option<String>,
    shaking: bool,
    up: Option<Instant>,
    /// When the last description will have left: they keep their order.
    described: Instant,
}

impl Engine {
    /// An engine without peers.
    pub const fn new(random: Random, manners: Manners) -> Self {
        Self {
            random,
            manners,
            peers: BTreeMap::new(),
            routes: BTreeMap::new(),
            given: BTreeMap::new(),
            generation: 0,
            faults: Vec::new(),
        }
    }

    /// Handles that have a peer.
    pub fn peers(&self) -> impl Iterator<Item = HandleId> + '_ {
        self.peers.keys().copied()
    }

    /// Since when a handle's peer is up.
    pub fn up_since(&self, handle: HandleId) -> Option<Instant> {
        self.peers.get(&handle)?.up
    }

    /// Routes by their sinks.
    pub const fn routes(&self) -> &BTreeMap<RouteEnd, RouteEnd> {
        &self.routes
    }

    /// What was wrong since the last time, and with whom.
    pub fn take_faults(&mut self) -> Vec<(HandleId, String)> {
        std::mem::take(&mut self.faults)
    }

    /// Control gives a command. What it says of peers must be what control was told.
    pub fn on_given(&mut self, command: &MediaCommand) {
        match command {
            MediaCommand::Negotiate(n) => {
                let lines = n.media.iter().map(|m| (m.mid.clone(), (m.send, m.receive))).collect();
                self.given.insert(n.handle, lines);
            }
            MediaCommand::Forget { handle } => {
                self.given.remove(handle);
            }
            MediaCommand::Route { source, sink } => {
                let known = |end: &RouteEnd| self.given.get(&end.handle)?.get(&end.mid).copied();
                let (from, to) = (known(source), known(sink));
                if !from.is_some_and(|(_, receive)| receive) || !to.is_some_and(|(send, _)| send) {
                    let text = "route between lines that were not agreed on so";
                    let text = format!("{text}: {source:?} ({from:?}) -> {sink:?} ({to:?})");
                    self.faults.push((sink.handle, text));
                }
            }
            MediaCommand::Select { sink, .. } | MediaCommand::PlayoutDelay { sink, .. } => {
                let known = self.given.get(&sink.handle).is_some_and(|lines| lines.contains_key(&sink.mid));
                let fault = || (sink.handle, format!("a wish for a line that is not there: {command:?}"));
                self.faults.extend((!known).then(fault));
            }
            _ => {}
        }
    }

    /// Control hears of an event.
    pub fn on_heard(&mut self, handle: HandleId, event: &MediaEvent) {
        if matches!(event, MediaEvent::Hangup { .. }) {
            self.given.remove(&handle);
        }
    }

    /// A command arrives.
    pub fn on_command(&mut self, command: MediaCommand, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        match command {
            MediaCommand::Negotiate(n) => self.negotiate(&n, now, &mut outcome),
            MediaCommand::Route { source, sink } => {
                let there = [&source, &sink].iter().all(|end| self.peers.contains_key(&end.handle));
                self.routes.extend(there.then_some((sink, source)));
            }
            MediaCommand::Unroute { sink } => {
                self.routes.remove(&sink);
            }
            MediaCommand::Hangup { handle, reason } => {
                outcome.events.extend(self.die(handle, &reason));
            }
            MediaCommand::Forget { handle } => {
                self.remove(handle);
            }
            _ => {}
        }
        outcome
    }

    /// Does what was to be done later.
    pub fn on_later(&mut self, later: Later, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        let (Later::Local(handle, generation, _)
        | Later::Shaken(handle, generation, _)
        | Later::Look(handle, generation)) = later;
        let Some(peer) = self.peers.get_mut(&handle).filter(|p| p.generation == generation) else {
            return outcome;
        };
        match later {
            Later::Local(_, _, exchange) => {
                let transport = Box::new(local(peer));
                outcome.events.push((handle, MediaEvent::Local { exchange, transport }));
            }
            Later::Shaken(_, _, true) => {
                peer.up = Some(now);
                outcome.events.push((handle, MediaEvent::Up));
            }
            Later::Look(..) if peer.shaking => {}
            Later::Shaken(..) | Later::Look(..) => {
                outcome.events.push((handle, MediaEvent::IceFailed));
                outcome.events.extend(self.die(handle, "ICE failed"));
            }
        }
        outcome
    }

    /// A browser's PeerConnection has applied the description with the user name `ours`; its own is `theirs`.
    pub fn on_browser(&mut self, handle: HandleId, ours: &str, theirs: &str) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(peer) = self.peers.get_mut(&handle).filter(|p| p.ufrag() == ours) {
            peer.browser = Some(theirs.to_owned());
            self.shake(handle, &mut outcome);
        }
        outcome
    }

    /// A peer ends by itself.
    pub fn die(&mut self, handle: HandleId, reason: &str) -> Vec<(HandleId, MediaEvent)> {
        match self.remove(handle) {
            true => vec![(handle, MediaEvent::Hangup { reason: reason.to_owned() })],
            false => Vec::new(),
        }
    }

    fn negotiate(&mut self, n: &Negotiation, now: Instant, outcome: &mut Outcome) {
        if !self.peers.contains_key(&n.handle) {
            self.generation += 1;
        }
        let peer = self.peers.entry(n.handle).or_insert(Peer {
            generation: self.generation,
            restarts: 0,
            remote: None,
            browser: None,
            shaking: false,
            up: None,
            described: now,
        });
        peer.restarts += u64::from(n.restart);
        if let Some(remote) = &n.remote
            && peer.remote.replace(remote.ufrag.clone()).is_none()
        {
            outcome.later.push((ICE_FAILS, Later::Look(n.handle, peer.generation)));
        }
        if let Some(exchange) = n.exchange
            && !self.random.per_mille(self.manners.silent)
        {
            let slow = self.random.percent(5);
            let delay = if slow { self.random.millis(50, 800) } else { self.random.millis(0, 20) };
            peer.described = peer.described.max(now + delay);
            let delay = peer.described.saturating_duration_since(now);
            outcome.later.push((delay, Later::Local(n.handle, peer.generation, exchange)));
        }
        self.shake(n.handle, outcome);
    }

    /// Both sides know each other: the handshake begins.
    fn shake(&mut self, handle: HandleId, outcome: &mut Outcome) {
        let Some(peer) = self.peers.get_mut(&handle) else { return };
        if peer.remote.is_none() || peer.remote != peer.browser || peer.shaking {
            return;
        }
        peer.shaking = true;
        let works = !self.random.percent(self.manners.failing);
        let delay = if works { self.random.millis(5, 300) } else { self.random.millis(500, 3000) };
        outcome.later.push((delay, Later::Shaken(handle, peer.generation, works)));
    }

    fn remove(&mut self, handle: HandleId) -> bool {
        self.routes.retain(|sink, source| sink.handle != handle && source.handle != handle);
        self.peers.remove(&handle).is_some()
    }
}

impl Peer {
    fn ufrag(&self) -> String {
        format!("p{}r{}", self.generation, self.restarts)
    }
}

fn local(peer: &Peer) -> LocalTransport {
    LocalTransport {
        ufrag: peer.ufrag(),
        pwd: "oursoursoursoursoursours".to_owned(),
        fingerprint: ["CD"; 32].join(":"),
        setup: Setup::ActPass,
        lite: false,
        candidates: Candidate::parse("candidate:1 1 udp 2015363327 192.0.2.7 10000 typ host")
            .into_iter()
            .collect(),
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        end_of_candidates: true,
        full_trickle: false,
        ssrcs: vec![LocalSsrc { mindex: 0, ssrc: 1234, rtx: None }],
    }
}
