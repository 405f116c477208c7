use super::*;
use portunus_mjr::{Medium, Reader};
use portunus_plugin::media::Tapped;
use portunus_plugin::recording::{Place, Places, Subject};
use portunus_sdp::MediaKind;
use std::path::PathBuf;
use std::sync::Mutex;

/// A folder that goes with the test, and what was told.
struct Desk {
    folder: PathBuf,
    told: Arc<Mutex<Vec<RecordingNews>>>,
}

impl Desk {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portunus-recorder-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder: folder.canonicalize().unwrap(), told: Arc::default() }
    }

    fn recorder(&self, settings: Settings) -> Recorder {
        let told = self.told.clone();
        Recorder::start(settings, Arc::new(move |_, news| told.lock().unwrap().push(news))).unwrap()
    }

    fn place(&self, name: &str) -> Place {
        Places::new(&self.folder, std::slice::from_ref(&self.folder), &[]).place(None, name).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    names.push(path.strip_prefix(&self.folder).unwrap().display().to_string());
                }
            }
        }
        names.sort();
        names
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().iter().map(|news| format!("{news:?}")).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn source(n: u64) -> RouteEnd {
    RouteEnd::new(HandleId::from_random(n), "0")
}

fn recording(place: Place) -> Recording {
    let subject = Subject {
        kind: MediaKind::Audio,
        codec: "opus".to_owned(),
        fmtp: None,
        description: None,
        extensions: Vec::new(),
        red: None,
        encrypted: false,
    };
    Recording { place, subject }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}");
}

fn frames(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    Reader::new(bytes).unwrap().map(|f| (f.ms.unwrap(), f.bytes.to_vec())).collect()
}

