//! Files that are there when they are whole, and not before; and what is said meanwhile.

use anyhow::Context;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, open, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
/// Where the system shows what files a process has open.
const OPEN_FILES: &str = "/proc/self/fd";
/// So long nothing is said.
const QUIET: Duration = Duration::from_secs(1);
/// On a terminal, and elsewhere.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(10);
const PIECE: usize = 1 << 20;

/// A file that gets its name when it is whole. It has none before where the system can do that, so that nothing is left
/// behind however the work ends; elsewhere it is called `.part`.
#[derive(Debug)]
pub struct Output {
    file: File,
    target: PathBuf,
    part: Option<PathBuf>,
}

impl Output {
    /// Makes a file that will be `target`.
    ///
    /// # Errors
    /// There is one already, or none can be made there.
    pub fn create(target: &Path) -> anyhow::Result<Self> {
        let why = || format!("cannot make {}", target.display());
        if target.symlink_metadata().is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists)).with_context(why);
        }
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        if Path::new(OPEN_FILES).exists()
            && let Ok(file) = open(folder, flags, FILE_MODE)
        {
            return Ok(Self { file: file.into(), target: target.to_owned(), part: None });
        }
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let file = File::options().read(true).write(true).create_new(true).open(&part).with_context(why)?;
        Ok(Self { file, target: target.to_owned(), part: Some(part) })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// Somebody else made one of that name meanwhile.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let target = self.target.clone();
        let named = match self.part.take() {
            None => {
                let open = format!("{OPEN_FILES}/{}", self.file.as_raw_fd());
                linkat(CWD, open, CWD, &target, AtFlags::SYMLINK_FOLLOW)
            }
            Some(part) => match renameat_with(CWD, &part, CWD, &target, RenameFlags::NOREPLACE) {
                Err(Errno::INVAL | Errno::NOSYS) if !target.exists() => rustix::fs::rename(&part, &target),
                other => {
                    if other.is_err() {
                        self.part = Some(part);
                    }
                    other
                }
            },
        };
        named.map_err(io::Error::from).with_context(|| format!("cannot make {}", target.display()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            let _ = fs::remove_file(part);
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// How far long work is: one line that changes on a terminal, a line now and then elsewhere, nothing for short work.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    all: u64,
    done: u64,
    told: Instant,
    wait: Duration,
    has_told: bool,
    is_terminal: bool,
}

impl Progress {
    /// Of so much.
    pub fn new(what: &'static str, all: u64) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { what, all, done: 0, told: Instant::now(), wait: QUIET, has_told: false, is_terminal }
    }

    /// So much more is done.
    pub fn add(&mut self, more: u64) {
        self.done += more;
        if self.told.elapsed() < self.wait {
            return;
        }
        (self.told, self.has_told) = (Instant::now(), true);
        self.wait = if self.is_terminal { OFTEN } else { SELDOM };
        let line = line(self.what, self.done, self.all);
        if self.is_terminal {
            eprint!("\r\x1b[K{line}");
        } else {
            eprintln!("{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.has_told && self.is_terminal {
            eprint!("\r\x1b[K");
        }
    }
}

fn line(what: &str, done: u64, all: u64) -> String {
    let percent = (u128::from(done) * 100 / u128::from(all.max(1))).min(100);
    let blocks = usize::try_from(percent / 5).unwrap_or(0);
    format!("{what} [{:<20}] {percent} %", "#".repeat(blocks))
}

/// Reads a file, and says how far it is.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let why = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(why)?;
    let length = file.metadata().with_context(why)?.len();
    let mut progress = Progress::new("reading", length);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    loop {
        let more = (&mut file).take(PIECE as u64).read_to_end(&mut bytes).with_context(why)?;
        if more == 0 {
            return Ok(bytes);
        }
        progress.add(more as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("pp-output-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let folder = folder("whole");
        let target = folder.join("a");
        let mut output = Output::create(&target).unwrap();
        output.write_all(b"half").unwrap();
        assert!(!target.exists());
        output.write_all(b" and half").unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"half and half");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn nothing_is_written_over_and_nothing_is_left_behind() {
        let folder = folder("over");
        let target = folder.join("a");
        let output = Output::create(&target).unwrap();
        fs::write(&target, "mine").unwrap();
        assert!(output.finish().unwrap_err().to_string().contains("cannot make"));
        assert!(Output::create(&target).is_err());
        drop(Output::create(&folder.join("b")).unwrap());
        assert_eq!(
            (fs::read(&target).unwrap(), fs::read_dir(&folder).unwrap().count()),
            (b"mine".to_vec(), 1)
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_line_tells_how_far_the_work_is() {
        assert_eq!(line("writing", 1, 4), "writing [#####               ] 25 %");
        assert_eq!(line("writing", 9, 0), "writing [####################] 100 %");
    }
}
