//! `list`, `exists` and `listparticipants`.

use crate::body::check_secret;
use crate::{Answer, VideoRoom};
use portunus_api::{Object, Value, json};

impl VideoRoom {
    pub(super) fn list(&self, o: &Object) -> Answer<Value> {
        // Without an admin key nobody can show that he may see private rooms.
        let key = self.settings.admin_key.as_deref();
        let shows = o.get("admin_key").and_then(Value::as_str).is_some_and(|given| !given.is_empty());
        if shows {
            check_secret(o, "admin_key", key)?;
        }
        let rooms = self.rooms.values().filter(|r| !r.config.is_private || (shows && key.is_some()));
        let list = rooms.map(|r| r.config.describe(&r.id, r.num_participants())).collect::<Vec<_>>();
        Ok(json!({ "videoroom": "success", "list": list }))
    }

    pub(super) fn exists(&self, o: &Object) -> Answer<Value> {
        let id = self.room_id(o)?;
        let exists = self.rooms.contains_key(&id);
        Ok(json!({ "videoroom": "success", "room": id.to_value(), "exists": exists }))
    }

    pub(super) fn list_participants(&self, o: &Object) -> Answer<Value> {
        let room = self.room_of(o)?;
        let there = room.participants.values().filter_map(|h| self.publishers.get(h));
        let everybody = room.dummy.as_deref().into_iter().chain(there);
        let list = everybody.map(|publisher| {
            let mut p = Object::new();
            publisher.name(&mut p);
            if publisher.is_dummy() {
                p.insert("dummy".into(), true.into());
            }
            p.insert("publisher".into(), publisher.started.into());
            if let Some(talking) = publisher.talking().filter(|_| publisher.started && !publisher.is_dummy())
            {
                p.insert("talking".into(), talking.into());
            }
            Value::Object(p)
        });
        let list = list.collect::<Vec<_>>();
        Ok(json!({ "videoroom": "participants", "room": room.id.to_value(), "participants": list }))
    }
}
