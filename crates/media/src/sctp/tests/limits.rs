//! What is bounded, and what a hostile peer gets.

use super::super::channels::{MAX_CHANNELS, MAX_LABEL};
use super::super::packet::{self, Header, build};
use super::*;

/// The header of the packets end 0 sends to end 1, and its next TSN.
fn as_client(path: &Path<'_>) -> (Header, u32) {
    let (mut header, mut tsn) = (None, 0);
    for packet in &path.ends[0].sent {
        let (seen, chunks) = packet::parse(packet).unwrap();
        for chunk in chunks {
            match chunk.kind {
                packet::INIT => tsn = chunk.u32(12).unwrap(),
                packet::DATA => tsn = chunk.u32(0).unwrap().wrapping_add(1),
                _ => {}
            }
        }
        header = Some(seen).filter(|header| header.tag != 0).or(header);
    }
    (header.unwrap(), tsn)
}

/// A DATA chunk; flags: 1 end, 2 begin, 4 unordered.
fn data(flags: u8, tsn: u32, stream: u16, sequence: u16, protocol: u32, payload: &[u8]) -> Vec<u8> {
    let mut chunk = vec![packet::DATA, flags];
    chunk.extend(u16::try_from(16 + payload.len()).unwrap().to_be_bytes());
    chunk.extend(tsn.to_be_bytes());
    chunk.extend(stream.to_be_bytes());
    chunk.extend(sequence.to_be_bytes());
    chunk.extend(protocol.to_be_bytes());
    chunk.extend(payload);
    chunk
}

fn cut_off(path: &mut Path<'_>, why: Violation) {
    assert_eq!(path.take_events(1).last(), Some(&SctpEvent::Lost(Some(why))));
    let last = path.ends[1].sent.last().unwrap();
    assert_eq!(packet::parse(last).unwrap().1.next().unwrap().kind, 6, "no ABORT was sent");
    path.run_for(Duration::from_secs(1));
    assert!(path.take_events(0).contains(&SctpEvent::Lost(None)));
}

#[test]
fn channels_end_at_150_on_both_sides() {
    let mut path = Path::up();
    for number in 0..MAX_CHANNELS {
        path.send(0, &format!("c{number}"), false, b"x").unwrap();
        path.run_for(Duration::from_millis(100));
    }
    assert_eq!(path.send(0, "one more", false, b"x"), Err(SctpError::TooManyChannels));
    assert_eq!(path.send(1, "one more", false, b"x"), Err(SctpError::TooManyChannels));
    assert_eq!(path.messages(1).len(), MAX_CHANNELS);
    path.send(1, "c149", false, b"still").unwrap();
    path.run_for(Duration::from_secs(1));
    assert_eq!(path.messages(0), [("c149".to_owned(), false, b"still".to_vec())]);
}

#[test]
fn a_channel_too_many_of_the_peer_is_reset() {
    let mut path = Path::up();
    for number in 0..MAX_CHANNELS {
        path.send(1, &format!("c{number}"), false, b"x").unwrap();
        path.run_for(Duration::from_millis(100));
    }
    path.take_events(0);
    path.ends[0].sctp.channels = Channels::default();
    path.send(0, "over", false, b"x").unwrap();
    path.run_for(Duration::from_secs(1));
    assert_eq!(path.take_events(0), [SctpEvent::Closed { id: 0, label: "over".to_owned() }]);
    assert!(path.ends[1].sctp.drops().received > 0);
}

#[test]
fn labels_and_messages_that_are_too_long_are_refused() {
    let mut path = Path::up();
    let long = "x".repeat(MAX_LABEL + 1);
    assert_eq!(path.send(0, &long, false, b"x"), Err(SctpError::LabelTooLong));
    let now = path.now;
    assert_eq!(path.ends[0].sctp.send(now, "x", &long, false, b"x"), Err(SctpError::LabelTooLong));
    assert_eq!(path.send(0, "x", true, &vec![0; MAX_MESSAGE + 1]), Err(SctpError::MessageTooLong));
    path.send(0, &long[1..], false, b"x").unwrap();
    path.run_for(Duration::from_secs(1));
    assert_eq!(path.messages(1).len(), 1);
}

