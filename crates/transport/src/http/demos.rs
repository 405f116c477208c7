//! Files below `/demos/`: the demo pages and the scripts they need, straight from folders.
//!
//! A path can only name what lies below a folder of the settings: segments are decoded once, `..`, hidden names and
//! separators within a segment are refused, and what a link leads out of the folder is not there. No listings.

use super::{Kind, Tracked, empty, path, redirect};
use crate::Demo;
use crate::connection::Pulse;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::fs::File;

/// What is served.
#[derive(Debug)]
pub(crate) struct Demos(Vec<Demo>);

enum Found {
    File(PathBuf),
    Folder,
    Nothing,
}

impl Demos {
    /// `None` without any.
    pub(crate) fn new(demos: &[Demo]) -> Option<Self> {
        (!demos.is_empty()).then(|| Self(demos.to_vec()))
    }

    /// Answers GET and HEAD for `below`, a path without its `/demos/`.
    pub(crate) async fn serve(
        &self,
        below: &str,
        asked: &HeaderMap,
        pulse: &Arc<Pulse>,
    ) -> Response<Tracked> {
        let Some(segments) = segments(below) else { return empty(pulse, StatusCode::NOT_FOUND) };
        let file = match self.find(&segments).await {
            Found::File(file) => file,
            // Links within the page are relative to the folder.
            Found::Folder => return redirect(pulse, &format!("/demos/{below}/")),
            Found::Nothing => return empty(pulse, StatusCode::NOT_FOUND),
        };
        let opened = File::open(&file).await;
        let opened = match opened {
            Ok(opened) => opened.metadata().await.map(|about| (opened, about)),
            Err(e) => Err(e),
        };
        match opened {
            Ok((opened, about)) if about.is_file() => answer(&file, opened, &about, asked, pulse),
            _ => empty(pulse, StatusCode::NOT_FOUND),
        }
    }

    async fn find(&self, segments: &[String]) -> Found {
        for demo in &self.0 {
            let name: Vec<_> = demo.name.split('/').filter(|s| !s.is_empty()).collect();
            let Some((first, rest)) = segments.split_at_checked(name.len()) else { continue };
            if first != name {
                continue;
            }
            match below(&demo.path, rest).await {
                Found::Nothing => {}
                found => return found,
            }
        }
        Found::Nothing
    }
}

/// The decoded segments; an empty last one stands for the folder's index. `None` if any could lead elsewhere.
fn segments(path: &str) -> Option<Vec<String>> {
    let mut segments: Vec<String> = path.split('/').map(|s| path::decode(s, false).into_owned()).collect();
    if segments.last().is_some_and(String::is_empty) {
        segments.pop();
        segments.push("index.html".into());
    }
    let fine = |s: &String| {
        !s.is_empty() && !s.starts_with('.') && !s.contains(['/', '\\', '\0', ':']) && s.len() <= 255
    };
    (segments.len() <= 16 && segments.iter().all(fine)).then_some(segments)
}

async fn below(root: &Path, segments: &[String]) -> Found {
    let Ok(root) = tokio::fs::canonicalize(root).await else { return Found::Nothing };
    let wanted = segments.iter().fold(root.clone(), |path, segment| path.join(segment));
    let Ok(real) = tokio::fs::canonicalize(&wanted).await else { return Found::Nothing };
    if !real.starts_with(&root) {
        return Found::Nothing;
    }
    match tokio::fs::metadata(&real).await {
        Ok(about) if about.is_file() => Found::File(real),
        Ok(about) if about.is_dir() && !segments.is_empty() => Found::Folder,
        _ => Found::Nothing,
    }
}

fn answer(
    path: &Path,
    file: File,
    about: &Metadata,
    asked: &HeaderMap,
    pulse: &Arc<Pulse>,
) -> Response<Tracked> {
    let changed = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let tag = format!("\"{:x}-{:x}\"", changed.as_nanos(), about.len());
    let seen = asked.get(IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let seen = seen.split(',').map(|t| t.trim().trim_start_matches("W/")).any(|t| t == tag);
    let mut answer = if seen {
        empty(pulse, StatusCode::NOT_MODIFIED)
    } else {
        Response::new(Tracked::new(Kind::File(file, about.len()), pulse.clone()))
    };
    let headers = answer.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    answer
}

fn content_type(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "txt" | "md" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "ogg" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_segment_leads_elsewhere() {
        for (path, expected) in [
            ("", Some(vec!["index.html"])),
            ("a/", Some(vec!["a", "index.html"])),
            ("a/b.js", Some(vec!["a", "b.js"])),
            ("a%20b.js", Some(vec!["a b.js"])),
            ("../x", None),
            ("%2e%2e/x", None),
            ("a/%2e%2e%2fx", None),
            ("a/..%5cx", None),
            ("a//b", None),
            ("/etc/passwd", None),
            ("%2fetc%2fpasswd", None),
            (".git/config", None),
            ("a%00.js", None),
            ("c:/x", None),
        ] {
            let found = segments(path);
            let found = found.as_ref().map(|s| s.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found, expected, "{path}");
        }
    }
}
