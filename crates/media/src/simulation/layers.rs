//! Simulcast through an echo: the layer that is asked for is the layer that comes back.

use super::*;
use portunus_plugin::media::{LayerCause, LayerChange, LayerTarget};

fn simulcast() -> Negotiated {
    let mut line = video(0, Some(RTX));
    line.rids = vec!["l".to_owned(), "m".to_owned(), "h".to_owned()];
    line
}

struct Publisher {
    n: u16,
}

impl Publisher {
    /// A second of three layers at 30 frames; every tenth frame is a keyframe. The payload size tells the layer.
    fn second(&mut self, s: &mut Simulation, layers: &[u16]) {
        for _ in 0..30 {
            for layer in layers {
                let rid = ["l", "m", "h"][usize::from(*layer)];
                let payload = vp8(self.n.is_multiple_of(10), self.n, 200 + 200 * usize::from(*layer));
                let ssrc = 100 + u32::from(*layer);
                s.send(&rtp("0", rid, VP8, ssrc, self.n, u32::from(self.n) * 3000, &payload));
            }
            self.n += 1;
            s.run(MS * 33);
        }
    }
}

fn sizes(s: &Simulation, from: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = s.received[from..].iter().map(|r| r.payload.len()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

fn select(s: &mut Simulation, spatial: u8) {
    let sink = RouteEnd::new(s.handles[SERVER], "0");
    let target = LayerTarget { spatial, temporal: 2, fallback: MS * 250, automatic: false };
    s.command(SERVER, MediaCommand::Select { sink, target });
}

fn connected() -> Simulation {
    let mut s = Simulation::new(vec![simulcast()], |_| {});
    // What comes back to the client is one stream.
    s.media[CLIENT] = vec![video(0, Some(RTX))];
    s.connect();
    s.echo("0");
    s
}

#[test]
fn each_substream_is_reached_and_numbers_stay_continuous() {
    let mut s = connected();
    let mut p = Publisher { n: 0 };
    p.second(&mut s, &[0, 1, 2]);
    let seen = |s: &Simulation, n| {
        let change = LayerChange::Substream(n);
        s.has(
            SERVER,
            &MediaEvent::Layer { mid: "0".to_owned(), codec: "vp8", change, cause: LayerCause::Wanted },
        )
    };
    assert!(seen(&s, 2), "{:?}", s.events[SERVER]);
    for target in [0, 1, 2, 0] {
        select(&mut s, target);
        p.second(&mut s, &[0, 1, 2]);
        assert!(seen(&s, target));
        let from = s.received.len();
        p.second(&mut s, &[0, 1, 2]);
        assert_eq!(sizes(&s, from), [200 + 200 * usize::from(target)]);
    }
    assert!(s.received.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)));
    assert!(s.received.windows(2).all(|w| w[1].timestamp.wrapping_sub(w[0].timestamp) < 100_000));
}

#[test]
fn a_layer_that_dries_up_is_replaced_by_a_lower_one() {
    let mut s = connected();
    let mut p = Publisher { n: 0 };
    p.second(&mut s, &[0, 1, 2]);
    p.second(&mut s, &[0, 1]);
    let from = s.received.len();
    p.second(&mut s, &[0, 1]);
    assert_eq!(sizes(&s, from), [400]);
    p.second(&mut s, &[0, 1, 2]);
    let from = s.received.len();
    p.second(&mut s, &[0, 1, 2]);
    assert_eq!(sizes(&s, from), [600]);
}
