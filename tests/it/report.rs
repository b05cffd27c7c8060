//! `report`: the figures of a real run, its files and its datasets agree; what is made worse looks worse.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::endpoint::Endpoint;
use crate::support::project::Project;
use crate::support::script::Script;
use crate::support::sums::number;

const TALKS: &str = include_str!("../fixtures/metrics/talks.txt");
const GRID: &str =
    "version: 1\nattributes:\n  tone: {values: {warm: 2, tense: 1}}\n  place: {values: {kitchen: 1, tram: 1}}\n";

fn report(project: &Project, arguments: &[&str]) -> Value {
    project.run(&[&["report"], arguments, &["--json"]].concat()).ended(0).json()
}

fn demo() -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    project.write("grid.yaml", GRID);
    project.pipeline(&["--set", "situations.coverage=grid.yaml"]).ended(0);
    (endpoint, project)
}

#[test]
fn a_run_its_files_and_its_dataset_have_the_same_figures() {
    let (_endpoint, project) = demo();
    let run = report(&project, &["runs/demo"]);
    let figures = &run["subject"]["figures"];
    let rows = project.rows("runs/demo/stages/3-conversations/part-00000.jsonl");
    assert_eq!(number(&figures["conversations"]), rows.len() as u64);
    let turns: usize = rows.iter().map(|row| row["turns"].as_array().unwrap().len()).sum();
    assert_eq!(number(&figures["turns"]), turns as u64);

    let status = project.run(&["pipeline", "status", "runs/demo", "--json"]).ended(0).json();
    assert_eq!(run["run"]["summary"]["stages"], status["stages"]);
    let calls = status["usage"]["calls"].as_f64().unwrap() / rows.len() as f64;
    assert!((run["run"]["per_conversation"]["calls"].as_f64().unwrap() - calls).abs() < 1e-9);
    assert!(run["subject"]["gates"]["asked_again_per_100_turns"].is_number());
    assert_coverage(&project, &run["run"]["coverage"]);
    let rounds = run["run"]["hub"]["rounds"].as_array().unwrap();
    assert_eq!(rounds.iter().map(|round| number(&round["situations"])).sum::<u64>(), 12);

    for file in ["part-00000.jsonl", "part-00000.parquet"] {
        let same = report(&project, &[&format!("runs/demo/stages/3-conversations/{file}")]);
        assert_eq!(same["subject"]["figures"], *figures, "{file}");
        assert_eq!(same["subject"]["gates"], run["subject"]["gates"], "{file}");
        assert_eq!(same["run"], Value::Null);
    }
    // Its rows stand in another order, by split.
    let dataset = report(&project, &["runs/demo/dataset", "--reference", "runs/demo"]);
    for key in ["conversations", "turns", "words", "turns_per_conversation", "words_per_turn", "distinct_openers"] {
        assert_eq!(dataset["subject"]["figures"][key], figures[key], "{key}");
    }
    assert_eq!(dataset["distance"]["ks_words"], 0.0);
    assert_eq!(dataset["distance"]["figures"]["mtld_median"], 0.0);
}

