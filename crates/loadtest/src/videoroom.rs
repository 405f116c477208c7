//! Rooms, those who publish in them, and those who subscribe.

use crate::api::{Failure, Handle, Session};
use crate::call::Call;
use crate::clock::now_ns;
use crate::options::Videoroom;
use crate::outcome::Outcome;
use crate::run::Run;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

const PLUGIN: &str = "janus.plugin.videoroom";
/// A server that is asked to end a session of somebody who failed has this long.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);

type Result<T> = std::result::Result<T, Failure>;

/// Somebody in a room.
pub(crate) struct Participant {
    pub(crate) session: Arc<Session>,
    watches: Vec<JoinHandle<()>>,
    pub(crate) leaving: Arc<AtomicBool>,
}

impl Participant {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, watches: Vec::new(), leaving: Arc::new(AtomicBool::new(false)) }
    }

    /// This call is one of its.
    pub(crate) fn keep(&mut self, watch: JoinHandle<()>) {
        self.watches.push(watch);
    }

    pub(crate) async fn leave(mut self) {
        self.leaving.store(true, Ordering::Relaxed);
        // With the watches go the calls, and the PeerConnections are closed.
        self.watches.drain(..).for_each(|watch| watch.abort());
        let _ = self.session.destroy().await;
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.watches.drain(..).for_each(|watch| watch.abort());
    }
}

pub(crate) async fn run(run: &Arc<Run>, options: &Videoroom) -> Result<Outcome> {
    let mut rooms = Rooms::make(run, options).await?;
    rooms.publish().await;
    if options.meeting {
        rooms.meet().await;
    } else {
        rooms.subscribe(options.subscribers).await;
    }
    let measured = run.measure_after_warm_up("measurement").await;
    rooms.end().await;
    // Publishers that nobody watches: what they cost.
    let media = options.meeting || options.subscribers > 0;
    Ok(Outcome { media, ..Outcome::of(measured) })
}

/// All rooms of a run.
pub(crate) struct Rooms {
    run: Arc<Run>,
    options: Videoroom,
    admin: Arc<Session>,
    /// Ids, and the feeds in each.
    pub(crate) rooms: Vec<(u64, Vec<u64>)>,
    made: bool,
    publishers: Vec<Participant>,
    /// With the room of each.
    subscribers: Vec<(u64, Participant)>,
}

impl Rooms {
    /// Makes the rooms.
    pub(crate) async fn make(run: &Arc<Run>, options: &Videoroom) -> Result<Self> {
        let admin = Session::create(&run.server).await?;
        let mut rooms = Self {
            run: Arc::clone(run),
            options: options.clone(),
            admin,
            rooms: Vec::new(),
            made: options.room.is_none(),
            publishers: Vec::new(),
            subscribers: Vec::new(),
        };
        if let Some(room) = options.room {
            rooms.rooms.push((room, Vec::new()));
            return Ok(rooms);
        }
        let handle = rooms.admin.attach(PLUGIN).await?;
        for _ in 0..options.rooms {
            let room = 1 + (run.caller.draw() >> 12);
            let mut create = json!({
                "request": "create", "room": room, "publishers": options.publishers,
                "audiocodec": "opus", "videocodec": "vp8", "description": "load test", "is_private": true,
            });
            if let Some(key) = &options.admin_key {
                create["admin_key"] = json!(key);
            }
            if let Some(pin) = &options.pin {
                create["pin"] = json!(pin);
            }
            handle.message(create, None).await?;
            rooms.rooms.push((room, Vec::new()));
        }
        Ok(rooms)
    }

    /// All publishers join; those that cannot are counted.
    pub(crate) async fn publish(&mut self) {
        let places = self
            .rooms
            .iter()
            .enumerate()
            .flat_map(|(at, (room, _))| (0..self.options.publishers).map(move |_| (at, *room)));
        let joined = places.map(|(at, room)| {
            let (run, options) = (Arc::clone(&self.run), self.options.clone());
            async move { (at, counted(&run, publisher(&run, &options, room)).await) }
        });
        for (at, joined) in join_all(joined).await {
            if let Some((participant, feed)) = joined {
                self.publishers.push(participant);
                self.rooms[at].1.push(feed);
            }
        }
    }

    /// So many subscribers are to be in each room: others join, or those who came last leave.
    pub(crate) async fn subscribe(&mut self, wanted: u32) {
        let wanted = wanted as usize;
        let mut places = Vec::new();
        let mut leaving = Vec::new();
        for (room, feeds) in &self.rooms {
            let there = self.subscribers.iter().filter(|(at, _)| at == room).count();
            if !feeds.is_empty() {
                places.extend((there..wanted).map(|_| (*room, feeds.clone())));
            }
            for _ in wanted..there {
                let last = self.subscribers.iter().rposition(|(at, _)| at == room);
                leaving.extend(last.map(|last| self.subscribers.remove(last).1));
            }
        }
        join_all(leaving.into_iter().map(Participant::leave)).await;
        self.join(places).await;
    }

    /// The subscribers of the room that has fewest.
    pub(crate) fn fewest(&self) -> u32 {
        let there = |room: &u64| self.subscribers.iter().filter(|(at, _)| at == room).count();
        self.rooms.iter().map(|(room, _)| there(room) as u32).min().unwrap_or(0)
    }

    /// Somebody subscribes in each of these rooms, to these feeds.
    async fn join(&mut self, places: Vec<(u64, Vec<u64>)>) {
        let joined = places.into_iter().map(|(room, feeds)| {
            let (run, options) = (Arc::clone(&self.run), self.options.clone());
            async move { Some((room, counted(&run, subscriber(&run, &options, room, &feeds)).await?)) }
        });
        let joined = join_all(joined).await;
        self.subscribers.extend(joined.into_iter().flatten());
    }

