//! Conversations in the forms of trainers, by the shipped binary: loaded by the libraries people use, whole or absent, published
//! with the rest.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran};
use crate::support::script::{Answer, Call, Script};

/// The forms to which any conversation gives rows.
const FORMATS: [&str; 8] =
    ["messages", "prompt_completion", "sharegpt", "openai", "transcript", "next_speaker", "convokit", "convogen"];

/// A project with a finished run `runs/demo`, in which people have stances, goals and things that only they know.
fn finished(sets: &[&str]) -> Project {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    project.pipeline(&sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>()).ended(0);
    project
}

fn export(project: &Project, format: &str, folder: &str, more: &[&str]) -> Ran {
    project.run(&[&["export", "runs/demo", "--format", format, "-o", folder, "--json"], more].concat())
}

/// Has `tests/readers/read_exports.py` load these folders; `false` where there is no Python to do so.
fn loads(folders: &[PathBuf]) -> bool {
    let Some(python) = std::env::var_os("CONVOGEN_PYTHON") else {
        println!("skipped: CONVOGEN_PYTHON names no interpreter with tests/readers/requirements.txt");
        return false;
    };
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/read_exports.py");
    let output = Command::new(python).arg(reader).args(folders).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    true
}

#[test]
fn every_form_loads_where_people_load_datasets() {
    let project = finished(&[]);
    let mut folders = Vec::new();
    for format in FORMATS {
        let told = export(&project, format, &format!("out/{format}"), &[]).ended(0).json();
        assert!(told["rows"].as_u64().unwrap() > 0, "{format}: {told}");
        folders.push(project.path().join("out").join(format));
    }
    for (format, name) in [("messages", "placed"), ("sharegpt", "placed-sharegpt"), ("openai", "placed-openai")] {
        export(&project, format, &format!("out/{name}"), &["--system", "first_user", "--loss", "train"]).ended(0);
        folders.push(project.path().join("out").join(name));
    }
    loads(&folders);
}

#[test]
fn a_dataset_exports_as_its_run_does() {
    let project = finished(&[]);
    for format in FORMATS {
        export(&project, format, &format!("a/{format}"), &[]).ended(0);
        let from = ["export", "runs/demo/dataset", "--format", format, "-o"];
        project.run(&[&from[..], &[&format!("b/{format}")]].concat()).ended(0);
        let sorted = |folder: &str| -> Vec<(String, Vec<Vec<u8>>)> {
            // A dataset is read split by split, a run in the order of its ids.
            let lines = |bytes: Vec<u8>| -> Vec<Vec<u8>> {
                let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                for line in &mut lines {
                    line.truncate(line.len() - usize::from(line.ends_with(b",")));
                }
                lines.sort();
                lines
            };
            project.files(folder).into_iter().map(|(name, bytes)| (name, lines(bytes))).collect()
        };
        assert_eq!(sorted(&format!("a/{format}")), sorted(&format!("b/{format}")), "{format}");
    }
}

#[test]
fn nobody_is_told_what_another_keeps_to_themself() {
    let project = finished(&[]);
    let people: Vec<Value> = project
        .rows("runs/demo/stages/2-situations/part-00000.jsonl")
        .iter()
        .flat_map(|row| row["personas"].as_array().unwrap().clone())
        .collect();
    let kept = |person: &Value| -> Vec<String> {
        let secrets = ["stance", "goal", "knowledge"].iter().filter_map(|key| person[*key].as_str());
        secrets.map(str::to_owned).collect()
    };
    assert!(people.iter().any(|person| !kept(person).is_empty()), "nobody has a secret to keep");
    let talks = project.rows("runs/demo/stages/3-conversations/part-00000.jsonl");
    for format in ["messages", "prompt_completion", "sharegpt"] {
        export(&project, format, format, &[]).ended(0);
        let rows: Vec<Value> =
            ["train", "test"].iter().flat_map(|split| project.rows(&format!("{format}/{split}.jsonl"))).collect();
        for row in &rows {
            let (talk, own) = row["id"].as_str().unwrap().split_once('#').unwrap();
            let own = own.split('#').next().unwrap();
            let talk = talks.iter().find(|one| one["id"] == talk).unwrap();
            // What was said aloud is no secret any more.
            let mut unsaid = row.clone();
            unsaid.as_object_mut().unwrap().values_mut().for_each(only_instructions);
            let text = unsaid.to_string();
            for person in talk["participants"].as_array().unwrap().iter().filter(|person| person["id"] != own) {
                let persona = person["persona"].as_str().unwrap();
                assert!(!text.contains(persona), "{format}, {}: {persona}", row["id"]);
            }
            for secret in people.iter().flat_map(&kept) {
                assert!(!text.contains(&secret), "{format}, {}: {secret}", row["id"]);
            }
        }
    }
}

