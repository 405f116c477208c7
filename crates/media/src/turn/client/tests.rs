use super::super::fake::{Done, FakeServer, PASSWORD, USER};
use super::super::message::parse_channel;
use super::*;

const ALLOCATE: u16 = 0x003;
const REFRESH: u16 = 0x004;
const PERMIT: u16 = 0x008;
const BIND: u16 = 0x009;
const SECOND: Duration = Duration::from_secs(1);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A client and a server with nothing between them but `lose`.
struct Lab {
    now: Instant,
    client: Client,
    server: FakeServer,
    events: Vec<Event>,
    /// What left the relay.
    relayed: Vec<(SocketAddr, Vec<u8>)>,
    /// Datagrams to the server that are still to be lost.
    lose: usize,
    sent: usize,
}

impl Lab {
    fn new(change: impl FnOnce(&mut FakeServer)) -> Self {
        Self::with_password(PASSWORD, change)
    }

    fn with_password(password: &str, change: impl FnOnce(&mut FakeServer)) -> Self {
        let mut server = FakeServer::new(address("192.0.2.9:50000"));
        change(&mut server);
        let now = Instant::now();
        let client = Client::new(Credentials::new(USER, password), false, now);
        let mut lab = Self { now, client, server, events: vec![], relayed: vec![], lose: 0, sent: 0 };
        lab.exchange();
        lab
    }

    fn exchange(&mut self) {
        while let Some(bytes) = self.client.poll_transmit() {
            self.sent += 1;
            if self.lose > 0 {
                self.lose -= 1;
                continue;
            }
            match self.server.take(address("198.51.100.4:7000"), &bytes) {
                Done::Answer(answer) => assert_eq!(self.client.handle_input(&answer, self.now), None),
                Done::Relayed(peer, packet) => self.relayed.push((peer, packet)),
                Done::Nothing => {}
            }
        }
        self.events.extend(std::iter::from_fn(|| self.client.poll_event()));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.client.poll_timeout(self.now).filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.exchange();
        }
        self.now = end;
    }

    /// Sends through the relay; whether it left at once.
    fn send(&mut self, peer: &str, packet: &[u8]) -> bool {
        let mut room = packet.to_vec();
        room.resize(1600, 0);
        let wrapped = self.client.wrap(&mut room, packet.len(), address(peer));
        if let Wrapped::Ready(len) = wrapped
            && let Done::Relayed(peer, packet) = self.server.take(address("198.51.100.4:7000"), &room[..len])
        {
            self.relayed.push((peer, packet));
        }
        self.client.handle_timeout(self.now);
        self.exchange();
        matches!(wrapped, Wrapped::Ready(_))
    }

    fn requests(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.server.requests)
    }
}

#[test]
fn an_allocation_is_made_with_the_credentials_the_server_asks_for() {
    for modern in [false, true] {
        let mut lab = Lab::new(|s| s.modern = modern);
        let (relayed, mapped) = (address("192.0.2.9:50000"), address("198.51.100.4:7000"));
        assert_eq!(lab.events, [Event::Up(Allocation { relayed, mapped })]);
        assert_eq!(lab.requests(), [ALLOCATE, ALLOCATE]);
    }
}

#[test]
fn errors_end_an_attempt_and_say_why() {
    let other = address("192.0.2.8:3478");
    for (code, alternate, expected) in [
        (300, Some(other), Failure::Elsewhere(other)),
        (300, None, Failure::Refused(300)),
        (403, None, Failure::Refused(403)),
        (437, None, Failure::Refused(437)),
        (486, None, Failure::Refused(486)),
        (401, None, Failure::Refused(401)),
    ] {
        let lab = Lab::new(|s| {
            s.errors = vec![(ALLOCATE, code)];
            s.alternate = alternate;
        });
        assert_eq!(lab.events, [Event::Over(expected)], "{code}");
        assert_eq!(lab.client.allocation(), None);
    }
}

#[test]
fn a_wrong_password_is_tried_once() {
    let mut lab = Lab::with_password("wrong", |_| {});
    assert_eq!(lab.events, [Event::Over(Failure::Refused(401))]);
    assert_eq!(lab.requests(), [ALLOCATE, ALLOCATE]);
}

#[test]
fn a_server_that_takes_its_better_algorithms_back_gets_no_password() {
    // The nonce says that there are algorithms, and there are none: somebody took them out.
    let mut lab = Lab::new(|s| s.nonce = b"obMatJos2gAAAabc".to_vec());
    assert_eq!(lab.events, [Event::Over(Failure::Refused(401))]);
    assert_eq!(lab.requests(), [ALLOCATE]);
}

#[test]
fn an_answer_with_a_wrong_signature_is_no_answer() {
    let mut lab = Lab::new(|s| s.liar = true);
    assert_eq!(lab.events, []);
    lab.server.liar = false;
    lab.run(SECOND);
    assert!(matches!(lab.events[..], [Event::Up(_)]));
}

