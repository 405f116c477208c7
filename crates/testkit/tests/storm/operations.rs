//! What people do, by chance: sensible things mostly, nonsense sometimes.

use super::person::{Handle, Muting, Offering, Role, Wish};
use super::{LASTING_ROOMS, PASSING_ROOMS, PIN, SECRET, Storm, TOKEN};
use portunus_plugin::{HandleId, Value, json};
use portunus_sdp::MediaKind;
use portunus_testkit::browser::{self, Line};
use std::collections::BTreeMap;
use std::time::Duration;

/// Handles of one client.
const HANDLES: usize = 4;
/// Ids that people choose for themselves, so that they meet.
const CHOSEN_IDS: u64 = 30;
/// M-lines of a publisher.
const LINES: usize = 6;

impl Storm {
    /// The rooms that last, as the storm knows them.
    pub fn prepare(&mut self) {
        self.await_reply(None, json!({ "janus": "create" }), Wish::Create);
        self.await_reply(None, attach(), Wish::Attach);
        let codecs = json!({ "request": "create", "publishers": 100, "audiocodec": "opus,pcmu", "videocodec": "vp8,h264" });
        for (room, more) in [
            (1, json!({ "notify_joining": true })),
            (2, json!({ "secret": SECRET, "require_pvtid": true, "fir_freq": 1 })),
            (3, json!({ "pin": PIN, "publishers": 3 })),
            (4, json!({ "require_e2ee": true, "audiolevel_event": true })),
            (5, json!({ "allowed": [TOKEN], "dummy_publisher": true })),
        ] {
            let mut body = codecs.clone();
            body["room"] = json!(room);
            for (name, value) in more.as_object().into_iter().flatten() {
                body[name.as_str()] = value.clone();
            }
            assert_eq!(self.ask(body)["videoroom"], "created");
        }
    }

    /// So many operations, with time between them.
    pub fn rage(&mut self, operations: u64) {
        for _ in 0..operations {
            self.done += 1;
            self.operate();
            let pause = match self.random.below(10) {
                0..=3 => Duration::ZERO,
                4..=8 => self.random.millis(0, 8),
                _ => self.random.millis(5, 30),
            };
            self.pass(pause);
        }
    }

    fn operate(&mut self) {
        let who = 1 + self.random.index(self.people.len() - 1);
        if self.random.per_mille(12) {
            return self.a_peer_dies();
        }
        let person = &self.people[who];
        if person.session.is_none() {
            if !person.creating {
                self.people[who].creating = true;
                self.send(who, None, json!({ "janus": "create" }), Wish::Create);
            }
            return;
        }
        let handles: Vec<u64> = person.handles.keys().copied().collect();
        match self.random.below(1000) {
            0..=2 => return self.vanish(who),
            3..=5 => {
                self.send(who, None, json!({ "janus": "destroy" }), Wish::Destroy);
                return;
            }
            6..=40 => return self.administrate(who, &handles),
            _ => {}
        }
        let Some(handle) =
            self.random.pick(&handles).filter(|_| handles.len() >= HANDLES || self.random.percent(88))
        else {
            self.send(who, None, attach(), Wish::Attach);
            return;
        };
        self.use_handle(who, handle);
        if self.random.percent(8) {
            self.use_handle(who, handle);
        }
    }

    fn use_handle(&mut self, who: usize, id: u64) {
        let Some(handle) = self.people[who].handles.get(&id) else { return };
        match handle.role {
            Role::Fresh => self.begin(who, id),
            Role::Participant(_) => self.participate(who, id),
            Role::Subscriber(_) => self.watch(who, id),
            Role::Done => match self.random.below(10) {
                0..=6 => self.verb(who, id, "detach"),
                7 => self.plain(who, id, json!({ "request": "start" })),
                8 => self.publish(who, id, "publish"),
                _ => self.plain(who, id, json!({ "request": "leave" })),
            },
        }
    }

    fn verb(&mut self, who: usize, id: u64, verb: &str) {
        self.send(who, Some(id), json!({ "janus": verb }), Wish::Other);
    }

    fn plain(&mut self, who: usize, id: u64, body: Value) {
        self.message(who, id, body, None, Wish::Other);
    }

    fn a_peer_dies(&mut self) {
        let up: Vec<HandleId> =
            self.world.engine.peers().filter(|h| self.world.engine.up_since(*h).is_some()).collect();
        let Some(handle) = self.random.pick(&up) else { return };
        let of = |p: &super::Person| p.handles.get(&handle.get()).and_then(Handle::room);
        let room = self.people.iter().find_map(of);
        self.note(room, format!("the peer of h{handle} dies"));
        self.world.peer_dies(handle);
    }

