//! Publishing into a local folder, by the shipped binary: whole or absent, the same twice, and nothing lost on the way.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, differing};
use crate::support::script::Script;
use crate::support::sums::{number, timeless};

const UPLOAD: &str = "version: 1
runs: [runs/demo]
dataset: team/demo
work_dir: work
destination: {folder: out}
";

/// A project with a finished run `runs/demo`.
fn finished() -> Project {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    project.pipeline(&[]).ended(0);
    project.write("upload.yaml", UPLOAD);
    project
}

/// Another finished run beside it.
fn another(project: &Project, run_dir: &str, sets: &[&str]) {
    let endpoint = Endpoint::start(Script::default());
    project.demo(&endpoint.base_url());
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    project.pipeline(&[&["--run-dir", run_dir], &sets[..]].concat()).ended(0);
}

fn upload(project: &Project, more: &[&str]) -> Ran {
    project.run(&[&["compile-upload", "-c", "upload.yaml", "--json"], more].concat())
}

fn gc(project: &Project, keep: &str) -> Ran {
    project.run(&["publish", "gc", "-c", "upload.yaml", "--keep", keep, "--json"])
}

/// Every published file with its content and the time it was written.
fn published(project: &Project) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let written = |name: &str| project.path().join("out").join(name).metadata().unwrap().modified().unwrap();
    let files = project.files("out").into_iter().filter(|(name, _)| name != ".convogen.lock");
    files.map(|(name, bytes)| (name.clone(), (bytes, written(&name)))).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
}

/// The invariant of every moment: no pointer, or one to a version that is whole; no manifest without everything it lists.
fn assert_whole(project: &Project, why: &str) {
    let root = project.path().join("out/team/demo");
    if let Ok(pointer) = std::fs::read(root.join("latest.json")) {
        let pointer: Value = serde_json::from_slice(&pointer).unwrap_or_else(|error| panic!("{why}: {error}"));
        assert!(root.join(text(&pointer, "manifest")).is_file(), "{why}: the pointer dangles");
    }
    for version in std::fs::read_dir(root.join("versions")).into_iter().flatten() {
        let version = version.unwrap().path();
        let Ok(manifest) = std::fs::read(version.join("manifest.json")) else { continue };
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        for file in manifest["files"].as_array().unwrap() {
            let length = version.join(text(file, "path")).metadata().map_or(0, |metadata| metadata.len());
            assert_eq!(length, number(&file["bytes"]), "{why}: {file}");
        }
    }
}

#[test]
fn what_is_published_is_the_runs_own_dataset_and_publishing_again_changes_nothing() {
    let project = finished();
    let first = upload(&project, &[]).ended(0).json();
    let version = text(&first, "version").to_owned();
    let folder = format!("out/team/demo/versions/{version}");
    assert_eq!(differing(&project.files("runs/demo/dataset"), &project.files(&folder)), Vec::<String>::new());
    assert_eq!((&first["pointer"], &first["reused_bytes"]), (&json!("moved"), &json!(0)));
    assert_eq!(first["sent_bytes"], first["bytes"]);

    let pointer = project.json("out/team/demo/latest.json");
    let hash = first_hash(&project, &folder);
    assert_eq!(
        pointer,
        json!({
            "format": 1, "version": version, "manifest": format!("versions/{version}/manifest.json"),
            "manifest_sha256": hash, "history": [version],
        })
    );
    let receipts = project.rows("work/receipts.jsonl");
    assert_eq!(receipts.len() as u64, number(&first["files"]) + 1, "a receipt for every file and for the pointer");
    assert_eq!(receipts.last().unwrap()["action"], "moved");
    assert_eq!(project.rows("runs/demo/publish/receipts.jsonl").len(), 1);

    let before = published(&project);
    let second = upload(&project, &[]).ended(0);
    assert!(second.stderr.contains("nothing had to be sent"), "{}", second.stderr);
    let second = second.json();
    assert_eq!((number(&second["sent_bytes"]), text(&second, "pointer")), (0, "unchanged"));
    assert!(before == published(&project), "publishing again touched a file");
    assert_eq!(project.rows("work/receipts.jsonl").len(), receipts.len());
    assert_ne!(timeless(first), timeless(second));
}