#[test]
fn lost_requests_are_repeated_and_a_silent_server_is_given_up() {
    let mut lab = Lab::new(|_| {});
    lab.events.clear();
    lab.lose = 3;
    assert!(!lab.send("203.0.113.5:9", &[0, 1, 0, 0]));
    lab.run(SECOND * 4);
    assert_eq!(lab.relayed, [(address("203.0.113.5:9"), vec![0, 1, 0, 0])], "after three losses");

    let now = lab.now;
    let mut lab = Lab { client: Client::new(Credentials::new(USER, PASSWORD), false, now), ..lab };
    (lab.lose, lab.sent) = (100, 0);
    lab.run(SECOND * 39);
    assert_eq!((lab.sent, &lab.events[..]), (7, &[][..]));
    lab.run(SECOND);
    assert_eq!(lab.events, [Event::Over(Failure::Silent)]);
}

#[test]
fn nothing_is_repeated_on_a_stream() {
    let now = Instant::now();
    let mut client = Client::new(Credentials::new(USER, PASSWORD), true, now);
    assert!(client.poll_transmit().is_some());
    client.handle_timeout(now + SECOND * 39);
    assert!(client.poll_transmit().is_none() && client.poll_event().is_none());
    client.handle_timeout(now + SECOND * 40);
    assert_eq!(client.poll_event(), Some(Event::Over(Failure::Silent)));
}

#[test]
fn an_allocation_is_refreshed_at_half_its_life_and_with_a_new_nonce() {
    let mut lab = Lab::new(|_| {});
    lab.requests();
    lab.run(SECOND * 299);
    assert!(lab.requests().is_empty());
    lab.server.nonce = b"second".to_vec();
    lab.run(SECOND * 2);
    assert_eq!(lab.requests(), [REFRESH, REFRESH], "the first one met a stale nonce");
    lab.run(SECOND * 300);
    assert_eq!(lab.requests(), [REFRESH]);
    assert!(lab.client.allocation().is_some());
}

#[test]
fn a_nonce_that_is_always_stale_is_given_up() {
    let mut lab = Lab::new(|_| {});
    lab.server.errors = (0..10).map(|_| (REFRESH, 438)).collect();
    lab.run(SECOND * 301);
    assert_eq!(lab.events.last(), Some(&Event::Over(Failure::Refused(438))));
}

#[test]
fn a_server_that_forgot_the_allocation_ends_it() {
    for kind in [REFRESH, PERMIT, BIND] {
        let mut lab = Lab::new(|s| s.errors = vec![(kind, 437)]);
        lab.send("203.0.113.5:9", &[0, 1, 0, 0]);
        lab.send("203.0.113.5:9", &[22, 254]);
        lab.run(SECOND * 301);
        assert_eq!(lab.events.last(), Some(&Event::Over(Failure::Refused(437))), "{kind}");
        assert!(!lab.send("203.0.113.5:9", &[0, 1, 0, 0]));
    }
}

#[test]
fn the_first_packet_waits_for_its_permission_and_media_get_a_channel() {
    let mut lab = Lab::new(|_| {});
    lab.requests();
    let (peer, other) = ("203.0.113.5:9", "203.0.113.5:10");
    assert!(!lab.send(peer, &[0, 1, 0, 0]));
    assert_eq!(lab.relayed, [(address(peer), vec![0, 1, 0, 0])], "it left with the permission");
    assert!(lab.send(other, &[0, 1, 0, 1]), "a permission is for all ports");
    assert_eq!(lab.requests(), [PERMIT]);
    assert_eq!((lab.server.by_indication, lab.server.by_channel), (2, 0));
    assert!(lab.send(peer, &[22, 254, 253]));
    assert_eq!(lab.requests(), [BIND]);
    for _ in 0..3 {
        assert!(lab.send(peer, &[128, 111, 0]));
    }
    assert_eq!((lab.server.by_indication, lab.server.by_channel), (3, 3));
    assert_eq!(lab.relayed.last(), Some(&(address(peer), vec![128, 111, 0])));
    assert_eq!(lab.server.channels, HashMap::from([(0x4000, address(peer))]));

    for from in [peer, other] {
        let datagram = lab.server.relay(address(from), b"\x80hello").unwrap();
        assert_eq!(parse_channel(&datagram).is_some(), from == peer);
        let (sender, data) = lab.client.handle_input(&datagram, lab.now).unwrap();
        assert_eq!((sender, &datagram[data]), (address(from), &b"\x80hello"[..]));
    }
}

