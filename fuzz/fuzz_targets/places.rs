//! Names of recordings from anywhere: whatever they are, the place is below an allowed folder, by plain names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_plugin::recording::Places;
use std::path::{Component, Path, PathBuf};

fuzz_target!(|data: &str| {
    let roots: Vec<PathBuf> = ["/srv/calls", "/archive", "/srv/calls/inner"].map(PathBuf::from).into();
    let protected = [PathBuf::from("/archive/protected")];
    let places = Places::new(Path::new("/srv/calls"), &roots, &protected);
    let (folder, name) = data.split_once('|').map_or((None, data), |(folder, name)| (Some(folder), name));
    let Ok(place) = places.place(folder, name) else { return };
    assert!(roots.contains(&place.root));
    assert!(place.below.components().all(|part| matches!(part, Component::Normal(_))), "{place:?}");
    assert!(place.below.components().next().is_some() && !place.name().is_empty());
    assert!(!place.path().starts_with("/archive/protected"), "{place:?}");
    assert!(!data.contains('\0'));
});