fn first_hash(project: &Project, folder: &str) -> String {
    let output =
        std::process::Command::new("sha256sum").arg(project.path().join(folder).join("manifest.json")).output();
    String::from_utf8(output.unwrap().stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn the_version_follows_from_the_data_alone() {
    let (one, two) = (finished(), finished());
    let version = |ran: Ran| text(&ran.ended(0).json(), "version").to_owned();
    let first = version(upload(&one, &[]));
    std::fs::rename(two.path().join("runs/demo"), two.path().join("elsewhere")).unwrap();
    let other = ["--set", "runs=[elsewhere]", "--set", "work_dir=w2", "--set", "destination.folder=o2"];
    assert_eq!(version(upload(&two, &other)), first);
    assert_ne!(version(upload(&one, &["--set", "include=[situations]"])), first);
    assert_ne!(version(upload(&one, &["--set", "card.name=Talk"])), first);
}

#[test]
fn a_dry_run_says_what_would_be_sent_and_writes_nothing_there() {
    let project = finished();
    let dry = upload(&project, &["--dry-run"]).ended(0);
    assert!(!project.path().join("out").exists());
    let dry = dry.json();
    assert_eq!((text(&dry, "pointer"), &dry["sent_bytes"]), ("would_move", &dry["bytes"]));
    let real = upload(&project, &[]).ended(0).json();
    assert_eq!((&real["version"], &real["sent_bytes"]), (&dry["version"], &dry["sent_bytes"]));
    let before = published(&project);
    let again = upload(&project, &["--dry-run", "--verify"]).ended(0).json();
    assert_eq!((text(&again, "pointer"), number(&again["sent_bytes"])), ("unchanged", 0));
    assert_eq!(again["verified"]["files"], real["files"]);
    assert!(before == published(&project));
}

#[test]
fn only_the_tables_that_are_included_are_there() {
    let project = finished();
    let summary = upload(&project, &["--set", "include=[situations]"]).ended(0).json();
    assert_eq!(summary["rows"], json!({"situations": 12}));
    let folder = format!("out/team/demo/versions/{}", text(&summary, "version"));
    let files = project.files(&folder);
    assert!(
        files.keys().all(|name| !name.contains("conversations") && !name.contains("personas")),
        "{:?}",
        files.keys()
    );
    let config = project.read(&format!("{folder}/config.yaml"));
    assert!(config.contains("situations:") && !config.contains("\nconversations:"), "{config}");
    for hidden in ["run_dir", "base_url", "127.0.0.1", "runs/"] {
        assert!(!config.contains(hidden), "{hidden} in {config}");
    }
    let card = project.read(&format!("{folder}/README.md"));
    assert!(card.contains("| `situations` | `demo` |") && !card.contains("| `speaker` |"), "{card}");
}

#[test]
fn two_runs_become_one_dataset_whose_references_hold() {
    let project = finished();
    another(&project, "runs/more", &["seed=18", "compile.splits={train: 0.5, dev: 0.5}"]);
    let both = ["--set", "runs=[runs/demo, runs/more]"];
    let ran = upload(&project, &both).ended(0);
    assert!(ran.stderr.contains("runs/demo has the splits test, train, runs/more has dev, train"), "{}", ran.stderr);
    let summary = ran.json();
    let folder = format!("out/team/demo/versions/{}", text(&summary, "version"));
    let manifest = project.json(&format!("{folder}/manifest.json"));
    let leakage = &manifest["leakage"];
    assert_eq!((number(&leakage["persona_ids"]), number(&leakage["persona_texts"])), (0, 0), "{leakage}");
    assert_eq!((number(&leakage["situations"]), number(&leakage["conversations"])), (0, 0), "{leakage}");
    // Each run had removed its duplicates, and so did this across them: all was compared with all.
    assert_eq!(leakage["compared"], "when_made");
    let kept = upload(&project, &[&both[..], &["--set", "dedup.enabled=false"]].concat()).ended(0).json();
    let kept = project.json(&format!("out/team/demo/versions/{}/manifest.json", text(&kept, "version")));
    assert_eq!(kept["leakage"]["compared"], "when_compiled", "what nobody compared is compared at last");

    let rows = |table: &str| -> Vec<Value> {
        let files = project.files(&format!("{folder}/jsonl"));
        let names = files.keys().filter(|name| name.starts_with(table)).cloned();
        names.flat_map(|name| project.rows(&format!("{folder}/jsonl/{name}"))).collect()
    };
    let ids =
        |rows: &[Value]| rows.iter().map(|row| text(row, "id").to_owned()).collect::<std::collections::BTreeSet<_>>();
    let (personas, situations, conversations) = (rows("personas"), rows("situations"), rows("conversations"));
    let (people, places) = (ids(&personas), ids(&situations));
    for situation in &situations {
        let cast = situation["personas"].as_array().unwrap();
        assert!(cast.iter().all(|person| people.contains(text(person, "id"))), "{situation}");
    }
    for talk in &conversations {
        assert!(places.contains(text(talk, "situation_id")), "{talk}");
        let cast: Vec<&str> =
            talk["participants"].as_array().unwrap().iter().map(|person| text(person, "id")).collect();
        assert!(
            talk["turns"].as_array().unwrap().iter().all(|turn| cast.contains(&text(turn, "speaker_id"))),
            "{talk}"
        );
        let provenance: Value = serde_json::from_str(text(talk, "provenance")).unwrap();
        assert!(text(talk, "id").starts_with(text(&provenance, "run")), "{talk}");
    }
    // Every record of both runs is there or was left out with a reason.
    for (stage, folder) in
        [("personas", "1-personas"), ("situations", "2-situations"), ("conversations", "3-conversations")]
    {
        let made =
            ["demo", "more"].map(|run| project.rows(&format!("runs/{run}/stages/{folder}/part-00000.jsonl")).len());
        let removed: u64 = summary["removed"][stage].as_object().into_iter().flatten().map(|(_, n)| number(n)).sum();
        let outcomes = manifest["outcomes"].as_array().unwrap().iter().find(|entry| entry["stage"] == stage).unwrap();
        let accepted = number(&outcomes["counts"]["accepted"]);
        assert_eq!(accepted + removed, (made[0] + made[1]) as u64, "{stage}: {summary}");
        // Of the people who stay, those are published who are used.
        let published = number(&summary["rows"][stage]);
        assert!(published == accepted || stage == "personas" && published < accepted, "{stage}: {summary}");
    }
    assert!(
        number(&summary["removed"]["personas"]["crosses_splits"]) > 0,
        "the runs split people differently: {summary}"
    );
    let config = project.read(&format!("{folder}/config.yaml"));
    assert!(config.contains("runs:") && config.contains("seed: 17") && config.contains("seed: 18"), "{config}");
}

#[test]
fn one_run_under_two_paths_is_refused() {
    let project = finished();
    let copied =
        std::process::Command::new("cp").args(["-r", "runs/demo", "runs/copy"]).current_dir(project.path()).status();
    assert!(copied.unwrap().success());
    let ran = upload(&project, &["--set", "runs=[runs/demo, runs/copy]"]).ended(3);
    assert!(ran.stderr.contains("runs/copy holds the same data as runs/demo"), "{}", ran.stderr);
}

#[test]
fn runs_that_cannot_be_published_are_named_with_what_to_do() {
    let project = finished();
    let endpoint = Endpoint::start(Script::default());
    project.demo(&endpoint.base_url());
    project.pipeline(&["--run-dir", "runs/half", "--set", "budget.max_calls=40"]).ended(8);
    for (runs, code, word) in [
        ("runs=[runs/half]", 3, "runs/half is not finished; go on with it by `convogen pipeline run"),
        ("runs=[runs/demo, runs/none]", 2, "runs/none holds no run"),
    ] {
        let ran = upload(&project, &["--set", runs]).ended(code);
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
    let name = "runs/demo/stages/2-situations/part-00000.jsonl";
    let rows = project.read(name);
    project.write(name, rows.replacen("the", "teh", 1));
    let ran = upload(&project, &[]).ended(11);
    assert!(ran.stderr.contains(name), "{}", ran.stderr);
    project.write(name, rows);
    let info = project.read("runs/demo/run.json");
    project.write("runs/demo/run.json", info.replacen("\"format\": 2", "\"format\": 3", 1));
    upload(&project, &[]).ended(5);
    assert!(published(&project).is_empty(), "a refused run left something at the destination");
}

#[test]
fn a_flipped_byte_is_found_by_reading_back_and_mended_once_it_is_removed() {
    let project = finished();
    let summary = upload(&project, &["--verify"]).ended(0).json();
    assert_eq!(summary["verified"]["differences"], json!([]));
    let name = format!("out/team/demo/versions/{}/jsonl/situations-train.jsonl", text(&summary, "version"));
    let mut bytes = std::fs::read(project.path().join(&name)).unwrap();
    bytes[100] ^= 1;
    project.write(&name, &bytes);
    for arguments in [["--verify"].as_slice(), &[]] {
        let ran = upload(&project, arguments).ended(11);
        assert!(ran.stderr.contains("jsonl/situations-train.jsonl"), "{}", ran.stderr);
    }
    std::fs::remove_file(project.path().join(&name)).unwrap();
    let ran = upload(&project, &["--verify"]).ended(0);
    assert!(ran.stderr.contains("is whole again"), "{}", ran.stderr);
}

#[test]
fn what_others_put_there_is_a_conflict_that_is_named() {
    let project = finished();
    let version = text(&upload(&project, &["--dry-run"]).ended(0).json(), "version").to_owned();
    let foreign = format!("out/team/demo/versions/{version}/data/extra.parquet");
    project.write(&foreign, "not ours");
    let ran = upload(&project, &[]).ended(10);
    assert!(ran.stderr.contains("data/extra.parquet"), "{}", ran.stderr);
    std::fs::remove_file(project.path().join(&foreign)).unwrap();
    let taken = format!("out/team/demo/versions/{version}/README.md");
    project.write(&taken, "someone else's");
    let ran = upload(&project, &[]).ended(10);
    assert!(ran.stderr.contains("README.md") && project.read(&taken) == "someone else's", "{}", ran.stderr);
    std::fs::remove_file(project.path().join(&taken)).unwrap();

    std::os::unix::fs::symlink("/tmp", project.path().join("out/team/demo/versions").join(&version).join("jsonl"))
        .unwrap();
    let ran = upload(&project, &[]).ended(10);
    assert!(ran.stderr.contains("/jsonl: is neither a file nor a folder"), "{}", ran.stderr);
    assert!(!project.path().join("out/team/demo/latest.json").exists());
}

#[test]
fn a_pointer_of_a_newer_form_is_left_alone_and_a_broken_one_reported() {
    let project = finished();
    upload(&project, &[]).ended(0);
    let pointer = project.read("out/team/demo/latest.json");
    for (text, code) in [(pointer.replace("\"format\": 1", "\"format\": 2"), 10), ("{".to_owned(), 11)] {
        project.write("out/team/demo/latest.json", &text);
        upload(&project, &[]).ended(code);
        gc(&project, "1").ended(code);
        assert_eq!(project.read("out/team/demo/latest.json"), text);
    }
}

#[test]
fn old_versions_are_removed_by_the_order_in_which_they_were_the_latest() {
    let project = finished();
    assert!(gc(&project, "1").ended(0).stderr.contains("nothing is published"));
    let names = ["a", "b", "c", "d"];
    let versions: Vec<String> = names
        .iter()
        .map(|name| {
            text(&upload(&project, &["--set", &format!("card.name={name}")]).ended(0).json(), "version").to_owned()
        })
        .collect();
    // The first becomes the latest again.
    upload(&project, &["--set", "card.name=a"]).ended(0);
    let before = published(&project);
    let dry =
        project.run(&["publish", "gc", "-c", "upload.yaml", "--keep", "2", "--json", "--dry-run"]).ended(0).json();
    assert!(before == published(&project));
    let done = gc(&project, "2").ended(0).json();
    assert_eq!((&done["kept"], &done["removed"]), (&dry["kept"], &dry["removed"]));
    assert_eq!(done["kept"], json!([versions[0], versions[3]]));
    let left: Vec<String> = project.files("out/team/demo/versions").keys().map(|name| name[..16].to_owned()).collect();
    assert!(left.iter().all(|version| *version == versions[0] || *version == versions[3]), "{left:?}");
    assert_eq!(project.json("out/team/demo/latest.json")["history"], json!([versions[3], versions[0]]));
    assert_whole(&project, "after gc");
    upload(&project, &["--set", "card.name=a", "--verify"]).ended(0);
    project.run(&["publish", "gc", "-c", "upload.yaml", "--keep", "0"]).ended(2);
}

#[test]
fn a_work_folder_that_is_something_else_is_left_alone() {
    let project = finished();
    project.write("mine/dataset/thesis.tex", "precious");
    let ran = upload(&project, &["--set", "work_dir=mine"]).ended(2);
    assert!(ran.stderr.contains("mine"), "{}", ran.stderr);
    assert_eq!(project.read("mine/dataset/thesis.tex"), "precious");
    another(&project, "runs/other", &["seed=3"]);
    upload(&project, &["--set", "work_dir=runs/other"]).ended(2);
}

#[test]
fn a_work_folder_that_would_replace_what_is_published_is_refused() {
    let project = finished();
    for (work_dir, folder) in [("w", "w/dataset"), ("./out", "out"), ("out/w", "out"), ("runs", "elsewhere")] {
        let (work_dir, folder) = (format!("work_dir={work_dir}"), format!("destination.folder={folder}"));
        let ran = upload(&project, &["--set", &work_dir, "--set", &folder]).ended(2);
        assert!(ran.stderr.contains("name another folder as work_dir"), "{}", ran.stderr);
    }
    let there = |name: &str| project.path().join(name).exists();
    assert!(!there("w") && !there("out") && there("runs/demo"));
}

/// Killed at a random moment, again and again: nothing half is ever seen, and the next run makes it whole.
#[test]
fn a_publish_that_is_killed_anywhere_converges() {
    let project = finished();
    let wanted = upload(&project, &["--set", "destination.folder=whole", "--set", "work_dir=w"]).ended(0).json();
    let folder = format!("team/demo/versions/{}", text(&wanted, "version"));
    let mut draw = convogen::Draw::new(23, &["publish kills"]);
    for round in 0..12 {
        let mut child = project.convogen(&["compile-upload", "-c", "upload.yaml", "--quiet"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(draw.between(5, 400) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_whole(&project, &format!("after kill {round}"));
        if round % 4 == 3 {
            std::fs::remove_dir_all(project.path().join("out")).unwrap_or_default();
            std::fs::remove_dir_all(project.path().join("work")).unwrap_or_default();
        }
    }
    upload(&project, &["--verify"]).ended(0);
    let there = project.files(&format!("out/{folder}"));
    assert_eq!(differing(&project.files(&format!("whole/{folder}")), &there), Vec::<String>::new());
    let names = project.files("out").into_keys().filter(|name| name.contains(".tmp-")).collect::<Vec<_>>();
    assert!(names.is_empty(), "unfinished files are left: {names:?}");
    assert!(Path::new(&project.path().join("work/dataset/manifest.json")).is_file());
}

#[test]
fn a_signal_ends_it_with_its_own_code() {
    let project = finished();
    let mut codes = Vec::new();
    for delay in (20..400).step_by(20) {
        let folder = format!("destination.folder=out/{delay}");
        let mut command = project.convogen(&["compile-upload", "-c", "upload.yaml", "--set", &folder]);
        let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        std::process::Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert!(ran.code != Some(130) || ran.stderr.contains("the same command goes on"), "{}", ran.stderr);
        codes.push(ran.code);
        std::fs::remove_dir_all(project.path().join("work")).unwrap_or_default();
    }
    assert!(codes.contains(&Some(130)), "{codes:?}");
    // Before the program listens for signals it ends as any other does; after its work is done it has ended well.
    assert!(codes.iter().all(|code| [Some(130), Some(0), None].contains(code)), "{codes:?}");
}

#[test]
fn a_second_process_is_turned_away() {
    let project = finished();
    upload(&project, &[]).ended(0);
    for (name, code) in [("work/run.lock", 4), ("out/.convogen.lock", 10)] {
        let file = std::fs::File::open(project.path().join(name)).unwrap();
        file.lock().unwrap();
        let ran = upload(&project, &[]).ended(code);
        assert!(ran.stderr.contains("process"), "{}", ran.stderr);
        drop(file);
    }
    upload(&project, &[]).ended(0);
}
