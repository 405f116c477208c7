//! A room on several workers: the source lives on one, sinks on others.

use super::*;
use portunus_plugin::media::LayerTarget;

/// The servers: `A` has the publisher.
const A: usize = 0;
const B: usize = 1;

/// A client, and the peer it has on one of the servers.
struct Member {
    worker: Worker,
    address: SocketAddr,
    server: usize,
    /// There and here.
    handles: [HandleId; 2],
    received: Vec<Received>,
    /// Loss between the two, in percent, and how much that was.
    loss: u64,
    lost: u64,
}

/// Servers that share a queue each, and their clients.
struct House {
    now: Instant,
    servers: Vec<(Worker, SocketAddr)>,
    mailboxes: Vec<Mailbox>,
    /// Servers that do not read their messages.
    deaf: Vec<usize>,
    members: Vec<Member>,
    events: Vec<(HandleId, MediaEvent)>,
    flying: VecDeque<Flying>,
    random: u64,
}

impl House {
    fn new(servers: usize, queue: usize) -> Self {
        let ways: Vec<_> = (0..servers)
            .map(|_| (sync_channel(queue), Arc::new(Waker::new().unwrap())))
            .map(|((inbox, commands), waker)| (Mailbox::new(inbox, Arc::clone(&waker)), commands, waker))
            .collect();
        let mailboxes: Vec<_> = ways.iter().map(|(m, _, _)| m.clone()).collect();
        let (made, now) = (ways.into_iter().enumerate(), Instant::now());
        let servers = made
            .map(|(i, (_, inbox, waker))| worker_among(i, (inbox, waker), mailboxes.clone(), now, |_| {}));
        Self {
            now,
            servers: servers.collect(),
            mailboxes,
            deaf: Vec::new(),
            members: Vec::new(),
            events: Vec::new(),
            flying: VecDeque::new(),
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// A client with one m-line connects to a server; returns its number.
    fn join(&mut self, server: usize, theirs: Negotiated, ours: Negotiated) -> usize {
        let i = self.exchange(server, &theirs, &ours);
        self.run_until_up(i);
        i
    }

    /// Offer and answer of a new member.
    fn exchange(&mut self, server: usize, theirs: &Negotiated, ours: &Negotiated) -> usize {
        let i = self.members.len();
        let id = u64::try_from(i).unwrap();
        let (worker, address) = worker(self.now, |_| {});
        let handles = [HandleId::from_random(1000 + id), HandleId::from_random(1 + id)];
        let (received, loss, lost) = (Vec::new(), 0, 0);
        self.members.push(Member { worker, address, server, handles, received, loss, lost });
        let offer = self.negotiate(i, true, theirs, None);
        let answer = self.negotiate(i, false, ours, Some(offer));
        self.negotiate(i, true, theirs, Some(answer));
        i
    }

    fn run_until_up(&mut self, member: usize) {
        let handles = self.members[member].handles;
        let end = self.now + MS * 5000;
        while handles.iter().any(|h| !self.events.contains(&(*h, MediaEvent::Up))) {
            assert!(self.now < end, "not up: {:?}", self.events);
            self.step();
        }
    }

    fn negotiate(
        &mut self,
        member: usize,
        client: bool,
        line: &Negotiated,
        remote: Option<RemoteTransport>,
    ) -> RemoteTransport {
        let handle = self.members[member].handles[usize::from(!client)];
        let n = Negotiation {
            handle,
            exchange: Some(7),
            remote,
            offering: client,
            restart: false,
            trickle: false,
            relay_only: false,
            media: vec![line.clone()],
            affinity: None,
            worker: None,
        };
        let command = MediaCommand::Negotiate(Box::new(n));
        if client {
            self.members[member].worker.simulate_command(command, self.now);
        } else {
            self.command(member, command);
        }
        self.collect();
        let local = |(h, e): &(HandleId, MediaEvent)| *h == handle && matches!(e, MediaEvent::Local { .. });
        let at = self.events.iter().position(local).unwrap();
        let (_, MediaEvent::Local { transport, .. }) = self.events.remove(at) else { unreachable!() };
        remote_of(&transport)
    }

    /// A command for a member's peer on its server.
    fn command(&mut self, member: usize, command: MediaCommand) {
        self.servers[self.members[member].server].0.simulate_command(command, self.now);
        self.collect();
    }

    fn end(&self, member: usize) -> RouteEnd {
        RouteEnd::new(self.members[member].handles[1], "0")
    }

    /// As the engine says it: by the sink's queue.
    fn route(&mut self, from: usize, to: usize) {
        let (source, sink) = (self.end(from), self.end(to));
        let (worker, there) = (self.members[from].server, self.members[to].server);
        let message = if worker == there {
            WorkerMessage::Command(MediaCommand::Route { source, sink })
        } else {
            WorkerMessage::RouteFrom { worker, source, sink }
        };
        assert!(self.mailboxes[there].try_send(message).is_none());
        self.servers[there].0.simulate_messages(self.now);
        self.collect();
    }

    fn unroute(&mut self, member: usize) {
        let sink = self.end(member);
        self.command(member, MediaCommand::Unroute { sink });
    }

    /// A member sends an RTP packet.
    fn send(&mut self, member: usize, packet: &[u8]) {
        let m = &mut self.members[member];
        m.worker.on_peer(m.handles[0], self.now, |peer, cx| peer.inject_rtp(cx, packet));
        self.collect();
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += MS;
        while self.flying.front().is_some_and(|f| f.at <= self.now) {
            let f = self.flying.pop_front().unwrap();
            self.deliver(&f);
        }
        for (i, (server, _)) in self.servers.iter_mut().enumerate() {
            server.simulate_timers(self.now);
            if !self.deaf.contains(&i) {
                server.simulate_messages(self.now);
            }
        }
        for m in &mut self.members {
            m.worker.simulate_timers(self.now);
        }
        self.collect();
    }

    fn deliver(&mut self, f: &Flying) {
        if let Some((server, local)) = self.servers.iter_mut().find(|(_, a)| *a == f.to) {
            server.simulate(&f.bytes, f.from, *local, self.now, |_, _| {});
        }
        if let Some(m) = self.members.iter_mut().find(|m| m.address == f.to) {
            let received = &mut m.received;
            m.worker.simulate(&f.bytes, f.from, m.address, self.now, |r, packet| {
                let view = portunus_rtp::packet::RtpView::parse(packet).unwrap();
                received.push(Received {
                    line: r.line,
                    sequence: r.header.sequence,
                    timestamp: r.header.timestamp,
                    ssrc: r.header.ssrc,
                    payload: view.payload().to_vec(),
                });
            });
        }
        self.collect();
    }

    fn collect(&mut self) {
        let mut packets = Vec::new();
        let servers = self.servers.iter_mut().map(|(w, _)| w);
        for worker in servers.chain(self.members.iter_mut().map(|m| &mut m.worker)) {
            self.events.append(&mut worker.take_events());
            packets.append(&mut worker.take_packets());
        }
        for (from, to, bytes) in packets {
            let ends = |m: &&mut Member| m.address == from || m.address == to;
            let m = self.members.iter_mut().find(ends).unwrap();
            let media = bytes.first().is_some_and(|b| (128..192).contains(b));
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            if media && self.random % 100 < m.loss {
                m.lost += 1;
                continue;
            }
            self.flying.push_back(Flying { at: self.now + MS * 10, from, to, bytes });
        }
    }

    /// Mirrors that all servers have, and mirrors that sources know of.
    fn mirrors(&self) -> (usize, usize) {
        let counts = self.servers.iter().map(|(w, _)| w.count_mirrors());
        counts.fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1))
    }

