//! Seeds: every situation is made after one, evenly, and everything made from it says after which.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, differing};
use crate::support::script::{Answer, Script};
use crate::support::values;

const SEEDS: &str = r#"{"id": "parcel", "intent": "ask where a parcel is", "labels": {"domain": "delivery", "level": 2}}
{"id": "refund", "intent": "ask for money back", "summary": "A guest was charged twice and the waiter wants a receipt."}
{"id": "lesson", "dialogue": [{"speaker": "Ines", "text": "My Thursday lesson clashes with the dentist, could we do Friday?"}, {"speaker": "Tom", "text": "Friday is full until six, would half past six be too late for you?"}]}
"#;

fn seeded(script: Script) -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(script), Project::new());
    project.demo(&endpoint.base_url());
    project.write("seeds.jsonl", SEEDS);
    (endpoint, project)
}

fn with_seeds<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["--set", "situations.seeds=seeds.jsonl"], more].concat()
}

fn situations(project: &Project) -> Vec<Value> {
    project.rows("runs/demo/stages/2-situations/part-00000.jsonl")
}

fn labels(row: &Value) -> Value {
    serde_json::from_str(row["labels"].as_str().unwrap()).unwrap()
}

/// The labels that everything made after a seed has.
fn expected() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("parcel", json!({"seed": "parcel", "intent": "ask where a parcel is", "domain": "delivery", "level": 2})),
        ("refund", json!({"seed": "refund", "intent": "ask for money back"})),
        ("lesson", json!({"seed": "lesson"})),
    ])
}

#[test]
fn every_situation_is_made_after_a_seed_and_its_labels_travel() {
    let grid = format!("situations.coverage={}/configs/coverage.yaml", env!("CARGO_MANIFEST_DIR"));
    for mode in ["predefined", "auto"] {
        for coverage in ["situations.coverage=null", &grid] {
            let (endpoint, project) = seeded(Script::default());
            let mode_key = format!("situations.mode={mode}");
            project.pipeline(&with_seeds(&["--set", &mode_key, "--set", coverage])).ended(0);
            let made = situations(&project);
            let by_id: BTreeMap<&str, Value> =
                made.iter().map(|row| (row["id"].as_str().unwrap(), labels(row))).collect();
            for label in by_id.values() {
                assert_eq!(Some(label), expected().get(label["seed"].as_str().unwrap()), "{mode}");
            }
            for talk in project.rows("runs/demo/stages/3-conversations/part-00000.jsonl") {
                assert_eq!(labels(&talk), by_id[talk["situation_id"].as_str().unwrap()], "{mode}");
            }
            // A call carries one seed whole, and no seed is a turn ahead of another.
            let marks = [": ask where a parcel is.", "A guest was charged twice", "Ines: My Thursday lesson clashes"];
            let prompts: BTreeSet<String> = endpoint.calls().into_iter().map(|call| call.body).collect();
            let asked = marks
                .map(|mark| prompts.iter().filter(|body| body.contains(mark) && body.contains("Task: write")).count());
            let (least, most) = (asked.iter().min().unwrap(), asked.iter().max().unwrap());
            assert!(*least >= 4 && most - least <= 1, "{mode}: {asked:?}");
        }
    }
}

#[test]
fn seeds_are_part_of_what_makes_a_run_and_of_what_explain_tells() {
    let (_endpoint, project) = seeded(Script::default());
    project.pipeline(&with_seeds(&[])).ended(0);
    assert_eq!(project.read("runs/demo/inputs/seeds.jsonl"), SEEDS);
    let refund = situations(&project).into_iter().find(|row| labels(row)["seed"] == "refund").unwrap();
    let talk = format!("c-{}-000", refund["id"].as_str().unwrap());
    let page = project.run(&["explain", &talk, "--run-dir", "runs/demo", "--calls"]).ended(0).stdout;
    for part in ["made after the seed refund", "summary: A guest was charged twice", r#"labels: {"seed":"refund""#] {
        assert!(page.contains(part), "{page}");
    }
    let (_other_endpoint, other) = seeded(Script::default());
    other.pipeline(&with_seeds(&["--set", "models.default.concurrency=1"])).ended(0);
    assert_eq!(differing(&project.data("runs/demo"), &other.data("runs/demo")), Vec::<String>::new());

    project.write("seeds.jsonl", SEEDS.replace("money back", "a discount"));
    let refused = project.pipeline(&with_seeds(&[])).ended(5);
    assert!(refused.stderr.contains("inputs/seeds.jsonl"), "{}", refused.stderr);
}

