//! Captures: the packets of a handle, unencrypted, in a file that Wireshark reads.
//!
//! Files stand below one folder (`portunus.captures_folder`; without it there are none), and are never written over. A media
//! worker only copies a packet into a queue; a thread of the capture writes. When the disk does not keep up, packets are left
//! out and counted.

mod file;
mod format;

use file::Place;
use format::{Format, Record};
use portunus_plugin::HandleId;
use portunus_plugin::media::{Tap, Tapped};
use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

/// Captures at a time.
const CAPTURES: usize = 32;
/// Packets that wait for the disk.
const QUEUE: usize = 4096;
/// Bytes of a file; then the capture goes on without it.
const FILE_BYTES: u64 = 1 << 30;
/// What was written is on its way to the disk after so long.
const FLUSH: Duration = Duration::from_secs(1);

/// What is wanted of a capture.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) text: bool,
    pub(crate) folder: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) truncate: Option<usize>,
}

/// The captures that go on.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    folder: Option<PathBuf>,
    taps: HashMap<HandleId, Arc<Queue>>,
}

/// A capture whose file is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) tap: Arc<Queue>,
    pub(crate) path: PathBuf,
}

impl Captures {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, taps: HashMap::new() }
    }

    /// What opens the file; to be called where it may wait for the disk.
    ///
    /// # Errors
    /// There are none, or too many.
    pub(crate) fn opener(
        &self,
        wanted: Wanted,
    ) -> io::Result<impl FnOnce() -> io::Result<Opened> + Send + use<>> {
        let Some(folder) = self.folder.clone() else {
            return Err(io::Error::other("portunus.captures_folder is not set"));
        };
        if self.taps.len() >= CAPTURES {
            return Err(io::Error::other("too many captures"));
        }
        Ok(move || open(&folder, &wanted))
    }

    /// A capture goes on from now.
    pub(crate) fn begin(&mut self, handle: HandleId, tap: Arc<Queue>) {
        self.taps.insert(handle, tap);
    }

    /// A capture ends: its file is closed when what waits is written.
    pub(crate) fn end(&mut self, handle: HandleId) -> bool {
        self.taps.remove(&handle).is_some()
    }

    /// Who gets the packets of this handle.
    pub(crate) fn tap(&self, handle: HandleId) -> Option<Arc<dyn Tap>> {
        let tap: Arc<dyn Tap> = self.taps.get(&handle)?.clone();
        Some(tap)
    }
}

fn open(folder: &Path, wanted: &Wanted) -> io::Result<Opened> {
    let ending = if wanted.text { "txt" } else { "pcap" };
    let place = Place::of(folder, wanted.folder.as_deref(), wanted.file.as_deref(), ending)?;
    let file = place.create()?;
    let path = place.path().to_owned();
    let (queue, packets) = sync_channel(QUEUE);
    let tap =
        Arc::new(Queue { queue, most: wanted.truncate.unwrap_or(usize::MAX), left_out: AtomicU64::new(0) });
    let format = if wanted.text { Format::Text } else { Format::Pcap };
    let (name, seen) = (path.clone(), Arc::downgrade(&tap));
    std::thread::Builder::new().name("capture".to_owned()).spawn(move || {
        let outcome = write(packets, format, BufWriter::new(file));
        let left_out = seen.upgrade().map_or(0, |tap| tap.left_out.load(Ordering::Relaxed));
        match outcome {
            Ok(bytes) => tracing::info!(file = %name.display(), bytes, left_out, "capture ended"),
            Err(error) => tracing::error!(file = %name.display(), %error, "a capture cannot be written"),
        }
    })?;
    tracing::info!(file = %path.display(), "capture begun");
    Ok(Opened { tap, path })
}

/// Where a worker puts packets.
#[derive(Debug)]
pub(crate) struct Queue {
    queue: SyncSender<Record>,
    /// Bytes of a packet that are kept.
    most: usize,
    left_out: AtomicU64,
}

impl Tap for Queue {
    fn packet(&self, incoming: bool, packet: Tapped<'_>) {
        let (bytes, data) = match packet {
            Tapped::Rtp(bytes) | Tapped::Rtcp(bytes) => (bytes, false),
            Tapped::Data(bytes) => (bytes, true),
        };
        let kept = bytes.get(..self.most).unwrap_or(bytes);
        let record = Record { at: SystemTime::now(), incoming, data, whole: bytes.len(), bytes: kept.into() };
        if self.queue.try_send(record).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes until nobody holds the other end any more.
fn write(packets: Receiver<Record>, format: Format, mut out: impl Write) -> io::Result<u64> {
    let mut buffer = Vec::with_capacity(4096);
    let mut written = 0;
    format.begin(&mut buffer);
    loop {
        out.write_all(&buffer)?;
        written += u64::try_from(buffer.len()).unwrap_or(0);
        buffer.clear();
        match packets.recv_timeout(FLUSH) {
            Ok(record) if written < FILE_BYTES => format.packet(&record, &mut buffer),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => out.flush()?,
            Err(RecvTimeoutError::Disconnected) => {
                out.flush()?;
                return Ok(written);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_written_while_it_goes_on_and_whole_at_its_end() {
        let folder = std::env::temp_dir().join(format!("portunus-captures-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut captures = Captures::new(Some(folder.clone()));
        let handle = HandleId::from_random(7);
        let wanted = Wanted { text: true, folder: None, file: Some("x.txt".into()), truncate: Some(2) };
        let opened = captures.opener(wanted.clone()).unwrap()().unwrap();
        assert_eq!(opened.path, folder.canonicalize().unwrap().join("x.txt"));
        assert!(captures.opener(wanted).unwrap()().is_err(), "nothing is written over");
        captures.begin(handle, opened.tap);
        captures.tap(handle).unwrap().packet(true, Tapped::Rtp(&[0x80, 0x6f, 1]));
        assert!(captures.end(handle) && !captures.end(handle));
        let path = folder.join("x.txt");
        let ended = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            std::fs::read_to_string(&path).unwrap().ends_with("000000 80 6f\n")
        });
        assert!(ended, "{}", std::fs::read_to_string(&path).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn without_a_folder_there_are_no_captures() {
        let wanted = Wanted { text: false, folder: None, file: None, truncate: None };
        let Err(error) = Captures::new(None).opener(wanted) else { panic!("there is one") };
        assert!(error.to_string().contains("captures_folder"), "{error}");
    }

    #[test]
    fn a_disk_that_does_not_keep_up_costs_packets_and_nothing_else() {
        let (queue, packets) = sync_channel(2);
        let tap = Queue { queue, most: 10, left_out: AtomicU64::new(0) };
        for _ in 0..5 {
            tap.packet(false, Tapped::Data(b"x"));
        }
        assert_eq!((packets.try_iter().count(), tap.left_out.load(Ordering::Relaxed)), (2, 3));
    }
}
