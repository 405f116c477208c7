//! The settings as a whole: files in memory, an environment in memory, a command line.

mod check;
mod container;
mod environment;
mod file_set;
mod handlers;
mod ice_servers;
mod network;
mod options;
mod samples;
mod unbuilt;
mod values;
mod videoroom;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::network::StunServer;
use super::websockets::PingPong;
use super::*;

/// A file system that is a map.
#[derive(Default)]
struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl FileSource for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inside = self.0.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }
}

/// A whole start: files of the folder `etc`, variables, words of the command line.
struct Start {
    files: Memory,
    env: BTreeMap<String, String>,
    words: Vec<String>,
}

impl Default for Start {
    /// With an empty `janus.jcfg`.
    fn default() -> Self {
        Self::empty().janus("")
    }
}

impl Start {
    /// Without any file.
    fn empty() -> Self {
        Self { files: Memory::default(), env: BTreeMap::new(), words: Vec::new() }
    }

    fn file(mut self, name: &str, text: &str) -> Self {
        self.files.0.insert(Path::new("etc").join(name), text.as_bytes().to_vec());
        self
    }

    fn janus(self, text: &str) -> Self {
        self.file("janus.jcfg", text)
    }

    fn env(mut self, name: &str, text: &str) -> Self {
        self.env.insert(name.to_owned(), text.to_owned());
        self
    }

    fn words(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    fn flags(&self) -> Flags {
        let words = ["portunus", "-F", "etc"].into_iter().map(OsString::from);
        let words = words.chain(self.words.iter().map(OsString::from));
        Flags::read(words).expect("a proper command line")
    }

    fn load(&self) -> Result<(Settings, Vec<Problem>), Vec<Problem>> {
        load(&self.flags(), &|name| self.env.get(name).cloned(), &self.files)
    }

    /// The settings, which must be right, and the lines of warnings (notes left out).
    fn good(&self) -> (Settings, Vec<String>) {
        match self.load() {
            Ok((settings, problems)) => (settings, lines(&problems)),
            Err(problems) => panic!("refused: {:#?}", lines(&problems)),
        }
    }

    fn settings(&self) -> Settings {
        self.good().0
    }

    /// Warnings and errors of settings that must be refused.
    fn bad(&self) -> Vec<String> {
        match self.load() {
            Ok((settings, _)) => panic!("accepted: {settings:?}"),
            Err(problems) => lines(&problems),
        }
    }
}

fn lines(problems: &[Problem]) -> Vec<String> {
    let worse = problems.iter().filter(|problem| problem.severity > Severity::Note);
    worse.map(|problem| problem.to_string().replace("etc/", "")).collect()
}

/// Compares by what `Debug` shows: all fields but the secrets, which have tests of their own.
fn shown(settings: &Settings) -> String {
    format!("{settings:#?}")
}
