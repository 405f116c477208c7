//! Writes groups of configuration files for plugins: rooms that shall outlive the process.
//!
//! Each file has a queue and is written by one thread at a time, in order, on tokio's blocking threads: the control task
//! never waits. A file is replaced as a whole: written beside, synced, renamed; whoever reads it, or a crash in between,
//! sees the old one or the new one. What stands around the group stays as it was (see [`portunus_jcfg::edit`]), and
//! so does `${NAME}` where it stands for the value that is to be written.

#[cfg(test)]
mod tests;

use crate::settings::{Disk, include};
use portunus_jcfg::edit::{put, take_out};
use portunus_jcfg::{Group, IncludeRequest, Integer, Item, List, MAX_BYTES, Place, Radix, Value as Setting};
use portunus_plugin::{Finished, Object, Outcome, StoredGroup, Ticket, Value};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Writes that may wait for one file; one more fails.
const WAITING: usize = 256;
/// Outcomes that may wait for the control task. One that finds no room is lost: the core gives the task up in time.
const OUTCOMES: usize = 1024;
/// What Janus calls it when there is no file to write to.
const NO_FILE: &str = "No configuration file";
/// Where what is read stands, for places in messages.
const MADE: &str = "settings of a plugin";

/// What became of a task, for [`portunus_core::Input::TaskDone`].
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) plugin: &'static str,
    pub(crate) ticket: Ticket,
    pub(crate) outcome: Outcome,
}

/// The files, each with its queue.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    files: HashMap<&'static str, Queue>,
    done: mpsc::Sender<Done>,
}

#[derive(Debug)]
struct Queue {
    jobs: mpsc::Sender<Job>,
    writer: JoinHandle<()>,
}

#[derive(Debug)]
struct Job {
    plugin: &'static str,
    ticket: Ticket,
    group: StoredGroup,
}

impl Store {
    /// For the files in `folder`; what became of each task comes out of the channel.
    pub(crate) fn new(folder: PathBuf) -> (Self, mpsc::Receiver<Done>) {
        let (done, outcomes) = mpsc::channel(OUTCOMES);
        (Self { folder, files: HashMap::new(), done }, outcomes)
    }

    /// Where others tell of their tasks, too.
    pub(crate) fn outcomes(&self) -> mpsc::Sender<Done> {
        self.done.clone()
    }

    /// Begins a task of a plugin. To be called in a runtime.
    pub(crate) fn begin(&mut self, plugin: &'static str, ticket: Ticket, group: StoredGroup) {
        let (folder, done) = (&self.folder, &self.done);
        let queue = self.files.entry(group.file).or_insert_with(|| {
            let (jobs, waiting) = mpsc::channel(WAITING);
            Queue { jobs, writer: tokio::spawn(write_in_order(folder.clone(), waiting, done.clone())) }
        });
        if queue.jobs.try_send(Job { plugin, ticket, group }).is_err() {
            let outcome = Err("too much waits to be written to this file".to_owned());
            if self.done.try_send(Done { plugin, ticket, outcome }).is_err() {
                tracing::warn!(plugin, ?ticket, "an outcome is lost: too many wait");
            }
        }
    }

    /// Writes what waits, for so long at most.
    pub(crate) async fn finish(self, time: Duration) {
        let writers = self.files.into_values().map(|queue| queue.writer);
        let all = async {
            // The senders are gone: each writer ends with its queue.
            for writer in writers.collect::<Vec<_>>() {
                let _ = writer.await;
            }
        };
        if tokio::time::timeout(time, all).await.is_err() {
            tracing::warn!("configuration files took too long to write");
        }
    }
}

async fn write_in_order(folder: PathBuf, mut waiting: mpsc::Receiver<Job>, done: mpsc::Sender<Done>) {
    while let Some(Job { plugin, ticket, group }) = waiting.recv().await {
        let folder = folder.clone();
        let file = group.file;
        let written = tokio::task::spawn_blocking(move || store(&folder, &group)).await;
        let written = written.unwrap_or_else(|error| Err(format!("writing failed: {error}")));
        let outcome = written.map(|()| Finished::Stored);
        match &outcome {
            Ok(_) => tracing::info!(plugin, file, "configuration file written"),
            Err(error) => tracing::warn!(plugin, file, error, "configuration file not written"),
        }
        // Nobody listens any more when the process ends.
        let _ = done.send(Done { plugin, ticket, outcome }).await;
    }
}

