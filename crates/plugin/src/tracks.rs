//! The media of a client that are recorded one by one, each into a file of its own, all of one name: as the echo test and calls
//! have it.

use crate::media::RouteEnd;
use crate::recording::{Misplaced, Place, Places, Recording, RecordingNews, Subject};
use crate::{Cx, HandleId, Object, Value, json};
use portunus_sdp::MediaKind;

/// One medium that can be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Track {
    mid: String,
    subject: Subject,
    /// The name of its file while it is recorded.
    file: Option<String>,
    /// It is recorded, but switched off: nothing is written.
    withheld: bool,
}

/// What of a client can be recorded, and what is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracks {
    tracks: Vec<Track>,
    /// What the files are called but for their endings, while there is a recording.
    base: Option<String>,
}

/// What the news of a recording mean to others.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// A file has another name than was said.
    Renamed,
    /// Something for event handlers.
    Event(Value),
}

impl Tracks {
    /// # Errors
    /// There can be no recording of that name.
    pub fn check(places: &Places, base: &str) -> Result<(), Misplaced> {
        place(places, base, &MediaKind::Audio).map(drop)
    }

    /// Records all there is, and what comes with a later offer. What is recorded already goes on, by its name.
    pub fn record(&mut self, cx: &mut Cx, h: HandleId, places: &Places, base: String) {
        if self.tracks.is_empty() {
            // As with Janus: a wish that comes before there is anything to record is none.
            return;
        }
        self.base.get_or_insert(base);
        self.go_on(cx, h, places);
    }

    /// What can be recorded has changed: where there is a recording, it is of what is new, too.
    pub fn go_on(&mut self, cx: &mut Cx, h: HandleId, places: &Places) {
        let Some(base) = &self.base else { return };
        for track in self.tracks.iter_mut().filter(|t| t.file.is_none()) {
            let Ok(place) = place(places, base, &track.subject.kind) else { continue };
            track.file = Some(format!("{}.mjr", place.name()));
            cx.record(
                RouteEnd::new(h, &track.mid),
                Recording { mjr: Some(place), film: None, subject: track.subject.clone() },
            );
        }
    }

    /// What is switched off is not recorded either.
    pub fn withhold(&mut self, cx: &mut Cx, h: HandleId, audio: bool, video: bool) {
        for track in self.tracks.iter_mut().filter(|t| t.file.is_some()) {
            let withheld = match track.subject.kind {
                MediaKind::Audio => !audio,
                MediaKind::Video => !video,
                _ => false,
            };
            if std::mem::replace(&mut track.withheld, withheld) != withheld {
                cx.withhold(RouteEnd::new(h, &track.mid), withheld);
            }
        }
    }

    /// Ends what is recorded.
    pub fn end(&mut self, cx: &mut Cx, h: HandleId) {
        self.base = None;
        for track in &mut self.tracks {
            if track.file.take().is_some() {
                cx.end_recording(RouteEnd::new(h, &track.mid));
            }
        }
    }

    /// The m-lines were negotiated; of each kind the first of `media` (mid and subject) can be recorded. What is recorded and
    /// did not change goes on.
    pub fn set(&mut self, cx: &mut Cx, h: HandleId, media: impl IntoIterator<Item = (String, Subject)>) {
        let mut tracks: Vec<Track> = Vec::new();
        for (mid, subject) in media {
            if tracks.iter().all(|t| t.subject.kind != subject.kind) {
                tracks.push(Track { mid, subject, file: None, withheld: false });
            }
        }
        for old in &mut self.tracks {
            let same = tracks.iter_mut().find(|new| new.mid == old.mid);
            let goes_on = same.as_ref().is_some_and(|new| new.subject == old.subject);
            if old.file.is_some() && !goes_on {
                cx.end_recording(RouteEnd::new(h, &old.mid));
            }
            if let Some(new) = same {
                new.withheld = old.withheld;
                new.file = old.file.take().filter(|_| goes_on);
            }
        }
        self.tracks = tracks;
    }

    /// What became of a recording.
    pub fn on_recording(&mut self, mid: &str, news: &RecordingNews) -> Told {
        let Some(track) = self.tracks.iter_mut().find(|t| t.mid == mid) else { return Told::Nothing };
        let Some(known) = &mut track.file else { return Told::Nothing };
        let media = track.subject.kind.api_name();
        match news {
            RecordingNews::Begun { file } if known == file => Told::Nothing,
            RecordingNews::Begun { file } => {
                known.clone_from(file);
                Told::Renamed
            }
            RecordingNews::Failed { why } => Told::Event(
                json!({ "event": "recording-failed", "media": media, "file": known, "reason": why }),
            ),
            RecordingNews::Resumed => {
                Told::Event(json!({ "event": "recording-resumed", "media": media, "file": known }))
            }
            RecordingNews::Playable { .. } | RecordingNews::Ended { .. } => Told::Nothing,
        }
    }

    /// The files, by medium; `None` while nothing is recorded.
    pub fn files(&self) -> Option<Value> {
        let named = self.tracks.iter().filter_map(|t| Some((t, t.file.as_deref()?)));
        let files: Object =
            named.map(|(t, file)| (t.subject.kind.api_name().to_owned(), file.into())).collect();
        (!files.is_empty()).then(|| files.into())
    }
}

fn place(places: &Places, base: &str, kind: &MediaKind) -> Result<Place, Misplaced> {
    places.place(None, &format!("{base}-{}", kind.api_name()))
}
