//! A run in parts: each by itself, in any order, and all of them together one dataset.

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, differing};
use crate::support::script::Script;

const PARTS: u64 = 4;

const UPLOAD: &str = "version: 1
runs: [runs/demo]
dataset: demo
work_dir: work
destination: {folder: out}
";

/// A run of twelve situations by 200 people, in parts.
fn project(endpoint: &Endpoint) -> Project {
    let project = Project::new();
    project.demo(&endpoint.base_url());
    project.write("upload.yaml", UPLOAD);
    project
}

fn part(project: &Project, index: u64, more: &[&str]) -> Ran {
    let shard = format!("{index}/{PARTS}");
    let fixed = ["--shard", &shard, "--set", "personas.sample=200", "--set", "compile.personas=all"];
    project.pipeline(&[&fixed, more].concat())
}

fn publish(project: &Project, more: &[&str]) -> Ran {
    project.run(&[&["compile-upload", "-c", "upload.yaml", "--json"], more].concat())
}

#[test]
fn parts_make_the_same_dataset_in_any_order_and_after_kills() {
    let endpoint = Endpoint::start(Script::default());
    let (straight, other) = (project(&endpoint), project(&endpoint));
    for index in 0..PARTS {
        part(&straight, index, &[]).ended(0);
    }
    for index in (0..PARTS).rev() {
        if index % 2 == 1 {
            killed(&endpoint, &other, index);
        }
        part(&other, index, &[]).ended(0);
    }
    let told = publish(&straight, &[]).ended(0).json();
    let listed = "runs=[runs/demo-2-of-4, runs/demo-0-of-4, runs/demo-3-of-4, runs/demo-1-of-4]";
    let again = publish(&other, &["--set", listed]).ended(0).json();
    assert_eq!(told["version"], again["version"]);
    let (one, two) = (straight.files("work/dataset"), other.files("work/dataset"));
    assert_eq!(differing(&one, &two), Vec::<String>::new());

    let removed = |table: &str| -> u64 {
        told["removed"][table].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
    };
    assert_eq!(told["rows"]["situations"].as_u64().unwrap() + removed("situations"), 12);
    assert_eq!(told["rows"]["personas"].as_u64().unwrap() + removed("personas"), 200);

    // What stops at damage in the last part leaves nothing of its way there, and the dataset as it was.
    let damaged = straight.path().join("runs/demo-3-of-4/stages/3-conversations/part-00000.jsonl");
    let content = std::fs::read_to_string(&damaged).unwrap();
    std::fs::write(&damaged, content.replacen("\"language\":\"en\"", "\"language\":\"eo\"", 1)).unwrap();
    publish(&straight, &["--set", "dedup.conversations=0.9"]).ended(11);
    let left: Vec<String> = straight.files("work").into_keys().filter(|name| name.contains("tmp")).collect();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(differing(&straight.files("work/dataset"), &two), Vec::<String>::new());
}

/// Starts a part and kills it once it has asked for something.
fn killed(endpoint: &Endpoint, project: &Project, index: u64) {
    let (before, shard) = (endpoint.calls().len(), format!("{index}/{PARTS}"));
    let sets = ["personas.sample=200", "compile.personas=all", "models.default.concurrency=1"];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let started = project.start(&["--shard", &shard].into_iter().chain(sets).collect::<Vec<_>>());
    while endpoint.calls().len() < before + 8 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    started.signal("KILL");
    assert_eq!(started.end().code, None, "it ended before it was killed");
}

#[test]
fn nobody_is_in_two_parts_and_together_they_are_everybody() {
    let endpoint = Endpoint::start(Script::default());
    let project = project(&endpoint);
    let people = |run: &str| -> Vec<String> {
        let rows = project.rows(&format!("{run}/stages/1-personas/part-00000.jsonl"));
        rows.into_iter().map(|row| row["persona"].as_str().unwrap().to_owned()).collect()
    };
    let everybody = ["--set", "personas.sample=null"];
    project.pipeline(&everybody).ended(0);
    let mut parts: Vec<String> = Vec::new();
    for index in 0..PARTS {
        part(&project, index, &everybody).ended(0);
        parts.extend(people(&format!("runs/demo-{index}-of-4")));
    }
    let mut whole = people("runs/demo");
    whole.sort();
    parts.sort();
    assert_eq!(parts, whole);
}

