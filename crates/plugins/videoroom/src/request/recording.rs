//! Recording: `enable_recording` for a room, `record` of a publisher, and a file for each of his streams.

use super::Call;
use crate::body::{self, check, check_secret, flag, text};
use crate::error::Refusal;
use crate::publisher::{Publisher, Recorded, Stream};
use crate::room::Room;
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object, Value, json};
use portunus_plugin::recording::{Format, Misplaced, Place, Places, Recording, RecordingNews, Subject};
use portunus_plugin::{Cx, HandleId, RouteEnd};
use portunus_sdp::MediaKind;

/// Bytes of an id in the name of a file at most.
const LONGEST_ID: usize = 60;

impl VideoRoom {
    pub(super) fn enable_recording(&mut self, cx: &mut Cx, o: &Object) -> Answer<Value> {
        check(
            o,
            &[
                ("secret", Kind::String, false),
                ("record", Kind::Boolean, true),
                ("rec_format", Kind::String, false),
            ],
        )?;
        let format = body::format(o, "rec_format")?;
        let room = self.lenient_room_with_secret(o)?;
        let record = flag(o, "record") == Some(true);
        if record {
            self.check_folder(room.config.rec_dir.as_deref())?;
        }
        let id = room.id.clone();
        let participants: Vec<_> = room.participants.values().copied().collect();
        if let Some(room) = self.rooms.get_mut(&id) {
            room.config.record = record;
            room.config.rec_format = format.or(room.config.rec_format);
        }
        for h in participants {
            if let Some(publisher) = self.publishers.get_mut(&h) {
                publisher.recording = record;
                publisher.rec_format = format.or(publisher.rec_format);
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
        let format = body::format(call.body, "rec_format")?;
        let Some((publisher, room)) = self.publisher_and_room(call.h) else { return Ok(()) };
        let format = format.or(publisher.rec_format).unwrap_or_else(|| self.format_of(room));
        if self.wanted_recording(room, call.body) != Some(true) {
            return Ok(());
        }
        let asked = filename(call.body);
        let base = asked.as_deref().or(publisher.recording_base.as_deref()).unwrap_or("x");
        let place = |name: &str| self.settings.places.place(room.config.rec_dir.as_deref(), name).map(drop);
        let film = if format == Format::Mjr { Ok(()) } else { place(base) };
        match place(&format!("{base}-audio-0")).and(film) {
            Ok(()) => Ok(()),
            Err(why) if asked.is_some() => {
                Err(Refusal::invalid(format!("Invalid element (filename: {why})")))
            }
            Err(why) => Err(Refusal::invalid(format!("Invalid element (rec_dir: {why})"))),
        }
    }

    /// What files recordings of a room are, unless a publisher says otherwise.
    fn format_of(&self, room: &Room) -> Format {
        room.config.rec_format.unwrap_or(self.settings.rec_format)
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
            // A new name, or a new recording, is a new file.
            publisher.film_base.take_if(|_| !record || call.body.contains_key("filename"));
            let format = body::format(call.body, "rec_format").ok().flatten();
            publisher.rec_format = if record { format.or(publisher.rec_format) } else { None };
            publisher.playable.take_if(|_| !record);
        }
    }

    /// Makes what is recorded of a publisher, and what is kept from recordings and forwarders, be what shall be.
    pub(crate) fn update_recordings(&mut self, cx: &mut Cx, h: HandleId) {
        let Some(publisher) = self.publishers.get_mut(&h).filter(|p| p.gone.is_none()) else { return };
        let Some(room) = self.rooms.get(&publisher.room) else { return };
        let base = base_of(publisher, cx);
        // What comes later belongs into the same file that plays.
        let film_base = publisher.film_base.clone().unwrap_or_else(|| base.clone());
        let (wanted, e2ee) = (publisher.recording, publisher.e2ee);
        let format = publisher.rec_format.or(room.config.rec_format).unwrap_or(self.settings.rec_format);
        let mut misplaced = None;
        for stream in &mut publisher.streams {
            let end = RouteEnd::new(h, &stream.mid);
            let subject = stream.subject.as_ref().filter(|_| wanted && !stream.disabled);
            let withheld = !stream.flows();
            if std::mem::replace(&mut stream.withheld, withheld) != withheld {
                cx.withhold(end.clone(), withheld);
            }
            if let (Some(recorded), Some(subject)) = (&stream.recorded, subject)
                && recorded.subject == *subject
                && recorded.format == format
            {
                continue;
            }
            if stream.recorded.take().is_some() {
                cx.end_recording(end.clone());
            }
            let Some(subject) = subject else { continue };
            let known = subject.clone();
            let mut subject = subject.clone();
            (subject.description, subject.encrypted) = (stream.description.clone(), e2ee);
            let name = format!("{base}-{}-{}", stream.kind.api_name(), stream.mindex);
            match files(&self.settings.places, room, (&film_base, &name), format, &subject) {
                Ok((None, None)) => {}
                Ok((mjr, film)) => {
                    let file = mjr.as_ref().map(|place| format!("{}.mjr", place.name()));
                    stream.recorded = Some(Recorded { file, format, subject: known });
                    cx.record(end, Recording { mjr, film, subject });
                }
                Err(why) => misplaced = Some((stream.mid.clone(), why)),
            }
        }
        publisher.film_base = publisher.recording.then_some(film_base);
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
        if let RecordingNews::Playable { file } = news {
            publisher.playable = publisher.recording.then(|| file.clone());
            // Pictures of it begin with a keyframe.
            publisher.keyframe(cx, None);
            let more = [("id", id), ("file", file.as_str().into())];
            return self.notify(cx, Some(h), "recording", &room, &more);
        }
        let Some(recorded) = publisher.stream_mut(mid).and_then(|s| s.recorded.as_mut()) else { return };
        let (word, reason) = match news {
            RecordingNews::Begun { file } => {
                recorded.file = Some(file.clone());
                ("recording", None)
            }
            RecordingNews::Failed { why } => ("recording-failed", Some(why.as_str())),
            RecordingNews::Resumed => {
                // What is missing cannot be made up for, and what follows cannot be seen without it.
                cx.keyframe(RouteEnd::new(h, mid));
                ("recording-resumed", None)
            }
            RecordingNews::Ended { .. } | RecordingNews::Playable { .. } => return,
        };
        let mut more = vec![("id", id), ("mid", mid.into())];
        more.extend(recorded.file.as_deref().map(|file| ("file", file.into())));
        more.extend(reason.map(|reason| ("reason", reason.into())));
        self.notify(cx, Some(h), word, &room, &more);
    }
}

impl Publisher {
    /// His streams end, with what is recorded and forwarded of them: the PeerConnection may stay.
    pub(crate) fn end_streams(&mut self, cx: &mut Cx) {
        self.end_recordings(cx);
        for stream in std::mem::take(&mut self.streams) {
            self.end_outputs(cx, &stream);
        }
    }

