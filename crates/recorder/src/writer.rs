//! A thread that writes tapes to files.

use crate::file::RecordingFile;
use crate::film::{Desk, Film};
use crate::reel::{Reel, Waiting};
use crate::{Counters, Settings, Tell};
use portunus_mjr::MAGIC;
use portunus_plugin::recording::{Place, RecordingNews};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

/// Tapes are looked at so often.
const ROUND: Duration = Duration::from_millis(250);
/// Recordings that are begun before those that go on are looked at again.
const REELS_PER_ROUND: usize = 32;
/// A file that could not be written is tried again after so long.
const AGAIN: Duration = Duration::from_secs(2);
/// Room that a buffer keeps for the next time.
const SPARE: usize = 128 << 10;
const ENDING: &str = "mjr";

pub(crate) struct Writer {
    reels: Receiver<Arc<Reel>>,
    settings: Settings,
    counters: Arc<Counters>,
    tell: Arc<Tell>,
    tapes: Vec<Open>,
    films: Vec<Film>,
    /// Numbers of tapes so far.
    numbers: u64,
    /// Nobody can begin a recording any more.
    closing: bool,
}

/// A tape and its file.
struct Open {
    reel: Arc<Reel>,
    number: u64,
    file: Option<RecordingFile>,
    /// Written when the first frame is.
    header: Option<Vec<u8>>,
    headed: bool,
    spare: Vec<u8>,
    frames: u64,
    lost: u64,
    /// Frames are being lost, and that was told.
    failing: bool,
    /// The file failed: not before this moment is it tried again.
    again: Option<Instant>,
    synced: Instant,
    dirty: bool,
}

impl Writer {
    pub(crate) fn new(
        reels: Receiver<Arc<Reel>>,
        settings: Settings,
        counters: Arc<Counters>,
        tell: Arc<Tell>,
    ) -> Self {
        Self {
            reels,
            settings,
            counters,
            tell,
            tapes: Vec::new(),
            films: Vec::new(),
            numbers: 0,
            closing: false,
        }
    }

    /// Until the other end of the channel is gone and all tapes have ended.
    pub(crate) fn run(mut self) {
        loop {
            let more = self.take_reels();
            let mut tapes = std::mem::take(&mut self.tapes);
            tapes.retain_mut(|tape| self.serve(tape));
            self.tapes = tapes;
            let now = Instant::now();
            let desk = Desk { settings: &self.settings, counters: &self.counters, tell: &*self.tell };
            self.films.retain_mut(|film| film.serve(&desk, now));
            if self.closing && self.tapes.is_empty() {
                return;
            }
            if more {
                continue;
            }
            if self.closing || !self.tapes.is_empty() || !self.films.is_empty() {
                thread::park_timeout(ROUND);
            } else {
                // Nothing to look after: an idle gateway is not woken four times a second.
                let reel = self.reels.recv().ok();
                self.take(reel);
            }
        }
    }

    /// Takes recordings that begin, not so many that those that go on would wait; whether there are more.
    fn take_reels(&mut self) -> bool {
        for _ in 0..REELS_PER_ROUND {
            match self.reels.try_recv() {
                Ok(reel) => self.take(Some(reel)),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => {
                    self.take(None);
                    return false;
                }
            }
        }
        true
    }

    /// A recording begins; or, with none, nobody is left who could begin one.
    fn take(&mut self, reel: Option<Arc<Reel>>) {
        match reel {
            Some(reel) => {
                let tape = self.open(reel);
                self.tapes.push(tape);
            }
            None => self.closing = true,
        }
    }

    fn open(&mut self, reel: Arc<Reel>) -> Open {
        self.numbers += 1;
        let mut tape = Open {
            reel: reel.clone(),
            number: self.numbers,
            file: None,
            header: None,
            headed: false,
            spare: Vec::new(),
            frames: 0,
            lost: 0,
            failing: false,
            again: None,
            synced: Instant::now(),
            dirty: false,
        };
        let in_film = self.add_to_film(&mut tape);
        let Some(place) = &reel.recording.mjr else {
            if !in_film {
                reel.end();
            }
            return tape;
        };
        let made = RecordingFile::create(place, ENDING, self.settings.temporary.as_deref())
            .and_then(|mut file| file.append(MAGIC).map(|()| file));
        match made {
            Ok(file) => {
                tracing::info!(handle = %reel.source.handle, file = file.name(), "recording");
                (self.tell)(reel.source.clone(), RecordingNews::Begun { file: file.name().to_owned() });
                tape.file = Some(file);
            }
            Err(error) => {
                self.on_failure(&mut tape, &error);
                // There will never be a file: nothing more is taken for it.
                if !in_film {
                    reel.end();
                }
            }
        }
        tape
    }

    /// Makes a medium part of its film, if it is to be in one.
    fn add_to_film(&mut self, tape: &mut Open) -> bool {
        let reel = tape.reel.clone();
        let Some(place) = &reel.recording.film else { return false };
        let known = self.films.iter().position(|film| film.is(&reel.source, place));
        let at = known.unwrap_or_else(|| {
            self.films.push(Film::new(reel.source.clone(), place.clone(), Instant::now()));
            self.films.len() - 1
        });
        let subject = &reel.recording.subject;
        let added = self.films.get_mut(at).is_some_and(|film| film.add(tape.number, subject));
        if !added {
            let why = format!("{} cannot be in a file that plays", subject.codec);
            self.on_failure(tape, &io::Error::other(why));
        }
        added
    }

