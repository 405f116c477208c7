//! Tasks that plugins have done outside, and the requests that wait for them.
//!
//! A plugin's call leaves `Effect::Task` with a ticket of its own, and may answer its request with `Reply::Later` and the
//! same ticket. The plugin hears of the end of every task exactly once, by `done`: what came of it, or that it took too
//! long. Whoever waits for it gets what `done` returns; a handle that went away in between has been answered before.

use crate::io::Output;
use crate::machine::{Ask, Core, Step};
use crate::settings::limits;
use portunus_api::{ApiError, ErrorCode, HandleId, Object, SessionId, reply};
use portunus_plugin::{Outcome, Task, Ticket};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A request that waits for a task.
#[derive(Debug)]
pub(crate) struct Later {
    pub(crate) ticket: Ticket,
    /// Of the request.
    pub(crate) key: u64,
    pub(crate) transaction: String,
}

/// The index of a plugin, and its ticket.
type TaskKey = (usize, Ticket);

/// The tasks that are not done.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    open: BTreeMap<TaskKey, Open>,
    deadlines: BTreeSet<(Instant, TaskKey)>,
}

#[derive(Debug)]
struct Open {
    deadline: Instant,
    /// Handles with a request that waits; some may be gone.
    waiters: Vec<HandleId>,
    /// Requests of the Admin API that wait.
    admins: Vec<Admin>,
}

#[derive(Debug)]
struct Admin {
    key: u64,
    transaction: String,
}

impl Tasks {
    pub(crate) fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The task, which begins now if it is not known yet.
    fn open(&mut self, key: TaskKey, now: Instant) -> &mut Open {
        let Self { open, deadlines } = self;
        open.entry(key).or_insert_with(|| {
            let deadline = now + limits::TASK;
            deadlines.insert((deadline, key));
            Open { deadline, waiters: Vec::new(), admins: Vec::new() }
        })
    }

    fn close(&mut self, key: TaskKey) -> Option<Open> {
        let task = self.open.remove(&key)?;
        self.deadlines.remove(&(task.deadline, key));
        Some(task)
    }

    fn due(&self, now: Instant) -> Option<TaskKey> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }
}

impl Core {
    /// A plugin answered a request with a ticket.
    pub(crate) fn wait_for_task(&mut self, id: HandleId, later: Later) -> Result<(), ApiError> {
        let Some(handle) = self.handles.get_mut(&id) else {
            return Err(ErrorCode::HandleNotFound.into());
        };
        // The task itself is among the effects of the same call, which come after it.
        self.tasks.open((handle.plugin, later.ticket), self.now).waiters.push(id);
        handle.later = Some(later);
        Ok(())
    }

    /// A plugin answered a request of the Admin API with a ticket.
    pub(crate) fn admin_waits(&mut self, plugin: usize, ticket: Ticket, ask: &Ask) {
        let admin = Admin { key: ask.key, transaction: ask.request.transaction.clone() };
        self.tasks.open((plugin, ticket), self.now).admins.push(admin);
    }

    /// A plugin wants something done.
    pub(crate) fn begin_task(&mut self, plugin: usize, ticket: Ticket, task: Task) {
        let key = (plugin, ticket);
        self.tasks.open(key, self.now);
        if self.tasks.open.len() > limits::TASKS {
            self.counters.refused_full += 1;
            return self.end_task(key, Err("too much is being done already".to_owned()));
        }
        self.outputs.push_back(Output::Task { plugin: self.package(plugin), ticket, task });
    }

    /// A task is done, in time or not.
    pub(crate) fn on_task_done(&mut self, package: &str, ticket: Ticket, outcome: Outcome) {
        let plugin = self.plugins.iter().position(|p| p.about().package == package);
        let known = plugin.map(|plugin| (plugin, ticket)).filter(|key| self.tasks.open.contains_key(key));
        match known {
            Some(key) => self.end_task(key, outcome),
            None => {
                tracing::warn!(plugin = package, ?ticket, ?outcome, "a task ended that was given up before")
            }
        }
    }

    /// Tells plugins of tasks that take too long.
    pub(crate) fn give_up_tasks(&mut self) {
        while let Some(key) = self.tasks.due(self.now) {
            self.counters.task_timeouts += 1;
            tracing::warn!(plugin = self.package(key.0), ticket = ?key.1, "a task did not end in time");
            self.end_task(key, Err("timed out".to_owned()));
        }
    }

    fn end_task(&mut self, key: TaskKey, outcome: Outcome) {
        let Some(task) = self.tasks.close(key) else { return };
        let (plugin, ticket) = key;
        let value = self.call_plugin(plugin, |p, cx| p.done(cx, ticket, outcome));
        for Admin { key, transaction } in task.admins {
            let json = match &value {
                Some(response) => {
                    let members = Object::from_iter([("response".to_owned(), response.clone())]);
                    reply::success_with(0, &transaction, members)
                }
                None => reply::error(0, Some(&transaction), &ErrorCode::PluginMessage.into()),
            };
            self.reply(key, json);
        }
        for id in task.waiters {
            let Some(handle) = self.handles.get_mut(&id).filter(|h| h.plugin == plugin) else { continue };
            let session = handle.session;
            let Some(later) = handle.later.take_if(|later| later.ticket == ticket) else { continue };
            let Some(data) = &value else {
                self.refuse_later(session, &later, &ErrorCode::PluginMessage.into());
                tracing::error!(handle = %id, "handle ended after a panic");
                self.detach_handle(id);
                continue;
            };
            if let Some(sender) = self.sender(id) {
                let json = sender.plugin_success(&later.transaction, self.package_of(id), data.clone());
                self.reply(later.key, json);
            }
            self.serve_waiting(id);
        }
    }

    /// What came behind a request that is answered now: after what the plugin asked for in answering it.
    fn serve_waiting(&mut self, id: HandleId) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        let queue = std::mem::take(&mut handle.queue);
        self.plan(queue.into_iter().map(|queued| Step::Queued(id, Box::new(queued))));
    }

    /// Answers a request that waits no longer.
    pub(crate) fn refuse_later(&mut self, session: SessionId, later: &Later, error: &ApiError) {
        let json = reply::error(session.get(), Some(&later.transaction), error);
        self.reply(later.key, json);
    }
}
