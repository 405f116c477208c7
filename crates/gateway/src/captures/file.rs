//! Where captures may be: below one folder, as new files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// A file that may be made.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    /// `folder` as it was asked for: below `root`, or an absolute path that is. Folders that are not there are made.
    ///
    /// # Errors
    /// It is elsewhere, by name or by a link; or the name is none.
    pub(super) fn of(
        root: &Path,
        folder: Option<&str>,
        name: Option<&str>,
        ending: &str,
    ) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let asked = root.join(folder.unwrap_or_default());
        if asked.components().any(|part| part == Component::ParentDir) || !asked.starts_with(&root) {
            return Err(refused(format!("{} is not below {}", asked.display(), root.display())));
        }
        let name = match name {
            Some(name) => name.to_owned(),
            None => format!("janus-text2pcap-{}.{ending}", number()),
        };
        let plain =
            !name.starts_with('.') && !name.contains(['/', '\0']) && !name.is_empty() && name.len() <= 200;
        if !plain {
            return Err(refused(
                "the name of a capture has no folders in it, and no dot at its beginning".to_owned(),
            ));
        }
        // A link on the way may lead elsewhere: that is seen before anything is made there.
        let there = asked.ancestors().find_map(|folder| folder.canonicalize().ok()).unwrap_or_default();
        if !there.starts_with(&root) {
            return Err(refused(format!("{} leads out of {}", asked.display(), root.display())));
        }
        // Janus makes folders like this.
        DirBuilder::new().recursive(true).mode(0o755).create(&asked)?;
        let real = asked.canonicalize()?;
        if !real.starts_with(&root) {
            return Err(refused(format!("{} leads out of {}", asked.display(), root.display())));
        }
        Ok(Self(real.join(name)))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// # Errors
    /// There is such a file already, a link included.
    pub(super) fn create(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o640).open(&self.0)
    }
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

fn number() -> u32 {
    let mut bytes = [0; 4];
    // Names that are there already are refused anyway.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_new_files_below_the_folder() {
        let root = std::env::temp_dir().join(format!("portunus-places-{}", std::process::id()));
        let outside = std::env::temp_dir().join(format!("portunus-outside-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&outside).unwrap();
        let root = root.canonicalize().unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        std::os::unix::fs::symlink(outside.join("target"), root.join("taken.pcap")).unwrap();
        let inside = root.join("a").display().to_string();
        let elsewhere = outside.display().to_string();
        let table: [(Option<&str>, Option<&str>, bool); 12] = [
            (None, None, true),
            (None, Some("x.pcap"), true),
            (Some("a/b"), Some("x.pcap"), true),
            (Some(&inside), Some("y.pcap"), true),
            (None, Some("taken.pcap"), false),
            (Some("link"), Some("x.pcap"), false),
            (Some("link/new"), Some("x.pcap"), false),
            (Some(&elsewhere), Some("x.pcap"), false),
            (Some("../portunus-outside"), Some("x.pcap"), false),
            (None, Some("../x.pcap"), false),
            (None, Some(".hidden"), false),
            (None, Some(""), false),
        ];
        for (folder, name, fits) in table {
            let made = Place::of(&root, folder, name, "pcap").and_then(|place| place.create());
            assert_eq!(made.is_ok(), fits, "{folder:?} {name:?}: {made:?}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        fs::remove_dir_all(&root).unwrap();
        fs::remove_dir_all(&outside).unwrap();
    }
}
