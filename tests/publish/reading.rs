//! Other programs read what is published where it lies, from the pointer on, as docs/reading.md and the summary say.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::scene::{CONTAINER, DATASET, LATEST, Scene};
use crate::support::azurite::{KEY, Setup};
use crate::support::sas::account_sas;

/// The interpreter that has what the readers need.
fn python() -> Option<OsString> {
    let python = std::env::var_os("CONVOGEN_PYTHON");
    if python.is_none() {
        println!("skipped: CONVOGEN_PYTHON names no interpreter with tests/readers/requirements.txt");
    }
    python
}

/// An Azurite as `scripts/azurite.sh` starts it.
fn scene() -> Option<Scene> {
    Scene::with(&Setup { any_version: true, ..Setup::default() })
}

#[test]
fn every_way_of_reading_that_is_documented_finds_the_rows() {
    let (Some(python), Some(scene)) = (python(), scene()) else { return };
    let told = scene.publish(&[]).ended(0).json();
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/read_as_documented.py"));
    command.args(["published", CONTAINER, DATASET, "situations", &told["rows"]["situations"].to_string()]);
    command.env("AZURE_STORAGE_CONNECTION_STRING", scene.azurite.connection_string(scene.azurite.address()));
    let read = command.output().expect("python starts");
    let (said, failed) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    assert!(read.status.success() && said.contains("5 ways of reading"), "{said}{failed}");
}

#[test]
fn the_line_of_the_summary_reads_the_table_however_one_signs_in() {
    let (Some(python), Some(scene)) = (python(), scene()) else { return };
    scene.publish(&[]).ended(0);
    let account = scene.azurite.account();
    let endpoint = format!("destination.azure.endpoint={}", scene.azurite.endpoint());
    let connection = scene.azurite.connection_string(scene.azurite.address());
    let ways = [
        ("connection_string", "AZURE_STORAGE_CONNECTION_STRING", connection),
        ("account_key", "AZURE_STORAGE_ACCOUNT_KEY", KEY.to_owned()),
        ("sas", "AZURE_STORAGE_SAS_TOKEN", account_sas(account, KEY)),
    ];
    for (auth, variable, secret) in ways {
        let summary = scene.publish_as(auth, variable, &secret, &["--set", &endpoint]).ended(0).stderr;
        let line =
            summary.lines().find_map(|line| line.trim().strip_prefix("read it")).expect("a line that reads").trim();
        // The interpreter of the tests stands for the one on the path.
        let line = line.replacen("python", &Path::new(&python).display().to_string(), 1);
        let read = Command::new("sh").args(["-c", &line]).env(variable, &secret).output().expect("a shell");
        let said = String::from_utf8_lossy(&read.stdout);
        assert!(
            said.contains("conversation_starter") || said.contains("rows x"),
            "{line}\n{said}{}",
            String::from_utf8_lossy(&read.stderr)
        );
    }
}

#[test]
fn blobs_say_what_they_are_and_the_pointer_that_it_changes() {
    let Some(scene) = Scene::new() else { return };
    scene.publish(&[]).ended(0);
    for path in scene.blobs().keys() {
        let head = scene.azurite.ask("HEAD", &format!("{CONTAINER}/{path}"), "", b"");
        let expected = match path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("parquet") => "application/vnd.apache.parquet",
            Some("jsonl") => "application/x-ndjson",
            Some("json") => "application/json",
            Some("md") => "text/markdown; charset=utf-8",
            Some("yaml") => "application/yaml",
            _ => panic!("{path} has no ending that is known"),
        };
        assert_eq!(head.header("content-type"), expected, "{path}");
        let cache = if path == LATEST { "no-cache" } else { "" };
        assert_eq!(head.header("cache-control"), cache, "{path}");
    }
}
