//! Two associations against each other in memory, under virtual time. One file per behaviour below.

mod channels;
mod connecting;
mod limits;

use super::*;

const DELAY: Duration = Duration::from_millis(10);

/// What the path does with the `n`th packet of an end.
pub(super) enum Fate {
    Pass,
    Drop,
    Late(Duration),
    Twice,
}

pub(super) struct End {
    pub(super) sctp: Sctp,
    pub(super) events: Vec<SctpEvent>,
    pub(super) sent: Vec<Vec<u8>>,
}

type Fates<'a> = Box<dyn FnMut(usize, usize, &[u8]) -> Fate + 'a>;

/// End 0 is the DTLS client, end 1 the server.
pub(super) struct Path<'a> {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
    in_flight: Vec<(Instant, usize, Vec<u8>)>,
    fate: Fates<'a>,
}

impl<'a> Path<'a> {
    pub(super) fn new() -> Self {
        Self::with_fate(|_, _, _| Fate::Pass)
    }

    /// Two ends that have just come up.
    pub(super) fn up() -> Self {
        let mut path = Self::new();
        path.run_for(Duration::from_millis(200));
        assert!(path.both_up());
        path.take_events(0);
        path.take_events(1);
        path
    }

    pub(super) fn with_fate(fate: impl FnMut(usize, usize, &[u8]) -> Fate + 'a) -> Self {
        let now = Instant::now();
        let ends = [true, false].map(|client| End {
            sctp: Sctp::new(client, 5000, now),
            events: vec![],
            sent: vec![],
        });
        let mut path = Self { now, ends, in_flight: vec![], fate: Box::new(fate) };
        path.collect();
        path
    }

    pub(super) fn collect(&mut self) {
        for (side, end) in self.ends.iter_mut().enumerate() {
            while let Some(event) = end.sctp.poll_event() {
                end.events.push(event);
            }
            while let Some(packet) = end.sctp.poll_transmit(self.now) {
                let index = end.sent.len();
                end.sent.push(packet.to_vec());
                let (due, other) = (self.now + DELAY, 1 - side);
                let copies = match (self.fate)(side, index, &packet) {
                    Fate::Pass => [Some(due), None],
                    Fate::Drop => [None, None],
                    Fate::Late(by) => [Some(due + by), None],
                    Fate::Twice => [Some(due), Some(due)],
                };
                self.in_flight.extend(copies.into_iter().flatten().map(|due| (due, other, packet.to_vec())));
            }
        }
    }

    pub(super) fn inject(&mut self, side: usize, packet: &[u8]) {
        self.ends[side].sctp.handle_packet(self.now, packet);
        self.collect();
    }

    /// Lets virtual time pass.
    pub(super) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..1_000_000 {
            let packet = self.in_flight.iter().map(|(due, ..)| *due).min();
            let timer = self.ends.iter().filter_map(|end| end.sctp.poll_timeout()).min();
            let Some(next) = packet.into_iter().chain(timer).min().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.in_flight.sort_by_key(|(due, ..)| *due);
            if packet.is_some_and(|due| due <= self.now) {
                let (_, side, packet) = self.in_flight.remove(0);
                self.ends[side].sctp.handle_packet(self.now, &packet);
            } else {
                for end in &mut self.ends {
                    end.sctp.handle_timeout(self.now);
                }
            }
            self.collect();
        }
        panic!("the two ends never come to rest");
    }

    pub(super) fn both_up(&self) -> bool {
        self.ends.iter().all(|end| end.sctp.is_up())
    }

    pub(super) fn send(
        &mut self,
        side: usize,
        label: &str,
        binary: bool,
        payload: &[u8],
    ) -> Result<(), SctpError> {
        let result = self.ends[side].sctp.send(self.now, label, "", binary, payload);
        self.collect();
        result
    }

    pub(super) fn take_events(&mut self, side: usize) -> Vec<SctpEvent> {
        std::mem::take(&mut self.ends[side].events)
    }

    /// The messages an end has got since it was asked last.
    pub(super) fn messages(&mut self, side: usize) -> Vec<(String, bool, Vec<u8>)> {
        let events = self.take_events(side).into_iter();
        events
            .filter_map(|event| match event {
                SctpEvent::Message { label, binary, payload, .. } => Some((label, binary, payload)),
                _ => None,
            })
            .collect()
    }
}

pub(super) fn opened(id: u16, label: &str) -> SctpEvent {
    SctpEvent::Opened { id, label: label.to_owned(), protocol: String::new(), ordered: true }
}
