//! What a TURN server may send us, and whoever forges its address.

#![no_main]

// The crate itself has sockets and much else; its reader of messages stands alone.
#[allow(dead_code)]
#[path = "../../crates/media/src/turn/message.rs"]
mod message;

use libfuzzer_sys::fuzz_target;
use message::{Integrity, Message, attribute, frame_length, parse_channel};

fuzz_target!(|bytes: &[u8]| {
    if let Some((channel, data)) = parse_channel(bytes) {
        assert!((0x4000..0x5000).contains(&channel) && data.end <= bytes.len());
    }
    if let Ok(Some(length)) = frame_length(bytes) {
        assert!(length >= 4);
    }
    let Some(message) = Message::parse(bytes) else { return };
    for kind in [attribute::RELAYED_ADDRESS, attribute::MAPPED_ADDRESS, attribute::PEER_ADDRESS] {
        let _ = message.address(kind);
    }
    let _ = (message.alternate(), message.lifetime(), message.error(), message.is_signed());
    for integrity in [Integrity::Sha1, Integrity::Sha256] {
        let _ = message.verify(integrity, b"key");
    }
    if let Some((_, data)) = message.data() {
        assert!(data.end <= bytes.len());
    }
});
