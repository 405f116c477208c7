//! Recordings: what a plugin wants recorded, where files may be, and what becomes of them.

use crate::media::Tapped;
use portunus_sdp::{Codec, MediaKind, PlanMedia, ext};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Bytes of a name in a path at most: file systems allow 255, and endings are added.
const LONGEST_NAME: usize = 220;
/// Bytes of a path at most.
const LONGEST_PATH: usize = 3500;

/// The extensions that packets keep in recordings: those that tell of the medium, not of its way.
const KEPT: [&str; 4] =
    [ext::AUDIO_LEVEL, ext::VIDEO_ORIENTATION, ext::ABS_CAPTURE_TIME, ext::DEPENDENCY_DESCRIPTOR];

/// What files recordings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// An MJR file for each medium, as Janus writes it.
    #[default]
    Mjr,
    /// One file with all media that plays while it is written.
    Playable,
    /// Both.
    Both,
}

impl Format {
    /// By the word of requests and settings.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Mjr, Self::Playable, Self::Both].into_iter().find(|format| format.name() == word)
    }

    /// The word of requests and settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mjr => "mjr",
            Self::Playable => "playable",
            Self::Both => "both",
        }
    }
}

/// A recording of one medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Its MJR file, without any ending, if there is to be one.
    pub mjr: Option<Place>,
    /// The file that plays, without any ending, if it is to be in one: all media of a handle that name the same place are
    /// together in it.
    pub film: Option<Place>,
    /// What is recorded.
    pub subject: Subject,
}

/// What a recording is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Audio, video or data.
    pub kind: MediaKind,
    /// Janus' name of the codec; `text` for data.
    pub codec: String,
    /// `fmtp` of the codec.
    pub fmtp: Option<String>,
    /// What the publisher says of the stream.
    pub description: Option<String>,
    /// RTP header extensions that recordings keep: their ids and URIs.
    pub extensions: Vec<(u8, String)>,
    /// The payload type of opus/red packets among the others.
    pub red: Option<u8>,
    /// The payloads are encrypted by the clients.
    pub encrypted: bool,
}

impl Subject {
    /// An m-line as it was negotiated; `None` if there is nothing to record.
    pub fn of(media: &PlanMedia) -> Option<Self> {
        let mut subject = Self {
            kind: media.kind.clone(),
            codec: "text".to_owned(),
            fmtp: None,
            description: None,
            extensions: Vec::new(),
            red: None,
            encrypted: false,
        };
        match media.kind {
            _ if !media.accepted => return None,
            MediaKind::Data => return Some(subject),
            MediaKind::Other(_) => return None,
            MediaKind::Audio | MediaKind::Video => {}
        }
        let codec = media.codec()?;
        let payload = media.payloads.iter().find(|p| Codec::of(p) == Some(codec))?;
        subject.codec = codec.api_name().to_owned();
        // What Opus is asked for there tells a reader nothing.
        let tells = |fmtp: &String| codec != Codec::Opus && !fmtp.is_empty();
        subject.fmtp = payload.fmtp.clone().filter(tells);
        subject.red = media.payloads.iter().find(|p| p.is("red")).map(|p| p.pt);
        let kept = media.extensions.iter().filter(|e| KEPT.contains(&e.uri.as_str()));
        subject.extensions = kept.map(|e| (e.id, e.uri.clone())).collect();
        Some(subject)
    }
}

impl Subject {
    /// Whether it can be in a file that plays: messages cannot, nor what only clients can decrypt.
    pub fn plays(&self) -> bool {
        let codecs = [
            "opus",
            "multiopus",
            "pcmu",
            "pcma",
            "g722",
            "l16",
            "l16-48",
            "vp8",
            "vp9",
            "av1",
            "h264",
            "h265",
        ];
        !self.encrypted && codecs.contains(&self.codec.as_str())
    }
}

