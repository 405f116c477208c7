//! Rooms of `janus.plugin.videoroom.jcfg`.

use super::*;
use portunus_plugin::{Value, json};

const FILE: &str = "janus.plugin.videoroom.jcfg";

fn start(text: &str) -> Start {
    Start::default().file(FILE, text)
}

/// Rooms and warnings of a file that must be right.
fn rooms(text: &str) -> (Vec<(String, Value)>, Vec<String>) {
    let (settings, warnings) = start(text).good();
    let pair = |room: &super::super::videoroom::RoomConfig| (room.id.clone(), room.settings.clone().into());
    (settings.videoroom.rooms.iter().map(pair).collect(), warnings)
}

#[test]
fn the_sections_of_the_plugin_are_read() {
    let settings = start(
        "general: { admin_key = \"k\"; lock_rtp_forward = true; events = false; string_ids = true }
         portunus: { automatic_layers = false }",
    )
    .settings()
    .videoroom;
    assert_eq!(settings.admin_key.as_ref().map(Secret::expose), Some("k"));
    assert!(settings.lock_rtp_forward && !settings.events && settings.string_ids);
    assert!(!settings.automatic_layers && settings.enabled);
    let off = Start::default().janus("plugins: { disable = \"libjanus_videoroom.so\" }").settings();
    assert!(!off.videoroom.enabled);
}

#[test]
fn a_room_becomes_what_a_create_request_says() {
    let text = r#"
room-1: {
  description = "One"; is_private = true; secret = "s"; pin = ""; publishers = 6; bitrate = 128000
  audiocodec = "opus,pcmu"; audio_level_average = 40; opus_fec = false; record = no
  allowed = [ "a", "b" ]
  dummy_streams = ( { codec = "opus" }, { codec = "vp9", fmtp = "profile-id=2" } )
}
room-02 = { }"#
        .replace("record = no", "record = \"no\"");
    let (rooms, warnings) = rooms(&text);
    let wanted = json!({
        "description": "One", "is_private": true, "allowed": ["a", "b"], "secret": "s", "publishers": 6,
        "bitrate": 128_000, "audiocodec": "opus,pcmu", "opus_fec": false, "audio_level_average": 40, "record": false,
        "dummy_streams": [{"codec": "opus"}, {"codec": "vp9", "fmtp": "profile-id=2"}],
    });
    assert_eq!(rooms, [("1".to_owned(), wanted), ("2".to_owned(), json!({}))]);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn texts_as_janus_writes_them_are_numbers_and_switches() {
    let (rooms, warnings) = rooms(
        "room-1 : { publishers = \"6\"; is_private = \"yes\"; opus_fec = \"no\"; audiocodec = \"opus\"; };",
    );
    let wanted = json!({"is_private": true, "publishers": 6, "audiocodec": "opus", "opus_fec": false});
    assert_eq!((rooms, warnings), (vec![("1".to_owned(), wanted)], Vec::new()));
}

#[test]
fn what_a_room_cannot_have_is_told_with_its_line() {
    let bad = [
        ("publishers = -1", "`room-1.publishers` must be a whole number from 0 to 4294967295, not `-1`"),
        ("bitrate = \"much\"", "`room-1.bitrate` must be a whole number from 0 to 4294967295, not `much`"),
        (
            "audio_level_average = 128",
            "`room-1.audio_level_average` must be a whole number from 0 to 127, not `128`",
        ),
        ("description = { }", "`room-1.description` must be a single value (found: group)"),
        ("is_private = [ 1 ]", "`room-1.is_private` must be a single value (found: array)"),
        ("dummy_streams = \"opus\"", "`room-1.dummy_streams` must be a list of groups: ( { ... }, { ... } )"),
        ("allowed = ( { } )", "`room-1.allowed` must be a list of single values"),
    ];
    for (line, wanted) in bad {
        let problems = start(&format!("room-1: {{\n{line}\n}}")).bad();
        assert_eq!(problems, [format!("{FILE}:2: error: {wanted}")]);
    }
    let doubtful = [
        ("publisher = 5", "unknown setting `room-1.publisher`, did you mean `publishers`?"),
        (
            "dummy_streams = ( { codec = \"vp8\"; fmtps = \"x\" } )",
            "unknown setting `room-1.dummy_streams[0].fmtps`, did you mean `fmtp`?",
        ),
        ("record = \"on\"", "`room-1.record` `on` counts as false: only true, yes and 1 are true"),
    ];
    for (line, wanted) in doubtful {
        assert_eq!(rooms(&format!("room-1: {{\n{line}\n}}")).1, [format!("{FILE}:2: warning: {wanted}")]);
    }
    assert_eq!(rooms("room-1: { video_svc = true }").1, Vec::<String>::new(), "1.1.2 had it");
}

#[test]
fn ids_are_numbers_or_texts() {
    for name in ["room-abc", "room-", "room-0", "room--1"] {
        let wanted = format!(
            "{FILE}:1: warning: `{name}` is left out: its id must be a positive number, or any text with `general.string_ids = true`"
        );
        let (found, warnings) = rooms(&format!("{name}: {{ }}"));
        assert_eq!((found.len(), warnings), (0, vec![wanted]));
    }
    let ids = |text: &str| {
        let (rooms, warnings) = rooms(text);
        (rooms.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), warnings)
    };
    let (found, warnings) = ids("general: { string_ids = true } room-Bob: { } room-bob: { } room-007: { }");
    assert_eq!((found, warnings), (["Bob", "bob", "007"].map(str::to_owned).to_vec(), vec![]));
    let (found, warnings) = ids("general: { string_ids = true }\nlobby: { }");
    assert_eq!(found, ["lobby"]);
    assert_eq!(warnings, [format!("{FILE}:2: warning: `lobby` is taken for a room: `room-lobby` says so")]);
    let (found, warnings) = ids("genral: { }\nlobby: { x = 1 }\nroom-5 = { }");
    assert_eq!(found, ["5"]);
    let wanted = [
        format!("{FILE}:1: warning: unknown section `genral`, did you mean `general`?"),
        format!("{FILE}:2: warning: unknown section `lobby`: rooms are called `room-<number>`"),
    ];
    assert_eq!(warnings, wanted);
    assert_eq!(start("room-1 = 5").bad(), [format!("{FILE}:1: error: `room-1` must be a group {{ }}")]);
}

#[test]
fn of_two_rooms_with_one_id_the_last_counts() {
    let (rooms, warnings) = rooms("room-1: { pin = \"a\" }\nroom-01: { pin = \"b\" }");
    assert_eq!(rooms, [("1".to_owned(), json!({"pin": "b"}))]);
    assert_eq!(warnings, [format!("{FILE}:2: warning: room 1 is in this file before: the last one counts")]);
}

#[test]
fn secrets_of_rooms_stay_out_of_debug_output() {
    let settings =
        start("general: { admin_key = \"hunter2\" } room-1: { secret = \"hunter2\"; pin = \"hunter2\"; publishers = 2 }")
            .settings();
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter2") && shown.contains("publishers"), "{shown}");
}