    /// A client is gone without a word; somebody else comes.
    fn vanish(&mut self, who: usize) {
        let client = self.people[who].client;
        self.note(None, format!("c{client} vanishes"));
        self.world.disconnect(client);
        self.people[who] = self.arrive(false);
    }

    // === rooms ===

    fn administrate(&mut self, who: usize, handles: &[u64]) {
        let Some(handle) = self.random.pick(handles) else { return };
        let room = LASTING_ROOMS + 1 + self.random.below(PASSING_ROOMS);
        let any = self.random_room();
        let body = match self.random.below(12) {
            0..=3 => json!({
                "request": "create", "room": room, "publishers": 50, "audiocodec": "opus,pcmu",
                "notify_joining": self.random.percent(50), "bitrate": 128_000,
            }),
            4 => json!({ "request": "destroy", "room": room }),
            5 => json!({ "request": "destroy", "room": 2, "secret": "wrong" }),
            6 => json!({ "request": "destroy", "room": 77 }),
            7 => {
                json!({ "request": "edit", "room": 2, "secret": SECRET, "new_require_pvtid": self.random.percent(70) })
            }
            8 => {
                json!({ "request": "edit", "room": any, "new_bitrate": 256_000, "new_description": "again" })
            }
            9 => {
                json!({ "request": "allowed", "room": 5, "action": if self.random.percent(50) { "enable" } else { "disable" } })
            }
            10 => json!({ "request": "list" }),
            _ => json!({ "request": "exists", "room": any }),
        };
        let mut body: Value = body;
        if ["create", "edit", "destroy"].iter().any(|r| body["request"] == **r) && self.random.percent(30) {
            body["permanent"] = true.into();
        }
        self.plain(who, handle, body);
    }

    fn random_room(&mut self) -> u64 {
        const WEIGHTS: [u64; 9] = [35, 14, 12, 9, 10, 8, 7, 4, 1];
        1 + self.random.weighted(&WEIGHTS) as u64
    }

    /// Those who publish in a room now, or nearly.
    fn feeds(&self, room: u64) -> Vec<(u64, Vec<String>)> {
        let mut feeds = Vec::new();
        for handle in self.people.iter().flat_map(|p| p.handles.values()) {
            if let Role::Participant(p) = &handle.role
                && p.room == room
                && !p.live.is_empty()
            {
                feeds.push((p.id, p.live.keys().cloned().collect()));
            }
        }
        feeds
    }

    fn someone(&mut self, room: u64) -> u64 {
        let of = |h: &Handle| match &h.role {
            Role::Participant(p) if p.room == room => Some(p.id),
            _ => None,
        };
        let ids: Vec<u64> = self.people.iter().flat_map(|p| p.handles.values()).filter_map(of).collect();
        match self.random.percent(93) {
            true => self.random.pick(&ids).unwrap_or(1),
            false => 1 + self.random.below(CHOSEN_IDS),
        }
    }

    // === joining ===

    fn begin(&mut self, who: usize, id: u64) {
        let room = self.random_room();
        match self.random.below(100) {
            0..=34 => {
                let body = self.joining("join", room);
                self.message(who, id, body, None, Wish::Join(None));
            }
            35..=44 => {
                let body = self.joining("joinandconfigure", room);
                let lines = self.new_lines();
                let own = self.offering(lines);
                let jsep = self.offer(&own, 1, room);
                self.message(who, id, body, Some(jsep), Wish::Join(Some(own)));
            }
            45..=79 => self.attend(who, id, room, false),
            80..=89 => self.attend(who, id, room, true),
            90..=93 => self.publish(who, id, "publish"),
            94..=96 => self.plain(who, id, json!({ "request": "subscribe", "streams": [] })),
            _ => self.verb(who, id, "detach"),
        }
    }

    fn joining(&mut self, request: &str, room: u64) -> Value {
        let mut body =
            json!({ "request": request, "room": room, "ptype": "publisher", "display": "somebody" });
        if self.random.percent(50) {
            body["id"] = (1 + self.random.below(CHOSEN_IDS)).into();
        }
        self.credentials(&mut body, room);
        body
    }

    fn credentials(&mut self, body: &mut Value, room: u64) {
        if room == 3 {
            body["pin"] = if self.random.percent(95) { PIN.into() } else { "wrong".into() };
        }
        if room == 5 && self.random.percent(90) {
            body["token"] = TOKEN.into();
        }
    }

