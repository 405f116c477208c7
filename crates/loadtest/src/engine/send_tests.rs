use super::*;
use crate::engine::pace::Schedule;
use crate::engine::shared::{Settings, Spacing};
use portunus_rtp::codec::PictureId;
use portunus_rtp::codec::vp8::Vp8Descriptor;
use portunus_rtp::extension::{ExtensionKind, ExtensionMap, ExtensionOffsets, parse_transport_cc};
use portunus_rtp::packet::RtpView;
use portunus_sdp::{Codec, NegotiatedPayload};

fn line(kind: MediaKind) -> Negotiated {
    let video = kind == MediaKind::Video;
    Negotiated {
        mindex: 0,
        mid: "0".to_owned(),
        active: true,
        receive: false,
        send: true,
        payloads: vec![NegotiatedPayload {
            pt: 96,
            name: if video { "VP8" } else { "opus" }.to_owned(),
            codec: Some(if video { Codec::Vp8 } else { Codec::Opus }),
            clock_rate: if video { 90_000 } else { 48_000 },
            channels: 1,
            fmtp: None,
            rtx: video.then_some(97),
            nack: video,
            pli: video,
            fir: video,
            remb: video,
            twcc: true,
        }],
        kind,
        extensions: vec![(3, ext::TRANSPORT_WIDE_CC.to_owned()), (4, ext::MID.to_owned())],
        remote_ssrcs: Vec::new(),
        rids: Vec::new(),
        msid: None,
        sctp_port: None,
        max_message_size: None,
    }
}

struct Rig {
    sender: Sender,
    shared: Arc<Shared>,
    counters: Counters,
    wide: u16,
    room: Vec<u8>,
}

impl Rig {
    fn new(schedule: Schedule, kind: MediaKind) -> Self {
        let shared = Shared::new(Settings { nack: true, ..Settings::default() });
        let spec = SendSpec { line: 0, ssrc: 7, rtx_ssrc: Some(8), rid: None, schedule };
        let sender = Sender::new(spec, &[line(kind)], &shared).unwrap();
        Self { sender, shared, counters: Counters::default(), wide: 5, room: vec![0; 1600] }
    }

    /// The packets of the next frame.
    fn frame(&mut self) -> Vec<Vec<u8>> {
        let now = self.sender.schedule.due_ns();
        let mut packets = Vec::new();
        while let Some((len, late)) =
            self.sender.poll(&mut self.room, now, &mut self.wide, &self.shared, &mut self.counters)
        {
            assert_eq!(late, 0);
            packets.push(self.room[..len].to_vec());
        }
        packets
    }
}

fn video() -> Schedule {
    let mut schedule = Schedule::video(1_500_000, 30, Spacing::Burst, 5);
    schedule.start(1_000_000_000);
    schedule
}

#[test]
fn packets_are_vp8_with_picture_ids_stamps_and_extensions() {
    let mut rig = Rig::new(video(), MediaKind::Video);
    let mut map = ExtensionMap::new();
    map.try_insert(ExtensionKind::TransportCc, 3);
    let (mut wide, mut sequence) = (5, FIRST_SEQUENCE);
    for n in 0..3_u32 {
        let packets = rig.frame();
        assert_eq!(packets.len(), if n == 0 { 27 } else { 5 }, "the first frame is a keyframe");
        for (i, packet) in packets.iter().enumerate() {
            assert!(packet.len() <= 1200, "{}", packet.len());
            let view = RtpView::parse(packet).unwrap();
            assert_eq!((view.ssrc(), view.payload_type(), view.sequence()), (7, 96, sequence));
            assert_eq!(view.marker(), i + 1 == packets.len());
            let offsets = ExtensionOffsets::find(&view, &map);
            let number = offsets.get(ExtensionKind::TransportCc, packet).and_then(parse_transport_cc);
            assert_eq!(number, Some(wide));
            let descriptor = Vp8Descriptor::parse(view.payload()).unwrap();
            assert_eq!(descriptor.starts_frame(), i == 0);
            assert_eq!(descriptor.picture_id, Some(PictureId { value: n as u16 + 1, long: true }));
            let stamp = Stamp::read(view.payload()).unwrap();
            assert_eq!((stamp.frame, usize::from(stamp.packets)), (n, packets.len()));
            assert_eq!(stamp.keyframe, n == 0);
            (wide, sequence) = (wide + 1, sequence.wrapping_add(1));
        }
    }
    assert_eq!((rig.counters.frames_sent, rig.counters.keyframes_sent), (3, 1));
    rig.sender.want_keyframe();
    assert_eq!(rig.frame().len(), 27);
}

#[test]
fn a_retransmission_is_the_packet_with_its_number_in_front() {
    let mut rig = Rig::new(video(), MediaKind::Video);
    let sent = rig.frame().swap_remove(3);
    let view = RtpView::parse(&sent).unwrap();
    let len = rig.sender.repeat(&mut rig.room, view.sequence(), 9, &mut rig.wide).unwrap();
    let again = rig.room[..len].to_vec();
    let again = RtpView::parse(&again).unwrap();
    assert_eq!((again.ssrc(), again.payload_type(), again.timestamp()), (8, 97, view.timestamp()));
    assert_eq!(again.payload()[..2], view.sequence().to_be_bytes());
    assert_eq!(&again.payload()[2..], view.payload());
    assert_eq!(rig.sender.repeat(&mut rig.room, view.sequence().wrapping_sub(1000), 9, &mut rig.wide), None);
    for _ in 0..120 {
        rig.frame();
    }
    assert_eq!(rig.sender.repeat(&mut rig.room, view.sequence(), 9, &mut rig.wide), None, "too old");
}

#[test]
fn a_source_tells_what_it_sent_in_a_measurement() {
    let mut schedule = Schedule::audio(80, 20_000_000);
    schedule.start(1_000_000_000);
    let mut rig = Rig::new(schedule, MediaKind::Audio);
    rig.frame();
    rig.shared.begin(4, 0);
    let phases: Vec<u32> = (0..3)
        .map(|_| Stamp::read(RtpView::parse(&rig.frame()[0]).unwrap().payload()).unwrap().phase)
        .collect();
    rig.shared.pause(0);
    rig.frame();
    assert_eq!(phases, [4, 4, 4]);
    assert_eq!(rig.sender.source.sent_in(4), Some((1, 4)));
}
