//! Publishing into a folder in which this process dies at every operation, or someone else was faster.

use std::path::{Path, PathBuf};

use super::destination::Destination;
use super::error::PublishError;
use super::folder::Folder;
use super::gc;
use super::pointer::Pointer;
use super::receipts::Receipts;
use super::send::Sending;
use super::version::{self, MANIFEST};
use super::watch::PublishWatch;
use crate::exit::ExitCode;
use crate::stages::compile::{Compiled, DatasetManifest, FORMAT, Leakage};
use crate::store::fs::{self, faults};
use crate::store::part::{FileEntry, PartFile};

const DATASET: &str = "demo";

/// A compiled dataset of three files.
fn dataset(root: &Path, content: &str) -> (PathBuf, Compiled) {
    let folder = root.join(format!("dataset-{content}"));
    let write = |name: &str, bytes: &[u8]| -> FileEntry {
        let mut part = PartFile::create(&folder, name).unwrap();
        part.append(bytes).unwrap();
        part.finish(None).unwrap()
    };
    let files = ["README.md", "data/train.parquet", "jsonl/train.jsonl"];
    let files = files.map(|name| write(name, format!("{content} of {name}").as_bytes())).to_vec();
    let manifest =
        DatasetManifest { format: FORMAT, files, rows: [].into(), outcomes: Vec::new(), leakage: Leakage::default() };
    let manifest_sha256 = write(MANIFEST, &serde_json::to_vec(&manifest).unwrap()).sha256;
    (folder, Compiled { manifest, manifest_sha256 })
}

fn destination(root: &Path) -> Destination {
    Destination::Folder(Folder::new(&root.join("out")))
}

/// Publishes `content`; between looking and sending, `meanwhile` happens.
fn publish(root: &Path, content: &str, meanwhile: impl FnOnce(&Destination)) -> Result<u64, PublishError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (folder, compiled) = dataset(root, content);
    runtime.block_on(async {
        let (destination, watch) = (destination(root), PublishWatch::default());
        let receipts = Receipts::in_folder(&root.join("work")).unwrap();
        let sending = Sending::new(&destination, DATASET, &folder, &compiled, &receipts, &watch)?;
        destination.prepare().await?;
        let plan = sending.plan().await?;
        meanwhile(&destination);
        sending.send(plan).await
    })
}

fn collect(root: &Path, keep: usize) -> Result<gc::CollectedGarbage, PublishError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let destination = destination(root);
        destination.prepare().await?;
        let receipts = Receipts::in_folder(&root.join("work")).unwrap();
        gc::collect(&destination, DATASET, keep, Some(&receipts)).await
    })
}

fn pointer(root: &Path) -> Option<Pointer> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let read = runtime.block_on(Pointer::read(&destination(root), DATASET)).unwrap();
    read.map(|(pointer, _)| pointer)
}

/// What readers may rely on at every moment: a version with a manifest has all its files, and the pointer names such a one.
fn assert_whole(root: &Path, why: &str) {
    let out = root.join("out");
    let versions = fs::list(&out.join("demo/versions")).unwrap_or_default();
    for version in &versions {
        let folder = out.join(version::prefix(DATASET, version));
        let Ok(manifest) = fs::read(&folder.join(MANIFEST)) else { continue };
        let manifest: DatasetManifest = serde_json::from_slice(&manifest).unwrap();
        for file in manifest.files {
            let found = FileEntry::of(&folder, &file.path, None).unwrap_or_else(|error| panic!("{why}: {error}"));
            assert_eq!(found, file, "{why}");
        }
    }
    if let Some(pointer) = pointer(root) {
        assert!(out.join(DATASET).join(&pointer.manifest).is_file(), "{why}: the pointer dangles");
    }
}

#[test]
fn nothing_half_is_seen_at_any_crash_and_the_next_publish_sends_the_rest() {
    for step in 1.. {
        let scratch = faults::scratch();
        let root = scratch.path();
        publish(root, "old", |_| {}).unwrap();
        let death = faults::die_at(&root.join("out"), step);
        let result = publish(root, "new", |_| {});
        let survived = !death.struck();
        drop(death);
        assert_whole(root, &format!("step {step}"));
        assert_eq!(result.is_ok(), survived);
        let version = version::of_manifest(&dataset(root, "new").1.manifest_sha256);
        if survived {
            assert_eq!(pointer(root).unwrap().version, version);
            assert!(step > 30, "only {step} operations were tried");
            return;
        }
        publish(root, "new", |_| {}).unwrap();
        assert_eq!(pointer(root).unwrap().version, version, "step {step}");
        assert_whole(root, &format!("step {step}, again"));
        let unfinished = |folder: &str| fs::list(&root.join("out").join(folder)).unwrap_or_default();
        let data = format!("demo/versions/{version}/data");
        assert!(!unfinished(&data).iter().any(|name| fs::is_temporary(name)), "step {step}");
    }
}

