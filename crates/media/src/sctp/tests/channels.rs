//! Channels and messages: opened from both sides, all kinds, sizes, loss and order.

use super::*;

#[test]
fn a_channel_opened_by_either_side_echoes_every_kind_of_message() {
    for opener in [0, 1] {
        let mut path = Path::up();
        let other = 1 - opener;
        let kinds: [(bool, &[u8]); 4] = [(false, b"text"), (false, b""), (true, &[0, 1, 2]), (true, b"")];
        for (binary, payload) in kinds {
            path.send(opener, "chat", binary, payload).unwrap();
            path.run_for(Duration::from_secs(1));
            assert_eq!(path.messages(other), [("chat".to_owned(), binary, payload.to_vec())]);
            path.send(other, "chat", binary, payload).unwrap();
            path.run_for(Duration::from_secs(1));
            assert_eq!(path.messages(opener), [("chat".to_owned(), binary, payload.to_vec())]);
        }
        // One channel, on a stream of the opener's parity, used by both.
        for end in &path.ends {
            let streams: Vec<u16> = end.sctp.channels.streams().collect();
            assert_eq!(streams, [u16::from(opener == 1)]);
        }
    }
}

#[test]
fn opening_is_reported_to_both_sides_with_label_and_protocol() {
    let mut path = Path::up();
    path.ends[0].sctp.send(path.now, "", "proto", false, b"x").unwrap();
    path.collect();
    path.run_for(Duration::from_secs(1));
    let label = "JanusDataChannel".to_owned();
    let opened =
        SctpEvent::Opened { id: 0, label: label.clone(), protocol: "proto".to_owned(), ordered: true };
    let message =
        SctpEvent::Message { label, protocol: "proto".to_owned(), binary: false, payload: b"x".to_vec() };
    assert_eq!(path.take_events(1), [opened.clone(), message]);
    assert_eq!(path.take_events(0), [opened]);
}

#[test]
fn both_sides_opening_the_same_label_at_once_understand_each_other() {
    let mut path = Path::up();
    path.send(0, "x", false, b"from 0").unwrap();
    path.send(1, "x", false, b"from 1").unwrap();
    path.run_for(Duration::from_secs(1));
    assert_eq!(path.messages(0), [("x".to_owned(), false, b"from 1".to_vec())]);
    assert_eq!(path.messages(1), [("x".to_owned(), false, b"from 0".to_vec())]);
    for round in 0..3 {
        for side in [0, 1] {
            path.send(side, "x", false, &[round]).unwrap();
            path.run_for(Duration::from_secs(1));
            assert_eq!(path.messages(1 - side), [("x".to_owned(), false, vec![round])]);
        }
    }
}

#[test]
fn large_messages_arrive_whole_on_a_clean_path() {
    let mut path = Path::up();
    for size in [1_000, 1_163, 1_164, 1_165, 16_384, 65_536, 100_000, MAX_MESSAGE] {
        let payload: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
        for side in [0, 1] {
            path.send(side, "big", true, &payload).unwrap();
            path.run_for(Duration::from_secs(5));
            assert!(path.messages(1 - side) == [("big".to_owned(), true, payload.clone())], "{size} bytes");
        }
    }
    for end in &mut path.ends {
        assert_eq!(end.sctp.buffered(), 0);
        assert!(end.sent.iter().all(|packet| packet.len() <= 1191));
    }
}

#[test]
fn a_megabyte_leaves_in_bursts_and_yet_quickly() {
    let sent = std::cell::RefCell::new(Vec::new());
    let mut path = Path::with_fate(|side, _, _| {
        if side == 0 {
            *sent.borrow_mut().last_mut().unwrap_or(&mut 0) += 1;
        }
        Fate::Pass
    });
    path.run_for(Duration::from_secs(1));
    let start = path.now;
    for _ in 0..15 {
        path.send(0, "x", true, &[1; 60_000]).unwrap();
    }
    let mut got = 0;
    while got < 15 {
        sent.borrow_mut().push(0);
        path.run_for(BURST_INTERVAL);
        got += path.messages(1).len();
        assert!(
            path.now - start < Duration::from_millis(400),
            "only {got} after 400 ms of 20 ms round trips"
        );
    }
    let most = sent.borrow().iter().copied().max().unwrap();
    assert!((BURST / 2..=2 * BURST).contains(&most), "{most} packets in 2 ms");
}

/// A reproducible number below 100 for each packet.
fn dice(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) % 100
    }
}

