//! Where configuration texts come from, and how one becomes a document.
//!
//! Only [`Disk`] touches a file system; everything else works on any [`FileSource`].

use portunus_jcfg::{
    Document, IncludeRequest, IncludedFile, Kind, MAX_BYTES, Problem, Severity, expand, has_wildcard,
    matches_glob,
};
use std::io::{self, Read};
use std::path::Path;

/// Files and folders as the settings see them.
pub(crate) trait FileSource {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The names of the files in a folder, in no order.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
}

/// The file system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk;

impl FileSource for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte more than the parser takes: it then says what is wrong.
        let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
        std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

/// Reads and parses `path`, with what `env` says for its `${NAME}`. `Ok(None)` when there is no such file.
pub(crate) fn read_document(
    files: &dyn FileSource,
    env: &dyn Fn(&str) -> Option<String>,
    path: &Path,
    problems: &mut Vec<Problem>,
) -> Result<Option<Document>, Vec<Problem>> {
    let name = path.display().to_string();
    let text = match files.read(path) {
        Ok(bytes) => to_text(&name, bytes, problems),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let message = format!("cannot be read: {error}");
            return Err(vec![Problem::of(&name, Severity::Error, Kind::Syntax, message)]);
        }
    };
    let mut odd = Vec::new();
    let parsed = portunus_jcfg::parse(&name, &text, &mut |request| include(files, request, &mut odd));
    problems.extend(odd);
    let expanded = parsed.and_then(|mut document| expand(&mut document, env).map(|()| document));
    expanded.map(Some).map_err(|errors| errors.into_iter().map(Problem::from).collect())
}

/// A comment in another encoding is no reason to refuse a file, but a word is due.
fn to_text(name: &str, bytes: Vec<u8>, problems: &mut Vec<Problem>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let good = error.utf8_error().valid_up_to();
        let newlines = error.as_bytes().iter().take(good).filter(|&&byte| byte == b'\n').count();
        let message = "is not UTF-8 text here: unknown characters are read as U+FFFD";
        let mut problem = Problem::of(name, Severity::Warning, Kind::Advice, message);
        problem.line = u32::try_from(newlines + 1).unwrap_or(0);
        problems.push(problem);
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}

/// Paths are relative to the folder of the file that includes; wildcards stand in the last part only.
pub(crate) fn include(
    files: &dyn FileSource,
    request: &IncludeRequest<'_>,
    problems: &mut Vec<Problem>,
) -> Result<Vec<IncludedFile>, String> {
    let here = Path::new(&*request.place.file).parent().unwrap_or(Path::new(""));
    let path = here.join(request.pattern);
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let last = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if has_wildcard(&folder.to_string_lossy()) {
        return Err("wildcards may stand in the file name only, not in its folder".to_owned());
    }
    let mut names = vec![last.clone()];
    if has_wildcard(&last) {
        let listed = files.names(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        names = listed.into_iter().filter(|name| matches_glob(&last, name)).collect();
        names.sort();
    }
    let read = |name: String| {
        let path = folder.join(name);
        let bytes = files.read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.display().to_string();
        Ok(IncludedFile { text: to_text(&name, bytes, problems), name })
    };
    names.into_iter().map(read).collect()
}
