//! Two associations against each other in memory, under virtual time. One file per behaviour below.

mod attacks;
mod certificates;
mod handshake;
mod openssl;
mod reassembly;

use std::cell::OnceCell;

use portunus_srtp::{Opener, Sealer};

use super::fingerprint::{FingerprintError, FingerprintHash};
use super::*;
use crate::certificate::{Certificate, KeyKind};

/// One way of the path, in virtual time.
const DELAY: Duration = Duration::from_millis(10);

thread_local! {
    static ECDSA: OnceCell<Certificate> = const { OnceCell::new() };
    static RSA: OnceCell<Certificate> = const { OnceCell::new() };
}

pub(super) fn certificate(kind: KeyKind) -> Certificate {
    let cell = if kind == KeyKind::EcdsaP256 { &ECDSA } else { &RSA };
    cell.with(|cell| cell.get_or_init(|| Certificate::generate(kind, SystemTime::now()).unwrap()).clone())
}

pub(super) fn config(kind: KeyKind) -> Arc<DtlsConfig> {
    DtlsConfig::new(&certificate(kind), DtlsSettings::default()).unwrap()
}

pub(super) fn fingerprint_of(config: &DtlsConfig) -> Fingerprint {
    Fingerprint::parse("sha-256", config.certificate().fingerprint_sha256()).unwrap()
}

/// One end and what came out of it.
pub(super) struct End {
    pub(super) dtls: Dtls,
    pub(super) keys: Option<Option<SrtpKeys>>,
    pub(super) data: Vec<Vec<u8>>,
    pub(super) closed: bool,
    pub(super) failed: Option<DtlsError>,
    pub(super) sent: Vec<Vec<u8>>,
}

impl End {
    pub(super) fn new(dtls: Dtls) -> Self {
        Self { dtls, keys: None, data: vec![], closed: false, failed: None, sent: vec![] }
    }
}

/// What the path does with the `n`th datagram of an end (client 0, server 1).
pub(super) enum Fate {
    Pass,
    Drop,
    /// Arrives this many times.
    Copies(usize),
    /// Arrives later than usual.
    Late(Duration),
    /// Arrives as these datagrams instead.
    Instead(Vec<Vec<u8>>),
}

type Fates<'a> = Box<dyn FnMut(usize, usize, &[u8]) -> Fate + 'a>;

pub(super) struct Path<'a> {
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) ends: [End; 2],
    in_flight: Vec<(Instant, usize, Vec<u8>)>,
    fate: Fates<'a>,
}

impl<'a> Path<'a> {
    pub(super) fn new(client: Dtls, server: Dtls) -> Self {
        Self::with_fate(client, server, |_, _, _| Fate::Pass)
    }

    pub(super) fn with_fate(
        client: Dtls,
        server: Dtls,
        fate: impl FnMut(usize, usize, &[u8]) -> Fate + 'a,
    ) -> Self {
        let now = Instant::now();
        let ends = [End::new(client), End::new(server)];
        let mut path = Self { now, start: now, ends, in_flight: vec![], fate: Box::new(fate) };
        path.ends[1].dtls.start(now);
        path.ends[0].dtls.start(now);
        path.collect();
        path
    }

    /// Two ends with the right fingerprints of each other.
    pub(super) fn pair(client: &Arc<DtlsConfig>, server: &Arc<DtlsConfig>) -> (Dtls, Dtls) {
        (
            Dtls::new(client, Role::Client, fingerprint_of(server)),
            Dtls::new(server, Role::Server, fingerprint_of(client)),
        )
    }

    pub(super) fn collect(&mut self) {
        for (side, end) in self.ends.iter_mut().enumerate() {
            while let Some(output) = end.dtls.poll_output() {
                match output {
                    DtlsOutput::Transmit(datagram) => {
                        let index = end.sent.len();
                        end.sent.push(datagram.to_vec());
                        let other = 1 - side;
                        let due = self.now + DELAY;
                        match (self.fate)(side, index, &datagram) {
                            Fate::Pass => self.in_flight.push((due, other, datagram.to_vec())),
                            Fate::Drop => {}
                            Fate::Copies(n) => {
                                self.in_flight.extend((0..n).map(|_| (due, other, datagram.to_vec())));
                            }
                            Fate::Late(by) => self.in_flight.push((due + by, other, datagram.to_vec())),
                            Fate::Instead(datagrams) => {
                                self.in_flight.extend(datagrams.into_iter().map(|d| (due, other, d)));
                            }
                        }
                    }
                    DtlsOutput::Connected(keys) => {
                        assert!(end.keys.is_none() && end.failed.is_none() && !end.closed);
                        end.keys = Some(keys);
                    }
                    DtlsOutput::Data(data) => {
                        assert!(end.keys.is_some(), "data before Connected");
                        end.data.push(data.to_vec());
                    }
                    DtlsOutput::Closed => {
                        assert!(!end.closed && end.failed.is_none());
                        end.closed = true;
                    }
                    DtlsOutput::Failed(error) => {
                        assert!(!end.closed && end.failed.is_none());
                        end.failed = Some(error);
                    }
                }
            }
        }
    }

    /// Puts a datagram on the way to `side`.
    pub(super) fn inject(&mut self, side: usize, datagram: Vec<u8>) {
        self.in_flight.push((self.now, side, datagram));
    }

    /// Moves to the next thing that happens; false when nothing will.
    pub(super) fn step(&mut self) -> bool {
        let packet = self.in_flight.iter().map(|(due, ..)| *due).min();
        let timer = self.ends.iter().filter_map(|end| end.dtls.poll_timeout()).min();
        let Some(next) = packet.into_iter().chain(timer).min() else { return false };
        self.now = self.now.max(next);
        // Stable, so that what was sent first arrives first.
        self.in_flight.sort_by_key(|(due, ..)| *due);
        if packet.is_some_and(|due| due <= self.now) {
            let (_, side, datagram) = self.in_flight.remove(0);
            self.ends[side].dtls.handle_packet(self.now, &datagram);
        } else {
            for end in &mut self.ends {
                if end.dtls.poll_timeout().is_some_and(|due| due <= self.now) {
                    end.dtls.handle_timeout(self.now);
                }
            }
        }
        self.collect();
        true
    }

    pub(super) fn run(&mut self) {
        for _ in 0..10_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the two ends never come to rest");
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(super) fn both_connected(&self) -> bool {
        self.ends.iter().all(|end| end.dtls.is_connected() && end.keys.is_some() && end.failed.is_none())
    }

    pub(super) fn send(&mut self, side: usize, data: &[u8]) {
        self.ends[side].dtls.send_data(self.now, data).unwrap();
        self.collect();
    }

    /// Seals a packet with each end's sending keys and opens it with the other's.
    pub(super) fn assert_keys_fit(&mut self) {
        let [client, server] = self.ends.each_mut().map(|end| end.keys.take().unwrap().unwrap());
        assert_eq!(client.profile, server.profile);
        for (local, remote) in [(client.local, server.remote), (server.local, client.remote)] {
            // An empty receiver report.
            let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 3];
            let length = packet.len();
            packet.resize(length + 32, 0);
            let sealed = Sealer::new(local).unwrap().protect_rtcp(&mut packet, length).unwrap();
            let opened = Opener::new(&remote).unwrap().unprotect_rtcp(&mut packet[..sealed]).unwrap();
            assert_eq!(packet[..opened], [0x80, 201, 0, 1, 0, 0, 0, 3]);
        }
    }
}