#[test]
fn what_is_used_is_renewed_in_time_and_the_rest_is_forgotten() {
    let mut lab = Lab::new(|s| s.lifetime = 3600);
    let (used, idle) = ("203.0.113.5:9", "203.0.113.6:9");
    for peer in [used, idle] {
        lab.send(peer, &[0, 1, 0, 0]);
        lab.send(peer, &[22, 254]);
    }
    assert_eq!(lab.client.counts(), (2, 2));
    lab.requests();
    let (mut permits, mut binds) = (0, 0);
    for _ in 0..70 {
        lab.run(SECOND * 10);
        lab.send(used, &[128, 111]);
        for kind in lab.requests() {
            permits += usize::from(kind == PERMIT);
            binds += usize::from(kind == BIND);
        }
    }
    // 700 s: the one that is used after 240 and 480 s; the idle one once, as it was used before the first look.
    assert_eq!((permits, binds), (3, 2));
    assert_eq!(lab.client.counts(), (1, 2), "the idle channel was renewed once as it had been used");
    for _ in 0..180 {
        lab.run(SECOND * 10);
        lab.send(used, &[128, 111]);
    }
    assert_eq!(lab.client.counts(), (1, 1));
    assert_eq!(lab.client.numbers, [Some(address(used)), None]);
    lab.send("203.0.113.7:9", &[0, 1, 0, 0]);
    lab.server.channels.remove(&0x4001);
    lab.send("203.0.113.7:9", &[22, 254]);
    assert_eq!(lab.client.numbers[1], Some(address("203.0.113.7:9")), "the number is free after its rest");
}

#[test]
fn an_address_the_server_forbids_is_asked_for_again_later() {
    let mut lab = Lab::new(|s| s.errors = vec![(PERMIT, 403)]);
    assert!(!lab.send("203.0.113.5:9", &[0, 1, 0, 0]));
    lab.requests();
    lab.run(SECOND * 50);
    assert!(!lab.send("203.0.113.5:9", &[0, 1, 0, 0]));
    assert_eq!((lab.requests(), &lab.relayed[..]), (vec![], &[][..]));
    lab.run(SECOND * 20);
    assert!(!lab.send("203.0.113.5:9", &[0, 1, 0, 0]));
    assert_eq!((lab.requests(), lab.relayed.len()), (vec![PERMIT], 1));
}

#[test]
fn without_a_channel_media_go_on_as_indications() {
    let mut lab = Lab::new(|s| s.errors = vec![(BIND, 508)]);
    lab.send("203.0.113.5:9", &[0, 1, 0, 0]);
    for _ in 0..5 {
        assert!(lab.send("203.0.113.5:9", &[128, 111]));
    }
    assert_eq!((lab.relayed.len(), lab.server.by_channel, lab.server.by_indication), (6, 0, 6));
    lab.run(SECOND * 70);
    lab.send("203.0.113.5:9", &[128, 111]);
    assert!(lab.send("203.0.113.5:9", &[128, 111]));
    assert_eq!(lab.server.by_channel, 1, "asked for again later");
}

#[test]
fn channels_and_permissions_have_an_end() {
    let mut lab = Lab::new(|_| {});
    let peer = |i: usize| format!("10.0.{}.{}:9", i / 250, i % 250 + 1);
    for i in 0..MAX_PERMISSIONS {
        lab.send(&peer(i), &[0, 1, 0, 0]);
    }
    assert!(!lab.send("203.0.113.5:9", &[0, 1, 0, 0]));
    assert_eq!(lab.client.counts(), (MAX_PERMISSIONS, 0));
    let mut ports = (0..=CHANNELS).map(|i| format!("10.0.0.1:{}", 1000 + i));
    let (last, rest) = (ports.next_back().unwrap(), ports);
    for peer in rest {
        lab.send(&peer, &[22, 254]);
    }
    assert_eq!(lab.server.channels.keys().max(), Some(&0x4fff));
    assert!(lab.send(&last, &[22, 254]) && lab.send(&last, &[22, 254]));
    assert_eq!(lab.client.counts().1, usize::from(CHANNELS));
}

#[test]
fn an_allocation_that_is_not_needed_any_more_is_given_up() {
    let mut lab = Lab::new(|_| {});
    assert!(lab.server.allocated);
    lab.client.close();
    lab.exchange();
    assert!(!lab.server.allocated);
    assert_eq!(lab.requests().last(), Some(&REFRESH));
    lab.run(SECOND * 1000);
    assert!(lab.requests().is_empty());
}

#[test]
fn strangers_and_the_other_family_are_left_alone() {
    let mut lab = Lab::new(|_| {});
    assert!(!lab.send("[2001:db8::1]:9", &[0, 1, 0, 0]));
    assert_eq!(lab.client.counts(), (0, 0));
    for junk in [&b""[..], &[0x40, 1, 0, 0], &[0x40, 1, 0, 9, 1], &[1, 3, 0, 0], &[0; 40]] {
        assert_eq!(lab.client.handle_input(junk, lab.now), None);
    }
}