    /// Nothing of a stream, which is his no more, is recorded or forwarded.
    pub(crate) fn end_outputs(&self, cx: &mut Cx, stream: &Stream) {
        let Some(h) = self.handle else { return };
        if stream.recorded.is_some() {
            cx.end_recording(RouteEnd::new(h, &stream.mid));
        }
        for forwarder in &stream.forwarders {
            cx.stop_forward(RouteEnd::new(h, &stream.mid), forwarder.id);
        }
    }

    /// Ends what is recorded of him.
    pub(crate) fn end_recordings(&mut self, cx: &mut Cx) {
        (self.recording, self.recording_base, self.rec_format) = (false, None, None);
        (self.playable, self.film_base) = (None, None);
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
            let (room, id) = (plain(&publisher.room.to_string()), plain(&publisher.id.to_string()));
            format!("videoroom-{room}-user-{id}-{}", cx.unix().as_micros())
        }
    }
}

/// An id as a part of a name: of any id, a name that a file may have.
fn plain(id: &str) -> String {
    let allowed = |c: char| if c == '/' || c == '\\' || c.is_control() { '_' } else { c };
    let mut name: String = id.chars().map(allowed).collect();
    name.truncate(name.floor_char_boundary(LONGEST_ID));
    name
}

/// Where a stream is recorded: its MJR file, and the one that plays. What cannot play is not lost for that.
fn files(
    places: &Places,
    room: &Room,
    (base, name): (&str, &str),
    format: Format,
    subject: &Subject,
) -> Result<(Option<Place>, Option<Place>), Misplaced> {
    let place = |name| places.place(room.config.rec_dir.as_deref(), name);
    let (plays, media) = (subject.plays(), subject.kind != MediaKind::Data);
    let mjr = format != Format::Playable || (media && !plays);
    let film = format != Format::Mjr && plays && media;
    Ok((mjr.then(|| place(name)).transpose()?, film.then(|| place(base)).transpose()?))
}
