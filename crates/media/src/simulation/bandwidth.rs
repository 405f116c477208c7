//! A narrow network towards the client: its estimate, and the layers that follow it.

use super::*;
use portunus_plugin::media::{LayerCause, LayerChange, LayerTarget};

const TRANSPORT_CC_ID: u8 = 3;
/// Simulcast layers: payload of each packet, and packets a frame; 150, 500 and 1500 kbit/s at 30 frames.
const LAYERS: [(usize, usize); 3] = [(600, 1), (1050, 2), (1050, 6)];

fn simulcast(transport_cc: bool, rtx: Option<u8>) -> Negotiated {
    let mut line = plain(transport_cc, rtx);
    line.rids = vec!["l".to_owned(), "m".to_owned(), "h".to_owned()];
    line
}

fn plain(transport_cc: bool, rtx: Option<u8>) -> Negotiated {
    let mut line = video(0, rtx);
    // Without it, receiver reports are all there is: our own REMB is no estimate.
    (line.payloads[0].twcc, line.payloads[0].remb) = (transport_cc, transport_cc);
    if transport_cc {
        line.extensions.push((TRANSPORT_CC_ID, ext::TRANSPORT_WIDE_CC.to_owned()));
    }
    line
}

struct Scene {
    s: Simulation,
    frame: u16,
    sequences: [u16; 3],
    /// Layers the server reported: after how many ms, which, why.
    layers: Vec<(u64, u8, LayerCause)>,
    estimates: Vec<(u64, u32)>,
    queues: Vec<(u64, Duration)>,
    start: Instant,
}

impl Scene {
    /// A client that publishes three layers and gets them back over a link of this capacity.
    fn new(capacity: u64, transport_cc: bool, rtx: Option<u8>) -> Self {
        let change = |settings: &mut Settings| settings.twcc_period = MS * 100;
        let mut s = Simulation::with_both(vec![simulcast(transport_cc, rtx)], change, |_| {});
        s.media[CLIENT] = vec![plain(transport_cc, rtx)];
        s.connect();
        s.echo("0");
        s.bottleneck = Some(Bottleneck { capacity, queue_bytes: 50_000, free: s.now });
        let start = s.now;
        Self {
            s,
            frame: 0,
            sequences: [0; 3],
            layers: Vec::new(),
            estimates: Vec::new(),
            queues: Vec::new(),
            start,
        }
    }

    fn select(&mut self, spatial: u8, automatic: bool) {
        let sink = RouteEnd::new(self.s.handles[SERVER], "0");
        let target = LayerTarget { spatial, temporal: 2, fallback: MS * 250, automatic };
        self.s.command(SERVER, MediaCommand::Select { sink, target });
    }

    fn at(&self) -> u64 {
        u64::try_from((self.s.now - self.start).as_millis()).unwrap()
    }

    /// Publishes for so many seconds; every 30th frame is a keyframe.
    fn seconds(&mut self, seconds: u64) {
        self.seconds_of(seconds, 3);
    }

    fn seconds_of(&mut self, seconds: u64, layers: usize) {
        let end = self.at() + seconds * 1000;
        while self.at() < end {
            for (layer, (size, packets)) in LAYERS.into_iter().enumerate().take(layers) {
                for packet in 0..packets {
                    let mut payload = vp8(self.frame.is_multiple_of(30), self.frame, size);
                    if packet > 0 {
                        // Not the start of a partition.
                        payload[0] = 0x80;
                    }
                    let (rid, ssrc) = (["l", "m", "h"][layer], 100 + u32::try_from(layer).unwrap());
                    let timestamp = u32::from(self.frame) * 3000;
                    self.s.send(&rtp("0", rid, VP8, ssrc, self.sequences[layer], timestamp, &payload));
                    self.sequences[layer] = self.sequences[layer].wrapping_add(1);
                }
            }
            self.frame += 1;
            self.s.run(MS * 33);
            self.note();
        }
    }

    fn note(&mut self) {
        let at = self.at();
        let queue = self.s.bottleneck.as_ref().unwrap().queue(self.s.now);
        self.queues.push((at, queue));
        for event in self.s.events[SERVER].drain(..) {
            match event {
                MediaEvent::Layer { change: LayerChange::Substream(n), cause, .. } => {
                    self.layers.push((at, n, cause))
                }
                MediaEvent::Estimate(estimate) => self.estimates.push((at, estimate)),
                _ => {}
            }
        }
    }

    fn set_capacity(&mut self, capacity: u64) {
        let now = self.s.now;
        self.s.bottleneck.as_mut().unwrap().set_capacity(capacity, now);
    }

    /// How long after `from` a layer was reached, and why.
    fn reached(&self, from: u64, layer: u8) -> Option<(u64, LayerCause)> {
        let found = self.layers.iter().find(|(at, n, _)| *at >= from && *n == layer);
        found.map(|(at, _, cause)| (at - from, *cause))
    }
}