    /// Keyframes that the servers asked a member for.
    fn keyframe_requests(&mut self, member: usize) -> u64 {
        let (server, handle) = (self.members[member].server, self.members[member].handles[1]);
        let mut n = 0;
        self.servers[server].0.on_peer(handle, self.now, |peer, _| n = peer.keyframe_requests(0));
        n
    }

    /// Asserts that what a member received is one stream without a gap.
    fn assert_continuous(&self, member: usize) {
        let got = &self.members[member].received;
        let next = |w: &[Received]| w[1].sequence == w[0].sequence.wrapping_add(1) && w[1].ssrc == w[0].ssrc;
        assert!(got.windows(2).all(next), "{:?}", got.iter().map(|r| r.sequence).collect::<Vec<_>>());
        let jump = |w: &[Received]| w[1].timestamp.wrapping_sub(w[0].timestamp) < 200_000;
        assert!(got.windows(2).all(jump), "timestamps");
    }

    fn received(&self, member: usize) -> usize {
        self.members[member].received.len()
    }
}

/// A frame of one packet; every 30th is a keyframe. The payload's size tells the publisher.
fn frame(ssrc: u32, n: u16, size: usize) -> Vec<u8> {
    rtp("0", "", VP8, ssrc, n, u32::from(n) * 3000, &vp8(n.is_multiple_of(30), n, size))
}

