//! A run from personas to the dataset, in every mode and by every way of taking turns: what it makes, what it asks for,
//! and whether all that counts it agrees.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::endpoint::{Endpoint, LoggedCall};
use crate::support::project::Project;
use crate::support::script::{Answer, Script};
use crate::support::sums::{assert_sums, number, timeless};

const SELECTIONS: [&str; 5] = ["auto", "fused", "round_robin", "random", "rules"];
/// The columns of the contract, in order; more may follow.
const COLUMNS: [&str; 17] = [
    "id",
    "situation_id",
    "situation",
    "topic",
    "conversation_starter",
    "language",
    "relations",
    "participants",
    "turns",
    "stop_reason",
    "model",
    "tier",
    "prompt_tokens",
    "cached_prompt_tokens",
    "completion_tokens",
    "attributes",
    "provenance",
];
const TURN_COLUMNS: [&str; 7] = ["index", "speaker_id", "speaker", "addressee_id", "text", "selected_by", "attempts"];

fn demo(script: Script) -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(script), Project::new());
    project.demo(&endpoint.base_url());
    (endpoint, project)
}

fn conversations(project: &Project) -> Vec<Value> {
    project.rows("runs/demo/stages/3-conversations/part-00000.jsonl")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is no list"))
}

#[test]
fn every_way_of_taking_turns_makes_a_whole_run_at_its_price() {
    for selection in SELECTIONS {
        for layout in ["agent_first", "shared_prefix"] {
            let (endpoint, project) = demo(Script::default());
            let selection_key = format!("conversations.speaker_selection={selection}");
            let layout_key = format!("conversations.layout={layout}");
            let summary = project.pipeline(&["--set", &selection_key, "--set", &layout_key]).ended(0).json();
            assert_sums(&project, "runs/demo", &summary);
            assert_eq!(summary["status"], "finished");
            assert_eq!(number(&summary["usage"]["calls"]), endpoint.calls().len() as u64, "{selection}, {layout}");
            let talks = conversations(&project);
            talks.iter().for_each(assert_conversation);
            assert_price(selection, &summary, &talks);
        }
    }
}

/// Turns of 6 to 8, nobody twice running, everybody heard, ids that exist, columns in order.
fn assert_conversation(talk: &Value) {
    let id = &talk["id"];
    let keys: Vec<&str> = talk.as_object().unwrap().keys().map(String::as_str).filter(|key| *key != "split").collect();
    assert_eq!(keys.get(..COLUMNS.len()), Some(COLUMNS.as_slice()), "{id}");
    let people: BTreeSet<&str> = list(talk, "participants").iter().filter_map(|p| p["id"].as_str()).collect();
    let turns = list(talk, "turns");
    assert!((6..=8).contains(&turns.len()), "{id} has {} turns", turns.len());
    let mut heard = BTreeSet::new();
    let mut last = "";
    for (index, turn) in turns.iter().enumerate() {
        let turn_keys: Vec<&str> = turn.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(turn_keys, TURN_COLUMNS, "{id}");
        assert_eq!(turn["index"], index, "{id}");
        let speaker = turn["speaker_id"].as_str().unwrap();
        assert!(people.contains(speaker), "{id}: {speaker} is not of the group");
        assert_ne!(speaker, last, "{id}: twice running at {index}");
        if let Some(addressee) = turn["addressee_id"].as_str() {
            assert!(people.contains(addressee) && addressee != speaker, "{id}: {addressee} is addressed at {index}");
        }
        assert_ne!(turn["text"], talk["conversation_starter"], "{id}: the starter is a turn");
        heard.insert(speaker);
        last = speaker;
    }
    assert_eq!(heard, people, "{id}: somebody was not heard");
}

