//! Recording: `enable_recording` for a room, `record` of a publisher, and a file for each of his streams.

use super::Call;
use crate::body::{check, check_secret, flag, text};
use crate::error::Refusal;
use crate::publisher::{Publisher, Recorded};
use crate::room::Room;
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object, Value, json};
use portunus_plugin::recording::{Misplaced, Place, Places, Recording, RecordingNews};
use portunus_plugin::{Cx, HandleId, RouteEnd};

impl VideoRoom {
    pub(super) fn enable_recording(&mut self, cx: &mut Cx, o: &Object) -> Answer<Value> {
        check(o, &[("secret", Kind::String, false), ("record", Kind::Boolean, true)])?;
        let room = self.lenient_room_with_secret(o)?;
        let record = flag(o, "record") == Some(true);
        if record {
            self.check_folder(room.config.rec_dir.as_deref())?;
        }
        let id = room.id.clone();
        let participants: Vec<_> = room.participants.values().copied().collect();
        if let Some(room) = self.rooms.get_mut(&id) {
            room.config.record = record;
        }
        for h in participants {
            if let Some(publisher) = self.publishers.get_mut(&h) {
                publisher.recording = record;
            }
            self.update_recordings(cx, h);
        }
        Ok(json!({ "videoroom": "success", "record": record }))
    }

    /// Whether recordings may be in the folder of a room.
    pub(super) fn check_folder(&self, folder: Option<&str>) -> Answer {
        let folder = self.settings.places.check(folder.unwrap_or_default());
        folder.map_err(|why| Refusal::invalid(format!("Invalid element (rec_dir: {why})")))
    }

    /// What may stand against a recording that a publisher asks for; before anything is done.
    pub(super) fn check_recording(&self, call: &Call<'_>) -> Answer {
        let Some((publisher, room)) = self.publisher_and_room(call.h) else { return Ok(()) };
        if self.wanted_recording(room, call.body) != Some(true) {
            return Ok(());
        }
        let asked = filename(call.body);
        let base = asked.as_deref().or(publisher.recording_base.as_deref()).unwrap_or("x");
        match self.settings.places.place(room.config.rec_dir.as_deref(), &format!("{base}-audio-0")) {
            Ok(_) => Ok(()),
            Err(why) if asked.is_some() => {
                Err(Refusal::invalid(format!("Invalid element (filename: {why})")))
            }
            Err(why) => Err(Refusal::invalid(format!("Invalid element (rec_dir: {why})"))),
        }
    }

    /// `record`, from somebody who may say so: others are not heard, as with Janus.
    fn wanted_recording(&self, room: &Room, o: &Object) -> Option<bool> {
        let may =
            !room.config.lock_record || check_secret(o, "secret", room.config.secret.as_deref()).is_ok();
        flag(o, "record").filter(|_| may)
    }

    /// Takes `record` and `filename` of a publisher.
    pub(super) fn take_recording(&mut self, call: &Call<'_>) {
        let Some((_, room)) = self.publisher_and_room(call.h) else { return };
        let wanted = self.wanted_recording(room, call.body);
        let Some(publisher) = self.publishers.get_mut(&call.h) else { return };
        if let Some(record) = wanted {
            publisher.recording = record;
            publisher.recording_base = filename(call.body).or(publisher.recording_base.take());
        }
    }

