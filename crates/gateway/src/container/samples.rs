//! Copies the sample pages to the folder that is mounted for them.
//!
//! That folder may hold pages of others. A list kept there says which files are ours: only those are written over or, when
//! the image has them no more, taken away. Links in it are not followed. Whatever fails is told and stops nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The list of what we have placed, one path a line.
const LIST: &str = ".portunus-samples";
/// What stands at its top.
const LIST_HEAD: &str = "# Files that `portunus start` has placed here, and may replace or remove.";
/// Name of a file until it is whole.
const UNFINISHED: &str = ".portunus-unfinished";
/// Deepest folder.
const MAX_DEPTH: usize = 8;

/// Copies, and says what became of it.
pub(super) fn copy(from: &Path, to: &Path, stop: &AtomicBool) -> String {
    match try_copy(from, to, stop) {
        Ok(outcome) => outcome,
        Err(error) => {
            format!("Warning: the samples are not copied: {} cannot be used: {error}", to.display())
        }
    }
}

fn try_copy(from: &Path, to: &Path, stop: &AtomicBool) -> io::Result<String> {
    let mut wanted = Vec::new();
    if let Err(error) = list_files(from, Path::new(""), 0, &mut wanted) {
        return Ok(format!("Warning: there are no samples in {}: {error}", from.display()));
    }
    let before = read_list(to)?;
    let (ours, foreign): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|path| before.contains(path) || is_free(to, path));
    let ours: BTreeSet<PathBuf> = ours.into_iter().collect();
    // Before the files: after a crash in between they are known as ours.
    write_list(to, before.iter().chain(&ours))?;
    let mut failed = Vec::new();
    for path in &ours {
        if stop.load(Ordering::Relaxed) {
            return Ok("Stopped.".to_owned());
        }
        if let Err(error) = place(&from.join(path), to, path) {
            failed.push(format!("Warning: {} is not copied: {error}", path.display()));
        }
    }
    let gone: Vec<_> = before.difference(&ours).filter(|path| remove(to, path)).collect();
    write_list(to, ours.iter())?;
    let mut told = vec![format!(
        "{} files copied to {}, {} of an earlier start removed.",
        ours.len() - failed.len(),
        to.display(),
        gone.len()
    )];
    told.extend(failed);
    told.extend(
        foreign.iter().map(|path| format!("Warning: {} is left as it is: it is not ours.", path.display())),
    );
    Ok(told.join("\n"))
}

fn list_files(top: &Path, below: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(top.join(below))? {
        let entry = entry?;
        let (path, kind) = (below.join(entry.file_name()), entry.file_type()?);
        if kind.is_file() {
            found.push(path);
        } else if kind.is_dir() && depth < MAX_DEPTH {
            list_files(top, &path, depth + 1, found)?;
        }
    }
    Ok(())
}

/// A folder that cannot be read has no list, and then cannot be written to either.
fn read_list(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let list = folder.join(LIST);
    let text = match list.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        // A link, or what is no file, is nobody's list.
        Ok(found) if !found.is_file() => String::new(),
        _ => fs::read_to_string(list)?,
    };
    // The folder belongs to others: a line that leads out of it is nobody's.
    let inside = |path: &PathBuf| path.components().all(|part| matches!(part, Component::Normal(_)));
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(PathBuf::from);
    Ok(lines.filter(inside).collect())
}

fn write_list<'p>(folder: &Path, paths: impl Iterator<Item = &'p PathBuf>) -> io::Result<()> {
    let unique: BTreeSet<_> = paths.collect();
    let lines: Vec<_> = unique.into_iter().map(|path| path.display().to_string()).collect();
    let unfinished = folder.join(UNFINISHED);
    // The folder belongs to others: a link in this place leads nowhere of ours.
    let _ = fs::remove_file(&unfinished);
    let mut file = fs::File::create_new(&unfinished)?;
    file.write_all(format!("{LIST_HEAD}\n{}\n", lines.join("\n")).as_bytes())?;
    fs::rename(unfinished, folder.join(LIST))
}

/// Nothing is there.
fn is_free(folder: &Path, path: &Path) -> bool {
    folder.join(path).symlink_metadata().is_err()
}

/// All folders between the two are folders, not links.
fn leads_there(folder: &Path, path: &Path) -> bool {
    let between = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    between.into_iter().all(|above| folder.join(above).symlink_metadata().is_ok_and(|found| found.is_dir()))
}

fn place(source: &Path, folder: &Path, path: &Path) -> io::Result<()> {
    let mut made = folder.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        made.push(part);
        match fs::create_dir(&made) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    if !leads_there(folder, path) {
        return Err(io::Error::other("a link or a file stands in the place of its folder"));
    }
    let unfinished = folder.join(UNFINISHED);
    // Whatever is at the end of a link there is not ours.
    let _ = fs::remove_file(&unfinished);
    fs::copy(source, &unfinished)?;
    fs::rename(unfinished, folder.join(path))
}

/// Takes a file away, and its folders if they are empty then.
fn remove(folder: &Path, path: &Path) -> bool {
    let target = folder.join(path);
    let ours = leads_there(folder, path) && target.symlink_metadata().is_ok_and(|found| found.is_file());
    let removed = ours && fs::remove_file(target).is_ok();
    if removed {
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            if fs::remove_dir(folder.join(above)).is_err() {
                break;
            }
        }
    }
    removed
}
