//! What must be true when all has come to rest: what everybody believes is what is.

use super::person::{Handle, Participant, Role, Subscriber};
use super::{LASTING_ROOMS, PASSING_ROOMS, Storm, short};
use portunus_plugin::{HandleId, Plugin, RouteEnd, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After so long nothing that was begun is unfinished: longer than ICE, gathering, closing and sessions may take.
const REST: Duration = Duration::from_secs(35);

/// A participant as he is: where, who, on which handle, and whether he is up.
struct There<'a> {
    id: u64,
    handle: HandleId,
    up: bool,
    me: &'a Participant,
}

impl Storm {
    /// Lets all come to rest and looks at everything.
    pub fn rest_and_check(&mut self) {
        for who in 1..self.people.len() {
            let ids: Vec<u64> = self.people[who].handles.keys().copied().collect();
            for id in ids {
                if self.random.percent(70) {
                    self.answer(who, id);
                }
            }
        }
        self.note(None, "--- rest".to_owned());
        self.pass(REST);
        self.tell_those_who_are_not_told();
        self.check_answers();
        self.tell_what_there_is();
        let mut faults = Vec::new();
        let rooms = self.rooms();
        for room in &rooms {
            self.check_room(*room, &mut faults);
        }
        self.check_subscribers(&mut faults);
        self.check_routes(&mut faults);
        self.check_peers(&mut faults);
        self.check_counts(rooms.len(), &mut faults);
        for (room, fault) in faults {
            self.fault(room, fault);
        }
        for (room, fault) in self.check_lists(&rooms) {
            self.fault(room, fault);
        }
        self.judge();
    }

    /// Subscribers do not hear that their room has ended, as with Janus: the plugin is asked who these are.
    fn tell_those_who_are_not_told(&mut self) {
        for (id, handle) in self.people.iter_mut().flat_map(|p| &mut p.handles) {
            let Role::Subscriber(me) = &handle.role else { continue };
            let is_in = HandleId::new(*id).is_some_and(|h| self.plugin.query(h).get("room").is_some());
            if me.room > LASTING_ROOMS && !is_in {
                handle.role = Role::Done;
            }
        }
    }

    /// For those who look whether the storm is one.
    fn tell_what_there_is(&self) {
        let up = |h: &HandleId| self.world.engine.up_since(*h).is_some();
        let of = |which: fn(&Role) -> bool| -> Vec<HandleId> {
            self.handles().filter(|(_, _, h)| which(&h.role)).map(|(_, id, _)| id).collect()
        };
        let (publishers, subscribers) =
            (of(|r| matches!(r, Role::Participant(_))), of(|r| matches!(r, Role::Subscriber(_))));
        eprintln!(
            "seed {} after {}: {} handles, {} participants ({} up), {} subscribers ({} up), {} routes, {:?}",
            self.seed,
            self.done,
            self.handles().count(),
            publishers.len(),
            publishers.iter().filter(|h| up(h)).count(),
            subscribers.len(),
            subscribers.iter().filter(|h| up(h)).count(),
            self.world.engine.routes().len(),
            self.world.core.counters(),
        );
    }

    /// Rooms that are there.
    fn rooms(&mut self) -> Vec<u64> {
        let all = 1..=LASTING_ROOMS + PASSING_ROOMS;
        all.filter(|room| self.ask(json!({ "request": "exists", "room": room }))["exists"] == true).collect()
    }

    fn handles(&self) -> impl Iterator<Item = (usize, HandleId, &Handle)> {
        self.people.iter().flat_map(|p| {
            p.handles.iter().filter_map(move |(id, handle)| Some((p.client, HandleId::new(*id)?, handle)))
        })
    }