/// Gets the packets of a medium, each once, in the order in which they came: for recordings.
pub trait Tape: Send + Sync + fmt::Debug {
    /// On the worker's thread: must neither wait nor take long. `now` is when the packet came.
    fn packet(&self, now: Instant, packet: Tapped<'_>);
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingNews {
    /// Its file is there.
    Begun {
        /// The name it really has, without its folder.
        file: String,
    },
    /// A file that plays was begun: the first, or another because media came that the one before could not take. It begins
    /// with the next keyframe.
    Playable {
        /// Its name, without its folder.
        file: String,
    },
    /// What comes is not written: the file cannot be made, the disk is full or does not keep up. Told once.
    Failed {
        /// Why, in words.
        why: String,
    },
    /// What comes is written again.
    Resumed,
    /// The file is closed.
    Ended {
        /// The name it really has, without its folder.
        file: String,
        /// Frames that are in it.
        frames: u64,
        /// Frames that were not written.
        lost: u64,
    },
}

/// Where a recording is: below a folder that recordings are allowed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The allowed folder.
    pub root: PathBuf,
    /// The rest of the path: plain names only.
    pub below: PathBuf,
}

impl Place {
    /// The whole path, without any ending.
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.below)
    }

    /// The name of the file, without any ending.
    pub fn name(&self) -> String {
        self.below.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The folders that recordings are allowed in. Clones are cheap.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Allowed>);

#[derive(Debug, Default)]
struct Allowed {
    working: PathBuf,
    roots: Vec<PathBuf>,
    protected: Vec<PathBuf>,
}

/// Why there can be no recording in a place: a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced(String);

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Places {
    /// Below these `roots`, but for `protected` folders (`protected_folders`); relative paths begin in `working`. All
    /// are absolute.
    pub fn new(working: &Path, roots: &[PathBuf], protected: &[PathBuf]) -> Self {
        let tidy = |paths: &[PathBuf]| paths.iter().filter_map(|p| normal(p)).collect::<Vec<_>>();
        Self(Arc::new(Allowed {
            working: working.to_owned(),
            roots: tidy(roots),
            protected: tidy(protected),
        }))
    }

    /// The folders, without those that are protected as a whole.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        let fine = |root: &&PathBuf| !self.0.protected.iter().any(|folder| root.starts_with(folder));
        self.0.roots.iter().filter(fine).map(PathBuf::as_path)
    }

    /// Folders that nothing is recorded in.
    pub fn protected(&self) -> &[PathBuf] {
        &self.0.protected
    }

    /// Where a recording called `name` is, in `folder` if one was named. `name` may have folders of its own.
    ///
    /// # Errors
    /// It is below none of the allowed folders, below a protected one, or the name cannot be one.
    pub fn place(&self, folder: Option<&str>, name: &str) -> Result<Place, Misplaced> {
        let asked = Path::new(folder.unwrap_or_default()).join(name);
        let shown = || asked.display().to_string().chars().take(200).collect::<String>();
        let odd = |text: &str| text.chars().any(char::is_control);
        let nameless = name.is_empty() || name.ends_with('/') || name.ends_with("/.") || name == ".";
        if nameless || odd(name) || folder.is_some_and(odd) || asked.as_os_str().len() > LONGEST_PATH {
            return Err(Misplaced("not a name of a file".to_owned()));
        }
        let outside = || {
            let why = "is outside of the folders that `recordings_roots` allows";
            Misplaced(format!("{} {why}", shown()))
        };
        let path = normal(&self.0.working.join(&asked)).ok_or_else(outside)?;
        if self.0.protected.iter().any(|folder| path.starts_with(folder)) {
            return Err(Misplaced(format!("{} is in a protected folder", shown())));
        }
        let roots = self.0.roots.iter().filter_map(|root| Some((root, path.strip_prefix(root).ok()?)));
        // The innermost: its own links are followed, others are not.
        let (root, below) = roots.min_by_key(|(_, below)| below.as_os_str().len()).ok_or_else(outside)?;
        if below.as_os_str().is_empty() || below.iter().any(|part| part.len() > LONGEST_NAME) {
            return Err(Misplaced("not a name of a file".to_owned()));
        }
        Ok(Place { root: root.clone(), below: below.to_owned() })
    }

    /// Whether recordings may be in a folder.
    ///
    /// # Errors
    /// As [`Places::place`].
    pub fn check(&self, folder: &str) -> Result<(), Misplaced> {
        self.place(Some(folder), "x").map(drop).map_err(|Misplaced(why)| {
            // It was asked about the folder, not about a file in it.
            let name = Path::new(folder).join("x").display().to_string();
            Misplaced(why.replacen(&name, if folder.is_empty() { "the working folder" } else { folder }, 1))
        })
    }
}