#[test]
fn automatic_layers_follow_the_network_down_and_up() {
    for (transport_cc, down_ms, up_ms) in [(true, 3_000, 10_000), (false, 6_000, 45_000)] {
        let mut scene = Scene::new(5_000_000, transport_cc, Some(RTX));
        scene.select(2, true);
        // With reports alone the estimate grows by a sixth every other second, from wherever it fell to: when reports are
        // sent is drawn, and so is that.
        scene.seconds(if transport_cc { 25 } else { 40 });
        println!("{transport_cc} layers {:?}\nestimates {:?}", scene.layers, scene.estimates);
        assert!(scene.reached(0, 2).is_some());
        scene.set_capacity(400_000);
        let narrow = scene.at();
        scene.seconds(20);
        println!("layers {:?}\nestimates {:?}", scene.layers, scene.estimates);
        let (down, cause) = scene.reached(narrow, 0).expect("the lowest layer");
        assert!(down < down_ms && cause == LayerCause::Bandwidth, "{down} {cause:?}");
        let queue = scene.queues.iter().filter(|(at, _)| *at > narrow + 10_000).map(|q| q.1).max().unwrap();
        println!("down after {down} ms, longest queue later {queue:?}");
        // Losses alone show a queue only when it is full.
        assert!(!transport_cc || queue < MS * 200);
        scene.set_capacity(5_000_000);
        let wide = scene.at();
        scene.seconds(up_ms / 1000);
        println!("layers {:?}\nestimates {:?}", scene.layers, scene.estimates);
        let (up, cause) = scene.reached(wide, 2).expect("the highest layer");
        println!("up after {up} ms");
        assert!(up < up_ms && cause == LayerCause::Bandwidth, "{cause:?}");
        assert!(scene.estimates.windows(2).all(|w| w[1].0 - w[0].0 >= 990));
    }
}

#[test]
fn a_sink_that_is_not_automatic_keeps_its_layer_and_the_estimate_is_told() {
    let mut scene = Scene::new(700_000, true, Some(RTX));
    scene.select(2, false);
    scene.seconds(10);
    assert!(scene.layers.iter().all(|(_, n, cause)| *n < 3 && *cause != LayerCause::Bandwidth));
    assert_eq!(scene.layers.last().map(|(_, n, _)| *n), Some(2));
    println!("{:?}", scene.estimates);
    assert!(scene.estimates.last().is_some_and(|(_, e)| (300_000..800_000).contains(e)));
}

#[test]
fn a_plugins_choice_and_a_source_that_dries_up_are_no_matter_of_bandwidth() {
    let mut scene = Scene::new(5_000_000, true, Some(RTX));
    scene.select(2, true);
    scene.seconds(6);
    let before = scene.at();
    scene.select(1, true);
    scene.seconds(3);
    assert_eq!(scene.reached(before, 1).map(|r| r.1), Some(LayerCause::Wanted));
    let before = scene.at();
    scene.seconds_of(3, 1);
    assert_eq!(scene.reached(before, 0).map(|r| r.1), Some(LayerCause::Starved));
    let before = scene.at();
    scene.seconds(6);
    println!("{:?}", scene.layers);
    assert_eq!(scene.reached(before, 1).map(|r| r.1), Some(LayerCause::Wanted));
}

#[test]
fn without_rtx_there_are_no_probes_and_the_layers_still_go_down() {
    let mut scene = Scene::new(5_000_000, true, None);
    scene.select(2, true);
    scene.seconds(30);
    println!("{:?} {:?}", scene.layers, scene.estimates);
    assert!(scene.reached(0, 2).is_some(), "calm lets it try");
    scene.set_capacity(400_000);
    let narrow = scene.at();
    scene.seconds(10);
    println!("{:?} {:?}", scene.layers, scene.estimates);
    assert!(scene.reached(narrow, 0).is_some_and(|(ms, _)| ms < 3_000));
    assert!(scene.layers.iter().filter(|(at, n, _)| *at > narrow && *n > 0).count() <= 1, "one try");
}

/// Sends a frame of so many packets on the lowest layer; returns how many of them came back within three seconds, the
/// longest queue meanwhile, and how many the server dropped as too old.
fn large_frame(packets: u16) -> (usize, Duration, u64) {
    let mut scene = Scene::new(400_000, true, Some(RTX));
    scene.select(0, true);
    scene.seconds(6);
    let (before, noted) = (scene.s.received.len(), scene.queues.len());
    for packet in 0..packets {
        let mut payload = vp8(true, scene.frame, 1050);
        if packet > 0 {
            payload[0] = 0x80;
        }
        let packet = rtp("0", "l", VP8, 100, scene.sequences[0], u32::from(scene.frame) * 3000, &payload);
        scene.s.send(&packet);
        scene.sequences[0] = scene.sequences[0].wrapping_add(1);
    }
    for _ in 0..300 {
        scene.s.run(MS * 10);
        scene.note();
    }
    let queue = scene.queues[noted..].iter().map(|q| q.1).max().unwrap();
    let came = scene.s.received[before..].iter().filter(|r| r.payload.len() > 1000).count();
    let mut stale = 0;
    let (now, handle) = (scene.s.now, scene.s.handles[SERVER]);
    scene.s.workers[SERVER].on_peer(handle, now, |peer, _| stale = peer.refused.stale);
    (came, queue, stale)
}

#[test]
fn a_frame_beyond_the_estimate_is_spread() {
    let (came, queue, stale) = large_frame(40);
    println!("{came} {queue:?} {stale}");
    assert_eq!((came, stale), (40, 0));
    assert!(queue < MS * 500, "at once it would take 880 ms: {queue:?}");
}

#[test]
fn what_waits_too_long_is_dropped_and_counted() {
    let (came, queue, stale) = large_frame(150);
    println!("{came} {queue:?} {stale}");
    assert!(stale > 20 && queue < MS * 1000 && came + usize::try_from(stale).unwrap() <= 150);
}