    /// Writes what waits on a tape. False: it has ended, and its file is closed.
    fn serve(&mut self, tape: &mut Open) -> bool {
        // Asked first, so that nothing can come behind what is taken.
        let ended = tape.reel.has_ended();
        let mut waiting = tape.reel.take(std::mem::take(&mut tape.spare));
        if let Some(header) = waiting.header.take() {
            tape.header = Some(header);
        }
        self.lose(tape, waiting.lost);
        let now = Instant::now();
        if waiting.lost > 0 {
            self.on_failure(tape, &io::Error::other("the disk does not keep up"));
        }
        if !waiting.bytes.is_empty() {
            self.show(tape, &waiting);
            if tape.reel.recording.mjr.is_some() {
                self.write(tape, &waiting.bytes, waiting.frames, waiting.lost > 0, now);
            }
        }
        tape.spare = waiting.bytes;
        tape.spare.clear();
        tape.spare.shrink_to(SPARE);
        self.sync(tape, ended, now);
        if ended {
            self.close(tape);
        }
        !ended
    }

    /// Shows a film what is for it.
    fn show(&mut self, tape: &mut Open, waiting: &Waiting) {
        let Some(place) = &tape.reel.recording.film else { return };
        let film = self.films.iter_mut().find(|film| film.is(&tape.reel.source, place));
        let (Some(film), Some(first)) = (film, waiting.first) else { return };
        film.frames(tape.number, first, &waiting.bytes);
        if tape.reel.recording.mjr.is_none() {
            tape.frames += waiting.frames;
            self.counters.frames.fetch_add(waiting.frames, Ordering::Relaxed);
            if waiting.lost == 0 && std::mem::take(&mut tape.failing) {
                (self.tell)(tape.reel.source.clone(), RecordingNews::Resumed);
            }
        }
    }

    fn write(&self, tape: &mut Open, bytes: &[u8], frames: u64, losing: bool, now: Instant) {
        let waits = tape.again.is_some_and(|again| now < again);
        let written = match &mut tape.file {
            Some(_) if waits => return self.lose(tape, frames),
            None => return self.lose(tape, frames),
            Some(file) => match tape.header.as_ref().filter(|_| !tape.headed) {
                // A file has a header or no frame: both go together.
                Some(header) => file.append(&[header.as_slice(), bytes].concat()),
                None => file.append(bytes),
            },
        };
        match written {
            Ok(()) => {
                (tape.headed, tape.dirty, tape.again) = (true, true, None);
                tape.frames += frames;
                self.counters.frames.fetch_add(frames, Ordering::Relaxed);
                let length = u64::try_from(bytes.len()).unwrap_or(0);
                self.counters.bytes.fetch_add(length, Ordering::Relaxed);
                if !losing && std::mem::take(&mut tape.failing) {
                    tracing::info!(handle = %tape.reel.source.handle, lost = tape.lost, "recording goes on");
                    (self.tell)(tape.reel.source.clone(), RecordingNews::Resumed);
                }
            }
            Err(error) => {
                self.lose(tape, frames);
                tape.again = Some(now + AGAIN);
                self.on_failure(tape, &error);
            }
        }
    }

    fn lose(&self, tape: &mut Open, frames: u64) {
        tape.lost += frames;
        self.counters.lost.fetch_add(frames, Ordering::Relaxed);
    }

    /// Told once, until it can be written again.
    fn on_failure(&self, tape: &mut Open, error: &io::Error) {
        if !std::mem::replace(&mut tape.failing, true) {
            self.counters.failed.fetch_add(1, Ordering::Relaxed);
            let recording = &tape.reel.recording;
            let file =
                recording.mjr.as_ref().or(recording.film.as_ref()).map(Place::path).unwrap_or_default();
            let handle = tape.reel.source.handle;
            tracing::error!(%handle, file = %file.display(), %error, "a recording cannot be written");
            (self.tell)(tape.reel.source.clone(), RecordingNews::Failed { why: error.to_string() });
        }
    }

    fn sync(&self, tape: &mut Open, ended: bool, now: Instant) {
        let Some(period) = self.settings.sync else { return };
        if tape.dirty
            && (ended || now >= tape.synced + period)
            && let Some(file) = &tape.file
        {
            (tape.dirty, tape.synced) = (false, now);
            if let Err(error) = file.sync() {
                tracing::warn!(file = file.name(), %error, "a recording cannot be forced to the disk");
            }
        }
    }

    fn close(&mut self, tape: &mut Open) {
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(place) = &tape.reel.recording.film
            && let Some(film) = self.films.iter_mut().find(|film| film.is(&tape.reel.source, place))
        {
            film.end(tape.number);
        }
        let Some(file) = tape.file.take() else { return };
        let name = file.name().to_owned();
        if let Err(error) = file.close() {
            tracing::error!(file = name, %error, "a recording keeps its temporary name");
        }
        let (frames, lost, handle) = (tape.frames, tape.lost, tape.reel.source.handle);
        tracing::info!(%handle, file = name, frames, lost, "recording ended");
        (self.tell)(tape.reel.source.clone(), RecordingNews::Ended { file: name, frames, lost });
    }
}
