//! The generator script: where it runs, by which interpreter, and for how long.

use super::Failure;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the script may run.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// How long it gets to end when it is told to.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// What Linux reads of a first line.
const FIRST_LINE: u64 = 256;

/// Whether files can be written in `folder`: tried out, as permissions do not tell of read-only mounts.
pub(super) fn writable(folder: &Path) -> io::Result<()> {
    let probe = folder.join(".portunus-writable");
    File::create(&probe)?;
    fs::remove_file(&probe)
}

/// Puts the script and the configuration files into the fallback folder. Configuration files of an earlier start go: the
/// script finds the same whenever the container is started.
pub(super) fn fill_fallback(from: &Path, to: &Path, name: &str) -> Result<(), Failure> {
    let fill = || -> io::Result<()> {
        fs::create_dir_all(to)?;
        writable(to)?;
        for old in jcfg_files(to)? {
            fs::remove_file(old)?;
        }
        for file in jcfg_files(from)?.into_iter().chain([from.join(name)]) {
            copy(&file, &to.join(file.file_name().unwrap_or_default()))?;
        }
        Ok(())
    };
    fill().map_err(|error| {
        Failure::new(format!(
            "neither {} nor {} can be written to ({error}): mount a volume or a tmpfs at one of them, or take \
             CONFIG_GEN_SCRIPT out and write `${{VAR}}` into the files, which needs no script",
            from.display(),
            to.display()
        ))
    })
}

/// The configuration files of a folder, by name.
pub(super) fn jcfg_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let wanted = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "jcfg") && path.is_file();
    let mut found: Vec<_> = paths.into_iter().filter(wanted).collect();
    found.sort();
    Ok(found)
}

/// For our eyes only, and ours to write: the source may be read-only.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    io::copy(&mut source, &mut File::options().write(true).create_new(true).mode(0o700).open(to)?)?;
    Ok(())
}

/// Runs the script in `folder` and waits for its end.
pub(super) fn run(folder: &Path, name: &str, limit: Duration, stop: &AtomicBool) -> Result<(), Failure> {
    let mut command = command(&folder.join(name), name)?;
    let missing = |what: &str| {
        Failure::new(format!(
            "{name} cannot be run: there is no {what} in this image. Use the image whose tag ends with `-shell`, or do \
             without a script: `${{VAR}}` in the values of .jcfg files takes variables of the environment"
        ))
    };
    if let Some(interpreter) = Some(Path::new(command.get_program())).filter(|path| !path.exists()) {
        return Err(missing(&interpreter.display().to_string()));
    }
    // A group of its own: what it has started ends with it.
    command.current_dir(folder).stdin(Stdio::null()).process_group(0);
    let mut child =
        command.spawn().map_err(|error| Failure::new(format!("{name} cannot be run: {error}")))?;
    let status = watch(&mut child, limit, stop)?.ok_or_else(|| {
        Failure::new(format!("{name} was ended: it ran for more than {} s", limit.as_secs()))
    })?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    match code {
        0 => Ok(()),
        // What shells and `env` say when there is no such program.
        127 => Err(Failure { code, ..missing("program that it names") }),
        _ => Err(Failure { code, text: format!("{name} failed with exit code {code}: not started") }),
    }
}

/// The status at its end; `None`: it was ended because its time was over or a signal came.
fn watch(child: &mut Child, limit: Duration, stop: &AtomicBool) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    while begun.elapsed() < limit && !stop.load(Ordering::Relaxed) {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(LOOK);
    }
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let tell = |signal| group.map(|group| kill_process_group(group, signal));
    tell(Signal::TERM);
    let told = Instant::now();
    while told.elapsed() < GRACE && child.try_wait()?.is_none() {
        std::thread::sleep(LOOK);
    }
    tell(Signal::KILL);
    child.wait()?;
    Ok(None)
}

/// The script under the interpreter that its first line names: neither its permissions nor those of the mount matter
/// then. A script without one is the shell's; a program runs by itself.
fn command(path: &Path, name: &str) -> Result<Command, Failure> {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FIRST_LINE).read_to_end(&mut begin));
    read.map_err(|error| Failure::new(format!("{name} cannot be read: {error}")))?;
    if begin.starts_with(b"\x7fELF") {
        return Ok(Command::new(path));
    }
    let first =
        String::from_utf8_lossy(begin.split(|&byte| byte == b'\n').next().unwrap_or_default()).into_owned();
    let Some(words) = first.strip_prefix("#!") else {
        let mut shell = Command::new("/bin/sh");
        shell.arg(path);
        return Ok(shell);
    };
    if words.ends_with('\r') {
        return Err(Failure::new(format!("{name} has the line ends of Windows: save it with those of Unix")));
    }
    // As Linux does: all that stands behind the interpreter is one argument.
    let words = words.trim();
    let (interpreter, argument) =
        words.split_once([' ', '\t']).map_or((words, None), |(i, a)| (i, Some(a.trim())));
    let mut command = Command::new(interpreter);
    command.args(argument).arg(path);
    Ok(command)
}
