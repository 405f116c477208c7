//! Remote publishers: their requests are checked, and what is not there says so.

use crate::body::{check, list};
use crate::error::{Refusal, code};
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object, Value, json};

impl VideoRoom {
    pub(super) fn list_remotes(&self, o: &Object) -> Answer<Value> {
        self.room_id(o)?;
        let publisher = self.required_id(o, "publisher_id")?;
        let room = self.room_with_secret(o)?;
        if self.feed(&room.id, &publisher).is_none() {
            return Err(Refusal::new(code::NO_SUCH_FEED, format!("No such publisher ({publisher})")));
        }
        let (room, id) = (room.id.to_value(), publisher.to_value());
        Ok(json!({ "videoroom": "success", "room": room, "id": id, "list": [] }))
    }

    pub(super) fn remote_publishers(&self, o: &Object, request: &str) -> Answer<Value> {
        match request {
            "publish_remotely" => {
                check(o, &[("remote_id", Kind::String, true), ("host", Kind::String, true)])?;
                self.required_id(o, "publisher_id")?;
            }
            "unpublish_remotely" => {
                check(o, &[("remote_id", Kind::String, true)])?;
                self.required_id(o, "publisher_id")?;
            }
            "add_remote_publisher" => {
                self.room_id(o)?;
                check(o, &[("streams", Kind::Array, true)])?;
                if list(o, "streams").is_empty() {
                    return Err(Refusal::invalid("Invalid element value (streams can't be empty)"));
                }
            }
            _ => {
                self.room_id(o)?;
                self.required_id(o, "id")?;
            }
        }
        self.lenient_room_with_secret(o)?;
        Err(Refusal::not_built("Publishing between gateways"))
    }
}
