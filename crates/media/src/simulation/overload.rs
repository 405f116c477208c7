//! A worker with more to send than it has time for: layers first, then all but keyframes, never sound; and back again.

use super::*;

const LAYERS: u32 = 64;
const FRAMES: u32 = 128;

/// A second of pictures and sound; of the pictures every tenth is a keyframe.
struct Publisher {
    n: u16,
    /// Sizes of the payloads of each layer, and their rids.
    layers: &'static [(usize, &'static str)],
}

impl Publisher {
    fn second(&mut self, s: &mut Simulation) -> Vec<Received> {
        self.frames(s, 30)
    }

    fn frames(&mut self, s: &mut Simulation, frames: usize) -> Vec<Received> {
        let from = s.received.len();
        for _ in 0..frames {
            for (layer, (size, rid)) in (0..).zip(self.layers) {
                let payload = vp8(self.n.is_multiple_of(10), self.n, *size);
                s.send(&rtp("0", rid, VP8, 100 + layer, self.n, u32::from(self.n) * 3000, &payload));
            }
            s.send(&rtp("1", "", OPUS, 7, self.n, u32::from(self.n) * 960, &[0x55; 80]));
            self.n += 1;
            s.run(MS * 33);
        }
        s.received[from..].to_vec()
    }
}

fn shed(s: &mut Simulation, step: u32) {
    s.workers[SERVER].simulate_overload(step);
}

fn of_line(all: &[Received], line: usize) -> Vec<&Received> {
    all.iter().filter(|r| r.line == line).collect()
}

fn is_keyframe(r: &Received) -> bool {
    r.payload[4] & 1 == 0
}

fn connected(rids: &[&str]) -> Simulation {
    let mut sending = video(0, Some(RTX));
    sending.rids = rids.iter().map(|rid| (*rid).to_owned()).collect();
    let mut s = Simulation::new(vec![sending, audio(1)], |_| {});
    s.media[CLIENT] = vec![video(0, Some(RTX)), audio(1)];
    s.connect();
    s.echo("0");
    s.echo("1");
    s
}

#[test]
fn without_layers_keyframes_and_sound_are_left_and_the_picture_comes_back_whole() {
    let mut s = connected(&[]);
    let mut p = Publisher { n: 0, layers: &[(400, "")] };
    assert_eq!(of_line(&p.second(&mut s), 0).len(), 30);

    shed(&mut s, FRAMES);
    let seen = p.second(&mut s);
    let pictures = of_line(&seen, 0);
    assert!(pictures.len() == 3 && pictures.iter().all(|r| is_keyframe(r)), "{pictures:?}");
    assert_eq!(of_line(&seen, 1).len(), 30, "sound");

    p.frames(&mut s, 5);
    shed(&mut s, 0);
    let seen = p.second(&mut s);
    let pictures = of_line(&seen, 0);
    assert!(is_keyframe(pictures[0]) && pictures.len() == 25, "{}", pictures.len());
    let all = of_line(&s.received, 0);
    assert!(
        all.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)),
        "no gap that a NACK could name"
    );
}

#[test]
fn of_layers_the_lowest_is_left_first() {
    let mut s = connected(&["l", "m", "h"]);
    let mut p = Publisher { n: 0, layers: &[(200, "l"), (400, "m"), (600, "h")] };
    p.second(&mut s);
    let sizes = |all: &[Received]| of_line(all, 0).iter().map(|r| r.payload.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&p.second(&mut s)), [600; 30]);
    shed(&mut s, LAYERS);
    p.second(&mut s);
    assert_eq!(sizes(&p.second(&mut s)), [200; 30]);
    shed(&mut s, FRAMES);
    p.second(&mut s);
    assert_eq!(sizes(&p.second(&mut s)), [200; 3]);
    shed(&mut s, 0);
    p.second(&mut s);
    assert_eq!(sizes(&p.second(&mut s)), [600; 30]);
}

#[test]
fn who_gets_keyframes_only_can_ask_for_no_more_of_them() {
    let mut s = connected(&[]);
    let mut p = Publisher { n: 1, layers: &[(400, "")] };
    p.second(&mut s);
    let asked = |s: &mut Simulation| {
        let (handle, now) = (s.handles[SERVER], s.now);
        let mut n = 0;
        s.workers[SERVER].on_peer(handle, now, |peer, _| n = peer.keyframe_requests(0));
        n
    };
    let wish = |s: &mut Simulation| {
        let (handle, now) = (s.handles[CLIENT], s.now);
        s.workers[CLIENT].on_peer(handle, now, |peer, cx| peer.request_keyframe(cx, 0, None, now));
        s.run(MS * 1000);
    };
    let before = asked(&mut s);
    wish(&mut s);
    let after = asked(&mut s);
    assert!(after > before, "{after}");
    p.second(&mut s);
    shed(&mut s, FRAMES);
    p.second(&mut s);
    let before = asked(&mut s);
    wish(&mut s);
    assert_eq!(asked(&mut s), before);
}
