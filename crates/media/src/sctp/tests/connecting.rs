//! How the association comes up, whoever connects, and how it goes.

use super::super::packet;
use super::*;

fn kinds(packet: &[u8]) -> Vec<u8> {
    packet::parse(packet).unwrap().1.map(|chunk| chunk.kind).collect()
}

#[test]
fn the_dtls_client_connects_in_two_round_trips() {
    let mut path = Path::new();
    path.run_for(4 * DELAY);
    assert!(path.both_up());
    for side in [0, 1] {
        assert_eq!(path.take_events(side), [SctpEvent::Ready]);
    }
    assert_eq!(kinds(&path.ends[0].sent[0]), [packet::INIT]);
    assert_eq!(kinds(&path.ends[1].sent[0]), [packet::INIT_ACK]);
}

#[test]
fn any_lost_or_repeated_handshake_packet_is_made_good() {
    for side in [0, 1] {
        for index in 0..2 {
            for twice in [false, true] {
                let mut path = Path::with_fate(|s, i, _| match (s, i) == (side, index) {
                    true if twice => Fate::Twice,
                    true => Fate::Drop,
                    false => Fate::Pass,
                });
                path.run_for(Duration::from_secs(4));
                assert!(path.both_up(), "packet {index} of end {side}, twice: {twice}");
                path.send(0, "a", false, b"x").unwrap();
                path.send(1, "b", false, b"y").unwrap();
                path.run_for(Duration::from_secs(1));
                assert_eq!(path.messages(0), [("b".to_owned(), false, b"y".to_vec())]);
                assert_eq!(path.messages(1), [("a".to_owned(), false, b"x".to_vec())]);
            }
        }
    }
}

#[test]
fn the_dtls_server_connects_itself_when_nobody_does() {
    let now = Instant::now();
    let mut server = Sctp::new(false, 5000, now);
    assert_eq!(server.poll_timeout(), Some(now + PATIENCE));
    assert!(server.poll_transmit(now).is_none());
    server.handle_timeout(now + PATIENCE);
    let init = server.poll_transmit(now + PATIENCE).unwrap();
    assert_eq!(kinds(&init), [packet::INIT]);
    // An SCTP stack that only listens.
    let mut listener = Sctp::new(false, 5000, now + PATIENCE);
    let (mut answer, mut done) = (vec![init], false);
    for round in 0..4 {
        let (from, to) =
            if round % 2 == 0 { (&mut listener, &mut server) } else { (&mut server, &mut listener) };
        for packet in std::mem::take(&mut answer) {
            from.handle_packet(now + PATIENCE, &packet);
        }
        answer.extend(std::iter::from_fn(|| from.poll_transmit(now + PATIENCE)));
        done = from.is_up() && to.is_up();
    }
    assert!(done);
}

#[test]
fn crossing_inits_lead_to_one_association() {
    // The client's first INIT is so late that the server has sent its own; they cross in both directions.
    for late in [480, 485, 490, 495, 500, 505, 510, 700, 990, 1000, 1010] {
        let mut path = Path::with_fate(|side, index, _| match (side, index) {
            (0, 0) => Fate::Late(Duration::from_millis(late)),
            _ => Fate::Pass,
        });
        path.run_for(Duration::from_secs(3));
        assert!(path.both_up(), "late by {late} ms");
        for side in [0, 1] {
            assert_eq!(path.take_events(side), [SctpEvent::Ready]);
        }
        path.send(0, "a", true, &[7; 5000]).unwrap();
        path.send(1, "b", true, &[8; 5000]).unwrap();
        path.run_for(Duration::from_secs(2));
        assert_eq!(path.messages(0), [("b".to_owned(), true, vec![8; 5000])]);
        assert_eq!(path.messages(1), [("a".to_owned(), true, vec![7; 5000])]);
    }
}

#[test]
fn a_late_copy_of_the_init_does_not_disturb_the_association() {
    let mut path = Path::up();
    let init = path.ends[0].sent[0].clone();
    path.inject(1, &init);
    path.send(0, "a", false, b"still there").unwrap();
    path.run_for(Duration::from_secs(1));
    assert_eq!(path.messages(1), [("a".to_owned(), false, b"still there".to_vec())]);
}

#[test]
fn an_abort_before_the_association_is_up_leads_to_another_attempt() {
    let now = Instant::now();
    let mut client = Sctp::new(true, 5000, now);
    let init = client.poll_transmit(now).unwrap();
    let (header, mut chunks) = packet::parse(&init).unwrap();
    let tag = chunks.next().unwrap().u32(0).unwrap();
    // ABORT without cause, as from a stack whose socket is not open yet.
    let abort = packet::build(packet::Header { tag, ..header }, [[6, 0, 0, 4].as_slice()]);
    client.handle_packet(now, &abort);
    assert!(client.poll_event().is_none());
    let due = client.poll_timeout().unwrap();
    assert!(due > now && due <= now + Duration::from_secs(2));
    client.handle_timeout(due);
    assert_eq!(kinds(&client.poll_transmit(due).unwrap()), [packet::INIT]);
}

#[test]
fn an_abort_of_the_peer_closes_channels_and_association() {
    let mut path = Path::up();
    path.send(0, "a", false, b"x").unwrap();
    path.run_for(Duration::from_secs(1));
    path.take_events(1);
    let (header, _) = packet::parse(path.ends[0].sent.last().unwrap()).unwrap();
    let abort = packet::build(header, [[6, 0, 0, 4].as_slice()]);
    path.inject(1, &abort);
    assert_eq!(
        path.take_events(1),
        [SctpEvent::Closed { id: 0, label: "a".to_owned() }, SctpEvent::Lost(None)]
    );
    assert_eq!(path.send(1, "a", false, b"y"), Err(SctpError::NotConnected));
    assert_eq!(path.ends[1].sctp.poll_timeout(), None);
}

#[test]
fn another_port_of_the_peer_is_honoured() {
    let now = Instant::now();
    let mut client = Sctp::new(true, 5001, now);
    let init = client.poll_transmit(now).unwrap();
    let (header, _) = packet::parse(&init).unwrap();
    assert_eq!((header.source, header.destination), (5000, 5001));
    let mut server = Sctp::new(false, 5000, now);
    server.handle_packet(now, &init);
    assert!(server.poll_transmit(now).is_none(), "a packet for another port is answered");
    assert_eq!(server.drops().packets, 1);
    // The same server behind a translation of ports.
    let swap = |packet: &[u8], source, destination| {
        let (header, chunks) = packet::parse(packet).unwrap();
        let header = packet::Header { source, destination, ..header };
        packet::build(header, chunks.map(|chunk| chunk.raw).collect::<Vec<_>>())
    };
    let mut waiting = vec![init];
    for _ in 0..3 {
        for packet in std::mem::take(&mut waiting) {
            server.handle_packet(now, &swap(&packet, 5000, 5000));
        }
        while let Some(answer) = server.poll_transmit(now) {
            client.handle_packet(now, &swap(&answer, 5001, 5000));
        }
        waiting.extend(std::iter::from_fn(|| client.poll_transmit(now)));
    }
    assert!(client.is_up() && server.is_up());
}