#[test]
fn where_it_is_asked_for_everybody_is_told_what_they_keep_to_themselves() {
    let project = finished(&["export=[{format: messages, private: true}]"]);
    let rows = |folder: &str| -> Vec<Value> {
        ["train", "test"].iter().flat_map(|split| project.rows(&format!("{folder}/{split}.jsonl"))).collect()
    };
    let situations = project.rows("runs/demo/stages/2-situations/part-00000.jsonl");
    let talks = project.rows("runs/demo/stages/3-conversations/part-00000.jsonl");
    let compiled = rows("runs/demo/dataset/exports/messages");
    let mut told = 0;
    for row in &compiled {
        let (talk, own) = row["id"].as_str().unwrap().split_once('#').unwrap();
        let talk = talks.iter().find(|one| one["id"] == talk).unwrap();
        let system = row["messages"][0]["content"].as_str().unwrap();
        for situation in &situations {
            for person in situation["personas"].as_array().unwrap() {
                let own = person["id"] == own && situation["id"] == talk["situation_id"];
                for key in ["stance", "goal", "knowledge"] {
                    let Some(secret) = person[key].as_str() else { continue };
                    assert_eq!(system.contains(secret), own, "{}: {key} of {}: {system}", row["id"], person["name"]);
                    told += usize::from(own);
                }
            }
        }
    }
    assert!(told > 0, "nobody was told anything");
    // The same from the run and from its dataset; not from a file, which has no situations.
    for (source, folder) in [("runs/demo", "a"), ("runs/demo/dataset", "b")] {
        let arguments = ["export", source, "--format", "messages", "--private", "-o", folder];
        project.run(&arguments).ended(0);
        let sorted = |mut rows: Vec<Value>| {
            rows.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
            rows
        };
        assert_eq!(sorted(rows(folder)), sorted(compiled.clone()), "{source}");
    }
    let file = "runs/demo/dataset/data/train-00000-of-00001.parquet";
    let refused = project.run(&["export", file, "--format", "messages", "--private", "-o", "c"]).ended(2).stderr;
    assert!(refused.contains("train-00000-of-00001.parquet has no situations"), "{refused}");

    // What is published without the situations cannot have it.
    let upload = "version: 1\nruns: [runs/demo]\ninclude: [conversations]\ndataset: demo\nwork_dir: work\n\
                  destination: {folder: out}\n";
    project.write("upload.yaml", upload);
    let refused = project.run(&["compile-upload", "-c", "upload.yaml"]).ended(3).stderr;
    assert!(refused.contains("which is not there; export the situations with it, or leave out `private`"), "{refused}");
    project.write("upload.yaml", format!("{upload}export: [{{format: messages, private: true}}]\n"));
    let refused = project.run(&["compile-upload", "-c", "upload.yaml"]).ended(2).stderr;
    assert!(refused.contains("add situations to include, or leave out `private`"), "{refused}");
}

/// Leaves of messages only those that no one said.
fn only_instructions(value: &mut Value) {
    if let Some(messages) = value.as_array_mut() {
        messages.retain(|message| message["role"] == "system");
    }
}

