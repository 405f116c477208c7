//! `list`, `exists` and `listparticipants`.

use crate::body::check_secret;
use crate::{Answer, VideoRoom};
use portunus_api::{Object, Value, json};

impl VideoRoom {
    pub(super) fn list(&self, o: &Object) -> Answer<Value> {
        let mut all = self.settings.admin_key.is_none();
        if let (Some(key), true) = (&self.settings.admin_key, o.contains_key("admin_key")) {
            check_secret(o, "admin_key", Some(key))?;
            all = true;
        }
        // Without an admin key nobody can show that he may see private rooms.
        let shown = |is_private: bool| !is_private || (all && self.settings.admin_key.is_some());
        let rooms = self.rooms.values().filter(|r| shown(r.config.is_private));
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
            if let Some(talking) = publisher.talking().filter(|_| publisher.started) {
                p.insert("talking".into(), talking.into());
            }
            Value::Object(p)
        });
        let list = list.collect::<Vec<_>>();
        Ok(json!({ "videoroom": "participants", "room": room.id.to_value(), "participants": list }))
    }
}
