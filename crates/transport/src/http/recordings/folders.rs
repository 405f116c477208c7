//! The folders of recordings: what is in them, and nothing that is elsewhere.
//!
//! Every step below a root is made from the folder before it and follows no link. Names are plain: no `..`, nothing
//! hidden, nothing that could be taken for two. Only regular files with a known ending are there.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, stat, statat};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Folders within one another, that of the settings not counted.
const DEPTH: usize = 8;
/// Files of a list: the newest ones.
const LISTED: usize = 5_000;
/// Names that are looked at for a list.
const LOOKED_AT: usize = 100_000;
/// Bytes of a name.
const NAME: usize = 255;

/// The endings of recordings and of what is made of them, and the media types of those.
const KINDS: [(&str, &str); 8] = [
    ("mjr", "application/octet-stream"),
    ("opus", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("mkv", "video/x-matroska"),
    ("mp4", "video/mp4"),
    ("srt", "text/plain; charset=utf-8"),
];

/// What the gateway writes itself, under a temporary name if that is set.
const RECORDED: [&str; 4] = ["mjr", "webm", "mkv", "mp4"];

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);
/// A pipe of that name must not keep anybody waiting.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// See the module.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) roots: Vec<PathBuf>,
    /// Folders that are not there, wherever they are.
    pub(super) barred: Vec<PathBuf>,
    /// The ending of files that are being written.
    pub(super) temporary: Option<String>,
}

/// What a name says about its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// The ending in lower case, without its dot.
    pub(super) ending: &'static str,
    pub(super) media_type: &'static str,
    /// It is being written under a temporary name.
    pub(super) open: bool,
}

/// What makes a folder the same one under all its names.
type Identity = (u64, u64);

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// Whether a file or folder of this name is there for anybody. What is listed can be fetched, and the other way round.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.len() <= NAME
        && !name.chars().any(|c| matches!(c, '/' | '\\' | char::REPLACEMENT_CHARACTER) || c.is_control())
}

impl Folders {
    /// What a file of this name is; `None` if its ending is not that of a recording.
    pub(super) fn kind(&self, name: &str) -> Option<Kind> {
        let ending = self.temporary.as_deref();
        let whole = ending.and_then(|ending| name.strip_suffix(ending)?.strip_suffix('.'));
        let open = whole.is_some();
        let (stem, ending) = whole.unwrap_or(name).rsplit_once('.')?;
        let known = KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending));
        let &(ending, media_type) =
            known.filter(|(known, _)| !stem.is_empty() && (!open || RECORDED.contains(known)))?;
        Some(Kind { ending, media_type, open })
    }

    /// Opens a file below the root of this number; `None` if it is not there, or not there for anybody.
    pub(super) fn open(&self, root: usize, path: &[String]) -> Option<(File, Kind)> {
        let (name, folders) = path.split_last()?;
        let kind = self.kind(name)?;
        if folders.len() > DEPTH || !path.iter().all(|name| is_plain(name)) {
            return None;
        }
        let barred = identities(&self.barred);
        let allowed = |folder: OwnedFd| {
            let stat = fstat(&folder).ok()?;
            (!barred.contains(&identity(&stat))).then_some(folder)
        };
        // The root is the operator's: it may be a link.
        let mut folder = allowed(rustix::fs::open(self.roots.get(root)?, FOLDER, Mode::empty()).ok()?)?;
        for name in folders {
            let below = openat(&folder, name.as_str(), FOLDER | OFlags::NOFOLLOW, Mode::empty());
            folder = allowed(below.ok()?)?;
        }
        let file = openat(&folder, name.as_str(), FILE, Mode::empty()).ok()?;
        let regular = FileType::from_raw_mode(fstat(&file).ok()?.st_mode).is_file();
        regular.then(|| (File::from(file), kind))
    }

    /// All there is, the newest first: `{"now", "truncated", "roots": [path], "files": [{"root", "name", "size",
    /// "modified", "kind", "open"}]}`. Sizes are bytes, times milliseconds since 1970, and a name is the path below its
    /// root.
    pub(super) fn list(&self, now: SystemTime) -> String {
        let roots = self.roots.iter().map(|root| {
            let folder = rustix::fs::open(root, FOLDER, Mode::empty()).ok()?;
            let stat = fstat(&folder).ok()?;
            Some((folder, identity(&stat)))
        });
        let roots: Vec<_> = roots.collect();
        // A root within another is listed as itself; one that has two numbers, under the first.
        let mut done = identities(&self.barred);
        let closed = done.iter().copied().chain(roots.iter().flatten().map(|(_, id)| *id)).collect();
        let mut walk = Walk { folders: self, closed, found: Vec::new(), left: LOOKED_AT, truncated: false };
        for (number, root) in roots.into_iter().enumerate() {
            if let Some((folder, id)) = root
                && done.insert(id)
            {
                walk.folder(&folder, &Above { root: number, path: String::new(), depth: 0 });
            }
        }
        let Walk { mut found, mut truncated, .. } = walk;
        found.sort_by(|a, b| {
            let newest = b.modified.cmp(&a.modified);
            newest.then_with(|| (a.root, &a.name).cmp(&(b.root, &b.name)))
        });
        truncated |= found.len() > LISTED;
        found.truncate(LISTED);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let files: Vec<Value> = found.iter().map(Found::to_json).collect();
        let roots: Vec<_> = self.roots.iter().map(|root| root.to_string_lossy()).collect();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        json!({ "now": now, "truncated": truncated, "roots": roots, "files": files }).to_string()
    }
}

