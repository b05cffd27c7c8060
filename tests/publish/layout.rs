//! What a published dataset looks like, and that publishing it again changes nothing.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::scene::{CONTAINER, DATASET, LATEST, Scene, hex};
use crate::support::sums::number;

#[test]
fn a_published_dataset_lies_as_promised_and_other_programs_read_it() {
    let Some(scene) = Scene::new() else { return };
    let told = scene.publish(&["--verify"]).ended(0).json();
    let version = scene.assert_sound().expect("a version");
    assert_eq!(told["version"], json!(version));
    let prefix = format!("{DATASET}/versions/{version}/");
    let blobs = scene.blobs();
    let names: BTreeSet<&str> = blobs.keys().filter_map(|path| path.strip_prefix(&prefix)).collect();
    let tables = ["situations/train-00000-of-00001.parquet", "jsonl/situations-train.jsonl"];
    for name in ["README.md", "config.yaml", "manifest.json"].iter().chain(&tables) {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    assert_eq!(names.len() + 1, blobs.len(), "something lies beside the version and the pointer");
    let manifest: Value = serde_json::from_slice(&blobs[&format!("{prefix}manifest.json")].1).unwrap();
    let listed: BTreeSet<&str> =
        manifest["files"].as_array().unwrap().iter().filter_map(|f| f["path"].as_str()).collect();
    assert_eq!(listed, names.iter().copied().filter(|name| *name != "manifest.json").collect());
    let bytes: usize = blobs.iter().filter(|(path, _)| *path != LATEST).map(|(_, (_, content))| content.len()).sum();
    assert_eq!(number(&told["bytes"]), bytes as u64);
    assert_eq!(told["sent_bytes"], told["bytes"]);
    read_by_others(&scene);
}

/// The Python client downloads it, and the dataset readers load what it got.
fn read_by_others(scene: &Scene) {
    let Some(python) = std::env::var_os("CONVOGEN_PYTHON") else {
        println!("skipped: CONVOGEN_PYTHON names no interpreter with tests/readers/requirements.txt");
        return;
    };
    let secret = scene.azurite.connection_string(scene.azurite.address());
    let folder = scene.project.path().join("read");
    let readers = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers");
    let scripts = [
        (format!("{readers}/read_blobs.py"), vec![CONTAINER.into(), DATASET.into(), folder.clone().into_os_string()]),
        (format!("{readers}/read_dataset.py"), vec![folder.into_os_string()]),
    ];
    for (script, arguments) in scripts {
        let mut command = Command::new(&python);
        command.arg(&script).args(&arguments).env("AZURE_STORAGE_CONNECTION_STRING", &secret);
        let read = command.output().expect("python starts");
        assert!(read.status.success(), "{script}: {}", String::from_utf8_lossy(&read.stderr));
    }
}

#[test]
fn publishing_the_same_again_sends_nothing_and_changes_nothing() {
    let Some(scene) = Scene::new() else { return };
    scene.publish(&[]).ended(0);
    let before = scene.blobs();
    // Also where nothing is left of what the first publish had on disk.
    for forget in [false, true] {
        if forget {
            std::fs::remove_dir_all(scene.project.path().join("runs/publish")).unwrap();
        }
        scene.proxy.set(|_| crate::support::fault_proxy::Fault::None);
        let told = scene.publish(&[]).ended(0).json();
        assert_eq!(scene.proxy.writes(), [], "something was sent");
        assert!(scene.proxy.log().iter().all(|asked| asked.method != "PUT"), "{:?}", scene.proxy.log());
        assert_eq!((&told["sent_bytes"], &told["pointer"]), (&json!(0), &json!("unchanged")));
        assert_eq!(scene.blobs(), before, "blobs, entity tags or times differ");
    }
}

#[test]
fn a_dry_run_says_what_it_would_send_and_writes_nothing() {
    let Some(scene) = Scene::new() else { return };
    // There is not even a container yet.
    let told = scene.publish(&["--dry-run"]).ended(0).json();
    assert!(scene.proxy.log().iter().all(|asked| asked.method != "PUT"), "{:?}", scene.proxy.log());
    assert_eq!(told["pointer"], json!("would_move"));
    let done = scene.publish(&[]).ended(0).json();
    assert_eq!((&told["version"], &told["sent_bytes"]), (&done["version"], &done["sent_bytes"]));
    assert_eq!(
        hex(&scene.azurite.read(CONTAINER, &manifest_of(&done)).unwrap())[..16],
        *done["version"].as_str().unwrap()
    );
}

fn manifest_of(told: &Value) -> String {
    format!("{DATASET}/versions/{}/manifest.json", told["version"].as_str().expect("a version"))
}