/// A reply a turn, and with `auto` a choice for each turn that leaves one, besides what had to be asked again.
fn assert_price(selection: &str, summary: &Value, talks: &[Value]) {
    let turns: Vec<&Value> = talks.iter().flat_map(|talk| list(talk, "turns")).collect();
    let attempts: u64 = turns.iter().map(|turn| number(&turn["attempts"])).sum();
    let by_role = &summary["usage"]["calls_by_role"];
    assert_eq!(number(&by_role["speaker"]), attempts, "{selection}: a reply an attempt");
    let chosen = turns.iter().filter(|turn| turn["selected_by"] != "only_candidate").count() as u64;
    let selector_calls: u64 = talks.iter().map(|talk| number(&provenance(talk)["handled"]["selector_calls"])).sum();
    // The selector's word that the talk is over is a call without a turn.
    let farewells = talks.iter().filter(|talk| number(&provenance(talk)["handled"]["selector_calls"]) > 0);
    match selection {
        "auto" => {
            assert_eq!(number(&by_role["selector"]), selector_calls);
            assert!(selector_calls >= chosen && selector_calls <= chosen + farewells.count() as u64);
        }
        _ => assert_eq!((number(&by_role["selector"]), selector_calls), (0, 0), "{selection} asks nobody who is next"),
    }
}

fn provenance(talk: &Value) -> Value {
    serde_json::from_str(talk["provenance"].as_str().unwrap()).unwrap()
}

#[test]
fn invented_people_have_names_no_one_could_confuse() {
    let (_endpoint, project) = demo(Script::default());
    let summary = project.pipeline(&["--set", "situations.mode=auto", "--set", "situations.count=8"]).ended(0).json();
    assert_sums(&project, "runs/demo", &summary);
    assert_eq!(summary["stages"]["personas"]["accepted"], 0);
    for situation in project.rows("runs/demo/stages/2-situations/part-00000.jsonl") {
        let people = list(&situation, "personas");
        let first = |person: &Value| person["name"].as_str().unwrap().split(' ').next().unwrap().to_lowercase();
        let names: BTreeSet<String> = people.iter().map(first).collect();
        assert_eq!(names.len(), people.len(), "{}", situation["id"]);
    }
    conversations(&project).iter().for_each(assert_conversation);
}

/// The model calls everybody Maria Lopez and Marie Lopez, in every text.
#[test]
fn a_name_that_has_to_change_changes_in_every_text() {
    let people = |name: &str, other: &str| {
        json!([
            {"name": name, "description": format!("{name} runs the ferry and owes {other} a favour."),
             "persona": format!("{name}, who grew up on the river."), "stance": "for", "goal": "to be heard"},
            {"name": other, "description": format!("{other} keeps the books."), "persona": "An accountant.",
             "stance": "against", "goal": "to go home"},
        ])
    };
    let script = Script::answering(move |call| {
        if !call.raw.contains("conversation_starter") || call.schema().is_none() {
            return Answer::Plausible;
        }
        let mut reply: Value = serde_json::from_str(&crate::support::script::plausible(call)).unwrap();
        for situation in reply["situations"].as_array_mut().into_iter().flatten() {
            situation["personas"] = people("Maria Lopez", "Marie Lopez");
            let text = situation["situation"].as_str().unwrap_or_default().to_owned();
            situation["situation"] = json!(format!("Maria Lopez and Marie Lopez have met. {text}"));
            situation["relations"] = json!([{"from": "Maria Lopez", "to": "Marie Lopez", "type": "rival", "text": "Maria Lopez envies Marie Lopez."}]);
        }
        Answer::Text(reply.to_string())
    });
    let (_endpoint, project) = demo(script);
    let sets = [
        "--set",
        "situations.mode=auto",
        "--set",
        "situations.personas={min: 2, max: 2}",
        "--set",
        "situations.count=4",
    ];
    project.pipeline(&sets);
    let situations = project.rows("runs/demo/stages/2-situations/part-00000.jsonl");
    assert!(!situations.is_empty(), "{}", project.read("runs/demo/stages/2-situations/rejected.jsonl"));
    for situation in situations {
        let names: Vec<&str> = list(&situation, "personas").iter().filter_map(|p| p["name"].as_str()).collect();
        let (one, other) = (names[0], names[1]);
        assert!(!(one.starts_with("Mari") && other.starts_with("Mari")), "{names:?}");
        let relation = situation["relations"][0]["text"].as_str().unwrap();
        assert!(relation.contains(one) && relation.contains(other), "{names:?}: {relation}");
        let scene = situation["situation"].as_str().unwrap();
        for gone in ["Maria", "Marie"].into_iter().filter(|name| !names.iter().any(|kept| kept.contains(name))) {
            assert!(!situation.to_string().contains(gone), "{gone} is left in {situation}");
        }
        assert!(scene.contains(one) && scene.contains(other), "{names:?}: {scene}");
    }
}

