//! Who is told what: every private fact reaches its owner's prompts and nobody else's, and comes out of no other mouth.

use serde_json::{Value, json};

use crate::support::endpoint::Endpoint;
use crate::support::project::Project;
use crate::support::script::{Answer, Call, Script};

const PEOPLE: [&str; 3] = ["Ann Lee", "Bob Stone", "Cleo Marsh"];
const FACTS: [&str; 4] = ["persona", "stance", "goal", "knowledge"];

/// A fact that stands in one place only, in words no other text has.
fn fact(person: usize, kind: &str) -> String {
    let word = ["walnut", "herring", "lantern"][person];
    match kind {
        "persona" => format!("a carver of {word} masks who once sailed around the {word} cape alone in winter"),
        "stance" => format!("believes the {word} fair must never move to the quarry"),
        "goal" => format!("wants to be asked about the {word} contract before noon"),
        _ => format!("The {word} deed lies in vault {}7731 beneath the granary staircase.", person + 1),
    }
}

fn situation(id: usize) -> String {
    let people: Vec<Value> = PEOPLE
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let mut person = json!({"name": name, "description": format!("{name} lives by the harbour.")});
            for kind in FACTS {
                person[kind] = json!(fact(at, kind));
            }
            person
        })
        .collect();
    let ties = ["Ann Lee and Bob Stone share a boat.", "Cleo Marsh taught Bob Stone to read."];
    let what =
        ["The ferry is late, and the ticket office has closed.", "A kite hangs in the wires above the fish market."]
            [id];
    json!({"id": format!("s{id}"), "personas": people, "relations": ties, "situation": what, "topic": "what to do now",
           "conversation_starter": "Well, what now?"})
    .to_string()
}

/// Whose turn a prompt is for; nobody's if it asks for a choice.
fn speaker(prompt: &str) -> Option<usize> {
    let name = prompt.rsplit_once("Now ")?.1.split_once(" speaks")?.0;
    PEOPLE.iter().position(|person| *person == name).filter(|_| !prompt.contains("Who speaks next?"))
}

/// A model that hands back, now and then, the whole of its prompt or a line of it.
fn echo(call: &Call) -> Answer {
    let prompt = call.prompt();
    // Whoever tells a fact of their own has told it: after that the others hear it.
    let own = |line: &str| speaker(&prompt).is_some_and(|at| FACTS.iter().any(|kind| line.contains(&fact(at, kind))));
    let lines: Vec<&str> = prompt.lines().filter(|line| line.contains(": ") && !own(line)).collect();
    match call.share() {
        _ if call.raw.contains("verdict") => Answer::Plausible,
        share if share < 0.15 => Answer::Echo,
        share if share < 0.3 => Answer::Text(lines.last().copied().unwrap_or_default().to_owned()),
        share if share < 0.4 && speaker(&prompt).is_some() => {
            let other = speaker(&prompt).map_or(0, |at| (at + 1) % 3);
            Answer::Text(format!("I happen to know one thing. {}", fact(other, "knowledge")))
        }
        _ => Answer::Plausible,
    }
}

#[test]
fn every_private_fact_is_told_to_its_owner_and_to_nobody_else() {
    for selection in ["auto", "fused", "round_robin", "random", "rules"] {
        for layout in ["agent_first", "shared_prefix"] {
            let (endpoint, project) = (Endpoint::start(Script::answering(echo)), Project::new());
            project.demo(&endpoint.base_url());
            project.write("situations.jsonl", [situation(0), situation(1)].join("\n"));
            let keys = [
                "situations.mode=file".to_owned(),
                "situations.source=situations.jsonl".to_owned(),
                "conversations.per_situation=3".to_owned(),
                "conversations.max_repairs=6".to_owned(),
                format!("conversations.speaker_selection={selection}"),
                format!("conversations.layout={layout}"),
            ];
            let sets: Vec<&str> = keys.iter().flat_map(|key| ["--set", key.as_str()]).collect();
            let ran = project.pipeline(&sets);
            assert!(matches!(ran.code, Some(0 | 9)), "{}", ran.stderr);
            assert_told(&endpoint, &format!("{selection}, {layout}"));
            let talks = project.read("runs/demo/stages/3-conversations/part-00000.jsonl");
            assert!(!talks.is_empty(), "{selection}, {layout}: nothing was held");
            assert_untold(&talks);
        }
    }
}

/// Every request has the facts of the one it makes speak, and none of the others'.
fn assert_told(endpoint: &Endpoint, what: &str) {
    let mut speakers = [0; 3];
    for call in endpoint.calls() {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        let texts: Vec<&str> =
            body["messages"].as_array().unwrap().iter().filter_map(|m| m["content"].as_str()).collect();
        let prompt = texts.join("\n");
        let owner = speaker(&prompt);
        if let Some(at) = owner {
            speakers[at] += 1;
        }
        for (person, name) in PEOPLE.iter().enumerate() {
            for kind in FACTS {
                let is_told = prompt.contains(&fact(person, kind));
                assert_eq!(is_told, owner == Some(person), "{what}: {kind} of {name} for {owner:?}");
            }
        }
        if owner.is_some() && body["messages"][0]["content"].as_str().unwrap().contains("This is a conversation") {
            let last = texts.last().unwrap();
            assert!(
                FACTS.iter().all(|kind| last.contains(&fact(owner.unwrap(), kind))),
                "{what}: the private part is last"
            );
        }
    }
    assert!(speakers.iter().all(|calls| *calls > 0), "{what}: {speakers:?}");
}

/// No turn tells what somebody else alone knows, and nobody recites who they are.
fn assert_untold(talks: &str) {
    for talk in talks.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        for turn in talk["turns"].as_array().unwrap() {
            let text = turn["text"].as_str().unwrap();
            for (at, name) in PEOPLE.iter().enumerate() {
                assert!(!text.contains(&fact(at, "persona")), "{text}");
                assert!(turn["speaker"] == *name || !text.contains(&fact(at, "knowledge")), "{text}");
            }
        }
    }
}