#[test]
fn what_copies_its_seed_is_asked_for_again_and_then_rejected() {
    let copy = "My Thursday lesson clashes with the dentist, could we do Friday? Friday is full until six, says Tom.";
    let (_endpoint, project) = seeded(Script::but(
        |call| call.prompt().contains("Task: write") && call.prompt().contains("Ines: My Thursday"),
        move |call| {
            let mut reply = values::fitting(&call.schema().unwrap(), &call.prompt());
            reply["situations"][0]["situation"] = json!(copy);
            Answer::Text(reply.to_string())
        },
    ));
    project.pipeline(&with_seeds(&["--set", "situations.count=6"])).ended(0);
    let rejected = project.rows("runs/demo/stages/2-situations/rejected.jsonl");
    assert!(!rejected.is_empty());
    for row in &rejected {
        assert_eq!(row["reason"], "copies_seed", "{row}");
    }
    let page = project
        .run(&["explain", rejected[0]["id"].as_str().unwrap(), "--run-dir", "runs/demo", "--calls"])
        .ended(0)
        .stdout;
    assert!(page.contains("phrases stand in the source; use other words"), "{page}");
    assert!(situations(&project).iter().all(|row| labels(row)["seed"] != "lesson"));
}

#[test]
fn faulty_seeds_are_named_before_anything_is_asked() {
    let (endpoint, project) = seeded(Script::default());
    project.write("seeds.jsonl", format!("{SEEDS}\n{{\"intnet\": \"x\"}}\n{{}}\n"));
    for command in [&["pipeline", "run"][..], &["plan"], &["preview"]] {
        let ran = project.run(&[command, &["-c", "demo.yaml"], &with_seeds(&[])].concat()).ended(3);
        for part in [
            "seeds.jsonl cannot be used: 2 faulty rows",
            "seeds.jsonl:5: unknown field `intnet`",
            "seeds.jsonl:6: nothing to go by",
        ] {
            assert!(ran.stderr.contains(part), "{}", ran.stderr);
        }
    }
    project.write("seeds.jsonl", SEEDS);
    let prompt = "<!-- section: system -->\nYou write.\n<!-- section: user -->\nAbout {{ intent }}, {{ summary }}.\n<!-- section: repair -->\n{{ error }}\n";
    project.write("own.md", prompt);
    project.write("own.yaml", "prompt: own.md\nshots: []\nselection: random\n");
    let ran = project.pipeline(&with_seeds(&["--set", "situations.prompt_config=own.yaml"])).ended(2);
    assert!(ran.stderr.contains("own.md: nothing in it uses `dialogue`"), "{}", ran.stderr);
    project.write("own.md", prompt.replace("summary", "dialogue"));
    let mode = ["--set", "situations.mode=file", "--set", "situations.source=seeds.jsonl"];
    let ran = project.pipeline(&with_seeds(&mode)).ended(2);
    assert!(ran.stderr.contains("situations.seeds: mode `file` imports"), "{}", ran.stderr);
    assert!(endpoint.calls().is_empty());
}

#[test]
fn labels_survive_a_trip_through_a_file() {
    let (_endpoint, project) = seeded(Script::default());
    project.pipeline(&with_seeds(&[])).ended(0);
    let made: BTreeMap<String, Value> =
        situations(&project).iter().map(|row| (row["id"].as_str().unwrap().to_owned(), labels(row))).collect();
    let source = "situations.source=runs/demo/stages/2-situations/part-00000.jsonl";
    let import = ["--set", "situations.mode=file", "--set", source, "--run-dir", "runs/again"];
    project.pipeline(&import).ended(0);
    let again = project.rows("runs/again/stages/2-situations/part-00000.jsonl");
    assert_eq!(again.len(), made.len());
    for row in again {
        assert_eq!(labels(&row), made[row["id"].as_str().unwrap()]);
    }
}