fn given_situations() -> String {
    let row = |n: usize| {
        let place = ["ferry", "bakery", "archive", "orchard"][n % 4];
        json!({
            "id": format!("mine-{n}"),
            "personas": [
                {"name": "Ann", "description": format!("Ann runs the {place}."), "persona": format!("She has run the {place} for {n} years.")},
                {"name": "Bob", "description": format!("Bob repairs the {place}."), "persona": "A mechanic who hums."},
                {"name": "Chi", "description": "Chi keeps the books.", "persona": "An accountant who paints at night."},
            ],
            "relations": ["Ann and Bob are siblings", "Chi works for Ann"],
            "situation": format!("The {place} closes in {} weeks and nobody has told the guests of table {n}.", n + 2),
            "topic": format!("who tells the guests of the {place}, case {n}"),
            "conversation_starter": format!("So, who is going to say it at table {n} of the {place}?"),
        })
        .to_string()
    };
    (0..4).map(|n| row(n) + "\n").collect()
}

#[test]
fn given_situations_cost_no_call_and_keep_their_relations() {
    let (endpoint, project) = demo(Script::default());
    project.write("mine.jsonl", given_situations());
    let sets =
        ["--set", "situations.mode=file", "--set", "situations.source=mine.jsonl", "--set", "situations.count=null"];
    let sets = [&sets[..], &["--set", "dedup.enabled=false"]].concat();
    let summary = project.pipeline(&sets).ended(0).json();
    assert_sums(&project, "runs/demo", &summary);
    assert_eq!(summary["stages"]["situations"]["accepted"], 4);
    assert_eq!(number(&summary["usage"]["calls_by_role"]["situations"]), 0);
    let shown = endpoint.calls().iter().filter(|call| call.body.contains("Ann and Bob are siblings")).count();
    assert!(shown > 0, "no prompt tells the relations");
    for talk in conversations(&project) {
        assert_conversation(&talk);
        assert_eq!(talk["relations"][0]["text"], "Ann and Bob are siblings");
    }
}

fn probes(calls: &[LoggedCall]) -> usize {
    calls.iter().filter(|call| call.body.contains("verdict")).count()
}

#[test]
fn an_endpoint_without_schemas_is_found_out_once() {
    let script = || Script { json_schema: false, ..Script::default() };
    let (mut endpoint, project) = demo(script());
    project.pipeline(&["--set", "budget.max_calls=9"]).ended(8);
    let first = endpoint.calls();
    assert_eq!(probes(&first), 2, "json_schema is tried, then json_object");
    let summary = project.pipeline(&[]).ended(0).json();
    assert_sums(&project, "runs/demo", &summary);
    let all = endpoint.calls();
    assert_eq!(probes(&all), 2, "the verdict is on record");
    let later = all.iter().skip(2).filter(|call| call.body.contains("json_schema\"")).count();
    assert_eq!(later, 0, "what the endpoint does not take is not sent to it");
    endpoint.stop();
}

#[test]
fn status_says_what_the_run_said_and_verify_finds_nothing() {
    let (_endpoint, project) = demo(Script::default());
    let summary = project.pipeline(&[]).ended(0).json();
    let mut status = project.run(&["pipeline", "status", "runs/demo", "--json"]).ended(0).json();
    // What status says besides: how the situations fill the grid.
    let coverage = status.as_object_mut().unwrap().remove("coverage").unwrap();
    assert_eq!(timeless(status), timeless(summary.clone()));
    let accepted = number(&summary["stages"]["situations"]["accepted"]);
    for attribute in ["domain", "relation", "tone", "group_size"] {
        let values = coverage.as_array().unwrap().iter().filter(|fill| fill["attribute"] == attribute);
        let (wanted, situations) = values.fold((0.0, 0), |(wanted, situations), fill| {
            (wanted + fill["wanted"].as_f64().unwrap(), situations + number(&fill["situations"]))
        });
        assert!((wanted - 1.0).abs() < 1e-9 && situations == accepted, "{attribute}: {coverage}");
    }
    let verified = project.run(&["pipeline", "verify", "runs/demo", "--json"]).ended(0).json();
    assert_eq!(verified["damage"], json!([]));
}

