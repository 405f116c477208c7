//! A film and its file: media of one handle together, in a form that plays while it is written.

use crate::file::RecordingFile;
use crate::{Counters, Settings, Tell};
use portunus_mjr::Reader;
use portunus_mjr::live::{self, Kind, Piece};
use portunus_plugin::media::RouteEnd;
use portunus_plugin::recording::{Place, RecordingNews, Subject};
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A file that could not be written is tried again after so long.
const AGAIN: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Film {
    /// Of the medium that was there first.
    pub(crate) source: RouteEnd,
    pub(crate) place: Place,
    film: live::Film,
    /// The beginning of the film's time.
    epoch: Instant,
    part: Option<Part>,
    /// What is not written is told once, until it can be again.
    failing: bool,
    synced: Instant,
    dirty: bool,
}

/// A file, or one that cannot be made yet.
struct Part {
    ending: &'static str,
    file: Option<RecordingFile>,
    /// Its first bytes, until they are written.
    head: Option<Vec<u8>>,
    again: Option<Instant>,
}

/// What a film needs of its thread.
pub(crate) struct Desk<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) counters: &'a Counters,
    pub(crate) tell: &'a Tell,
}

impl Film {
    pub(crate) fn new(source: RouteEnd, place: Place, now: Instant) -> Self {
        // Nothing can have come long before.
        let epoch = now.checked_sub(Duration::from_secs(60)).unwrap_or(now);
        let film = live::Film::new();
        Self { source, place, film, epoch, part: None, failing: false, synced: now, dirty: false }
    }

    /// Whether it is that of this handle at this place.
    pub(crate) fn is(&self, source: &RouteEnd, place: &Place) -> bool {
        self.source.handle == source.handle && self.place == *place
    }

    /// A medium begins. False: it cannot be part of a film.
    pub(crate) fn add(&mut self, id: u64, subject: &Subject) -> bool {
        let kind = Kind { codec: &subject.codec, fmtp: subject.fmtp.as_deref(), red: subject.red };
        self.film.add(id, &kind)
    }

    pub(crate) fn end(&mut self, id: u64) {
        self.film.end(id);
    }

    /// Frames of a medium as they stand in MJR; their times count from `first`.
    pub(crate) fn frames(&mut self, id: u64, first: Instant, bytes: &[u8]) {
        let begin = micros(first.saturating_duration_since(self.epoch));
        for frame in Reader::of_frames(bytes) {
            let arrival = begin + u64::from(frame.ms.unwrap_or(0)) * 1000;
            self.film.packet(id, arrival, frame.bytes);
        }
    }

    /// Writes what can be written. False: it has ended, and its file is closed.
    pub(crate) fn serve(&mut self, desk: &Desk<'_>, now: Instant) -> bool {
        let mut pieces = Vec::new();
        let goes_on = self.film.goes_on();
        match goes_on {
            true => self.film.poll(micros(now.saturating_duration_since(self.epoch)), &mut pieces),
            false => self.film.finish(&mut pieces),
        }
        for piece in pieces {
            match piece {
                Piece::Begin { ending, head } => {
                    self.close();
                    self.part = Some(Part { ending, file: None, head: Some(head), again: None });
                    self.write(desk, &[], now);
                }
                Piece::Bytes(bytes) => self.write(desk, &bytes, now),
            }
        }
        self.sync(desk, goes_on, now);
        if !goes_on {
            self.close();
        }
        goes_on
    }

    fn write(&mut self, desk: &Desk<'_>, bytes: &[u8], now: Instant) {
        let Some(part) = &mut self.part else { return };
        if part.again.is_some_and(|again| now < again) {
            return;
        }
        let temporary = desk.settings.temporary.as_deref();
        match part.write(&self.place, temporary, bytes) {
            Ok(begun) => {
                (part.again, self.dirty) = (None, true);
                let length = u64::try_from(bytes.len()).unwrap_or(0);
                desk.counters.bytes.fetch_add(length, Ordering::Relaxed);
                if let Some(file) = begun {
                    tracing::info!(handle = %self.source.handle, file, "recording to play");
                    (desk.tell)(self.source.clone(), RecordingNews::Playable { file });
                }
                if std::mem::take(&mut self.failing) {
                    (desk.tell)(self.source.clone(), RecordingNews::Resumed);
                }
            }
            Err(error) => {
                part.again = Some(now + AGAIN);
                if !std::mem::replace(&mut self.failing, true) {
                    desk.counters.failed.fetch_add(1, Ordering::Relaxed);
                    let file = format!("{}.{}", self.place.path().display(), part.ending);
                    tracing::error!(handle = %self.source.handle, file, %error, "a recording cannot be written");
                    let why = format!("{}.{}: {error}", self.place.name(), part.ending);
                    (desk.tell)(self.source.clone(), RecordingNews::Failed { why });
                }
            }
        }
    }

    fn sync(&mut self, desk: &Desk<'_>, goes_on: bool, now: Instant) {
        let Some(period) = desk.settings.sync else { return };
        let Some(file) = self.part.as_ref().and_then(|part| part.file.as_ref()) else { return };
        if self.dirty && (!goes_on || now >= self.synced + period) {
            (self.dirty, self.synced) = (false, now);
            if let Err(error) = file.sync() {
                tracing::warn!(file = file.name(), %error, "a recording cannot be forced to the disk");
            }
        }
    }

    fn close(&mut self) {
        let Some(file) = self.part.take().and_then(|part| part.file) else { return };
        let name = file.name().to_owned();
        match file.close() {
            Ok(()) => tracing::info!(handle = %self.source.handle, file = name, "recording to play ended"),
            Err(error) => tracing::error!(file = name, %error, "a recording keeps its temporary name"),
        }
    }
}

impl Part {
    /// Gives the file's name if this made it. What is not written is left out: the file plays without it.
    fn write(&mut self, place: &Place, temporary: Option<&str>, bytes: &[u8]) -> io::Result<Option<String>> {
        let mut begun = None;
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = RecordingFile::create(place, self.ending, temporary)?;
                begun = Some(file.name().to_owned());
                self.file.insert(file)
            }
        };
        match &self.head {
            Some(head) => file.append(&[head.as_slice(), bytes].concat())?,
            None => file.append(bytes)?,
        }
        self.head = None;
        Ok(begun)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
