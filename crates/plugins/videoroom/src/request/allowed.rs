//! `allowed`: the tokens with which somebody may join as a publisher.

use crate::body::{check, text};
use crate::error::Refusal;
use crate::room::Room;
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object, Value};

impl VideoRoom {
    pub(super) fn allowed(&mut self, o: &Object) -> Answer<Value> {
        let id = self.room_id(o)?;
        check(
            o,
            &[
                ("secret", Kind::String, false),
                ("action", Kind::String, true),
                ("allowed", Kind::Array, false),
            ],
        )?;
        let action = text(o, "action").unwrap_or_default();
        if !["enable", "disable", "add", "remove"].iter().any(|a| a.eq_ignore_ascii_case(&action)) {
            return Err(Refusal::invalid(format!("Unsupported action '{action}' (allowed)")));
        }
        self.room_with_secret(o)?;
        let texts = Room::allowed_texts(o);
        let Some(room) = self.rooms.get_mut(&id) else { return Err(Refusal::room_gone()) };
        match action.to_ascii_lowercase().as_str() {
            "enable" => room.check_allowed = true,
            "disable" => room.check_allowed = false,
            "add" => room.allowed.extend(texts?),
            _ => {
                for text in texts? {
                    room.allowed.remove(&text);
                }
            }
        }
        let mut done = Object::new();
        done.insert("videoroom".into(), "success".into());
        done.insert("room".into(), id.to_value());
        if !action.eq_ignore_ascii_case("disable") {
            let list = room.allowed.iter().map(|t| Value::from(t.as_str())).collect();
            done.insert("allowed".into(), Value::Array(list));
        }
        Ok(done.into())
    }
}
