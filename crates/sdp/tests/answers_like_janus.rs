//! Our answers against those of a real Janus 1.1.2 (Debian) to the same offers, byte by byte.
//!
//! Only the argued differences are taken out first; each has its line in `argued`.

mod common;

use common::{assert_same_lines, fixture, local_of, offer};
use portunus_sdp::{AnswerDirections, AnswerOptions, Plan, ext, write};

/// What 1.1.2 accepts where 1.4.2 accepts more.
fn old_echo() -> AnswerOptions {
    let extensions = vec![
        ext::MID,
        ext::RID,
        ext::REPAIRED_RID,
        ext::AUDIO_LEVEL,
        ext::VIDEO_ORIENTATION,
        ext::PLAYOUT_DELAY,
        ext::TRANSPORT_WIDE_CC,
        ext::DEPENDENCY_DESCRIPTOR,
    ];
    AnswerOptions {
        audio_extensions: extensions.clone(),
        video_extensions: extensions,
        ..AnswerOptions::default()
    }
}

/// Takes the differences between 1.1.2 and 1.4.2, and the mended faults, out of a text of either side.
fn argued(text: &str) -> String {
    let mut vp8 = false;
    let mut opus = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.starts_with("m=") {
            (vp8, opus) = (false, false);
        }
        vp8 |= line.ends_with(" VP8/90000");
        opus |= line.contains(" opus/");
        // 1.4.2: only where the extension is accepted, and then for audio too.
        let twcc = line.starts_with("a=rtcp-fb:") && line.ends_with(" transport-cc");
        // 1.4.2: only for AV1 and VP9.
        let descriptor = vp8 && line.ends_with(ext::DEPENDENCY_DESCRIPTOR);
        // 1.1.2 writes opus' parameters for whatever audio codec it chose.
        let foreign = !opus && line.starts_with("a=fmtp:") && line.ends_with(" useinbandfec=1");
        // 1.1.2 takes version 0 (Firefox' first offer) for no origin at all and makes a new one.
        let origin = line.starts_with("o=mozilla");
        if !(twcc || descriptor || foreign || origin) {
            kept.push_str(line);
            kept.push_str("\r\n");
        }
    }
    kept
}

fn compare(name: &str, variant: &str, options: &AnswerOptions) {
    let janus = fixture("janus-1.1.2", &format!("{name}{variant}"));
    let plan = Plan::answer(&offer(name), options);
    let ours = write(&plan, &local_of(&janus));
    assert_same_lines(&format!("{name}{variant}"), &argued(&ours), &argued(&janus));
}

#[test]
fn echo_without_wishes() {
    for name in common::OFFERS {
        compare(name, "", &old_echo());
    }
}

#[test]
fn echo_with_forced_codecs() {
    let names = |audio: &str, video: &str| AnswerOptions {
        audio_codecs: audio.split_whitespace().map(str::to_owned).collect(),
        video_codecs: video.split_whitespace().map(str::to_owned).collect(),
        ..old_echo()
    };
    compare("chromium-av-data", "-h264", &names("", "h264"));
    compare(
        "chromium-av-data",
        "-h264-42e01f",
        &AnswerOptions { h264_profile: Some("42e01f".to_owned()), ..names("", "h264") },
    );
    compare(
        "chromium-av-data",
        "-vp9-2",
        &AnswerOptions { vp9_profile: Some("2".to_owned()), ..names("", "vp9") },
    );
    compare("chromium-av-data", "-red", &AnswerOptions { opus_red: true, ..old_echo() });
    compare("chromium-av-data", "-pcma-h265", &names("pcma", "h265"));
    compare("chromium-av-data", "-isac16-av1", &names("isac16", "av1"));
}

#[test]
fn videoroom_publisher() {
    for (codec, audio, variant) in [
        ("vp8", "opus", "vp8-opus"),
        ("h264", "pcma", "h264-pcma"),
        ("vp9", "opus", "vp9-opus"),
        ("av1", "opus", "av1-opus"),
    ] {
        let janus = fixture("janus-1.1.2", &format!("publisher-answer-{variant}"));
        let room = janus.lines().find_map(|l| l.strip_prefix("s=")).unwrap();
        let mut plan = Plan::answer(
            &offer("chromium-av-data"),
            &AnswerOptions {
                audio_codecs: vec![audio.to_owned()],
                video_codecs: vec![codec.to_owned()],
                audio_extensions: vec![ext::AUDIO_LEVEL, ext::MID],
                directions: AnswerDirections::Receive,
                session_name: Some(room.to_owned()),
                ..old_echo()
            },
        );
        // That offer was another one of the same browser: only its o= line differs.
        let origin: Vec<&str> = janus.lines().nth(1).unwrap().split(' ').collect();
        plan.origin.id = origin[1].parse().unwrap();
        let ours = write(&plan, &local_of(&janus));
        assert_same_lines(variant, &argued(&ours), &argued(&janus));
    }
}