/// Counts of the grid are those of the situations, and the wanted shares those of its weights.
fn assert_coverage(project: &Project, coverage: &Value) {
    let mut tones: BTreeMap<String, u64> = BTreeMap::new();
    for row in project.rows("runs/demo/stages/2-situations/part-00000.jsonl") {
        let cell: Value = serde_json::from_str(row["attributes"].as_str().unwrap()).unwrap();
        *tones.entry(cell["tone"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    for (tone, count) in &tones {
        assert_eq!(number(&coverage["attributes"]["tone"][tone]["count"]), *count, "{tone}");
    }
    assert!((coverage["attributes"]["tone"]["warm"]["expected"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(coverage["cells_possible"], 4);
}

#[test]
fn the_page_is_for_people_and_fits() {
    let (_endpoint, project) = demo();
    project.write("talks.jsonl", talks().iter().map(jsonl).collect::<String>());
    let ran = project.run(&["report", "runs/demo", "--reference", "talks.jsonl"]).ended(0);
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    let long: Vec<&str> = ran.stdout.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(long.is_empty(), "{long:#?}");
    for heading in ["outcomes", "length", "who holds the floor", "gates, per 100 turns", "coverage: ", "reference"] {
        assert!(ran.stdout.contains(heading), "no {heading} in {}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'));
    // The scripted voices are nothing like people, and the page says what to do about it.
    assert!(ran.stdout.contains("`conversations.words_per_turn` changes it"), "{}", ran.stdout);
}

#[test]
fn what_is_sealed_is_reported_and_what_is_not_is_named() {
    let (_endpoint, project) = demo();
    std::fs::remove_dir_all(project.path().join("runs/demo/stages/3-conversations")).unwrap();
    let report = report(&project, &["runs/demo"]);
    assert_eq!(report["run"]["unsealed"], json!(["conversations"]));
    assert_eq!((&report["subject"]["figures"], &report["run"]["per_conversation"]), (&Value::Null, &Value::Null));
    assert_eq!(report["run"]["summary"]["stages"]["situations"]["accepted"], 12);
    let page = project.run(&["report", "runs/demo"]).ended(0).stdout;
    assert!(page.contains("not sealed yet, and not in this report: conversations"), "{page}");
}

#[test]
fn what_cannot_be_measured_is_named() {
    let (_endpoint, project) = demo();
    let refused = |arguments: &[&str], code| project.run(&[&["report"], arguments].concat()).ended(code).stderr;
    assert!(refused(&["runs/none"], 2).contains("runs/none is not there"));
    assert!(refused(&["runs"], 2).contains("runs holds neither run.json nor a data folder"));
    project.write("bad.jsonl", "{\"dialogue\": \"Ann: Hi\"}\n\n{\"dialogue\": 3}\n");
    let stderr = refused(&["runs/demo", "--reference", "bad.jsonl"], 3);
    assert!(stderr.contains("bad.jsonl, line 3: there are no turns"), "{stderr}");
    project.write("empty.jsonl", "\n");
    assert!(refused(&["runs/demo", "--reference", "empty.jsonl"], 3).contains("empty.jsonl holds no conversation"));
    let personas = "runs/demo/stages/1-personas/part-00000.parquet";
    assert!(refused(&[personas], 3).contains("the file does not hold conversations"));

    let part = "runs/demo/stages/3-conversations/part-00000.jsonl";
    let sound = project.read(part);
    project.write(part, sound.replacen("\"text\":\"", "\"text\":\"\u{7f}", 1).replacen(' ', "", 1));
    assert!(refused(&["runs/demo"], 11).contains("part-00000.jsonl is damaged"));
    let shard = project.files("runs/demo/dataset/data").into_keys().next().unwrap();
    let path = format!("runs/demo/dataset/data/{shard}");
    let mut bytes = std::fs::read(project.path().join(&path)).unwrap();
    bytes[10] ^= 1;
    project.write(&path, bytes);
    assert!(refused(&["runs/demo/dataset"], 11).contains(&shard));
}

type Talk = Vec<String>;

/// Talk of people, written for this test.
fn talks() -> Vec<Talk> {
    TALKS.trim().split("\n\n").map(|talk| talk.lines().map(str::to_owned).collect()).collect()
}

fn jsonl(talk: &Talk) -> String {
    format!("{}\n", json!({"dialogue": talk.join("\n")}))
}

/// The figures of `worse` minus those of the talks as they are.
fn differences(worse: &[Talk]) -> Value {
    let project = Project::new();
    project.write("talks.jsonl", talks().iter().map(jsonl).collect::<String>());
    project.write("worse.jsonl", worse.iter().map(jsonl).collect::<String>());
    report(&project, &["worse.jsonl", "--reference", "talks.jsonl"])["distance"]["figures"].clone()
}

/// Numbers below `bound` that look random and never change.
fn scattered(bound: usize) -> impl FnMut() -> usize {
    let mut state = 17_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    }
}

#[track_caller]
fn assert_moved(differences: &Value, key: &str, least: f64) {
    let moved = differences[key].as_f64().unwrap_or_else(|| panic!("no {key}"));
    assert!(moved * least.signum() >= least.abs(), "{key} moved by {moved}, {least} at least was to be seen");
}

#[test]
fn shuffled_lines_lose_their_order() {
    let mut next = scattered(1_000_000);
    let mut shuffled = talks();
    for talk in &mut shuffled {
        talk.sort_by_cached_key(|_| next());
    }
    let moved = differences(&shuffled);
    assert_moved(&moved, "cohesion_of_order", -0.2);
    assert_moved(&moved, "cohesion", -0.01);
    assert_moved(&moved, "turn_taking", -0.1);
    assert_eq!(moved["distinct_1"], 0.0);
}

#[test]
fn replaced_letters_make_words_that_occur_once() {
    let mut next = scattered(100);
    let noisy = |line: &String| -> String {
        let (name, said) = line.split_once(':').unwrap();
        let letter = |c: char| {
            if c.is_ascii_lowercase() && next() < 3 {
                char::from(b"abcdefghijklmnopqrstuvwxyz"[next() % 26])
            } else {
                c
            }
        };
        format!("{name}:{}", said.chars().map(letter).collect::<String>())
    };
    let mut noisy = noisy;
    let worse: Vec<Talk> = talks().iter().map(|talk| talk.iter().map(&mut noisy).collect()).collect();
    let moved = differences(&worse);
    assert_moved(&moved, "words_once", 0.02);
    assert_moved(&moved, "distinct_1", 0.02);
    assert_moved(&moved, "mtld_corpus", 5.0);
    assert_moved(&moved, "gzip_ratio", -0.02);
}

#[test]
fn a_dialogue_that_is_repeated_is_seen() {
    let talks = talks();
    let half = talks.len() / 2;
    let repeated: Vec<Talk> = (0..talks.len()).map(|at| talks[if at < half { at } else { 0 }].clone()).collect();
    let moved = differences(&repeated);
    assert_moved(&moved, "self_repetition", 1.0);
    assert_moved(&moved, "gzip_ratio", 0.5);
    assert_moved(&moved, "zstd_ratio", 0.5);
    assert_moved(&moved, "distinct_openers", -0.3);
    assert_moved(&moved, "distinct_3", -0.2);
    let project = Project::new();
    project.write("repeated.jsonl", repeated.iter().map(jsonl).collect::<String>());
    let figures = report(&project, &["repeated.jsonl"])["subject"]["figures"].clone();
    let share = half as f64 / talks.len() as f64;
    assert!((figures["near_duplicates"].as_f64().unwrap() - share).abs() < 1e-9, "{figures}");
    let clean = report(&project, &["repeated.jsonl", "--reference", "repeated.jsonl"]);
    assert_eq!(number(&clean["reference"]["copies_removed"]), half as u64);
    assert_eq!(clean["reference"]["figures"]["near_duplicates"], 0.0);
}