    fn attend(&mut self, who: usize, id: u64, room: u64, legacy: bool) {
        let mut body = json!({ "request": "join", "room": room, "ptype": "subscriber" });
        self.credentials(&mut body, room);
        if room == 2 && self.random.percent(90) {
            body["private_id"] = self.private_id(room).into();
        }
        if legacy {
            let feeds = self.feeds(room);
            body["feed"] = self.random.pick(&feeds).map_or(7, |(id, _)| id).into();
            body["close_pc"] = self.random.percent(70).into();
            body["offer_video"] = self.random.percent(80).into();
        } else {
            body["streams"] = self.wanted(room, 5);
        }
        let autoupdate = self.random.percent(85);
        if !autoupdate {
            body["autoupdate"] = false.into();
        }
        if self.random.percent(30) {
            body["use_msid"] = true.into();
        }
        let since = self.world.now();
        self.message(who, id, body, None, Wish::Attend(autoupdate, since));
    }

    fn private_id(&mut self, room: u64) -> u64 {
        let of = |h: &Handle| match &h.role {
            Role::Participant(p) if p.room == room => Some(p.private_id),
            _ => None,
        };
        let ids: Vec<u64> = self.people.iter().flat_map(|p| p.handles.values()).filter_map(of).collect();
        self.random.pick(&ids).unwrap_or(0)
    }

    /// Up to so many streams of a room.
    fn wanted(&mut self, room: u64, most: u64) -> Value {
        let feeds = self.feeds(room);
        let n = 1 + self.random.below(most);
        let mut wanted = Vec::new();
        for _ in 0..n {
            let Some((feed, mids)) = self.random.pick(&feeds) else { break };
            let mut one = json!({ "feed": feed });
            if self.random.percent(70) {
                one["mid"] = self.random.pick(&mids).unwrap_or_default().into();
            }
            if self.random.percent(10) {
                one["substream"] = self.random.below(3).into();
            }
            if self.random.percent(10) {
                one["send"] = false.into();
            }
            wanted.push(one);
        }
        if wanted.is_empty() || self.random.percent(2) {
            wanted.push(json!({ "feed": 1 + self.random.below(CHOSEN_IDS) }));
        }
        wanted.into()
    }

    // === publishers ===

    fn new_lines(&mut self) -> Vec<Line> {
        let mut kinds = vec![MediaKind::Audio];
        kinds.extend(std::iter::repeat_n(MediaKind::Video, self.random.index(3)));
        kinds.extend(self.random.percent(20).then_some(MediaKind::Audio));
        kinds.extend(self.random.percent(40).then_some(MediaKind::Data));
        let mut lines: Vec<Line> =
            kinds.into_iter().enumerate().map(|(n, kind)| Line::new(n.to_string(), kind)).collect();
        for line in &mut lines {
            line.simulcast = line.kind == MediaKind::Video && self.random.percent(30);
        }
        lines
    }

    fn offer(&mut self, own: &Offering, version: u64, room: u64) -> Value {
        let e2ee = if room == 4 { self.random.percent(95) } else { self.random.percent(4) };
        let mut jsep = json!({ "type": "offer", "sdp": browser::offer(&own.lines, &own.name, version) });
        if e2ee {
            jsep["e2ee"] = true.into();
        }
        jsep
    }

    fn publish(&mut self, who: usize, id: u64, request: &str) {
        let lines = self.new_lines();
        let mut own = self.offering(lines);
        let room = self.people[who].handles.get(&id).and_then(Handle::room).unwrap_or(0);
        if let Some(handle) = self.people[who].handles.get_mut(&id) {
            // The m-lines of a PeerConnection never become something else.
            own = handle.offering.get_or_insert(own).clone();
        }
        let jsep = self.offer(&own, 1, room);
        self.message(who, id, json!({ "request": request }), Some(jsep), Wish::Offer(own));
    }

    fn renegotiate(&mut self, who: usize, id: u64) {
        let Some(handle) = self.people[who].handles.get(&id) else { return };
        let room = handle.room().unwrap_or(0);
        let Some((mut own, version)) = handle.pc.as_ref().map(|pc| (pc.own.clone(), pc.version + 1)) else {
            return;
        };
        let lines = &mut own.lines;
        match self.random.percent(40) && lines.len() < LINES {
            true => {
                let kind = if self.random.percent(60) { MediaKind::Video } else { MediaKind::Audio };
                lines.push(Line::new(lines.len().to_string(), kind));
            }
            false => {
                let at = self.random.index(lines.len());
                if let Some(line) = lines.get_mut(at) {
                    line.sends ^= true;
                }
            }
        }
        let jsep = self.offer(&own, version, room);
        let body = json!({ "request": "configure", "update": true });
        self.message(who, id, body, Some(jsep), Wish::Offer(own));
    }

