//! `edit`: some settings of a room change; its codecs never do.

use super::Done;
use super::create::{Pending, changed};
use crate::body::{self, Field, check, flag, number, text};
use crate::room::at_least_min;
use crate::{Answer, VideoRoom};
use portunus_api::{Kind, Object};
use portunus_plugin::{Cx, HandleId};

const FIELDS: [Field; 12] = [
    ("new_description", Kind::String, false),
    ("new_is_private", Kind::Boolean, false),
    ("new_secret", Kind::String, false),
    ("new_pin", Kind::String, false),
    ("new_require_pvtid", Kind::Boolean, false),
    ("new_bitrate", Kind::PositiveInteger, false),
    ("new_fir_freq", Kind::PositiveInteger, false),
    ("new_publishers", Kind::PositiveInteger, false),
    ("new_lock_record", Kind::Boolean, false),
    ("new_rec_dir", Kind::String, false),
    ("new_rec_format", Kind::String, false),
    ("permanent", Kind::Boolean, false),
];

impl VideoRoom {
    pub(super) fn edit(&mut self, cx: &mut Cx, asker: Option<HandleId>, o: &Object) -> Answer<Done> {
        let id = self.room_id(o)?;
        check(o, &FIELDS)?;
        let before = self.room_with_secret(o)?.config.clone();
        let mut config = before.clone();
        let non_empty = |name| text(o, name).filter(|t| !t.is_empty());
        config.description = non_empty("new_description").unwrap_or(config.description);
        config.is_private = flag(o, "new_is_private").unwrap_or(config.is_private);
        config.secret = non_empty("new_secret").or(config.secret);
        config.pin = non_empty("new_pin").or(config.pin);
        config.require_pvtid = flag(o, "new_require_pvtid").unwrap_or(config.require_pvtid);
        config.bitrate = number(o, "new_bitrate").map_or(config.bitrate, at_least_min);
        config.fir_freq = number(o, "new_fir_freq").unwrap_or(config.fir_freq);
        config.publishers = number(o, "new_publishers").unwrap_or(config.publishers);
        config.lock_record = flag(o, "new_lock_record").unwrap_or(config.lock_record);
        config.rec_dir = non_empty("new_rec_dir").or(config.rec_dir);
        config.rec_format = body::format(o, "new_rec_format")?.or(config.rec_format);
        if config.record && config.rec_dir != before.rec_dir {
            self.check_folder(config.rec_dir.as_deref())?;
        }
        let stored = config.stored();
        if let Some(room) = self.rooms.get_mut(&id) {
            room.config = config;
        }
        if flag(o, "permanent") == Some(true) {
            let pending = Pending::Edit { room: id.clone(), before: Box::new(before), asker };
            return Ok(Done::Later(self.store(cx, &id, Some(stored), pending)));
        }
        self.notify(cx, asker, "edited", &id, &[]);
        Ok(Done::Now(changed("edited", &id, false)))
    }
}