/// Publishers send frames, beginning with number `from`.
fn publish(h: &mut House, publishers: &[(usize, usize)], from: u16, frames: u16) {
    for n in from..from + frames {
        for (publisher, size) in publishers {
            let ssrc = 100 + u32::try_from(*publisher).unwrap();
            h.send(*publisher, &frame(ssrc, n, *size));
        }
        h.run(MS * 33);
    }
}

/// A publisher on A and subscribers on these servers.
fn house(subscribers: &[usize]) -> House {
    let mut h = House::new(3, 16_384);
    h.join(A, video(0, Some(RTX)), video(0, Some(RTX)));
    for server in subscribers {
        h.join(*server, video(0, Some(RTX)), video(0, Some(RTX)));
    }
    h
}

#[test]
fn packets_reach_the_sinks_of_all_workers_in_order_and_without_a_gap() {
    let mut h = house(&[A, B, B, 2]);
    (1..5).for_each(|sink| h.route(0, sink));
    h.run(MS * 100);
    assert_eq!(h.mirrors(), (2, 2), "one for each other worker, however many sinks it has");
    publish(&mut h, &[(0, 500)], 0, 100);
    for sink in 1..5 {
        assert_eq!(h.received(sink), 100);
        h.assert_continuous(sink);
    }
    h.unroute(2);
    publish(&mut h, &[(0, 500)], 100, 10);
    assert_eq!((h.received(2), h.received(3), h.mirrors()), (100, 110, (2, 2)));
    (3..5).for_each(|sink| h.unroute(sink));
    h.run(MS * 100);
    assert_eq!(h.mirrors(), (0, 0), "nobody needs them");
    publish(&mut h, &[(0, 500)], 110, 10);
    assert_eq!((h.received(1), h.received(3)), (120, 110));
}

#[test]
fn audio_reaches_the_sinks_of_another_worker() {
    let mut h = House::new(2, 16_384);
    h.join(A, audio(0), audio(0));
    h.join(B, audio(0), audio(0));
    h.route(0, 1);
    h.run(MS * 20);
    for n in 0..100_u16 {
        h.send(0, &rtp("0", "", OPUS, 5, n, u32::from(n) * 960, &[7; 80]));
        h.run(MS * 20);
    }
    assert_eq!(h.received(1), 100);
    h.assert_continuous(1);
}

#[test]
fn a_sink_of_another_worker_chooses_its_simulcast_layer() {
    let mut h = House::new(2, 16_384);
    let mut simulcast = video(0, Some(RTX));
    simulcast.rids = ["l", "m", "h"].map(str::to_owned).to_vec();
    h.join(A, video(0, Some(RTX)), simulcast);
    h.join(B, video(0, Some(RTX)), video(0, Some(RTX)));
    h.route(0, 1);
    let mut n = 0_u16;
    let mut second = |h: &mut House| {
        for _ in 0..30 {
            for (layer, rid) in ["l", "m", "h"].iter().enumerate() {
                let payload = vp8(n.is_multiple_of(10), n, 200 + 200 * layer);
                let ssrc = 100 + u32::try_from(layer).unwrap();
                h.send(0, &rtp("0", rid, VP8, ssrc, n, u32::from(n) * 3000, &payload));
            }
            n += 1;
            h.run(MS * 33);
        }
    };
    second(&mut h);
    for spatial in [2, 0, 1, 2] {
        let target = LayerTarget { spatial, temporal: 2, fallback: MS * 250, automatic: false };
        let sink = h.end(1);
        h.command(1, MediaCommand::Select { sink, target });
        second(&mut h);
        let from = h.received(1);
        second(&mut h);
        let mut sizes: Vec<_> = h.members[1].received[from..].iter().map(|r| r.payload.len()).collect();
        sizes.dedup();
        assert_eq!(sizes, [200 + 200 * usize::from(spatial)]);
    }
    h.assert_continuous(1);
}

