//! The sample files of an installed `janus` package parse, and survive a rewrite.

mod common;

use std::path::Path;

#[test]
fn the_installed_sample_files_parse_and_survive_a_rewrite() {
    let folder = Path::new("/etc/janus");
    // Not every machine has the package; the test set-up of the project installs it.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let name = entry.expect("entry").file_name().to_string_lossy().into_owned();
        if !name.ends_with(".jcfg") {
            continue;
        }
        let document = common::parse_file(folder, &name).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert!(document.root.settings().count() > 0, "{name}");
        let printed = document.print();
        let again = common::parse_text(folder, &name, &printed).expect("parses again");
        assert_eq!(again, document, "{name}");
        let comments = |text: &str| text.matches('#').count();
        let before = comments(&common::read(&folder.join(&name)));
        assert_eq!(comments(&printed), before, "{name} lost comments");
    }
}
