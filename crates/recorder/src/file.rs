//! The file of a recording: made where it may be, and never more than whole frames long.

use portunus_plugin::recording::Place;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, mkdirat, openat, renameat_with, statat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

/// As Janus makes them; the process' mask takes from it.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
/// Files of one name.
const SAME_NAME: u32 = 1_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct RecordingFile {
    folder: OwnedFd,
    file: File,
    /// The name it has now, and the one it gets when it is closed.
    open_name: String,
    name: String,
    /// Bytes that are whole.
    good: u64,
}

impl RecordingFile {
    /// Makes the file; folders that are not there are made on the way. No link below the root is followed, so nobody can
    /// lead us elsewhere by one.
    ///
    /// # Errors
    /// A name on the way is no folder (or a link), nothing may be made there, or the disk is full.
    pub(crate) fn create(place: &Place, ending: &str, temporary: Option<&str>) -> io::Result<Self> {
        let folder = folder_of(place)?;
        let base = place.name();
        for n in 0..SAME_NAME {
            let name = if n == 0 { format!("{base}.{ending}") } else { format!("{base}-{n}.{ending}") };
            let open_name = match temporary {
                Some(temporary) => format!("{name}.{temporary}"),
                None => name.clone(),
            };
            if open_name != name && is_there(&folder, &name)? {
                continue;
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&folder, open_name.as_str(), flags, FILE_MODE) {
                Ok(file) => {
                    return Ok(Self { folder, file: file.into(), open_name, name, good: 0 });
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "there are too many files of that name"))
    }

    /// Appends bytes, all or none of them.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.good += u64::try_from(bytes.len()).unwrap_or(0);
                Ok(())
            }
            Err(error) => {
                // A part of a frame may be there: it must not stay. If even that fails, readers skip it at the end.
                let taken_back = self.file.set_len(self.good);
                let _ = taken_back.and_then(|()| self.file.seek(SeekFrom::Start(self.good)));
                Err(error)
            }
        }
    }

    /// # Errors
    /// The disk fails.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The name it has when it is closed.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// There is such a file by now.
    pub(crate) fn close(self) -> io::Result<()> {
        if self.open_name == self.name {
            return Ok(());
        }
        let (from, to) = (self.open_name.as_str(), self.name.as_str());
        match renameat_with(&self.folder, from, &self.folder, to, RenameFlags::NOREPLACE) {
            // Some file systems do not know the flag (network shares).
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if !is_there(&self.folder, to)? => {
                Ok(rustix::fs::renameat(&self.folder, from, &self.folder, to)?)
            }
            renamed => Ok(renamed?),
        }
    }
}

/// The folder of a place, step by step from its root.
fn folder_of(place: &Place) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    // The root is the operator's: it may be a link, and may have to be made.
    if let Err(error) = std::fs::create_dir_all(&place.root)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    let mut folder = rustix::fs::open(&place.root, flags, Mode::empty())?;
    let above = place.below.parent().unwrap_or(Path::new(""));
    for part in above.iter() {
        folder = step(&folder, part, flags | OFlags::NOFOLLOW)?;
    }
    Ok(folder)
}

fn step(folder: &OwnedFd, part: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    match openat(folder, part, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            match mkdirat(folder, part, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(openat(folder, part, flags, Mode::empty())?)
        }
        Err(Errno::LOOP | Errno::NOTDIR) => {
            let why = format!("{} is no folder, or a link", part.to_string_lossy());
            Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
        }
        opened => Ok(opened?),
    }
}

fn is_there(folder: &OwnedFd, name: &str) -> io::Result<bool> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