#[test]
fn the_send_buffer_ends_at_one_megabyte_and_drops_whole_messages() {
    let broken = std::cell::Cell::new(false);
    let mut path = Path::with_fate(|_, _, _| if broken.get() { Fate::Drop } else { Fate::Pass });
    path.run_for(Duration::from_secs(1));
    path.send(0, "x", true, b"x").unwrap();
    path.run_for(Duration::from_secs(1));
    path.take_events(1);
    broken.set(true);
    let results: Vec<_> = (0..6).map(|_| path.send(0, "x", true, &vec![0; 200_000])).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    assert_eq!(results[5], Err(SctpError::BufferFull));
    assert_eq!(path.ends[0].sctp.drops().sent, 1);
    assert_eq!(path.ends[0].sctp.buffered(), 1_000_000);
    broken.set(false);
    path.run_for(Duration::from_secs(60));
    assert_eq!(path.messages(1).len(), 5);
    assert_eq!(path.ends[0].sctp.buffered(), 0);
}

#[test]
fn messages_without_a_channel_or_of_an_unknown_kind_are_dropped_and_counted() {
    let mut path = Path::up();
    let (header, tsn) = as_client(&path);
    // The long label is no OPEN, and so the text behind it belongs to no channel.
    let mut open = vec![3, 0, 1, 0, 0, 0, 0, 0];
    open.extend(u16::try_from(MAX_LABEL + 1).unwrap().to_be_bytes());
    open.extend([0, 0]);
    open.extend(vec![b'x'; MAX_LABEL + 1]);
    let not_utf8 = [3, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff];
    let table: [(u16, u32, &[u8]); 7] = [
        (2, 50, &open),
        (2, 51, b"text"),
        (4, 50, &not_utf8),
        (4, 50, &[]),
        (4, 50, &[2]),
        (6, 99, b"unknown kind"),
        (6, 50, &[3, 0, 1]),
    ];
    let mut next = tsn;
    for (stream, protocol, payload) in table {
        if payload.is_empty() {
            continue;
        }
        let packet = build(header, [data(7, next, stream, 0, protocol, payload).as_slice()]);
        next = next.wrapping_add(1);
        path.inject(1, &packet);
    }
    assert_eq!(path.take_events(1), []);
    assert_eq!(path.ends[1].sctp.drops().received, 6);
}

#[test]
fn partial_protocol_identifiers_count_as_text_and_binary() {
    let mut path = Path::up();
    path.send(0, "x", false, b"open").unwrap();
    path.run_for(Duration::from_secs(1));
    path.take_events(1);
    let (header, tsn) = as_client(&path);
    for (number, (protocol, binary)) in
        [(51, false), (53, true), (54, false), (52, true)].into_iter().enumerate()
    {
        let tsn = tsn.wrapping_add(u32::try_from(number).unwrap());
        path.inject(1, &build(header, [data(7, tsn, 0, 0, protocol, b"p").as_slice()]));
        assert_eq!(path.messages(1), [("x".to_owned(), binary, b"p".to_vec())], "{protocol}");
    }
}

#[test]
fn chunks_nobody_knows_do_not_cost_their_neighbours() {
    let mut path = Path::up();
    path.send(0, "x", false, b"open").unwrap();
    path.run_for(Duration::from_secs(1));
    path.take_events(1);
    let (header, tsn) = as_client(&path);
    let good = data(7, tsn, 0, 0, 51, b"good");
    let skippable: &[u8] = &[0x84, 0, 0, 8, 1, 2, 3, 4];
    let error: &[u8] = &[9, 0, 0, 8, 0, 6, 0, 4];
    let fatal: &[u8] = &[0x3f, 0, 0, 4];
    path.inject(1, &build(header, [skippable, error, good.as_slice(), fatal]));
    assert_eq!(path.messages(1), [("x".to_owned(), false, b"good".to_vec())]);
    assert!(path.ends[1].sctp.is_up());
}

#[test]
fn a_stream_beyond_the_negotiated_ones_cuts_the_peer_off() {
    let mut path = Path::up();
    let (header, tsn) = as_client(&path);
    path.inject(1, &build(header, [data(3, tsn, 300, 0, 51, b"x").as_slice()]));
    cut_off(&mut path, Violation::Stream);
}

#[test]
fn a_forward_tsn_far_ahead_cuts_the_peer_off_instead_of_spinning() {
    let mut path = Path::up();
    let (header, tsn) = as_client(&path);
    let forward = |by: u32| {
        let mut chunk = vec![packet::FORWARD_TSN, 0, 0, 8];
        chunk.extend(tsn.wrapping_add(by).to_be_bytes());
        build(header, [chunk.as_slice()])
    };
    path.inject(1, &forward(1000));
    assert!(path.ends[1].sctp.is_up());
    let started = Instant::now();
    path.inject(1, &forward(0x7fff_0000));
    assert!(started.elapsed() < Duration::from_secs(1));
    cut_off(&mut path, Violation::Skip);
}