#[test]
fn messages_survive_loss_reordering_and_repetition_in_order() {
    for seed in 1..9 {
        let mut dice = dice(seed);
        let mut path = Path::with_fate(move |_, _, _| match dice() {
            0..5 => Fate::Drop,
            5..15 => Fate::Late(Duration::from_millis(25)),
            15..20 => Fate::Twice,
            _ => Fate::Pass,
        });
        path.run_for(Duration::from_secs(20));
        assert!(path.both_up(), "seed {seed}");
        path.take_events(1);
        let sizes = [1, 5_000, 100_000, 20, 0, 40_000];
        for (number, size) in sizes.into_iter().enumerate() {
            let payload = vec![u8::try_from(number).unwrap(); size];
            path.send(0, "l", true, &payload).unwrap();
        }
        path.run_for(Duration::from_secs(120));
        let got: Vec<usize> = path.messages(1).iter().map(|(_, _, payload)| payload.len()).collect();
        assert_eq!(got, sizes, "seed {seed}");
    }
}

#[test]
fn data_flows_again_after_a_long_interruption() {
    let broken = std::cell::Cell::new(false);
    let mut path = Path::with_fate(|_, _, _| if broken.get() { Fate::Drop } else { Fate::Pass });
    path.run_for(Duration::from_secs(1));
    broken.set(true);
    path.send(0, "x", false, b"into the void").unwrap();
    // Long enough for more timeouts than rtc-sctp puts up with by default.
    path.run_for(Duration::from_secs(150));
    broken.set(false);
    path.run_for(Duration::from_secs(70));
    assert_eq!(path.messages(1), [("x".to_owned(), false, b"into the void".to_vec())]);
}

#[test]
fn unordered_and_unreliable_channels_of_the_peer_are_accepted_with_their_parameters() {
    use rtc_datachannel::message::Message;
    use rtc_datachannel::message::message_channel_open::{ChannelType, DataChannelOpen};
    use rtc_shared::marshal::Marshal;
    let types = [
        (ChannelType::Reliable, true),
        (ChannelType::ReliableUnordered, false),
        (ChannelType::PartialReliableRexmit, true),
        (ChannelType::PartialReliableRexmitUnordered, false),
        (ChannelType::PartialReliableTimed, true),
        (ChannelType::PartialReliableTimedUnordered, false),
    ];
    for (channel_type, ordered) in types {
        let mut path = Path::up();
        let open = Message::DataChannelOpen(DataChannelOpen {
            channel_type,
            priority: 256,
            reliability_parameter: 100,
            label: b"u".to_vec(),
            protocol: vec![],
        });
        let now = path.now;
        let client = &mut path.ends[0].sctp;
        let (_, association) = client.association.as_mut().unwrap();
        association.open_stream(4, Protocol::Binary).unwrap();
        client.write(now, 4, &open.marshal().unwrap().freeze(), Protocol::Dcep).unwrap();
        client.write(now, 4, &Bytes::from_static(b"m"), Protocol::Binary).unwrap();
        path.collect();
        path.run_for(Duration::from_secs(1));
        let events = path.take_events(1);
        assert_eq!(
            events[0],
            SctpEvent::Opened { id: 4, label: "u".to_owned(), protocol: String::new(), ordered }
        );
        assert!(matches!(&events[1], SctpEvent::Message { payload, .. } if payload == b"m"));
        // And back, on the same channel.
        path.send(1, "u", true, b"back").unwrap();
        path.run_for(Duration::from_secs(1));
        assert_eq!(path.ends[1].sctp.channels.streams().collect::<Vec<_>>(), [4]);
    }
}

#[test]
fn a_channel_closed_by_the_peer_is_reported_and_its_label_can_be_used_again() {
    let mut path = Path::up();
    for round in 0..20 {
        path.send(0, "x", false, b"m").unwrap();
        path.run_for(Duration::from_secs(1));
        let events = path.take_events(1);
        assert_eq!(events[0], opened(0, "x"), "round {round}");
        let now = path.now;
        let (_, association) = path.ends[0].sctp.association.as_mut().unwrap();
        association.stream(0).unwrap().close(now).unwrap();
        path.ends[0].sctp.stirred = true;
        path.collect();
        path.run_for(Duration::from_secs(1));
        assert_eq!(path.take_events(1), [SctpEvent::Closed { id: 0, label: "x".to_owned() }]);
        let closed = path.take_events(0).contains(&SctpEvent::Closed { id: 0, label: "x".to_owned() });
        assert!(closed, "our own close is reported when the peer confirms it");
    }
}