    fn participate(&mut self, who: usize, id: u64) {
        let Some(handle) = self.people[who].handles.get(&id) else { return };
        let Role::Participant(me) = &handle.role else { return };
        let (up, room) = (handle.up, me.room);
        let mids: Vec<String> = me.live.keys().cloned().collect();
        let publishing = handle.pc.is_some();
        let w = |on: bool, yes: u64, no: u64| if on { yes } else { no };
        let weights = [
            w(publishing, 3, 60),
            w(up, 12, 0),
            w(up, 7, 1),
            w(up, 12, 1),
            8,
            7,
            3,
            3,
            1,
            3,
            2,
            3,
            3,
            w(up, 2, 0),
        ];
        match self.random.weighted(&weights) {
            0 => self.publish(who, id, "publish"),
            1 => self.renegotiate(who, id),
            2 => self.plain(who, id, json!({ "request": "unpublish" })),
            3 => self.mute(who, id, &mids),
            4 => self.settings(who, id, &mids),
            5 => {
                let (someone, mid) = (self.someone(room), self.random.below(3).to_string());
                let secret = if self.random.percent(90) { SECRET } else { "wrong" };
                let body = json!({
                    "request": "moderate", "room": room, "id": someone, "mid": mid, "secret": secret,
                    "mute": self.random.percent(60),
                });
                self.plain(who, id, body);
            }
            6 => {
                let secret = if self.random.percent(90) { SECRET } else { "wrong" };
                let body =
                    json!({ "request": "kick", "room": room, "id": self.someone(room), "secret": secret });
                self.plain(who, id, body);
            }
            7 => self.plain(who, id, json!({ "request": "leave" })),
            8 => {
                let body = self.joining("join", room);
                self.plain(who, id, body);
            }
            9 => self.plain(who, id, json!({ "request": "listparticipants", "room": room })),
            10 => self.verb(who, id, "hangup"),
            11 => self.verb(who, id, "detach"),
            12 => {
                let candidate =
                    json!({ "sdpMid": "0", "candidate": "candidate:1 1 udp 1 192.0.2.9 5000 typ host" });
                self.send(who, Some(id), json!({ "janus": "trickle", "candidate": candidate }), Wish::Other);
            }
            _ => {
                self.plain(who, id, json!({ "request": "unpublish" }));
                self.publish(who, id, "publish");
            }
        }
    }

    fn mute(&mut self, who: usize, id: u64, mids: &[String]) {
        let send = self.random.percent(50);
        let mid = self.random.pick(mids).unwrap_or_else(|| "9".to_owned());
        let (body, muting) = match self.random.percent(70) {
            true => {
                let body = json!({ "request": "configure", "streams": [{ "mid": mid, "send": send }] });
                (body, Muting::One(mid, send))
            }
            false => {
                let kind = if self.random.percent(50) { MediaKind::Audio } else { MediaKind::Video };
                let mut body = json!({ "request": "configure" });
                body[kind.as_str()] = send.into();
                (body, Muting::All(kind, send))
            }
        };
        self.message(who, id, body, None, Wish::Mute(muting));
    }

    fn settings(&mut self, who: usize, id: u64, mids: &[String]) {
        let mid = self.random.pick(mids).unwrap_or_else(|| "0".to_owned());
        let body = match self.random.below(6) {
            0 => json!({ "request": "configure", "display": format!("name {}", self.random.below(9)) }),
            1 => json!({ "request": "configure", "metadata": { "n": self.random.below(9) } }),
            2 => json!({ "request": "configure", "bitrate": 64_000 * self.random.below(5) }),
            3 => json!({ "request": "configure", "keyframe": true }),
            4 => json!({ "request": "configure", "descriptions": [{ "mid": mid, "description": "this" }] }),
            _ => json!({ "request": "configure", "display": 7 }),
        };
        self.plain(who, id, body);
    }

    // === subscribers ===

