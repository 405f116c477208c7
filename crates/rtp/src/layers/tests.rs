mod decodable;
mod simulcast;
mod svc;

use super::*;

#[test]
fn timestamps_are_compared_over_the_wrap() {
    let table = [(1, 0, true), (0, 0, false), (0, 1, false), (5, u32::MAX, true), (u32::MAX, 5, false)];
    for (a, b, later) in table {
        assert_eq!(is_later(a, b), later, "{a} {b}");
    }
}

#[test]
fn waiting_events_are_merged() {
    let mut pending = Pending { keyframe: Some(1), temporal: Some(2), substream: Some(0), spatial: None };
    let mut all = vec![];
    pending.temporal = Some(1);
    while let Some(event) = pending.poll() {
        all.push(event);
    }
    let expected = [
        LayerEvent::SubstreamChanged(0),
        LayerEvent::TemporalChanged(1),
        LayerEvent::NeedKeyframe { substream: 1 },
    ];
    assert_eq!(all, expected);
}