fn identities(paths: &[PathBuf]) -> HashSet<Identity> {
    paths.iter().filter_map(|path| stat(path).ok()).map(|stat| identity(&stat)).collect()
}

struct Found {
    root: usize,
    name: String,
    size: i64,
    /// Milliseconds since 1970.
    modified: i64,
    kind: Kind,
}

impl Found {
    fn to_json(&self) -> Value {
        json!({
            "root": self.root,
            "name": self.name,
            "size": self.size,
            "modified": self.modified,
            "kind": self.kind.ending,
            "open": self.kind.open,
        })
    }
}

/// Where a walk is.
struct Above {
    root: usize,
    /// With a slash behind each folder.
    path: String,
    depth: usize,
}

struct Walk<'a> {
    folders: &'a Folders,
    /// Not to be entered.
    closed: HashSet<Identity>,
    found: Vec<Found>,
    /// Names that may still be looked at.
    left: usize,
    /// There is more than was looked at.
    truncated: bool,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &OwnedFd, above: &Above) {
        let Ok(names) = Dir::read_from(folder) else { return };
        let mut below = Vec::new();
        for name in names.flatten() {
            if self.left == 0 {
                self.truncated = true;
                return;
            }
            self.left -= 1;
            let Ok(name) = name.file_name().to_str() else { continue };
            if !is_plain(name) {
                continue;
            }
            let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => self.file(name, &stat, above),
                FileType::Directory if self.closed.contains(&identity(&stat)) => {}
                FileType::Directory if above.depth < DEPTH => below.push(name.to_owned()),
                FileType::Directory => self.truncated = true,
                _ => {}
            }
        }
        for name in below {
            // One that was taken away meanwhile, or may not be read, has nothing to show.
            if let Ok(opened) = openat(folder, name.as_str(), FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                let path = format!("{}{name}/", above.path);
                self.folder(&opened, &Above { root: above.root, path, depth: above.depth + 1 });
            }
        }
    }

    fn file(&mut self, name: &str, stat: &Stat, above: &Above) {
        let Some(kind) = self.folders.kind(name) else { return };
        let modified = stat.st_mtime.saturating_mul(1000);
        let part = i64::try_from(stat.st_mtime_nsec / 1_000_000).unwrap_or_default();
        self.found.push(Found {
            root: above.root,
            name: format!("{}{name}", above.path),
            size: stat.st_size,
            modified: modified.saturating_add(part),
            kind,
        });
    }
}
