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
    Recording { mjr: Some(place), film: None, subject }
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

const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];

/// A medium of the handle `n`, in a film and perhaps a file of its own.
fn filmed(desk: &Desk, kind: MediaKind, mjr: Option<&str>) -> Recording {
    let codec = if kind == MediaKind::Video { "vp8" } else { "opus" }.to_owned();
    let plain = recording(desk.place("film"));
    let subject = Subject { kind, codec, ..plain.subject };
    Recording { mjr: mjr.map(|name| desk.place(name)), film: Some(desk.place("film")), subject }
}

/// One second of sound and pictures, from number `from` on.
fn play(sound: &Arc<dyn Tape>, picture: &Arc<dyn Tape>, from: u16, began: Instant) {
    let rtp = |pt: u8, n: u16, timestamp: u32, payload: &[u8]| {
        let mut packet = vec![0x80, pt];
        packet.extend(n.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend([0, 0, 0, 1]);
        packet.extend(payload);
        packet
    };
    for n in from..from + 50 {
        let now = began + Duration::from_millis(u64::from(n) * 20);
        sound.packet(now, Tapped::Rtp(&rtp(111, n, u32::from(n) * 960, &[0x78, 1])));
        let key = [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 7];
        let payload: &[u8] = if n % 25 == 0 { &key } else { &[0x10, 0x11, 8] };
        picture.packet(now, Tapped::Rtp(&rtp(0x80 | 96, n, u32::from(n) * 1800, payload)));
    }
}

#[test]
fn media_of_one_handle_share_a_film_that_is_there_while_it_is_recorded() {
    let desk = Desk::new("film");
    let mut recorder = desk.recorder(Settings { threads: 3, ..Settings::default() });
    let (audio, video) =
        (RouteEnd::new(HandleId::from_random(7), "0"), RouteEnd::new(HandleId::from_random(7), "1"));
    let sound = recorder.begin(audio.clone(), filmed(&desk, MediaKind::Audio, None)).unwrap();
    let picture = recorder.begin(video.clone(), filmed(&desk, MediaKind::Video, Some("own"))).unwrap();
    let began = Instant::now();
    for second in 0..4 {
        play(&sound, &picture, second * 50, began);
        thread::sleep(Duration::from_millis(1000));
    }
    let there = desk.read("film.webm");
    assert!(there.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]), "it can be played now");
    let clusters = |bytes: &[u8]| bytes.windows(4).filter(|w| *w == CLUSTER).count();
    assert!(clusters(&there) >= 2, "{}", clusters(&there));
    recorder.end(&audio);
    recorder.end(&video);
    let blocks = || {
        let bytes = desk.read("film.webm");
        let begin = bytes.windows(4).position(|w| w == CLUSTER).unwrap();
        bytes[begin..].windows(7).filter(|w| *w == [0xa3, 1, 0, 0, 0, 0, 0]).count()
    };
    until("all that was played", || blocks() == 400);
    assert_eq!(desk.files(), ["film.webm", "own.mjr"]);
    assert!(desk.told().contains(&r#"Playable { file: "film.webm" }"#.to_owned()), "{:?}", desk.told());
    assert_eq!(frames(&desk.read("own.mjr")).len(), 200);
    // Another one does not write over it.
    let sound = recorder.begin(audio.clone(), filmed(&desk, MediaKind::Audio, None)).unwrap();
    let picture = recorder.begin(video, filmed(&desk, MediaKind::Video, None)).unwrap();
    play(&sound, &picture, 0, Instant::now());
    recorder.finish(Duration::from_secs(5));
    assert_eq!(desk.files(), ["film-1.webm", "film.webm", "own.mjr"]);
}

#[test]
fn a_film_that_cannot_be_made_is_told_and_takes_nothing_from_other_files() {
    let desk = Desk::new("no-film");
    std::fs::write(desk.folder.join("sub"), b"no folder").unwrap();
    let mut recorder = desk.recorder(Settings::default());
    let handle = HandleId::from_random(7);
    let place = desk.place("sub/film");
    let begin = |recorder: &mut Recorder, mid: &str, kind, mjr| {
        let recording = Recording { film: Some(place.clone()), ..filmed(&desk, kind, mjr) };
        recorder.begin(RouteEnd::new(handle, mid), recording).unwrap()
    };
    let sound = begin(&mut recorder, "0", MediaKind::Audio, Some("sound"));
    let picture = begin(&mut recorder, "1", MediaKind::Video, None);
    play(&sound, &picture, 0, Instant::now());
    recorder.finish(Duration::from_secs(5));
    assert_eq!(desk.files(), ["sound.mjr", "sub"]);
    assert_eq!(frames(&desk.read("sound.mjr")).len(), 50);
    let failures = desk.told().iter().filter(|t| t.contains("Failed") && t.contains("film.webm")).count();
    assert_eq!(failures, 1, "{:?}", desk.told());
}

#[test]
fn a_film_that_lost_frames_is_told_to_go_on() {
    let desk = Desk::new("film-lost");
    let mut recorder = desk.recorder(Settings { waiting: 2_000, ..Settings::default() });
    let handle = HandleId::from_random(7);
    let begin = |recorder: &mut Recorder, mid: &str, kind| {
        recorder.begin(RouteEnd::new(handle, mid), filmed(&desk, kind, None)).unwrap()
    };
    let sound = begin(&mut recorder, "0", MediaKind::Audio);
    let picture = begin(&mut recorder, "1", MediaKind::Video);
    let began = Instant::now();
    // More at once than may wait, until some was taken in between.
    for second in 0..40 {
        play(&sound, &picture, second * 50, began);
    }
    until("it is told", || desk.told().iter().any(|t| t.starts_with("Failed")));
    let mut n = 2000;
    until("it goes on", || {
        n += 50;
        play(&sound, &picture, n, began);
        thread::sleep(Duration::from_millis(300));
        desk.told().contains(&"Resumed".to_owned())
    });
    recorder.finish(Duration::from_secs(5));
}