fn flip(bytes: &[u8]) -> Vec<u8> {
    let (mut flipped, middle) = (bytes.to_vec(), bytes.len() / 2);
    flipped[middle] ^= 1;
    flipped
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is_and_what_is_sound_need_not_be_bought_again() {
    let (endpoint, project) = demo(Script::default());
    project.pipeline(&[]).ended(0);
    let wanted = project.data("runs/demo");
    let sound = project.files("runs/demo");
    let bought = endpoint.calls().len();
    let damaged = |name: &str| {
        for (file, bytes) in &sound {
            project.write(&format!("runs/demo/{file}"), bytes);
        }
        project.write(&format!("runs/demo/{name}"), flip(&sound[name]));
        let ran = project.run(&["pipeline", "verify", "runs/demo"]).ended(11);
        let file = name.rsplit('/').next().unwrap();
        assert!((ran.stdout + &ran.stderr).contains(file), "{name} is not named");
    };
    let files: Vec<&str> = sound.keys().map(String::as_str).collect();
    let parts = files.iter().filter(|name| name.contains("part-00000") || name.starts_with("dataset/"));
    let (manifests, parts): (Vec<&str>, Vec<&str>) = parts.partition(|name| name.ends_with("manifest.json"));
    assert!(parts.len() > 12 && manifests.len() == 1, "{files:?}");
    for name in parts {
        damaged(name);
    }

    damaged("journal/00000001.jsonl");
    let salvaged = ["pipeline", "verify", "runs/demo", "--salvage", "runs/saved"];
    project.run(&salvaged).ended(11);
    project.pipeline(&["--run-dir", "runs/saved"]).ended(0);
    assert_eq!(crate::support::project::differing(&wanted, &project.data("runs/saved")), Vec::<String>::new());
    let again = endpoint.calls().len() - bought;
    assert!(again <= 1, "{again} calls were made again for one flipped bit");
}

/// Files that come with a checkout of the whole project, not with the package.
fn shared(name: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("CONVOGEN_SHARED").map_or_else(beside, PathBuf::from);
    Some(folder.join(name)).filter(|path| path.is_file())
}

#[test]
fn two_hundred_situations_of_two_thousand_personas_add_up() {
    let Some(personas) = shared("data/personahub-2000.jsonl") else {
        println!("skipped: no personahub-2000.jsonl; CONVOGEN_SHARED names the folder that has data/ in it");
        return;
    };
    let (endpoint, project) = demo(Script::default());
    let source = format!("personas.source={}", personas.display());
    let sets = ["--set", &source, "--set", "personas.sample=null", "--set", "situations.count=200"];
    let sets =
        [&sets[..], &["--set", "models.default.concurrency=64", "--set", "situations.hub.round_calls=16"]].concat();
    let summary = project.pipeline(&sets).ended(0).json();
    assert_sums(&project, "runs/demo", &summary);
    assert_eq!(summary["stages"]["situations"]["accepted"], 200);
    assert_eq!(number(&summary["usage"]["calls"]), endpoint.calls().len() as u64);
    conversations(&project).iter().for_each(assert_conversation);
}

#[test]
fn the_dataset_loads_where_people_load_datasets() {
    let Some(python) = std::env::var_os("CONVOGEN_PYTHON") else {
        println!("skipped: CONVOGEN_PYTHON names no interpreter with tests/readers/requirements.txt");
        return;
    };
    let (_endpoint, project) = demo(Script::default());
    project.pipeline(&[]).ended(0);
    for script in [&["read_dataset.py"][..], &["read_as_documented.py", "local"]] {
        let readers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/readers");
        let mut command = Command::new(&python);
        command.arg(readers.join(script[0])).args(&script[1..]).arg(project.path().join("runs/demo/dataset"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
