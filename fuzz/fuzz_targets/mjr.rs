//! A recording from anywhere: read as far as it goes, and what was read comes back when it is written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_mjr::{Header, MAGIC, Reader, write_frame, write_header};

fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = Reader::new(data) else { return };
    let Some(header) = reader.header().cloned() else {
        assert!(reader.next().is_none());
        return;
    };
    let frames: Vec<_> = reader.by_ref().collect();
    let read: usize = frames.iter().map(|f| f.bytes.len() + 10).sum();
    assert!(read + reader.left_over() + 10 <= data.len());
    let mut again = MAGIC.to_vec();
    if write_header(&mut again, &header).is_err() {
        return;
    }
    for frame in &frames {
        write_frame(&mut again, frame.ms.unwrap_or(0), frame.bytes).expect("it came out of a recording");
        let _ = frame.message();
    }
    let second = Reader::new(&again).expect("we wrote it");
    assert_eq!(second.header(), Some(&header));
    assert!(second.map(|f| f.bytes).eq(frames.iter().map(|f| f.bytes)));
    let _ = Header::from_json(data);
});
