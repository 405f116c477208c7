//! Recording: a file for the sound, the pictures and the messages of a client.

use crate::echo::Echo;
use portunus_plugin::recording::{Misplaced, Place, Places, Recording, RecordingNews, Subject};
use portunus_plugin::{Cx, HandleId, Object, RouteEnd, Value, json};
use portunus_sdp::MediaKind;

/// One medium that can be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) mid: String,
    pub(crate) subject: Subject,
    /// The name of its file while it is recorded.
    pub(crate) file: Option<String>,
    /// It is recorded, but switched off: nothing is written.
    pub(crate) withheld: bool,
}

/// Where a recording is asked for: the path of its files but for their endings.
pub(crate) struct Wish<'p> {
    places: &'p Places,
    base: String,
}

impl<'p> Wish<'p> {
    /// # Errors
    /// There can be no recording of that name.
    pub(crate) fn new(
        places: &'p Places,
        filename: Option<&str>,
        cx: &Cx,
        h: HandleId,
    ) -> Result<Self, Misplaced> {
        let base = match filename.filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => format!("echotest-{h}-{}", cx.unix().as_micros()),
        };
        let wish = Self::again(places, base);
        wish.place(&MediaKind::Audio)?;
        Ok(wish)
    }

    /// The same as once before.
    pub(crate) fn again(places: &'p Places, base: String) -> Self {
        Self { places, base }
    }

    fn place(&self, kind: &MediaKind) -> Result<Place, Misplaced> {
        self.places.place(None, &format!("{}-{}", self.base, kind.api_name()))
    }
}

impl Echo {
    /// Records all there is, and what comes with a later offer. What is recorded already goes on.
    pub(crate) fn record(&mut self, cx: &mut Cx, h: HandleId, wish: &Wish<'_>) {
        if self.tracks.is_empty() {
            // As with Janus: a wish that comes before there is anything to record is none.
            return;
        }
        let wish = Wish::again(wish.places, self.recording.get_or_insert_with(|| wish.base.clone()).clone());
        for track in self.tracks.iter_mut().filter(|t| t.file.is_none()) {
            let Ok(place) = wish.place(&track.subject.kind) else { continue };
            track.file = Some(format!("{}.mjr", place.name()));
            cx.record(
                RouteEnd::new(h, &track.mid),
                Recording { mjr: Some(place), film: None, subject: track.subject.clone() },
            );
        }
    }

    /// What is switched off is not recorded either.
    pub(crate) fn withhold(&mut self, cx: &mut Cx, h: HandleId) {
        let (audio, video) = (self.audio, self.video);
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

    pub(crate) fn end_recordings(&mut self, cx: &mut Cx, h: HandleId) {
        self.recording = None;
        for track in &mut self.tracks {
            if track.file.take().is_some() {
                cx.end_recording(RouteEnd::new(h, &track.mid));
            }
        }
    }

    /// The m-lines were negotiated: what is recorded and did not change goes on.
    pub(crate) fn set_tracks(&mut self, cx: &mut Cx, h: HandleId, mut tracks: Vec<Track>) {
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

    /// What became of a recording; something for event handlers, perhaps.
    pub(crate) fn on_recording(&mut self, mid: &str, news: &RecordingNews) -> Option<Value> {
        let track = self.tracks.iter_mut().find(|t| t.mid == mid)?;
        let media = track.subject.kind.api_name();
        match news {
            RecordingNews::Begun { file } => {
                let known = track.file.as_mut()?;
                let renamed = known != file;
                known.clone_from(file);
                renamed.then(|| self.notice())
            }
            RecordingNews::Failed { why } => {
                let file = track.file.as_deref()?;
                Some(json!({ "event": "recording-failed", "media": media, "file": file, "reason": why }))
            }
            RecordingNews::Resumed => {
                let file = track.file.as_deref()?;
                Some(json!({ "event": "recording-resumed", "media": media, "file": file }))
            }
            RecordingNews::Playable { .. } | RecordingNews::Ended { .. } => None,
        }
    }

    /// The files, by medium; `None` while nothing is recorded.
    pub(crate) fn files(&self) -> Option<Value> {
        let named = self.tracks.iter().filter_map(|t| Some((t, t.file.as_deref()?)));
        let files: Object =
            named.map(|(t, file)| (t.subject.kind.api_name().to_owned(), file.into())).collect();
        (!files.is_empty()).then(|| files.into())
    }
}