#[test]
fn what_is_there_is_not_replaced() {
    let project = finished(&[]);
    project.write("out/mine.txt", "mine");
    let refused = export(&project, "messages", "out", &[]).ended(2);
    assert!(refused.stderr.contains("out is not empty"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: name a new folder with -o"), "{}", refused.stderr);
    assert_eq!(project.files("out").len(), 1);
    std::fs::create_dir(project.path().join("empty")).unwrap();
    export(&project, "messages", "empty", &[]).ended(0);
    assert!(project.path().join("empty/train.jsonl").is_file());
}

#[test]
fn what_cannot_be_exported_leaves_nothing_behind() {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    project.pipeline(&["--set", "budget.max_calls=30"]).ended(8);
    let refused = export(&project, "messages", "out", &[]).ended(3);
    assert!(refused.stderr.contains("not finished"), "{}", refused.stderr);
    let refused = project.run(&["export", "nowhere", "--format", "messages", "-o", "out"]).ended(2);
    assert!(refused.stderr.contains("nowhere is not there"), "{}", refused.stderr);
    let refused = project.run(&["export", "demo.yaml", "--format", "messages", "-o", "out"]).ended(2);
    assert!(refused.stderr.contains("demo.yaml is a text file"), "{}", refused.stderr);
    let refused = export(&project, "transcript", "out", &["--loss", "train"]).ended(2);
    assert!(refused.stderr.contains("--loss: transcript has no messages to flag"), "{}", refused.stderr);
    let left: Vec<String> = std::fs::read_dir(project.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name == "out" || name.starts_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_form_to_which_no_conversation_gives_a_row_is_refused() {
    let project = finished(&["conversations.speaker_selection=round_robin"]);
    let refused = export(&project, "addressee", "out", &[]).ended(3);
    assert!(refused.stderr.contains("runs/demo give no row of addressee"), "{}", refused.stderr);
    assert!(!project.path().join("out").exists());
}

#[test]
fn a_run_without_conversations_says_so() {
    // Everybody's second line is refused, so no conversation reaches its fewest turns.
    let silent = |call: &Call| {
        if !call.wants_a_line() {
            Answer::Plausible
        } else if call.prompt().contains("harbour bell") {
            Answer::error(400, "content_filter", "no")
        } else {
            Answer::Text("That was the harbour bell, and nobody was there to hear it.".to_owned())
        }
    };
    let (endpoint, project) = (Endpoint::start(Script::answering(silent)), Project::new());
    project.demo(&endpoint.base_url());
    let ran = project.pipeline(&["--set", "conversations.speaker_selection=round_robin"]).ended(9).json();
    assert_eq!(ran["stages"]["conversations"]["accepted"], 0, "{ran}");
    let refused = export(&project, "messages", "out", &[]).ended(3);
    assert!(refused.stderr.contains("runs/demo has no conversation"), "{}", refused.stderr);
    assert!(!project.path().join("out").exists());
}

#[test]
fn a_run_and_what_is_published_of_it_have_the_forms_that_were_asked_for() {
    let forms = "export=[messages, {format: sharegpt, system: first_user, loss: train}, convokit, convogen]";
    let project = finished(&[forms]);
    project.write(
        "upload.yaml",
        "version: 1\nruns: [runs/demo]\ndataset: demo\nwork_dir: work\ndestination: {folder: out}\n",
    );
    let told = project.run(&["compile-upload", "-c", "upload.yaml", "--json", "--verify"]).ended(0).json();
    let version = format!("out/demo/versions/{}", told["version"].as_str().unwrap());
    assert_eq!(project.files("runs/demo/dataset"), project.files(&version), "a run alone is published as it is");
    let listed = project.json(&format!("{version}/manifest.json"))["files"].clone();
    let listed: Vec<&str> =
        listed.as_array().unwrap().iter().filter_map(|file| file["path"].as_str()).collect::<Vec<_>>();
    for name in
        ["messages/train.jsonl", "sharegpt/axolotl.yaml", "convokit/utterances.jsonl", "convogen/train/part-0.tsv"]
    {
        assert!(listed.contains(&format!("exports/{name}").as_str()), "{name} is not in {listed:?}");
    }
    let flagged = &project.rows(&format!("{version}/exports/sharegpt/train.jsonl"))[0]["conversations"][0];
    assert_eq!(flagged["train"], json!(false));
    loads(&[project.path().join(&version)]);
    project.run(&["pipeline", "verify", "runs/demo"]).ended(0);

    // An upload may ask for others, and then has those.
    let upload = project.read("upload.yaml").replace("demo\nwork_dir: work", "other\nwork_dir: work2")
        + "export: [transcript]\n";
    project.write("other.yaml", upload);
    let told = project.run(&["compile-upload", "-c", "other.yaml", "--json"]).ended(0).json();
    let folder = format!("out/other/versions/{}/exports", told["version"].as_str().unwrap());
    let names: Vec<String> = project.files(&folder).into_keys().collect();
    assert!(names.iter().all(|name| name.starts_with("transcript/")) && names.len() > 3, "{names:?}");
}

#[test]
fn a_form_that_is_none_is_refused_with_its_place() {
    let project = Project::new();
    project.demo("http://127.0.0.1:9/v1");
    let refused = |set: &str| project.pipeline(&["--set", set]).ended(2).stderr;
    assert!(refused("export=[mesages]").contains("did you mean `messages`?"));
    assert!(refused("export=[{format: messages, los: train}]").contains("did you mean `loss`?"));
    assert!(refused("export=[messages, {format: messages}]").contains("export[1]: messages is named twice"));
    assert!(
        refused("export=[{format: transcript, system: message}]")
            .contains("export[0].system: transcript has no system text")
    );
}