    fn participants(&self, room: u64) -> Vec<There<'_>> {
        let there = self.handles().filter_map(|(_, handle, h)| match &h.role {
            Role::Participant(me) if me.room == room => {
                let up = self.world.engine.up_since(handle).is_some();
                Some(There { id: me.id, handle, up, me })
            }
            _ => None,
        });
        there.collect()
    }

    /// Every request was answered once, every acknowledged one by one event.
    fn check_answers(&mut self) {
        let known: BTreeSet<u64> = self.handles().map(|(_, handle, _)| handle.get()).collect();
        let mut missing = Vec::new();
        for asked in self.world.unanswered() {
            let handle = asked.body["handle_id"].as_u64();
            let gone = handle.is_some_and(|h| !known.contains(&h));
            // As with Janus, the offer that comes later is the answer.
            let body = &asked.body["body"];
            let later = body["request"] == "configure" && (body["restart"] == true || body["update"] == true);
            if !gone && !later {
                let room =
                    self.handles().find(|(_, h, _)| Some(h.get()) == handle).and_then(|(_, _, h)| h.room());
                missing.push((room, format!("no answer: {}", short(&asked.body))));
            }
        }
        self.world.forget_unanswered();
        for person in &mut self.people {
            person.asked.clear();
        }
        for (room, fault) in missing {
            self.fault(room, fault);
        }
    }

    /// What participants believe of each other.
    fn check_room(&self, room: u64, faults: &mut Vec<(Option<u64>, String)>) {
        let there = self.participants(room);
        let up: BTreeMap<u64, &There<'_>> = there.iter().filter(|t| t.up).map(|t| (t.id, t)).collect();
        for one in &there {
            let dummy = |id: &&u64| room == 5 && !there.iter().any(|t| t.id == **id);
            let believed: BTreeSet<u64> = one.me.feeds.keys().filter(|id| !dummy(id)).copied().collect();
            let expected: BTreeSet<u64> = up.keys().filter(|id| **id != one.id).copied().collect();
            if room == 5 && one.me.feeds.keys().filter(dummy).count() != 1 {
                faults.push((Some(room), format!("{} has not one dummy: {:?}", one.id, one.me.feeds.keys())));
            }
            if believed != expected {
                let ghosts: Vec<_> = believed.difference(&expected).collect();
                let unseen: Vec<_> = expected.difference(&believed).collect();
                faults.push((
                    Some(room),
                    format!(
                        "{} (h{}) believes in ghosts {ghosts:?}, does not see {unseen:?}",
                        one.id, one.handle
                    ),
                ));
            }
            for (id, streams) in &one.me.feeds {
                let Some(feed) = up.get(id) else { continue };
                let own: BTreeMap<String, bool> =
                    feed.me.live.iter().map(|(mid, (_, live))| (mid.clone(), *live)).collect();
                if own != *streams {
                    faults.push((
                        Some(room),
                        format!("{} believes that {id} sends {streams:?}, and he sends {own:?}", one.id),
                    ));
                }
            }
        }
    }

    /// What the plugin lists is who believes to be there.
    fn check_lists(&mut self, rooms: &[u64]) -> Vec<(Option<u64>, String)> {
        let mut faults = Vec::new();
        for room in rooms {
            let list = self.ask(json!({ "request": "listparticipants", "room": room }));
            let listed = list["participants"].as_array().cloned().unwrap_or_default();
            let listed = listed.iter().filter(|p| p["dummy"] != true);
            let listed: BTreeMap<u64, bool> =
                listed.map(|p| (p["id"].as_u64().unwrap_or(0), p["publisher"] == true)).collect();
            let believed: BTreeMap<u64, bool> =
                self.participants(*room).iter().map(|t| (t.id, t.up)).collect();
            if listed != believed {
                faults.push((
                    Some(*room),
                    format!("listed are {listed:?}, who believe to be there: {believed:?}"),
                ));
            }
        }
        faults
    }

    fn check_subscribers(&self, faults: &mut Vec<(Option<u64>, String)>) {
        for (client, handle, h) in self.handles() {
            let Role::Subscriber(me) = &h.role else { continue };
            if let Some(wrong) = self.subscriber_fault(handle, h, me) {
                faults.push((Some(me.room), format!("c{client} h{handle}: {wrong}")));
            }
        }
    }

    fn subscriber_fault(&self, handle: HandleId, h: &Handle, me: &Subscriber) -> Option<String> {
        let is_up = self.world.engine.up_since(handle).is_some();
        if is_up != h.up {
            return Some(format!("his PeerConnection is up: {is_up}, and he believes: {}", h.up));
        }
        let routes = self.world.engine.routes();
        let actual: BTreeMap<String, RouteEnd> = routes
            .iter()
            .filter(|(sink, _)| sink.handle == handle)
            .map(|(sink, source)| (sink.mid.clone(), source.clone()))
            .collect();
        if !is_up || me.paused {
            return (!actual.is_empty()).then(|| format!("he gets {actual:?}, being down or paused"));
        }
        let pc = h.pc.as_ref()?;
        if h.spoiled {
            return None;
        }
        if pc.answering.is_some() {
            return Some("his answer was never taken".to_owned());
        }
        if pc.waiting.is_some() {
            return None;
        }
        let there = self.participants(me.room);
        let (mut expected, mut steady) = (BTreeMap::new(), true);
        for line in me.lines.iter().filter(|l| l.active && l.send && l.kind.is_rtp()) {
            let Some(feed) = there.iter().find(|t| t.id == line.feed && t.up) else { continue };
            let since = self.world.engine.up_since(feed.handle);
            steady &= since.is_some_and(|since| since < me.since);
            let flows = feed.me.live.get(&line.feed_mid).is_some_and(|(_, live)| *live);
            if flows && !feed.me.muted.contains(&line.feed_mid) && !feed.me.moderated.contains(&line.feed_mid)
            {
                expected.insert(line.mid.clone(), RouteEnd::new(feed.handle, line.feed_mid.clone()));
            }
        }
        // Without automatic updates he is not told that a feed ended, and another one with its id is not his.
        let wrong = match me.autoupdate || steady {
            true => actual != expected,
            false => actual.iter().any(|(mid, source)| expected.get(mid) != Some(source)),
        };
        let differs = |l: &&super::person::Sub| actual.get(&l.mid) != expected.get(&l.mid);
        let describe = |l: &super::person::Sub| {
            format!("{l:?}: he gets {:?}, not {:?}", actual.get(&l.mid), expected.get(&l.mid))
        };
        let lines = || me.lines.iter().filter(differs).map(describe).collect::<Vec<_>>();
        wrong.then(|| format!("of {} streams these are wrong: {}", actual.len(), lines().join("; ")))
    }

    /// No route of what is gone.
    fn check_routes(&self, faults: &mut Vec<(Option<u64>, String)>) {
        let rooms: BTreeMap<HandleId, Option<u64>> =
            self.handles().map(|(_, id, h)| (id, h.room())).collect();
        for (sink, source) in self.world.engine.routes() {
            let of = |end: &RouteEnd| rooms.get(&end.handle).copied().flatten();
            if of(sink).is_none() || of(sink) != of(source) {
                faults.push((
                    of(sink),
                    format!("a route between rooms or of what is gone: {source:?} -> {sink:?}"),
                ));
            }
        }
    }

    /// Every peer belongs to a handle that has a use for it.
    fn check_peers(&self, faults: &mut Vec<(Option<u64>, String)>) {
        let handles: BTreeMap<HandleId, &Handle> = self.handles().map(|(_, id, h)| (id, h)).collect();
        for peer in self.world.engine.peers() {
            let handle = handles.get(&peer);
            // Who has left, or was in a room that ended, may keep his PeerConnection, as with Janus.
            let used = handle.is_some_and(|h| h.pc.is_some());
            if !used {
                faults.push((
                    handle.and_then(|h| h.room()),
                    format!("h{peer} has a peer that nobody uses: {handle:?}"),
                ));
            }
        }
        for (client, id, h) in self.handles() {
            let up = self.world.engine.up_since(id).is_some();
            if h.up != up {
                faults.push((h.room(), format!("c{client} h{id} believes to be up: {}, is: {up}", h.up)));
            }
        }
    }

    fn check_counts(&self, rooms: usize, faults: &mut Vec<(Option<u64>, String)>) {
        let count = |f: fn(&Role) -> bool| self.handles().filter(|(_, _, h)| f(&h.role)).count();
        let participants = count(|r| matches!(r, Role::Participant(_)));
        let subscribers = count(|r| matches!(r, Role::Subscriber(_)));
        let counts = self.plugin.counts();
        if counts != (rooms, participants, subscribers) {
            faults.push((
                None,
                format!(
                    "the plugin counts {counts:?}, believed are {:?}",
                    (rooms, participants, subscribers)
                ),
            ));
        }
        let handles = self.handles().count();
        if self.world.core.handles() != handles {
            faults.push((
                None,
                format!("the core counts {} handles, believed are {handles}", self.world.core.handles()),
            ));
        }
        let panics = self.world.core.counters().plugin_panics;
        if panics > 0 {
            faults.push((None, format!("the plugin panicked {panics} times")));
        }
    }

    /// All have left: nothing is there but what was there at the beginning.
    pub fn check_the_end(&mut self) {
        self.everybody_leaves();
        self.pass(REST * 2);
        for room in LASTING_ROOMS + 1..=LASTING_ROOMS + PASSING_ROOMS {
            self.ask(json!({ "request": "destroy", "room": room }));
        }
        let rooms: Value = self.ask(json!({ "request": "list" }));
        assert_eq!(rooms["list"].as_array().map(Vec::len), Some(5));
        let mut faults = Vec::new();
        let mut check = |what: &str, n: usize, expected: usize| {
            if n != expected {
                faults.push(format!("in the end there are {n} {what}, not {expected}"));
            }
        };
        // People without any handles keep their sessions; the observer has one and a handle.
        let sessions = self.people.iter().filter(|p| p.session.is_some()).count();
        check("sessions", self.world.core.sessions(), sessions);
        check("handles", self.world.core.handles(), 1);
        check("peers", self.world.engine.peers().count(), 0);
        check("routes", self.world.engine.routes().len(), 0);
        let (rooms, participants, subscribers) = self.plugin.counts();
        check("rooms", rooms, 5);
        check("participants", participants, 0);
        check("subscribers", subscribers, 0);
        for fault in faults {
            self.fault(None, fault);
        }
        self.judge();
    }
}
