//! Calls of plugins, and what they ask for.

use crate::handle::{Part, Waiting};
use crate::io::Output;
use crate::machine::{Core, Step};
use crate::settings::limits;
use portunus_api::reply::LocalJsep;
use portunus_api::{HandleId, Value};
use portunus_plugin::media::MediaCommand;
use portunus_plugin::{Cx, Effect, Plugin};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Core {
    /// Calls the plugin of a handle about it; its effects wait their turn. `None` if there is no such handle, or if the
    /// call panicked: its effects are dropped then and the handle is detached.
    pub(crate) fn call<T>(
        &mut self,
        id: HandleId,
        call: impl FnOnce(&mut dyn Plugin, &mut Cx) -> T,
    ) -> Option<T> {
        let plugin = self.handles.get(&id)?.plugin;
        let value = self.call_plugin(plugin, call);
        if value.is_none() {
            tracing::error!(handle = %id, "handle ended after a panic");
            self.detach_handle(id);
        }
        value
    }

    /// Calls a plugin, whatever about. `None` if it panicked: its effects are dropped then.
    pub(crate) fn call_plugin<T>(
        &mut self,
        plugin: usize,
        call: impl FnOnce(&mut dyn Plugin, &mut Cx) -> T,
    ) -> Option<T> {
        let mut cx = Cx::new(self.now, self.unix);
        let called = self.plugins.get_mut(plugin)?;
        match catch_unwind(AssertUnwindSafe(|| call(called.as_mut(), &mut cx))) {
            Ok(value) => {
                self.plan(cx.into_effects().into_iter().map(|e| Step::Effect(plugin, e)));
                Some(value)
            }
            Err(_) => {
                self.counters.plugin_panics += 1;
                tracing::error!(plugin = self.package(plugin), "a plugin call panicked");
                None
            }
        }
    }

    /// The package name of a plugin.
    pub(crate) fn package(&self, plugin: usize) -> &'static str {
        self.plugins.get(plugin).map_or("", |p| p.about().package)
    }

    /// Carries out what a plugin asked for.
    pub(crate) fn carry_out(&mut self, plugin: usize, effect: Effect) {
        match effect {
            Effect::Push { handle, transaction, data, jsep } if self.is_of(handle, plugin) => match jsep {
                None => self.push(handle, transaction, data),
                Some(jsep) => self.describe(handle, transaction, data, Box::new(jsep)),
            },
            Effect::Hangup { handle } if self.is_of(handle, plugin) => {
                self.close_peer(handle, "Close PC", false);
            }
            Effect::End { handle } if self.is_of(handle, plugin) => self.detach_handle(handle),
            Effect::Push { .. } | Effect::Hangup { .. } | Effect::End { .. } => {}
            Effect::Route { source, sink } => self.media_command(MediaCommand::Route { source, sink }),
            Effect::Unroute { sink } => self.media_command(MediaCommand::Unroute { sink }),
            Effect::Select { sink, target } => self.media_command(MediaCommand::Select { sink, target }),
            Effect::Keyframe { source } => self.media_command(MediaCommand::Keyframe { source }),
            Effect::Cap { handle, bitrate } => self.media_command(MediaCommand::Cap { handle, bitrate }),
            Effect::PlayoutDelay { sink, delay } => {
                self.media_command(MediaCommand::PlayoutDelay { sink, delay });
            }
            Effect::WatchAudio { source, watch } => {
                self.media_command(MediaCommand::WatchAudio { source, watch });
            }
            Effect::Record { source, recording } => {
                if self.is_of(source.handle, plugin) {
                    self.outputs.push_back(Output::Record { source, recording });
                }
            }
            Effect::Withhold { source, withheld } => {
                self.media_command(MediaCommand::Withhold { source, withheld });
            }
            Effect::Forward { source, forward } => {
                if self.is_of(source.handle, plugin) {
                    self.media_command(MediaCommand::Forward { source, forward });
                }
            }
            Effect::StopForward { source, id } => {
                self.media_command(MediaCommand::StopForward { source, id });
            }
            Effect::EndRecording { source } => self.outputs.push_back(Output::EndRecording { source }),
            Effect::Task { ticket, task } => self.begin_task(plugin, ticket, task),
            Effect::Data { handle, message } => {
                self.media_command(MediaCommand::Data { handle, message });
            }
            Effect::Notify { handle, event } => {
                self.plugin_notice(plugin, handle, event);
            }
        }
    }

    /// The handle is there and attached to this plugin. Effects for handles that are gone mean nothing any more.
    fn is_of(&self, handle: HandleId, plugin: usize) -> bool {
        self.handles.get(&handle).is_some_and(|h| h.plugin == plugin)
    }

    /// Sends a plugin's event, behind those that wait for a description.
    pub(crate) fn push(&mut self, id: HandleId, transaction: Option<String>, data: Value) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        if handle.waiting.is_empty() {
            return self.send_event(id, transaction.as_deref(), data, None);
        }
        if handle.waiting.len() < limits::WAITING_EVENTS {
            return handle.waiting.push_back(Waiting { transaction, data, part: Part::Ready(None) });
        }
        self.counters.refused_full += 1;
        tracing::warn!(handle = %id, "too many events wait for a description: one overtakes them");
        self.send_event(id, transaction.as_deref(), data, None);
    }

    /// Sends a plugin's event now.
    pub(crate) fn send_event(
        &mut self,
        id: HandleId,
        transaction: Option<&str>,
        data: Value,
        jsep: Option<&LocalJsep>,
    ) {
        let Some(handle) = self.handles.get(&id) else { return };
        let (session, package) = (handle.session, self.package(handle.plugin));
        if let Some(sender) = self.sender(id) {
            let json = sender.plugin_event(transaction, package, data, jsep);
            self.outputs.push_back(Output::Event { session, json });
        }
    }
}