    /// Makes what is recorded of a publisher be what shall be.
    pub(crate) fn update_recordings(&mut self, cx: &mut Cx, h: HandleId) {
        let Some(publisher) = self.publishers.get_mut(&h).filter(|p| p.gone.is_none()) else { return };
        let Some(room) = self.rooms.get(&publisher.room) else { return };
        let base = base_of(publisher, cx);
        let (wanted, e2ee) = (publisher.recording, publisher.e2ee);
        let mut misplaced = None;
        for stream in &mut publisher.streams {
            let end = RouteEnd::new(h, &stream.mid);
            let subject = stream.subject.as_ref().filter(|_| wanted && !stream.disabled);
            let paused = !stream.flows();
            if let (Some(recorded), Some(subject)) = (&mut stream.recorded, subject)
                && recorded.subject == *subject
            {
                if std::mem::replace(&mut recorded.paused, paused) != paused {
                    cx.pause_recording(end, paused);
                }
                continue;
            }
            if stream.recorded.take().is_some() {
                cx.end_recording(end.clone());
            }
            let Some(subject) = subject else { continue };
            let name = format!("{base}-{}-{}", stream.kind.api_name(), stream.mindex);
            match place(&self.settings.places, room, &name) {
                Ok(place) => {
                    let file = format!("{}.mjr", place.name());
                    stream.recorded = Some(Recorded { file, subject: subject.clone(), paused });
                    let mut subject = subject.clone();
                    (subject.description, subject.encrypted) = (stream.description.clone(), e2ee);
                    cx.record(end.clone(), Recording { place, subject });
                    if paused {
                        cx.pause_recording(end, true);
                    }
                }
                Err(why) => misplaced = Some((stream.mid.clone(), why)),
            }
        }
        if let Some((mid, why)) = misplaced {
            // The room's settings asked for it, not a request that could be refused.
            tracing::error!(room = %room.id, %why, "no recording");
            publisher.recording = false;
            let more =
                [("id", publisher.id.to_value()), ("mid", mid.into()), ("reason", why.to_string().into())];
            let room = room.id.clone();
            self.notify(cx, Some(h), "recording-failed", &room, &more);
        }
    }

    /// What became of a recording: told to event handlers, if it is something else than was expected.
    pub(crate) fn on_recording(&mut self, cx: &mut Cx, h: HandleId, mid: &str, news: &RecordingNews) {
        let Some(publisher) = self.publishers.get_mut(&h) else { return };
        let (room, id) = (publisher.room.clone(), publisher.id.to_value());
        let Some(recorded) = publisher.stream_mut(mid).and_then(|s| s.recorded.as_mut()) else { return };
        let (word, reason) = match news {
            RecordingNews::Begun { file } => {
                recorded.file.clone_from(file);
                ("recording", None)
            }
            RecordingNews::Failed { why } => ("recording-failed", Some(why.as_str())),
            RecordingNews::Resumed => {
                // What is missing cannot be made up for, and what follows cannot be seen without it.
                cx.keyframe(RouteEnd::new(h, mid));
                ("recording-resumed", None)
            }
            RecordingNews::Ended { .. } => return,
        };
        let mut more = vec![("id", id), ("mid", mid.into()), ("file", recorded.file.as_str().into())];
        more.extend(reason.map(|reason| ("reason", reason.into())));
        self.notify(cx, Some(h), word, &room, &more);
    }
}

impl Publisher {
    /// Ends what is recorded of him.
    pub(crate) fn end_recordings(&mut self, cx: &mut Cx) {
        (self.recording, self.recording_base) = (false, None);
        let Some(h) = self.handle else { return };
        for stream in &mut self.streams {
            if stream.recorded.take().is_some() {
                cx.end_recording(RouteEnd::new(h, &stream.mid));
            }
        }
    }
}

fn filename(o: &Object) -> Option<String> {
    text(o, "filename").filter(|name| !name.is_empty())
}

/// What the files of a publisher are called, but for the stream. His id and the room's may be any text: no folder comes of
/// them.
fn base_of(publisher: &Publisher, cx: &Cx) -> String {
    match &publisher.recording_base {
        Some(base) => base.clone(),
        None => {
            let plain = |id: String| id.replace(['/', '\\'], "_");
            let (room, id) = (plain(publisher.room.to_string()), plain(publisher.id.to_string()));
            format!("videoroom-{room}-user-{id}-{}", cx.unix().as_micros())
        }
    }
}

fn place(places: &Places, room: &Room, name: &str) -> Result<Place, Misplaced> {
    places.place(room.config.rec_dir.as_deref(), name)
}