#[test]
fn nothing_half_removed_is_a_version_at_any_crash() {
    for step in 1.. {
        let scratch = faults::scratch();
        let root = scratch.path();
        for content in ["a", "b", "c"] {
            publish(root, content, |_| {}).unwrap();
        }
        let latest = pointer(root).unwrap().version;
        let death = faults::die_at(&root.join("out"), step);
        let result = collect(root, 1);
        let survived = !death.struck();
        drop(death);
        assert_whole(root, &format!("step {step}"));
        assert_eq!(pointer(root).unwrap().version, latest);
        if survived {
            assert_eq!(result.unwrap().removed.len(), 2);
            return;
        }
        collect(root, 1).unwrap();
        // A folder without a file is no version.
        let left = Folder::new(&root.join("out")).list("demo/versions/").unwrap();
        let latest = version::prefix(DATASET, &latest);
        assert!(left.len() == 4 && left.iter().all(|blob| blob.path.starts_with(&latest)), "step {step}: {left:?}");
    }
}

#[test]
fn who_is_overtaken_is_told_by_whom_and_changes_nothing_that_is_seen() {
    let scratch = faults::scratch();
    let root = scratch.path();
    publish(root, "old", |_| {}).unwrap();
    let other = Pointer::to(&"b".repeat(64), pointer(root).as_ref());
    let error = publish(root, "new", |_| {
        fs::write_atomic(&root.join("out/demo/latest.json"), &other.text()).unwrap();
    })
    .unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Conflict);
    insta::assert_snapshot!(error.to_string().replace(&root.display().to_string(), "ROOT"), @r#"demo/latest.json: another publisher changed it meanwhile: it points at versions/bbbbbbbbbbbbbbbb now, and what readers see was left as it is; this dataset lies whole in versions/ab51ef6ca014cef5, run the same command again to make it the latest"#);
    assert_eq!(pointer(root).unwrap(), other);
    // The same command again makes it the latest, and has only the pointer to write.
    assert_eq!(publish(root, "new", |_| {}).unwrap(), 0);
    let version = version::of_manifest(&dataset(root, "new").1.manifest_sha256);
    assert_eq!(pointer(root).unwrap().history.last(), Some(&version));
}

#[test]
fn a_file_that_vanishes_while_the_rest_is_sent_keeps_the_manifest_back() {
    let scratch = faults::scratch();
    let root = scratch.path();
    let (_, compiled) = dataset(root, "new");
    let folder = root.join("out").join(version::prefix(DATASET, &version::of_manifest(&compiled.manifest_sha256)));
    // One file is there from an earlier attempt; it is removed after it was seen.
    fs::create_dir_all(&folder).unwrap();
    fs::write_atomic(&folder.join("README.md"), b"new of README.md").unwrap();
    let error = publish(root, "new", |_| fs::remove_if_there(&folder.join("README.md")).unwrap()).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Conflict, "{error}");
    assert!(!folder.join(MANIFEST).exists() && pointer(root).is_none());
    publish(root, "new", |_| {}).unwrap();
    assert_whole(root, "again");
}

#[test]
fn a_removal_leaves_alone_what_it_does_not_know() {
    let scratch = faults::scratch();
    let root = scratch.path();
    for content in ["a", "b"] {
        publish(root, content, |_| {}).unwrap();
    }
    for name in ["out/demo/versions/notes.txt", "out/demo/versions/mine/file", "out/other/versions/0123456789abcdef/x"]
    {
        fs::create_dir_all(fs::folder_of(&root.join(name))).unwrap();
        fs::write_atomic(&root.join(name), b"mine").unwrap();
    }
    assert_eq!(collect(root, 1).unwrap().removed.len(), 1);
    assert_eq!(fs::read(&root.join("out/demo/versions/mine/file")).unwrap(), b"mine");
    assert!(root.join("out/other/versions/0123456789abcdef/x").is_file());
    assert_eq!(collect(root, 5).unwrap().removed, []);
}

#[test]
fn a_folder_keeps_what_is_there_and_follows_no_link() {
    let scratch = faults::scratch();
    let root = scratch.path();
    let (folder, compiled) = dataset(root, "new");
    let out = Folder::new(&root.join("out"));
    out.prepare().unwrap();
    let (entry, bytes): (_, super::blob::OnBytes) = (&compiled.manifest.files[0], std::sync::Arc::new(|_, _| {}));
    let create = |path: &str| out.create(path, &folder.join(&entry.path), entry, &bytes);
    fs::write_atomic(&root.join("out/taken"), b"another").unwrap();
    assert_eq!(create("taken").unwrap_err().exit_code(), ExitCode::Conflict);
    assert_eq!(fs::read(&root.join("out/taken")).unwrap(), b"another");
    for path in ["../escape", "/escape", "a/../../escape", ""] {
        assert_eq!(create(path).unwrap_err().exit_code(), ExitCode::Conflict, "{path}");
    }
    std::os::unix::fs::symlink(root, root.join("out/link")).unwrap();
    assert_eq!(create("link/file").unwrap_err().exit_code(), ExitCode::Conflict);
    assert_eq!(out.read("link/out/taken").unwrap_err().exit_code(), ExitCode::Conflict);
    assert_eq!(out.list("").unwrap_err().exit_code(), ExitCode::Conflict);
    assert!(!root.join("file").exists() && !root.join("escape").exists());
    // A source that is not what was hashed does not arrive.
    fs::write_atomic(&folder.join(&entry.path), b"changed").unwrap();
    assert_eq!(create("fresh").unwrap_err().exit_code(), ExitCode::Io);
    assert!(!root.join("out/fresh").exists());
}