    fn watch(&mut self, who: usize, id: u64) {
        let Some(handle) = self.people[who].handles.get(&id) else { return };
        let Role::Subscriber(me) = &handle.role else { return };
        let room = me.room;
        let lines: Vec<(String, MediaKind, u64, String)> =
            me.lines.iter().map(|l| (l.mid.clone(), l.kind.clone(), l.feed, l.feed_mid.clone())).collect();
        let late = handle.pc.as_ref().is_some_and(|pc| pc.waiting.is_some());
        let line = self.random.pick(&lines);
        let mid = line.as_ref().map_or_else(|| "99".to_owned(), |l| l.0.clone());
        let weights = [20, 9, 10, 14, 5, 6, 11, 4, 3, if late { 30 } else { 0 }, 2, 3, 4, 2];
        match self.random.weighted(&weights) {
            0 => {
                let body = json!({ "request": "subscribe", "streams": self.wanted(room, 3) });
                self.plain(who, id, body);
            }
            1 => {
                let body = json!({ "request": "unsubscribe", "streams": [self.unwanted(line)] });
                self.plain(who, id, body);
            }
            2 => {
                let mut body = json!({ "request": "update", "subscribe": self.wanted(room, 3) });
                if self.random.percent(80) {
                    body["unsubscribe"] = json!([self.unwanted(line)]);
                }
                self.plain(who, id, body);
            }
            3 => self.switch(who, id, room, &lines),
            4 => drop(self.message(who, id, json!({ "request": "pause" }), None, Wish::Pause)),
            5 => drop(self.message(who, id, json!({ "request": "start" }), None, Wish::Start)),
            6 => {
                let send = self.random.percent(55);
                let body = json!({ "request": "configure", "streams": [{ "mid": mid, "send": send }] });
                self.message(who, id, body, None, Wish::Send(mid, send));
            }
            7 => {
                let layer = self.random.below(3);
                let body = json!({ "request": "configure", "mid": mid, "substream": layer, "temporal": layer, "max_delay": 5 });
                self.plain(who, id, body);
            }
            8 => {
                let what = if self.random.percent(50) { "restart" } else { "update" };
                let mut body = json!({ "request": "configure" });
                body[what] = true.into();
                self.plain(who, id, body);
            }
            9 => self.answer(who, id),
            10 => self.plain(who, id, json!({ "request": "leave" })),
            11 => self.verb(who, id, "hangup"),
            12 => self.verb(who, id, "detach"),
            _ => self.plain(who, id, json!({ "request": "publish" })),
        }
    }

    fn unwanted(&mut self, line: Option<(String, MediaKind, u64, String)>) -> Value {
        let Some((sub_mid, _, feed, mid)) = line else { return json!({ "feed": 3 }) };
        match self.random.below(4) {
            0 => json!({ "feed": feed }),
            1 => json!({ "feed": feed, "mid": mid }),
            _ => json!({ "sub_mid": sub_mid }),
        }
    }

    fn switch(&mut self, who: usize, id: u64, room: u64, lines: &[(String, MediaKind, u64, String)]) {
        let feeds = self.feeds(room);
        let Some((feed, mids)) = self.random.pick(&feeds) else { return };
        let body = match self.random.percent(85) {
            true => {
                let n = 1 + self.random.index(2);
                let mut streams = BTreeMap::new();
                for _ in 0..n {
                    let sub_mid = self.random.pick(lines).map_or_else(|| "55".to_owned(), |l| l.0);
                    let mid = self.random.pick(&mids).unwrap_or_default();
                    streams.insert(sub_mid.clone(), json!({ "feed": feed, "mid": mid, "sub_mid": sub_mid }));
                }
                json!({ "request": "switch", "streams": streams.into_values().collect::<Vec<_>>() })
            }
            false => json!({ "request": "switch", "feed": feed }),
        };
        self.plain(who, id, body);
    }

    /// What all do in the end: some leave properly, some do not.
    pub fn everybody_leaves(&mut self) {
        for who in 1..self.people.len() {
            let handles: Vec<u64> = self.people[who].handles.keys().copied().collect();
            match self.random.below(4) {
                0 => {
                    for id in handles {
                        self.plain(who, id, json!({ "request": "leave" }));
                        self.verb(who, id, "detach");
                    }
                }
                1 => handles.into_iter().for_each(|id| self.verb(who, id, "detach")),
                2 if self.people[who].session.is_some() => {
                    self.send(who, None, json!({ "janus": "destroy" }), Wish::Destroy);
                }
                _ => self.vanish(who),
            }
        }
    }
}

fn attach() -> Value {
    json!({ "janus": "attach", "plugin": "janus.plugin.videoroom" })
}
