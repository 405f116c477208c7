use super::*;
use portunus_sdp::{
    Candidate, CandidateAddress, CandidateKind, CandidateTransport, Fingerprint as Announced,
};

/// Two connections with a socket each.
struct Pair {
    ends: [(Connection, Socket); 2],
    inbox: Inbox,
    outbox: Outbox,
}

fn described(connection: &Connection, identity: &Identity, at: SocketAddr) -> RemoteTransport {
    let (ufrag, pwd) = connection.credentials();
    RemoteTransport {
        ufrag: ufrag.to_owned(),
        pwd: pwd.to_owned(),
        fingerprint: Announced::parse(&format!("sha-256 {}", identity.fingerprint())).unwrap(),
        setup: Some(connection.setup()),
        ice_options: Vec::new(),
        candidates: vec![Candidate {
            foundation: "1".to_owned(),
            component: 1,
            transport: CandidateTransport::Udp,
            priority: 2_015_363_327,
            address: CandidateAddress::Ip(at.ip()),
            port: at.port(),
            kind: CandidateKind::Host,
            related: None,
            ufrag: None,
        }],
        end_of_candidates: true,
        lite: false,
    }
}

impl Pair {
    fn new(loss: f64) -> Self {
        let identity = Identity::generate().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let [a, b] = [(); 2].map(|()| Socket::bind(any).unwrap());
        let now = Instant::now();
        let mut offering = Connection::offering(&identity, &[a.local()]);
        let offer = described(&offering, &identity, a.local());
        let answering = Connection::answering(&identity, &[b.local()], &offer, now);
        offering.set_remote(&described(&answering, &identity, b.local()), now);
        let outbox = Outbox::new(Loss::new(loss, 7));
        Self { ends: [(offering, a), (answering, b)], inbox: Inbox::new(), outbox }
    }

    /// One round of time and datagrams; what the ends received of media.
    fn turn(&mut self) -> Vec<(usize, Received, Vec<u8>)> {
        let mut seen = Vec::new();
        for (i, (connection, socket)) in self.ends.iter_mut().enumerate() {
            let now = Instant::now();
            connection.handle_timeout(now, &mut self.outbox);
            self.outbox.flush(socket);
            let n = self.inbox.receive(socket).unwrap();
            for k in 0..n {
                let (bytes, from) = self.inbox.datagram(k).unwrap();
                let what = connection.handle_datagram(now, bytes, from, &mut self.outbox);
                if let Received::Rtp { len } | Received::Rtcp { len } = what {
                    seen.push((i, what, bytes[..len].to_vec()));
                }
            }
            self.outbox.flush(socket);
        }
        std::thread::sleep(Duration::from_millis(1));
        seen
    }

    fn connect(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while Instant::now() < until {
            self.turn();
            if self.ends.iter().all(|(connection, _)| connection.remote().is_some()) {
                return true;
            }
        }
        false
    }
}

#[test]
fn two_connections_shake_hands_and_exchange_media() {
    let mut pair = Pair::new(0.0);
    assert!(pair.connect(Duration::from_secs(10)));
    for (connection, _) in &mut pair.ends {
        assert_eq!(connection.poll_event(), Some(Event::Up));
        assert_eq!(connection.poll_event(), None);
    }
    let packet = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3];
    let (connection, socket) = &mut pair.ends[0];
    let to = connection.remote().unwrap();
    pair.outbox.room()[..packet.len()].copy_from_slice(&packet);
    let len = connection.seal_rtp(pair.outbox.room(), packet.len()).unwrap();
    pair.outbox.commit(len, to);
    pair.outbox.flush(socket);
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        if let [(1, Received::Rtp { len }, bytes)] = pair.turn().as_slice() {
            assert_eq!((*len, bytes.as_slice()), (packet.len(), &packet[..]));
            break;
        }
        assert!(Instant::now() < until, "no packet came");
    }
}

#[test]
fn loss_does_not_keep_connections_from_coming_up() {
    let mut pair = Pair::new(20.0);
    assert!(pair.connect(Duration::from_secs(20)));
}

#[test]
fn a_connection_that_is_closed_tells_the_other() {
    let mut pair = Pair::new(0.0);
    assert!(pair.connect(Duration::from_secs(10)));
    let (connection, socket) = &mut pair.ends[0];
    connection.close(Instant::now(), &mut pair.outbox);
    pair.outbox.flush(socket);
    assert!(connection.remote().is_none());
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until && pair.ends[1].0.remote().is_some() {
        pair.turn();
    }
    assert_eq!(pair.ends[1].0.poll_event(), Some(Event::Up));
    assert_eq!(pair.ends[1].0.poll_event(), Some(Event::Closed));
}

#[test]
fn nobody_there_is_a_failure_of_ice() {
    let mut pair = Pair::new(100.0);
    let (connection, _) = &mut pair.ends[0];
    let later = Instant::now() + ICE_LIMIT + Duration::from_secs(1);
    connection.handle_timeout(later, &mut pair.outbox);
    assert_eq!(connection.poll_event(), Some(Event::Failed("ICE failed".to_owned())));
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn the_share_that_is_lost_is_the_one_asked_for() {
    for percent in [0.0, 0.5, 5.0, 50.0, 100.0] {
        let mut loss = Loss::new(percent, 3);
        let lost = (0..200_000).filter(|_| loss.takes_next()).count();
        let share = lost as f64 / 2000.0;
        assert!((share - percent).abs() < 0.3, "{share} for {percent}");
    }
}