#[test]
fn parts_that_are_missing_doubled_or_made_otherwise_are_refused_by_name() {
    let endpoint = Endpoint::start(Script::default());
    let project = project(&endpoint);
    for index in [0, 1, 3] {
        part(&project, index, &[]).ended(0);
    }
    let refused = |code: i32, more: &[&str]| -> String { publish(&project, more).ended(code).stderr };
    let told = refused(3, &["--set", "runs=[runs/demo-0-of-4, runs/demo-1-of-4, runs/demo-3-of-4]"]);
    assert!(told.contains("of the 4 parts of which runs/demo-0-of-4 is one, these are missing: 2"), "{told}");
    let told = refused(3, &[]);
    assert!(told.contains("these are missing: 2"), "{told}");

    part(&project, 2, &["--set", "conversations.turns.max=7"]).ended(0);
    let told = refused(3, &[]);
    assert!(told.contains("runs/demo-2-of-4 was made with another conversations.turns.max"), "{told}");

    std::fs::remove_dir_all(project.path().join("runs/demo-2-of-4")).unwrap();
    part(&project, 2, &[]).ended(0);
    publish(&project, &[]).ended(0);
    let (from, to) = (project.path().join("runs/demo-1-of-4"), project.path().join("runs/copy"));
    assert!(std::process::Command::new("cp").arg("-r").args([&from, &to]).status().unwrap().success());
    let told = refused(3, &["--set", "runs=[runs/demo, runs/copy]"]);
    assert!(told.contains("runs/demo-1-of-4 and runs/copy are both part 1 of 4"), "{told}");
}

#[test]
fn a_job_finds_its_part_by_its_number_and_keeps_to_its_share() {
    let endpoint = Endpoint::start(Script::default());
    let project = project(&endpoint);
    let run = |variable: &str, value: &str, more: &[&str]| -> Ran {
        let fixed = ["pipeline", "run", "-c", "demo.yaml", "--json", "--shards", "4", "--set", "personas.sample=200"];
        let mut command = project.convogen(&[&fixed[..], more].concat());
        command.env(variable, value).output().unwrap().into()
    };
    let told = run("JOB_COMPLETION_INDEX", "2", &[]).ended(0).json();
    assert_eq!(told["run_dir"], "runs/demo-2-of-4");
    assert_eq!(told["stages"]["situations"]["accepted"], 3);
    let kept: Value = project.json("runs/demo-2-of-4/run.json");
    assert_eq!(kept["fingerprints"]["shard"], serde_json::json!({"index": 2, "count": 4}));
    assert_eq!(kept["fingerprints"]["situations.count"], 12);
    let calls = endpoint.calls().len();
    assert_eq!(run("SLURM_ARRAY_TASK_ID", "2", &[]).ended(0).json()["run_dir"], "runs/demo-2-of-4");
    assert_eq!(endpoint.calls().len(), calls, "the same part was bought twice");

    let capped = run("SLURM_ARRAY_TASK_ID", "1", &["--set", "budget.max_calls=40"]).ended(8).json();
    assert!(capped["usage"]["calls"].as_u64().unwrap() <= 10, "{capped}");
    for (variable, value, wanted) in [
        ("SLURM_ARRAY_TASK_ID", "4", "there is no part 4 of 4"),
        ("NOTHING", "0", "neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID is set"),
    ] {
        let told = run(variable, value, &[]).ended(2).stderr;
        assert!(told.contains(wanted), "{told}");
    }
    let told = run("JOB_COMPLETION_INDEX", "0", &["--set", "situations.count=3"]).ended(2).stderr;
    assert!(told.contains("situations.count: 3 cannot be divided among 4 parts"), "{told}");
}
