//! A TURN server for tests: it has no socket and no clock of its own either.

use super::credentials::{md5_key, sha256_key};
use super::message::{FIRST_CHANNEL, Integrity, Message, Writer, attribute, parse_channel};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "secret";
const REALM: &[u8] = b"example.org";

/// What becomes of a datagram that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Answered.
    Answer(Vec<u8>),
    /// Sent out from the relayed address.
    Relayed(SocketAddr, Vec<u8>),
    Nothing,
}

pub(crate) struct FakeServer {
    pub(crate) relayed: SocketAddr,
    pub(crate) nonce: Vec<u8>,
    /// Offer SHA-256 (RFC 8489).
    pub(crate) modern: bool,
    /// Answer requests of this kind with this error, once each.
    pub(crate) errors: Vec<(u16, u16)>,
    pub(crate) alternate: Option<SocketAddr>,
    /// Sign with a wrong key.
    pub(crate) liar: bool,
    pub(crate) lifetime: u32,
    pub(crate) allocated: bool,
    pub(crate) permissions: HashSet<IpAddr>,
    pub(crate) channels: HashMap<u16, SocketAddr>,
    /// Kinds of requests, in order.
    pub(crate) requests: Vec<u16>,
    /// Packets that came as channel data, and as Send indications.
    pub(crate) by_channel: usize,
    pub(crate) by_indication: usize,
}

impl FakeServer {
    pub(crate) fn new(relayed: SocketAddr) -> Self {
        Self {
            relayed,
            nonce: b"first".to_vec(),
            modern: false,
            errors: Vec::new(),
            alternate: None,
            liar: false,
            lifetime: 600,
            allocated: false,
            permissions: HashSet::new(),
            channels: HashMap::new(),
            requests: Vec::new(),
            by_channel: 0,
            by_indication: 0,
        }
    }

    pub(crate) fn take(&mut self, from: SocketAddr, bytes: &[u8]) -> Done {
        if let Some((number, data)) = parse_channel(bytes) {
            self.by_channel += 1;
            return match self.channels.get(&number) {
                Some(peer) => Done::Relayed(*peer, bytes[data].to_vec()),
                None => Done::Nothing,
            };
        }
        let Some((kind, message)) = Message::parse_request(bytes) else { return Done::Nothing };
        if kind == 0x016 {
            self.by_indication += 1;
            let (peer, data) = message.data().unwrap();
            let known = self.permissions.contains(&peer.ip());
            return if known { Done::Relayed(peer, bytes[data].to_vec()) } else { Done::Nothing };
        }
        self.requests.push(kind);
        Done::Answer(self.answer(kind, &message, from))
    }

    /// A packet for the relayed address: what the client gets of it.
    pub(crate) fn relay(&self, peer: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
        if !self.allocated || !self.permissions.contains(&peer.ip()) {
            return None;
        }
        if let Some((number, _)) = self.channels.iter().find(|(_, p)| **p == peer) {
            let mut data = number.to_be_bytes().to_vec();
            data.extend_from_slice(&u16::try_from(packet.len()).unwrap().to_be_bytes());
            data.extend_from_slice(packet);
            return Some(data);
        }
        let mut w = Writer::answer(0x017, [1; 12]);
        w.put_address(attribute::PEER_ADDRESS, peer);
        w.put(attribute::DATA, packet);
        Some(w.finish())
    }

    fn key(&self) -> (Integrity, Vec<u8>) {
        if self.modern {
            (Integrity::Sha256, sha256_key(USER, REALM, PASSWORD))
        } else {
            (Integrity::Sha1, md5_key(USER, REALM, PASSWORD))
        }
    }

    fn answer(&mut self, kind: u16, message: &Message<'_>, from: SocketAddr) -> Vec<u8> {
        let (integrity, key) = self.key();
        if !message.is_signed() || !message.verify(integrity, &key) {
            return self.challenge(kind, 401, message.transaction);
        }
        if message.get(attribute::NONCE) != Some(&self.nonce) {
            return self.challenge(kind, 438, message.transaction);
        }
        if let Some(i) = self.errors.iter().position(|(k, _)| *k == kind) {
            let (_, code) = self.errors.remove(i);
            return self.challenge(kind, code, message.transaction);
        }
        let mut w = Writer::answer(kind | 0x100, message.transaction);
        let peer = message.address(attribute::PEER_ADDRESS).map(|mut peer| {
            peer.set_port(if kind == 0x008 { 0 } else { peer.port() });
            peer
        });
        match (kind, peer) {
            (0x003, _) => {
                self.allocated = true;
                w.put_address(attribute::RELAYED_ADDRESS, self.relayed);
                // Simulated sockets are bound to any address.
                let seen = if from.ip().is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { from.ip() };
                w.put_address(attribute::MAPPED_ADDRESS, SocketAddr::new(seen, from.port()));
                w.put(attribute::LIFETIME, &self.lifetime.to_be_bytes());
            }
            (0x004, _) => {
                let wanted = message.lifetime().unwrap_or(self.lifetime);
                self.allocated = wanted > 0;
                w.put(attribute::LIFETIME, &wanted.to_be_bytes());
            }
            (0x008, Some(peer)) => drop(self.permissions.insert(peer.ip())),
            (0x009, Some(peer)) => {
                let number = message.get(attribute::CHANNEL_NUMBER).unwrap();
                let number = u16::from_be_bytes([number[0], number[1]]);
                assert!(number >= FIRST_CHANNEL);
                let same = self.channels.iter().all(|(n, p)| (*n == number) == (*p == peer));
                assert!(same, "a channel and an address belong together");
                self.channels.insert(number, peer);
                self.permissions.insert(peer.ip());
            }
            _ => panic!("request {kind:#x} with {peer:?}"),
        }
        let key = if self.liar { vec![0; 16] } else { key };
        w.sign(integrity, &key);
        w.finish()
    }

    fn challenge(&self, kind: u16, code: u16, transaction: [u8; 12]) -> Vec<u8> {
        let mut w = Writer::answer(kind | 0x110, transaction);
        let [class, number] = [code / 100, code % 100].map(|n| n.to_le_bytes()[0]);
        w.put(attribute::ERROR_CODE, &[0, 0, class, number]);
        w.put(attribute::REALM, REALM);
        w.put(attribute::NONCE, &self.nonce);
        if self.modern {
            w.put(attribute::PASSWORD_ALGORITHMS, &[0, 2, 0, 0, 0, 1, 0, 0]);
        }
        if let Some(server) = self.alternate {
            let SocketAddr::V4(server) = server else { panic!("IPv4 here") };
            let [p0, p1] = server.port().to_be_bytes();
            let [a, b, c, d] = server.ip().octets();
            w.put(attribute::ALTERNATE_SERVER, &[0, 1, p0, p1, a, b, c, d]);
        }
        w.finish()
    }
}