#[test]
fn packets_are_in_the_file_a_moment_later_and_the_file_is_whole_at_the_end() {
    let desk = Desk::new("whole");
    let mut recorder = desk.recorder(Settings::default());
    let tape = recorder.begin(source(1), recording(desk.place("a/b"))).unwrap();
    until("the file is made", || desk.files() == ["a/b.mjr"]);
    until("the magic is there", || desk.read("a/b.mjr") == b"MJR00002");
    let start = Instant::now();
    tape.packet(start, Tapped::Rtp(b"first"));
    tape.packet(start + Duration::from_millis(1500), Tapped::Rtp(b"second"));
    until("both are written", || frames(&desk.read("a/b.mjr")).len() == 2);
    tape.packet(start + Duration::from_millis(1600), Tapped::Rtp(b"third"));
    recorder.end(&source(1));
    tape.packet(start, Tapped::Rtp(b"too late"));
    recorder.finish(Duration::from_secs(5));
    let bytes = desk.read("a/b.mjr");
    let header = Reader::new(&bytes).unwrap().header().cloned().unwrap();
    assert_eq!((header.medium, header.codec.as_str()), (Medium::Audio, "opus"));
    assert!(header.created > 1_700_000_000_000_000 && header.first_frame >= header.created);
    let wanted = [(0, b"first".to_vec()), (1500, b"second".to_vec()), (1600, b"third".to_vec())];
    assert_eq!(frames(&bytes), wanted);
    let told = [r#"Begun { file: "b.mjr" }"#, r#"Ended { file: "b.mjr", frames: 3, lost: 0 }"#];
    assert_eq!(desk.told(), told);
}

#[test]
fn nothing_is_written_over() {
    let desk = Desk::new("over");
    std::fs::write(desk.folder.join("x.mjr"), "mine").unwrap();
    std::fs::write(desk.folder.join("x-1.mjr.tmp"), "mine").unwrap();
    let mut recorder = desk.recorder(Settings { temporary: Some("tmp".to_owned()), ..Settings::default() });
    for n in 1..3 {
        let tape = recorder.begin(source(n), recording(desk.place("x"))).unwrap();
        tape.packet(Instant::now(), Tapped::Rtp(b"p"));
    }
    until("both are open", || desk.files().len() == 4);
    assert_eq!(desk.files(), ["x-1.mjr.tmp", "x-2.mjr.tmp", "x-3.mjr.tmp", "x.mjr"]);
    recorder.finish(Duration::from_secs(5));
    assert_eq!(desk.files(), ["x-1.mjr.tmp", "x-2.mjr", "x-3.mjr", "x.mjr"]);
    assert_eq!(desk.read("x.mjr"), b"mine");
    assert!(desk.told().contains(&r#"Begun { file: "x-2.mjr" }"#.to_owned()), "{:?}", desk.told());
}

#[test]
fn links_lead_nowhere() {
    let desk = Desk::new("links");
    let outside = Desk::new("outside");
    std::os::unix::fs::symlink(&outside.folder, desk.folder.join("folder")).unwrap();
    std::os::unix::fs::symlink(outside.folder.join("target.mjr"), desk.folder.join("file.mjr")).unwrap();
    let mut recorder = desk.recorder(Settings::default());
    let tape = recorder.begin(source(1), recording(desk.place("folder/x"))).unwrap();
    tape.packet(Instant::now(), Tapped::Rtp(b"p"));
    let tape = recorder.begin(source(2), recording(desk.place("file"))).unwrap();
    tape.packet(Instant::now(), Tapped::Rtp(b"p"));
    until("one is written", || desk.read_if("file-1.mjr").len() > 8);
    recorder.finish(Duration::from_secs(5));
    assert_eq!(outside.files(), Vec::<String>::new());
    let failed = desk.told().into_iter().filter(|t| t.starts_with("Failed")).collect::<Vec<_>>();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].contains("is no folder, or a link"), "{failed:?}");
}

impl Desk {
    fn read_if(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap_or_default()
    }
}

#[test]
fn who_does_not_keep_up_loses_frames_and_says_so_once() {
    let desk = Desk::new("slow");
    let mut recorder = desk.recorder(Settings { waiting: 1000, ..Settings::default() });
    let tape = recorder.begin(source(1), recording(desk.place("x"))).unwrap();
    let now = Instant::now();
    // The thread is busy elsewhere: it looks four times a second.
    for _ in 0..200 {
        tape.packet(now, Tapped::Rtp(&[0; 90]));
    }
    let counters = recorder.counters().clone();
    until("it is told", || counters.lost.load(Ordering::Relaxed) > 0);
    until("all is written", || counters.waiting.load(Ordering::Relaxed) == 0);
    tape.packet(now, Tapped::Rtp(b"later"));
    recorder.finish(Duration::from_secs(5));
    let (frames, lost) = (counters.frames.load(Ordering::Relaxed), counters.lost.load(Ordering::Relaxed));
    assert_eq!(frames + lost, 201);
    let told = desk.told();
    // Once for each time; on a busy machine there may be several.
    let failed = told.iter().filter(|t| t.contains("does not keep up")).count();
    let resumed = told.iter().filter(|t| *t == "Resumed").count();
    assert!((1..5).contains(&failed) && resumed == failed, "{told:?}");
    assert_eq!(counters.open.load(Ordering::Relaxed), 0);
}

#[test]
fn what_waits_is_counted_while_it_is_written() {
    let desk = Desk::new("count");
    let settings = Settings { waiting_total: 4 << 20, ..Settings::default() };
    let mut recorder = desk.recorder(settings);
    let tapes: Vec<_> =
        (1..5).map(|n| recorder.begin(source(n), recording(desk.place(&format!("t{n}")))).unwrap()).collect();
    thread::scope(|scope| {
        for tape in &tapes {
            scope.spawn(move || {
                for n in 0..20_000 {
                    tape.packet(Instant::now(), Tapped::Rtp(&[7; 40]));
                    if n % 50 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
    });
    let counters = recorder.counters().clone();
    recorder.finish(Duration::from_secs(10));
    assert_eq!(counters.waiting.load(Ordering::Relaxed), 0);
    let (frames, lost) = (counters.frames.load(Ordering::Relaxed), counters.lost.load(Ordering::Relaxed));
    assert_eq!((frames + lost, lost), (80_000, 0), "80,000 frames of 50 bytes are less than what may wait");
    for n in 1..5 {
        assert_eq!(frames_of(&desk.read(&format!("t{n}.mjr"))), 20_000);
    }
}

fn frames_of(bytes: &[u8]) -> usize {
    Reader::new(bytes).unwrap().count()
}