/// Puts the group into its file, or takes it out. Blocks.
fn store(folder: &Path, group: &StoredGroup) -> Result<(), String> {
    let path = folder.join(format!("{}.jcfg", group.file));
    let cannot = |what: &str, error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => NO_FILE.to_owned(),
        _ => format!("cannot {what} {}: {error}", path.display()),
    };
    // The file itself, not a link to it: the folder of a mounted ConfigMap is full of links.
    let real = fs::canonicalize(&path).map_err(|error| cannot("find", error))?;
    let text = read(&real).map_err(|error| cannot("read", error))?;
    let name = path.display().to_string();
    let edited = match &group.settings {
        Some(settings) => {
            let mut resolve = |request: &IncludeRequest<'_>| include(&Disk, request, &mut Vec::new());
            let lookup = |name: &str| std::env::var(name).ok();
            put(&name, &text, &group.name, &group_of(settings)?, &mut resolve, &lookup)
        }
        None => take_out(&name, &text, &group.name, &mut |request| include(&Disk, request, &mut Vec::new())),
    };
    let edited = edited.map_err(|error| error.to_string())?;
    if edited == text {
        return Ok(());
    }
    replace(&real, &edited).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => {
            format!("cannot write {}: {error} (mount its folder instead of the file)", path.display())
        }
        _ => format!("cannot write {}: {error}", path.display()),
    })
}

fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut text = String::new();
    // One byte more than the parser takes: it then says what is wrong. Text in another encoding is an error: it could
    // not be written back as it was.
    let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

/// Replaces a file in one step. Without success the old one is as it was.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.new"));
    let replaced = write_beside(path, &beside, text).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = replaced {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    // The new file is in place whatever comes of this: it only makes sure that it is there after a power cut.
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(folder = %folder.display(), %error, "folder not synced");
    }
    Ok(())
}

/// A copy of the old file's owner and permissions with the new text, on the disk.
fn write_beside(old: &Path, beside: &Path, text: &str) -> io::Result<()> {
    let metadata = fs::metadata(old)?;
    // One that a crash has left behind.
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(beside)?;
    file.write_all(text.as_bytes())?;
    // Only root may give files away. First this: it may take permissions off.
    if let Err(error) = fchown(&file, Some(metadata.uid()), Some(metadata.gid())) {
        tracing::debug!(file = %beside.display(), %error, "owner not kept");
    }
    file.set_permissions(metadata.permissions())?;
    file.sync_all()
}

/// JSON as settings of a file.
fn group_of(settings: &Object) -> Result<Group, String> {
    let mut group = Group::default();
    for (name, value) in settings {
        let value = setting_of(name, value)?;
        group.set(name, value, Place::of(MADE)).map_err(|error| error.fault.to_string())?;
    }
    Ok(group)
}

fn setting_of(name: &str, value: &Value) -> Result<Setting, String> {
    let unfit = || format!("`{name}` cannot be written to a configuration file");
    Ok(match value {
        Value::Null => return Err(unfit()),
        Value::Bool(flag) => Setting::Bool(*flag),
        Value::String(text) => Setting::Text(text.clone()),
        Value::Number(number) => {
            match (number.as_i64(), number.is_f64().then(|| number.as_f64()).flatten()) {
                (Some(value), _) => {
                    let long = i32::try_from(value).is_err();
                    Setting::Integer(Integer { value, radix: Radix::Decimal, long })
                }
                (None, Some(float)) => Setting::Float(float),
                (None, None) => return Err(unfit()),
            }
        }
        Value::Object(object) => Setting::Group(group_of(object)?),
        Value::Array(values) => {
            let values = values.iter().map(|value| setting_of(name, value)).collect::<Result<Vec<_>, _>>()?;
            let kind = values.first().map_or("text", Setting::kind);
            let scalar = !matches!(kind, "group" | "list" | "array");
            let array = scalar && values.iter().all(|value| value.kind() == kind);
            let item =
                |value| Item { value, place: Place::of(MADE), leading: Vec::new(), trailing: Vec::new() };
            let mut list = List { items: values.into_iter().map(item).collect(), ..List::default() };
            list.settle();
            if array { Setting::Array(list) } else { Setting::List(list) }
        }
    })
}
