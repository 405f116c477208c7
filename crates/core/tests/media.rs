//! What the media engine tells, as the client hears it.

mod common;

use common::{Rig, sdp};
use portunus_plugin::media::{LayerCause, LayerChange};
use portunus_plugin::{DataMessage, MediaEvent, json};
use portunus_sdp::MediaKind;

fn connected() -> Rig {
    let (mut rig, session, handle) = Rig::attached();
    rig.message(session, handle, "answer", json!({"type": "offer", "sdp": sdp::offer(&["0"])}));
    let exchange = rig.negotiations.last().unwrap().exchange.unwrap();
    rig.media(handle, MediaEvent::Local { exchange, transport: sdp::local() });
    rig.take();
    rig.take_calls();
    rig
}

fn receiving(substream: Option<u8>, receiving: bool, seconds: u64) -> MediaEvent {
    MediaEvent::Receiving { mid: "0".into(), kind: MediaKind::Audio, substream, receiving, seconds }
}

#[test]
fn events_of_media_have_the_shapes_of_janus() {
    let slow = |uplink| MediaEvent::SlowLink { mid: "0".into(), kind: MediaKind::Video, uplink, lost: 7 };
    for (event, text) in [
        (
            receiving(None, true, 1),
            r#"event {"janus":"media","session_id":1,"sender":2,"mid":"0","type":"audio","receiving":true}"#,
        ),
        (
            receiving(Some(1), false, 3),
            r#"event {"janus":"media","session_id":1,"sender":2,"mid":"0","type":"audio","substream":1,"receiving":false,"seconds":3}"#,
        ),
        (
            receiving(None, false, 1),
            r#"event {"janus":"media","session_id":1,"sender":2,"mid":"0","type":"audio","receiving":false}"#,
        ),
        (
            slow(true),
            r#"event {"janus":"slowlink","session_id":1,"sender":2,"mid":"0","media":"video","uplink":true,"lost":7}"#,
        ),
        (MediaEvent::IceFailed, r#"event {"janus":"ice-failed","session_id":1,"sender":2}"#),
    ] {
        let mut rig = connected();
        rig.media(2, event);
        assert_eq!(rig.take()[0], text);
    }
}

#[test]
fn a_slow_link_is_told_by_the_core_and_then_by_the_plugin() {
    let mut rig = connected();
    rig.media(2, MediaEvent::SlowLink { mid: "0".into(), kind: MediaKind::Audio, uplink: false, lost: 7 });
    let out = rig.take();
    assert!(out[0].contains(r#""janus":"slowlink""#) && out[1].contains(r#"{"script":"slow"}"#), "{out:?}");
}

#[test]
fn some_things_are_for_the_plugin_only() {
    let data = DataMessage { label: "l".into(), protocol: String::new(), binary: true, payload: vec![1] };
    let layer = MediaEvent::Layer {
        mid: "0".into(),
        codec: "vp8",
        change: LayerChange::Temporal(1),
        cause: LayerCause::Wanted,
    };
    for (event, seen) in [
        (MediaEvent::Data(data), "media 2 Data"),
        (MediaEvent::PeerBitrate(5), "media 2 PeerBitrate"),
        (layer, "media 2 Layer"),
    ] {
        let mut rig = connected();
        rig.media(2, event);
        assert_eq!(rig.take_calls(), [seen]);
        assert!(rig.take().is_empty());
    }
}

#[test]
fn without_a_peerconnection_media_events_mean_nothing() {
    let (mut rig, _, handle) = Rig::attached();
    for event in [MediaEvent::Up, receiving(None, true, 1), MediaEvent::Hangup { reason: "x".into() }] {
        rig.media(handle, event);
    }
    rig.media(99, MediaEvent::Up);
    assert!(rig.take().is_empty() && rig.take_calls().is_empty());
    assert_eq!(rig.core.counters().illegal_transitions, 3);
}

#[test]
fn a_transport_nobody_waits_for_means_nothing() {
    let mut rig = connected();
    rig.media(2, MediaEvent::Local { exchange: 999, transport: sdp::local() });
    assert!(rig.take().is_empty());
    assert_eq!(rig.core.counters().illegal_transitions, 1);
}