/// The path without `.` and `..`, by its words alone; `None` if it leads above the root of the file system, or is
/// not absolute.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !whole.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            part => whole.push(part),
        }
    }
    whole.is_absolute().then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        let roots = paths(&["/srv/calls", "/archive", "/srv/calls/inner", "/recordings/./x/.."]);
        Places::new(Path::new("/srv/calls"), &roots, &paths(&["/srv/calls/protected"]))
    }

    #[test]
    fn names_stay_below_an_allowed_folder() {
        let table = [
            (None, "a", "/srv/calls", "a"),
            (None, "a/b", "/srv/calls", "a/b"),
            (None, "./a//b", "/srv/calls", "a/b"),
            (None, "x/../a", "/srv/calls", "a"),
            (None, "../calls/a", "/srv/calls", "a"),
            (None, "/archive/a", "/archive", "a"),
            (None, "/srv/calls/inner/a", "/srv/calls/inner", "a"),
            (Some("/archive"), "a", "/archive", "a"),
            (Some("/archive/"), "b/a", "/archive", "b/a"),
            (Some("/recordings"), "%2e%2e", "/recordings", "%2e%2e"),
            (Some("sub"), "a", "/srv/calls", "sub/a"),
            (Some(""), "a", "/srv/calls", "a"),
            (Some("/etc"), "/archive/a", "/archive", "a"),
            (None, "...", "/srv/calls", "..."),
        ];
        for (folder, name, root, below) in table {
            let place = places().place(folder, name).unwrap();
            assert_eq!(place, Place { root: root.into(), below: below.into() }, "{folder:?} {name}");
        }
    }

    #[test]
    fn what_is_elsewhere_is_refused_with_the_name_of_the_setting() {
        let long = "x".repeat(300);
        let deep = "x/".repeat(2000);
        let table = [
            (None, "../a", "recordings_roots"),
            (None, "a/../../b", "recordings_roots"),
            (None, "/etc/cron.d/x", "recordings_roots"),
            (None, "/srv/calls-of-others/a", "recordings_roots"),
            (None, "/../../../../../../etc/x", "recordings_roots"),
            (Some("/etc"), "a", "recordings_roots"),
            (Some("/archive/.."), "a", "recordings_roots"),
            (Some("/archive"), "../a", "recordings_roots"),
            (None, "protected/a", "protected"),
            (None, "inner/../protected/a", "protected"),
            (None, "", "not a name"),
            (None, "a/", "not a name"),
            (None, ".", "not a name"),
            (None, "..", "recordings_roots"),
            (Some("/archive"), "a\0b", "not a name"),
            (Some("/archive\n"), "a", "not a name"),
            (None, "/archive", "not a name"),
            (None, &long, "not a name"),
            (None, &deep, "not a name"),
        ];
        for (folder, name, why) in table {
            let refused = places().place(folder, name).unwrap_err().to_string();
            assert!(refused.contains(why), "{folder:?} {name}: {refused}");
        }
        assert!(Places::default().place(None, "a").is_err(), "nowhere is anywhere");
        assert_eq!(
            places().roots().map(Path::display).map(|p| p.to_string()).collect::<Vec<_>>(),
            ["/srv/calls", "/archive", "/srv/calls/inner", "/recordings",]
        );
        assert!(places().check("/archive/b").is_ok() && places().check("/").is_err());
        let why = places().check("/etc").unwrap_err().to_string();
        assert_eq!(why, "/etc is outside of the folders that `recordings_roots` allows");
        assert!(Places::default().check("").unwrap_err().to_string().starts_with("the working folder is"));
    }
}
