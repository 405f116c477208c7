use super::*;

/// A workspace of one program that uses `used`, builds with `built` and tests with `tested`.
fn metadata(folder: &Path) -> Value {
    let package = |name: &str, source: Value, licence: Value| {
        json!({ "id": name, "name": name, "version": "1.0.0", "source": source, "license": licence,
            "manifest_path": folder.join(name).join("Cargo.toml") })
    };
    let registry = || json!("registry+https://example.org");
    let dep = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
    let node = |id: &str, deps: Vec<Value>| json!({ "id": id, "deps": deps });
    json!({
        "packages": [
            package("program", Value::Null, json!("MIT OR Apache-2.0")),
            package("used", registry(), json!("MIT/Apache-2.0")),
            package("below", registry(), json!("ISC")),
            package("built", registry(), json!("MIT")),
            package("tested", registry(), Value::Null),
        ],
        "resolve": { "nodes": [
            node("program", vec![dep("used", Value::Null), dep("built", json!("build")), dep("tested", json!("dev"))]),
            node("used", vec![dep("below", Value::Null)]),
            node("below", vec![]), node("built", vec![]), node("tested", vec![]),
        ]},
    })
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("portunus-bill-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn arguments(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_bill_names_what_is_linked_and_not_what_builds_or_tests() {
    let folder = Folder::new("linked");
    let metadata = folder.put("metadata.json", &metadata(&folder.0).to_string());
    let out = folder.0.display().to_string();
    run(&arguments(&[&metadata, &out, "--created", "2026-01-01T00:00:00Z", "--package", "program"])).unwrap();
    let bill: Value = read_json(&folder.0.join("sbom.json")).unwrap();
    let parts: Vec<&str> =
        bill["components"].as_array().unwrap().iter().map(|c| c["bom-ref"].as_str().unwrap()).collect();
    assert_eq!(parts, ["pkg:cargo/below@1.0.0", "pkg:cargo/used@1.0.0", "program"]);
    assert_eq!(bill["components"][1]["licenses"][0]["expression"], "MIT OR Apache-2.0");
    assert_eq!(bill["metadata"]["component"]["name"], "program");
}

#[test]
fn a_part_without_a_licence_is_refused() {
    let folder = Folder::new("unlicensed");
    let mut metadata = metadata(&folder.0);
    metadata["packages"][2]["license"] = Value::Null;
    let metadata = folder.put("metadata.json", &metadata.to_string());
    let out = folder.0.display().to_string();
    let said = run(&arguments(&[&metadata, &out, "--created", "now", "--package", "program"])).unwrap_err();
    assert_eq!(said.to_string(), "no licence is known of below");
}

#[test]
fn equal_texts_of_licences_stand_once_with_all_their_holders() {
    let folder = Folder::new("texts");
    folder.put("used/LICENSE-MIT", "Permission is granted.\r\n");
    folder.put("below/license.txt", "Permission is granted.  \n\n");
    folder.put("below/README", "not a licence");
    let metadata = folder.put("metadata.json", &metadata(&folder.0).to_string());
    let (out, ours) = (folder.0.display().to_string(), folder.put("OURS", "Our own licence."));
    run(&arguments(&[&metadata, &out, "--created", "now", "--package", "program", "--text", &ours])).unwrap();
    let page = std::fs::read_to_string(folder.0.join("LICENSES.txt")).unwrap();
    assert_eq!(page.matches("Permission is granted.").count(), 1, "{page}");
    assert!(page.contains("below 1.0.0, used 1.0.0\n\nPermission"), "{page}");
    assert!(page.contains("Our own licence.") && !page.contains("not a licence"), "{page}");
}

#[test]
fn packages_of_npm_and_of_the_distribution_are_parts_too() {
    let folder = Folder::new("others");
    let metadata = folder.put("metadata.json", &metadata(&folder.0).to_string());
    let lock =
        json!({ "packages": { "": {}, "node_modules/page": { "version": "2.0.0", "license": "MIT" } } });
    let lock = folder.put("lock.json", &lock.to_string());
    let text = folder.put("copyright", "of the library");
    let (out, debian) = (folder.0.display().to_string(), format!("libc=2.36-9=LGPL-2.1-or-later={text}"));
    let others = ["--npm", &lock, "--npm-folder", &out, "--debian", &debian];
    let words =
        [&[metadata.as_str(), &out, "--created", "now", "--package", "program"], &others[..]].concat();
    run(&arguments(&words)).unwrap();
    let bill = std::fs::read_to_string(folder.0.join("sbom.json")).unwrap();
    assert!(bill.contains("pkg:npm/page@2.0.0") && bill.contains("pkg:deb/debian/libc@2.36-9"), "{bill}");
}

#[test]
fn a_wrong_command_line_says_what_is_wanted() {
    for words in
        [&["one"][..], &["a", "b", "--created"], &["a", "b", "--wrong"], &["a", "b", "--debian", "x"]]
    {
        let said = run(&arguments(words)).unwrap_err().to_string();
        assert!(said.contains("usage") || said.contains("wanted"), "{words:?}: {said}");
    }
}
