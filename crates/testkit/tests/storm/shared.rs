//! The plugin, seen from inside and outside.

use portunus_plugin::{
    About, Cx, HandleId, MediaEvent, Message, Object, Outcome, Plugin, PluginError, Reply, Ticket, Value,
};
use portunus_plugin_videoroom::{Settings, VideoRoom};
use portunus_testkit::Random;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A video room that the test can look into while the core owns it.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<VideoRoom>>);

impl Shared {
    pub fn new(mut random: Random) -> Self {
        let random = Box::new(move || random.next());
        Self(Arc::new(Mutex::new(VideoRoom::new(Settings::default(), random))))
    }

    fn get(&self) -> MutexGuard<'_, VideoRoom> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rooms, participants, subscribers.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.get().counts()
    }
}

impl Plugin for Shared {
    fn about(&self) -> About {
        self.get().about()
    }
    fn attach(&mut self, cx: &mut Cx, h: HandleId) -> Result<(), PluginError> {
        self.get().attach(cx, h)
    }
    fn message(&mut self, cx: &mut Cx, h: HandleId, message: Message) -> Reply {
        self.get().message(cx, h, message)
    }
    fn done(&mut self, cx: &mut Cx, ticket: Ticket, outcome: Outcome) -> Value {
        self.get().done(cx, ticket, outcome)
    }
    fn media(&mut self, cx: &mut Cx, h: HandleId, event: &MediaEvent) {
        self.get().media(cx, h, event);
    }
    fn admin(&mut self, cx: &mut Cx, body: &Object) -> Option<Reply> {
        self.get().admin(cx, body)
    }
    fn query(&self, h: HandleId) -> Value {
        self.get().query(h)
    }
    fn tick(&mut self, cx: &mut Cx) {
        self.get().tick(cx);
    }
    fn detach(&mut self, cx: &mut Cx, h: HandleId) {
        self.get().detach(cx, h);
    }
}