#[test]
fn losses_of_a_sink_on_another_worker_are_repaired_without_the_publisher() {
    let mut h = house(&[B]);
    h.route(0, 1);
    publish(&mut h, &[(0, 500)], 0, 3);
    h.members[1].loss = 5;
    // The publisher cannot send anything again here, and is not asked to: nothing was lost on its way.
    for n in 3..1500 {
        h.send(0, &frame(100, n, 500));
        h.run(MS * 5);
    }
    h.members[1].loss = 0;
    publish(&mut h, &[(0, 500)], 1500, 40);
    let lost = h.members[1].lost;
    let mut sequences: Vec<_> = h.members[1].received.iter().map(|r| r.sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    let missing = 1540 - u64::try_from(sequences.len()).unwrap();
    assert!(lost > 60 && missing * 20 < lost, "{missing} of {lost} lost packets were not repaired");
}

#[test]
fn losses_on_both_ways_are_repaired() {
    let mut h = house(&[B]);
    // The publisher's client sends what a peer of its own is fed, and so answers NACKs.
    let feeder = HandleId::from_random(99);
    let n = Negotiation {
        handle: feeder,
        exchange: None,
        remote: None,
        offering: true,
        restart: false,
        trickle: false,
        relay_only: false,
        media: vec![video(0, Some(RTX))],
        affinity: None,
        worker: None,
    };
    let (source, sink) = (RouteEnd::new(feeder, "0"), RouteEnd::new(h.members[0].handles[0], "0"));
    for command in [MediaCommand::Negotiate(Box::new(n)), MediaCommand::Route { source, sink }] {
        h.members[0].worker.simulate_command(command, h.now);
    }
    h.route(0, 1);
    let count = 2000_u16;
    for n in 0..count {
        let now = h.now;
        h.members[0].worker.feed(feeder, &frame(100, n, 500), now);
        h.collect();
        h.run(MS * if n < 3 { 300 } else { 5 });
        let loss = if n > 2 && n + 10 < count { 5 } else { 0 };
        h.members.iter_mut().for_each(|m| m.loss = loss);
    }
    h.run(MS * 1500);
    let lost = h.members[0].lost + h.members[1].lost;
    let mut sequences: Vec<_> = h.members[1].received.iter().map(|r| r.sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    let missing = usize::from(count) - sequences.len();
    assert!(lost > 150 && missing * 10 < usize::try_from(lost).unwrap(), "{missing} of {lost}");
}

#[test]
fn a_sink_of_another_worker_gets_its_keyframes() {
    let mut h = house(&[B, B]);
    publish(&mut h, &[(0, 500)], 0, 60);
    let before = h.keyframe_requests(0);
    h.route(0, 1);
    publish(&mut h, &[(0, 500)], 60, 60);
    let first = h.keyframe_requests(0);
    assert_eq!(first, before + 1, "for the first sink");
    h.route(0, 2);
    publish(&mut h, &[(0, 500)], 120, 60);
    let second = h.keyframe_requests(0);
    assert_eq!(second, first + 1, "for the second one");
    // The subscriber's PLI.
    let (now, m) = (h.now, &mut h.members[2]);
    m.worker.on_peer(m.handles[0], now, |peer, cx| peer.request_keyframe(cx, 0, None, now));
    h.run(MS * 50);
    publish(&mut h, &[(0, 500)], 180, 60);
    assert_eq!(h.keyframe_requests(0), second + 1);
}

#[test]
fn a_keyframe_is_asked_for_when_its_receiver_is_there() {
    let mut h = house(&[]);
    publish(&mut h, &[(0, 300)], 1, 3);
    let before = h.keyframe_requests(0);
    let late = h.exchange(A, &video(0, Some(RTX)), &video(0, Some(RTX)));
    h.route(0, late);
    h.run(MS * 5);
    assert_eq!(h.keyframe_requests(0), before, "it would be lost");
    h.run_until_up(late);
    h.run(MS * 50);
    assert_eq!(h.keyframe_requests(0), before + 1);
}

#[test]
fn sinks_pause_when_the_source_is_gone_and_go_on_with_another() {
    for hangup in [false, true] {
        let mut h = house(&[B, B, A]);
        h.join(2, video(0, Some(RTX)), video(0, Some(RTX)));
        (1..4).for_each(|sink| h.route(0, sink));
        publish(&mut h, &[(0, 500)], 0, 30);
        let handle = h.members[0].handles[1];
        let reason = "Janus API".to_owned();
        let command =
            if hangup { MediaCommand::Hangup { handle, reason } } else { MediaCommand::Forget { handle } };
        h.command(0, command);
        h.run(MS * 50);
        assert_eq!(h.mirrors(), (0, 0));
        (1..4).for_each(|sink| h.route(4, sink));
        publish(&mut h, &[(4, 700)], 7, 53);
        for sink in 1..4 {
            assert_eq!(h.received(sink), 83);
            h.assert_continuous(sink);
        }
    }
}

#[test]
fn a_sink_that_is_gone_takes_its_mirror_along() {
    let mut h = house(&[B, B]);
    (1..3).for_each(|sink| h.route(0, sink));
    publish(&mut h, &[(0, 500)], 0, 10);
    for (member, left) in [(1, (1, 1)), (2, (0, 0))] {
        let handle = h.members[member].handles[1];
        h.command(member, MediaCommand::Forget { handle });
        publish(&mut h, &[(0, 500)], 10, 5);
        assert_eq!(h.mirrors(), left);
    }
}

#[test]
fn a_sink_moves_between_sources_here_and_elsewhere_without_a_gap() {
    let mut h = house(&[B, B]);
    let (remote, local, sink) = (0, 1, 2);
    let mut n = 0;
    for (k, source) in [remote, local, remote, local, remote].into_iter().enumerate() {
        h.route(source, sink);
        publish(&mut h, &[(remote, 500), (local, 700)], n, 60);
        n += 60;
        let (_, size) = [(remote, 500), (local, 700)][source];
        assert_eq!(h.members[sink].received.last().map(|r| r.payload.len()), Some(size), "{k}");
        assert_eq!(h.mirrors(), if source == remote { (1, 1) } else { (0, 0) });
    }
    h.assert_continuous(sink);
    assert!(h.received(sink) > 295, "{}", h.received(sink));
}

#[test]
fn a_route_waits_for_the_source_s_worker_and_the_last_word_counts() {
    let mut h = house(&[A, B, B, B]);
    h.deaf = vec![A];
    // 2 only waits; 3 thinks better of it; 4 wants another source before the first one has answered.
    (2..5).for_each(|sink| h.route(0, sink));
    h.unroute(3);
    h.route(1, 4);
    publish(&mut h, &[(0, 500), (1, 700)], 0, 20);
    assert_eq!([2, 3, 4].map(|m| h.received(m)), [0, 0, 0]);
    h.deaf.clear();
    publish(&mut h, &[(0, 500), (1, 700)], 30, 20);
    assert_eq!([2, 3, 4].map(|m| h.received(m)), [20, 0, 20]);
    assert!(h.members[2].received.iter().all(|r| r.payload.len() == 500));
    assert!(h.members[4].received.iter().all(|r| r.payload.len() == 700));
    // A mirror that ended before its source knew of it, and one in its place.
    h.deaf = vec![A];
    h.unroute(2);
    h.route(1, 3);
    h.unroute(3);
    h.unroute(4);
    h.route(0, 2);
    h.deaf.clear();
    publish(&mut h, &[(0, 500), (1, 700)], 60, 20);
    assert_eq!(([2, 3, 4].map(|m| h.received(m)), h.mirrors()), ([40, 0, 20], (1, 1)));
}

#[test]
fn a_route_to_the_next_peer_of_a_handle_outlives_the_end_of_the_last_one() {
    let mut h = House::new(2, 16_384);
    (0..2).for_each(|_| _ = h.join(B, video(0, Some(RTX)), video(0, Some(RTX))));
    let handle = HandleId::from_random(99);
    let negotiate = || {
        MediaCommand::Negotiate(Box::new(Negotiation {
            handle,
            exchange: None,
            remote: None,
            offering: true,
            restart: false,
            trickle: false,
            relay_only: false,
            media: vec![video(0, Some(RTX))],
            affinity: None,
            worker: None,
        }))
    };
    let tell = |h: &House, server: usize, message| assert!(h.mailboxes[server].try_send(message).is_none());
    let route = |h: &House, member: usize| {
        let (source, sink) = (RouteEnd::new(handle, "0"), h.end(member));
        tell(h, B, WorkerMessage::RouteFrom { worker: A, source, sink });
    };
    let feed = |h: &mut House, from: u16| {
        for n in from..from + 10 {
            h.servers[A].0.feed(handle, &frame(7, n, 500), h.now);
            h.run(MS * 33);
        }
    };
    tell(&h, A, WorkerMessage::Command(negotiate()));
    (0..2).for_each(|member| route(&h, member));
    h.run(MS * 20);
    feed(&mut h, 0);
    assert_eq!((h.received(0), h.received(1)), (10, 10));
    // The control task is faster than the source's worker: only one sink is routed to the new peer.
    h.deaf = vec![A];
    tell(&h, A, WorkerMessage::Command(MediaCommand::Hangup { handle, reason: "x".to_owned() }));
    tell(&h, A, WorkerMessage::Command(negotiate()));
    route(&h, 0);
    h.run(MS * 20);
    h.deaf.clear();
    h.run(MS * 20);
    feed(&mut h, 30);
    assert_eq!((h.received(0), h.received(1), h.mirrors()), (20, 10, (1, 1)));
    h.assert_continuous(0);
}

#[test]
fn a_source_that_is_not_there_leaves_nothing_behind() {
    let mut h = house(&[B]);
    let (mut source, sink) = (h.end(0), h.end(1));
    source.mid = "9".to_owned();
    let message = WorkerMessage::RouteFrom { worker: A, source, sink };
    assert!(h.mailboxes[B].try_send(message).is_none());
    h.run(MS * 10);
    assert_eq!(h.mirrors(), (0, 0));
}

#[test]
fn mirrors_learn_what_a_renegotiation_changed() {
    let mut h = house(&[B]);
    h.route(0, 1);
    publish(&mut h, &[(0, 500)], 0, 30);
    let mut off = video(0, Some(RTX));
    off.active = false;
    h.negotiate(0, false, &off, None);
    publish(&mut h, &[(0, 500)], 30, 10);
    assert_eq!((h.received(1), h.mirrors()), (30, (1, 1)));
    h.negotiate(0, false, &video(0, Some(RTX)), None);
    publish(&mut h, &[(0, 500)], 60, 30);
    assert_eq!(h.received(1), 60);
    h.assert_continuous(1);
}

#[test]
fn a_worker_that_does_not_keep_up_loses_packets_and_nothing_else() {
    let mut h = House::new(2, 8);
    h.join(A, video(0, Some(RTX)), video(0, Some(RTX)));
    for server in [B, B, A] {
        h.join(server, video(0, Some(RTX)), video(0, Some(RTX)));
    }
    h.route(0, 1);
    h.route(0, 3);
    publish(&mut h, &[(0, 500)], 0, 30);
    h.deaf = vec![B];
    publish(&mut h, &[(0, 500)], 30, 60);
    let dropped = h.servers[A].0.dropped;
    assert_eq!((dropped.parcels, dropped.parcel_packets, dropped.posts), (52, 52, 0));
    assert_eq!((h.received(1), h.received(3)), (30, 90), "the others do not wait");
    h.deaf.clear();
    publish(&mut h, &[(0, 500)], 90, 30);
    assert_eq!(h.received(1), 30 + 8 + 30);
    // The word that the source is gone finds no room at first.
    h.deaf = vec![B];
    publish(&mut h, &[(0, 500)], 120, 20);
    let handle = h.members[0].handles[1];
    h.command(0, MediaCommand::Forget { handle });
    h.run(MS * 10);
    h.deaf.clear();
    h.run(MS * 10);
    assert_eq!(h.mirrors(), (0, 0));
}

/// Two spatial and two temporal layers, as a dependency descriptor tells them: AV1's L2T2.
const L2T2: [u8; 33] = [
    0xc0, 0x00, 0x00, 0x80, 0x03, 0x18, 0x7a, 0xaa, 0xf1, 0x30, 0xa0, 0xa0, 0x14, 0xd1, 0x41, 0x38, 0x23,
    0x04, 0x60, 0x08, 0x64, 0x22, 0x22, 0x26, 0x50, 0x13, 0xf0, 0x0b, 0x30, 0x27, 0xf0, 0x16, 0x70,
];

/// An AV1 packet with a dependency descriptor, one whole layer frame.
fn av1(n: u16, timestamp: u32, marker: bool, descriptor: &[u8], size: usize) -> Vec<u8> {
    let mut p = vec![0x90, VP8 | u8::from(marker) << 7];
    p.extend_from_slice(&n.to_be_bytes());
    p.extend_from_slice(&timestamp.to_be_bytes());
    p.extend_from_slice(&[0, 0, 0, 5]);
    let mut block = vec![MID_ID, 1, b'0', 11, u8::try_from(descriptor.len()).unwrap()];
    block.extend_from_slice(descriptor);
    block.resize(block.len().next_multiple_of(4), 0);
    p.extend_from_slice(&[0x10, 0x00, 0, u8::try_from(block.len() / 4).unwrap()]);
    p.extend_from_slice(&block);
    p.extend_from_slice(&[0x10, 0x30]);
    p.resize(p.len() + size - 2, 0x55);
    p
}

#[test]
fn a_sink_of_another_worker_chooses_its_svc_layer() {
    let mut line = video(0, Some(RTX));
    line.payloads[0].name = "AV1".to_owned();
    line.payloads[0].codec = portunus_sdp::Codec::from_api_name("av1");
    line.extensions.push((11, ext::DEPENDENCY_DESCRIPTOR.to_owned()));
    let mut h = House::new(2, 16_384);
    h.join(A, line.clone(), line.clone());
    h.join(B, line.clone(), line);
    h.route(0, 1);
    h.run(MS * 20);
    let mut n = 0_u16;
    for (spatial, expected) in [(0, &[100][..]), (1, &[100, 200]), (0, &[100])] {
        let target = LayerTarget { spatial, temporal: 1, fallback: MS * 250, automatic: false };
        let sink = h.end(1);
        h.command(1, MediaCommand::Select { sink, target });
        let from = h.received(1);
        // Templates of the structure: S0T0 (key) with it, S1 (key) 3, S0T1 and S1T1 2 and 5, S0T0 and S1T0 1 and 4.
        for templates in [[0, 3], [2, 5], [1, 4], [2, 5], [1, 4]] {
            for (layer, template) in templates.into_iter().enumerate() {
                let [high, low] = n.to_be_bytes();
                let mut descriptor = if template == 0 { L2T2.to_vec() } else { vec![0; 3] };
                descriptor[..3].copy_from_slice(&[0xc0 | template, high, low]);
                let timestamp = u32::from(n / 2) * 3000;
                h.send(0, &av1(n, timestamp, layer == 1, &descriptor, 100 + 100 * layer));
                n += 1;
            }
            h.run(MS * 33);
        }
        let mut sizes: Vec<_> = h.members[1].received[from..].iter().map(|r| r.payload.len()).collect();
        assert_eq!(sizes.len(), 5 * expected.len());
        sizes.sort_unstable();
        sizes.dedup();
        assert_eq!(sizes, expected, "spatial layer {spatial}");
    }
    h.assert_continuous(1);
}