    /// Every publisher subscribes to all others of its room.
    pub(crate) async fn meet(&mut self) {
        let mut wishes = Vec::new();
        for (room, feeds) in &self.rooms {
            for own in feeds {
                let others: Vec<u64> = feeds.iter().copied().filter(|feed| feed != own).collect();
                if !others.is_empty() {
                    wishes.push((*room, others));
                }
            }
        }
        self.join(wishes).await;
    }

    /// Everybody leaves, and the rooms go.
    pub(crate) async fn end(mut self) {
        join_all(self.subscribers.drain(..).map(|(_, somebody)| somebody.leave())).await;
        join_all(self.publishers.drain(..).map(Participant::leave)).await;
        if self.made
            && let Ok(handle) = self.admin.attach(PLUGIN).await
        {
            for (room, _) in &self.rooms {
                if handle.message(json!({"request": "destroy", "room": room}), None).await.is_err() {
                    break;
                }
            }
        }
        let _ = self.admin.destroy().await;
    }
}

/// Takes its turn, and counts what became of it.
pub(crate) async fn counted<T>(run: &Run, join: impl Future<Output = Result<T>>) -> Option<T> {
    let _turn = run.joining.acquire().await.ok()?;
    if run.stopped() {
        return None;
    }
    match join.await {
        Ok(joined) => Some(joined),
        Err(why) => {
            if !run.stopped() {
                run.setup.failed(&why);
            }
            None
        }
    }
}

/// Does something in a new session, which ends if that fails or if it is all to end.
pub(crate) async fn in_session<T, F: Future<Output = Result<T>>>(
    run: &Arc<Run>,
    what: impl FnOnce(Participant) -> F,
) -> Result<T> {
    let session = run.unless_stopped(Session::create(&run.server)).await?;
    let done = run.unless_stopped(what(Participant::new(Arc::clone(&session)))).await;
    if done.is_err() {
        let _ = tokio::time::timeout(FAREWELL, session.destroy()).await;
    }
    done
}

/// Joins as a publisher, publishes, and waits until that works.
pub(crate) async fn publisher(run: &Arc<Run>, options: &Videoroom, room: u64) -> Result<(Participant, u64)> {
    run.setup.attempted();
    in_session(run, |participant| publish(run, options, room, participant)).await
}

async fn publish(
    run: &Arc<Run>,
    options: &Videoroom,
    room: u64,
    mut participant: Participant,
) -> Result<(Participant, u64)> {
    let began = now_ns();
    let mut handle = participant.session.attach(PLUGIN).await?;
    let mut join = json!({"request": "join", "ptype": "publisher", "room": room, "display": "load"});
    with_pin(&mut join, options);
    let joined = handle.message(join, None).await?;
    let feed = joined["plugindata"]["data"]["id"].as_u64().ok_or_else(|| Failure::plain("no feed id"))?;
    let mut call = run.caller.publish(&handle, json!({"request": "publish"}), false).await?;
    let times = run.caller.established(&mut handle, &mut call, false).await?;
    run.setup.published(times.up_ns.saturating_sub(began));
    participant.keep(watch(run, handle, call, &participant.leaving));
    Ok((participant, feed))
}

/// Subscribes to these feeds and waits for their first frames.
pub(crate) async fn subscriber(
    run: &Arc<Run>,
    options: &Videoroom,
    room: u64,
    feeds: &[u64],
) -> Result<Participant> {
    let groups: Vec<&[u64]> = if options.per_feed { feeds.chunks(1).collect() } else { vec![feeds] };
    groups.iter().for_each(|_| run.setup.attempted());
    in_session(run, |participant| subscribe(run, options, room, &groups, participant)).await
}

async fn subscribe(
    run: &Arc<Run>,
    options: &Videoroom,
    room: u64,
    groups: &[&[u64]],
    mut participant: Participant,
) -> Result<Participant> {
    for feeds in groups {
        let began = now_ns();
        let mut handle = participant.session.attach(PLUGIN).await?;
        let streams: Vec<Value> = feeds.iter().map(|feed| json!({"feed": feed})).collect();
        let mut join = json!({"request": "join", "ptype": "subscriber", "room": room, "streams": streams});
        with_pin(&mut join, options);
        let offer = handle.message(join, None).await?;
        let mut call = run.caller.answer(&handle, &offer, json!({"request": "start"}), false).await?;
        if !call.agreed.iter().any(|line| line.receive) {
            return Err(Failure::plain("the server offers no media"));
        }
        let times = run.caller.established(&mut handle, &mut call, true).await?;
        let after = |at: u64| at.saturating_sub(began);
        run.setup.subscribed(after(times.up_ns), times.media_ns.map(after));
        participant.keep(watch(run, handle, call, &participant.leaving));
    }
    Ok(participant)
}

fn with_pin(join: &mut Value, options: &Videoroom) {
    if let Some(pin) = &options.pin {
        join["pin"] = json!(pin);
    }
}

/// Keeps a call until it ends by itself, which is noted.
pub(crate) fn watch(
    run: &Arc<Run>,
    mut handle: Handle,
    mut call: Call,
    leaving: &Arc<AtomicBool>,
) -> JoinHandle<()> {
    let (run, leaving) = (Arc::clone(run), Arc::clone(leaving));
    tokio::spawn(async move {
        let why = call.ended(&mut handle).await;
        if !leaving.load(Ordering::Relaxed) && !run.stopped() {
            run.setup.lost(&why);
        }
        // It is counted as before: what does not come any more is lost.
        std::future::pending::<()>().await;
    })
}