#[test]
fn fragments_that_never_become_messages_cut_the_peer_off() {
    let mut path = Path::up();
    let (header, tsn) = as_client(&path);
    let mut next = tsn;
    'flood: for _ in 0..2_000 {
        let chunks: Vec<Vec<u8>> = (0..50)
            .map(|_| {
                next = next.wrapping_add(1);
                data(4, next, 0, 0, 53, b"x")
            })
            .collect();
        path.inject(1, &build(header, chunks.iter().map(Vec::as_slice)));
        if !path.ends[1].sctp.is_up() {
            break 'flood;
        }
    }
    assert!(next.wrapping_sub(tsn) < 20_000);
    cut_off(&mut path, Violation::Fragments);
}

#[test]
fn data_against_a_closed_window_cuts_the_peer_off() {
    let mut path = Path::up();
    let (header, tsn) = as_client(&path);
    let payload = vec![0; 1100];
    let mut sent = 0;
    while path.ends[1].sctp.is_up() {
        let flags = if sent == 0 { 2 } else { 0 };
        path.inject(1, &build(header, [data(flags, tsn.wrapping_add(sent), 0, 0, 53, &payload).as_slice()]));
        sent += 1;
        assert!(sent < 1_300, "more than 1.3 MB are held");
    }
    cut_off(&mut path, Violation::Window);
}

#[test]
fn resets_ahead_of_their_data_are_bounded() {
    let mut path = Path::up();
    let (header, tsn) = as_client(&path);
    for number in 0..400u32 {
        let mut chunk = vec![packet::RE_CONFIG, 0, 0, 22, 0, 13, 0, 18];
        chunk.extend(tsn.wrapping_add(number).to_be_bytes());
        chunk.extend([0; 4]);
        chunk.extend(tsn.wrapping_add(5000).to_be_bytes());
        chunk.extend([0, 0]);
        path.inject(1, &build(header, [chunk.as_slice()]));
        if !path.ends[1].sctp.is_up() {
            assert_eq!(number, 256);
            return cut_off(&mut path, Violation::Resets);
        }
    }
    panic!("nobody stops the resets");
}

/// Reproducible numbers.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 88_172_645_463_325_252_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    }
}

fn mutate(packet: &[u8], random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if random(4) == 0 {
        packet.truncate(random(packet.len() + 1));
    }
    for _ in 0..=random(4) {
        let (at, value) = (random(packet.len().max(1)), random(256));
        if let Some(byte) = packet.get_mut(at) {
            *byte = u8::try_from(value).unwrap();
        }
    }
    packet
}

#[test]
fn damaged_packets_change_nothing() {
    let mut path = Path::up();
    let (header, tsn) = as_client(&path);
    let good = build(header, [data(3, tsn, 0, 0, 51, b"x").as_slice()]);
    let mut random = numbers();
    for _ in 0..20_000 {
        let packet = mutate(&good, &mut random);
        if packet != good {
            path.inject(1, &packet);
        }
    }
    assert!(path.ends[1].sctp.is_up());
    assert_eq!(path.take_events(1), []);
}

#[test]
fn hostile_packets_with_a_right_checksum_never_panic() {
    // Everything a handshake, a channel and its closing put on the wire, each damaged and sealed again.
    let mut path = Path::up();
    path.send(0, "x", true, &[1; 3000]).unwrap();
    path.run_for(Duration::from_secs(1));
    let (now, (_, association)) = (path.now, path.ends[0].sctp.association.as_mut().unwrap());
    association.stream(0).unwrap().close(now).unwrap();
    path.ends[0].sctp.stirred = true;
    path.collect();
    path.run_for(Duration::from_secs(1));
    let corpus = path.ends[0].sent.clone();
    let mut random = numbers();
    for round in 0..1000 {
        let mut path = if round % 3 == 0 { Path::new() } else { Path::up() };
        if round % 3 == 2 {
            path.send(0, "x", true, &[1; 3000]).unwrap();
            path.run_for(Duration::from_secs(1));
        }
        let ours =
            path.ends[0].sent.last().and_then(|packet| packet::parse(packet)).map(|(header, _)| header);
        for _ in 0..40 {
            let own = &path.ends[0].sent;
            let from = if own.is_empty() || random(2) == 0 { &corpus } else { own };
            let packet = mutate(&from[random(from.len())], &mut random);
            let Some((header, chunks)) = packet::parse(&packet) else { continue };
            let tag = if random(8) == 0 { header.tag } else { ours.map_or(0, |header| header.tag) };
            let raw: Vec<&[u8]> = chunks.map(|chunk| chunk.raw).collect();
            path.inject(1, &build(Header { source: 5000, destination: 5000, tag }, raw));
        }
        path.run_for(Duration::from_secs(5));
    }
}
