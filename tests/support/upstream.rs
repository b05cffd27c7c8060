//! A folder of upstream ConvoGen's files and a model that answers their prompts.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set itself up has nothing to test"
)]

use std::path::Path;
use std::process::Command;

use convogen::Draw;
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::project::Project;
use super::script::{Answer, Call, Script};

/// A generation configuration whose people are invented.
pub(crate) const INVENTED: &str = "configs/gen-config-1.yaml";
/// One whose people are given.
pub(crate) const GIVEN: &str = "configs/gen-config-persona-1.yaml";
/// The upload configuration.
pub(crate) const UPLOAD: &str = "configs/upload-data-1.yaml";
/// The run of [`INVENTED`].
pub(crate) const RUN: &str = "output/harbour/invented";

/// Words that tell scenes apart.
const WORDS: [&str; 12] =
    ["anchor", "buoy", "crane", "dredger", "eel", "fender", "gangway", "hawser", "inlet", "jetty", "keel", "lantern"];

/// A scene in upstream's shape. The people of `group` are named anew, and come last first.
fn scene(draw: &mut Draw, group: &[&str]) -> Value {
    let mut word = || *draw.pick(&WORDS).unwrap();
    let situation = format!(
        "Nobody knows why the {} lies beside the {} since 10:30, under a {} marked \"Größe\u{a0}3\".",
        word(),
        word(),
        word()
    );
    let individuals: Vec<Value> = if group.is_empty() {
        let person = |name: &str| json!({"name": name, "age": 41, "qualities": ["dry", "loyal"], "speechStyle": "Two words at most", "lifestyle": format!("Rows to the {}.", WORDS[0]), "memory": "A cold winter."});
        vec![person("Gerda Plank"), person("Hugo Stern")]
    } else {
        let named = ["Jana Rook", "Karl Quill", "Lene Prow", "Mats Oar"];
        group.iter().rev().zip(named).map(|(persona, name)| json!({"name": name, "persona": persona})).collect()
    };
    let names: Vec<&str> = individuals.iter().filter_map(|one| one["name"].as_str()).collect();
    let relations = format!("{} taught {} to swim. They never speak of it.", names[0], names[1]);
    json!({"individuals": individuals, "relations": relations, "situation": situation, "topic": "a thing on the quay",
           "conversationStarter": format!("{}, what is that?", names[0])})
}

/// What a model answers to the two prompts of the fixtures: a bare list, in a fence.
fn scenes(call: &Call) -> Answer {
    let prompt = call.prompt();
    let count =
        |before: &str| prompt.split(before).nth(1).unwrap().split(' ').next().unwrap().parse::<usize>().unwrap();
    let mut draw = Draw::new(1, &[&prompt]);
    let list: Vec<Value> = if prompt.contains("Make up ") {
        (0..count("Make up ")).map(|_| scene(&mut draw, &[])).collect()
    } else {
        assert!(count("For each of the ") > 0, "{prompt}");
        let given = prompt.split("\n\nSome that were good:").next().unwrap();
        let groups = given.split("with name and persona.\n\n").nth(1).unwrap().split("\n\n");
        let people = |group: &'_ str| -> Vec<String> {
            group.lines().filter_map(|line| Some(line.strip_prefix("- ")?.split_once(": ")?.1.to_owned())).collect()
        };
        groups
            .map(|group| {
                let people = people(group);
                scene(&mut draw, &people.iter().map(String::as_str).collect::<Vec<_>>())
            })
            .collect()
    };
    Answer::Text(format!("Here they are:\n```json\n{}\n```", json!(list)))
}

/// Whether a request asks for situations by the prompts of the fixtures.
pub(crate) fn is_of_situations(body: &str) -> bool {
    body.contains("Scenes at the waterfront") || body.contains("Scenes for these people")
}

/// A model that knows those prompts.
pub(crate) fn model() -> Script {
    Script::but(|call| is_of_situations(&call.raw), scenes)
}

/// The fixtures and a `.env` for `endpoint`, and nothing else.
pub(crate) fn checkout(endpoint: &Endpoint) -> Project {
    let project = Project::new();
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/upstream")), "", &project);
    let env = format!(
        "AZURE_OPENAI_ENDPOINT={}\nAZURE_OPENAI_API_VERSION=2024-10-21\nAZURE_OPENAI_CHAT_DEPLOYMENT_NAME=talker\nAZURE_OPENAI_API_KEY=k\n",
        endpoint.origin()
    );
    project.write("llm/models/settings/.env", env);
    project
}

/// Has Python walk a dataset in `folder` as upstream's second command walks finished chats, and returns how many records and
/// parts it found to agree; nothing where there is no Python to do so.
pub(crate) fn walked(project: &Project, folder: &str) -> Option<Value> {
    let Some(python) = std::env::var_os("CONVOGEN_PYTHON") else {
        println!("skipped: CONVOGEN_PYTHON names no interpreter with tests/readers/requirements.txt");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/read_upstream.py");
    let mut walk = Command::new(python);
    let read = walk.arg(script).args([folder, "walked"]).current_dir(project.path()).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    Some(serde_json::from_slice(&read.stdout).unwrap())
}

fn copy(folder: &Path, below: &str, project: &Project) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            copy(&path, &format!("{name}/"), project);
        } else {
            project.write(&name, std::fs::read(&path).unwrap());
        }
    }
}
