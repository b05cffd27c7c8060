//! The prompts and examples that ship: they load, keep their own rules and fit together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::prompt::CallRequest;
use crate::prompt::leak::Leaks;
use crate::prompt::reply::{Standard, parse_situations};
use crate::prompt::schema::{mismatch, situations_schema};
use crate::store::fs;

const SETS: [(&str, PersonaMode); 2] = [("shots", PersonaMode::Auto), ("shots-personas", PersonaMode::Predefined)];

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts/situations").join(name)
}

fn shots(set: &str) -> Vec<Shot> {
    let folder = shipped(set);
    let names = fs::list(&folder)
        .unwrap()
        .into_iter()
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "json"));
    let read = |name| Shot::parse(Path::new(&name), &fs::read_to_string(&folder.join(&name)).unwrap()).unwrap();
    names.map(read).collect()
}

fn template(mode: PersonaMode) -> Template {
    let name = if mode == PersonaMode::Auto { "prompt-v1.md" } else { "prompt-persona-v1.md" };
    parse(name, &crate::store::fs::read_to_string(&shipped(name)).unwrap()).unwrap()
}

fn wanted(shot: &Shot, mode: PersonaMode) -> CallRequest {
    let names: Vec<String> = shot.draft.personas.iter().map(|person| person.name.clone()).collect();
    match mode {
        PersonaMode::Predefined => CallRequest::Given(vec![names]),
        PersonaMode::Auto => CallRequest::Invented { count: 1, min: names.len(), max: names.len() },
    }
}

fn values(shot: &Shot, mode: PersonaMode) -> SituationValues<'_> {
    let given = shot.draft.personas.iter();
    let given = given.map(|p| Given { name: &p.name, persona: p.persona.as_deref().unwrap_or_default() });
    SituationValues {
        language: "en",
        language_name: "English",
        count: 1,
        groups: if mode == PersonaMode::Predefined { vec![given.collect()] } else { Vec::new() },
        min_people: 3,
        max_people: 5,
        shots: vec![Example::new(shot, mode)],
        ..SituationValues::default()
    }
}

#[test]
fn variables_are_the_keys_of_the_values() {
    let Value::Object(keys) = serde_json::to_value(SituationValues::default()).unwrap() else { panic!("an object") };
    let keys: BTreeSet<&str> = keys.keys().map(String::as_str).collect();
    assert_eq!(keys, VARIABLES.iter().copied().collect());
}

#[test]
fn shipped_shots_are_replies_that_would_be_accepted() {
    for (set, mode) in SETS {
        let shots = shots(set);
        assert!(shots.len() >= 8);
        // Not the words of the shots themselves, but those of the prompt and of all other shots.
        for shot in &shots {
            let prompt = template(mode);
            let others: Vec<String> = shots.iter().filter(|other| *other != shot).map(Shot::words).collect();
            let leaks = Leaks::new(others.iter().map(String::as_str).chain([prompt.literal()]));
            let wanted = wanted(shot, mode);
            let parsed = parse_situations(&shot.output(mode), &wanted, &leaks, Standard::Full);
            let draft =
                parsed.into_iter().next().unwrap().unwrap_or_else(|error| panic!("{set}/{}: {error}", shot.name));
            assert_eq!(draft.conversation_starter, shot.draft.conversation_starter);
            let output: Value = serde_json::from_str(&shot.output(mode)).unwrap();
            assert_eq!(mismatch(&situations_schema(&wanted, Standard::Full), &output), None, "{set}/{}", shot.name);
        }
    }
}

#[test]
fn outputs_have_the_key_order_of_the_schema() {
    for (set, mode) in SETS {
        for shot in shots(set) {
            let schema = situations_schema(&wanted(&shot, mode), Standard::Full);
            let situation = &schema["properties"]["situations"]["items"];
            let person = &situation["properties"]["personas"]["items"];
            let relation = &situation["properties"]["relations"]["items"];
            let order = |object: &Value| -> Vec<String> {
                object["required"].as_array().unwrap().iter().map(|key| format!("{key}:")).collect()
            };
            let output = shot.output(mode);
            let mut rest = output.as_str();
            let mut expect = |key: &str| {
                let at = rest.find(key).unwrap_or_else(|| panic!("{}: no {key} where it belongs", shot.name));
                rest = &rest[at..];
            };
            let (people, ties) = (shot.draft.personas.len(), shot.draft.relations.len());
            let keys = order(situation);
            expect(&keys[0]);
            (0..people).flat_map(|_| order(person)).for_each(|key| expect(&key));
            expect(&keys[1]);
            (0..ties).flat_map(|_| order(relation)).for_each(|key| expect(&key));
            keys[2..].iter().for_each(|key| expect(key));
        }
    }
}

#[test]
fn no_name_topic_or_opening_is_there_twice() {
    let all: Vec<Shot> = SETS.iter().flat_map(|(set, _)| shots(set)).collect();
    let unique = |texts: Vec<String>| assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "{texts:?}");
    let names = all.iter().flat_map(|shot| shot.draft.personas.iter().map(|person| person.name.clone()));
    unique(names.clone().collect());
    // First names too, so that no example teaches a favourite.
    unique(names.map(|name| name.split(' ').next().unwrap_or_default().to_owned()).collect());
    unique(all.iter().map(|shot| shot.draft.topic.clone()).collect());
    let opening = |shot: &Shot| -> String {
        shot.draft.conversation_starter.split(' ').take(2).collect::<Vec<_>>().join(" ").to_lowercase()
    };
    unique(all.iter().map(opening).collect());
}

#[test]
fn group_sizes_differ() {
    for (set, _) in SETS {
        let sizes: BTreeSet<usize> = shots(set).iter().map(|shot| shot.draft.personas.len()).collect();
        assert_eq!(sizes, BTreeSet::from([3, 4, 5]), "{set}");
    }
}

#[test]
fn shipped_prompts_say_what_they_are_given() {
    for (set, mode) in SETS {
        let (shots, template) = (shots(set), template(mode));
        let mut values = values(&shots[0], mode);
        values.attributes = vec![Attribute { name: "setting", value: "a lighthouse" }];
        values.intent = Some("ask for a refund");
        values.summary = Some("A kettle broke.");
        values.dialogue = Some("Ann: It broke.\nBob: When?");
        values.schema = Some("{\"type\": \"object\"}");
        values.error = Some("topic: a text is wanted");
        let user = template.render("user", &values).unwrap();
        for part in [
            "Task: write one situation in English",
            "- setting: a lighthouse",
            ": ask for a refund. ",
            "What happens in the source: A kettle broke.\nThe source:\nAnn: It broke.\nBob: When?\n",
            "{\"type\": \"object\"}",
        ] {
            assert!(user.contains(part), "{set}: {part}\n{user}");
        }
        assert!(user.contains(&shots[0].output(mode)));
        assert_eq!(mode == PersonaMode::Predefined, user.contains(&format!("Now the people:\n{}\n", shots[0].input())));
        assert!(template.render("repair", &values).unwrap().contains("topic: a text is wanted"));
        assert!(!template.render("system", &values).unwrap().is_empty());
    }
}

#[test]
fn what_is_not_given_leaves_nothing_behind() {
    for (set, mode) in SETS {
        let shots = shots(set);
        let mut values = values(&shots[1], mode);
        values.shots.clear();
        let user = template(mode).render("user", &values).unwrap();
        for absent in ["Example 1", "schema", "source", "None", "\n\n\n"] {
            assert!(!user.contains(absent), "{set}: {absent:?}\n{user}");
        }
        values.count = 2;
        assert!(template(mode).render("user", &values).unwrap().contains("write 2 situations"));
    }
}

#[test]
fn a_persona_is_never_evaluated() {
    let mut shot = shots("shots-personas").remove(0);
    shot.draft.personas[0].persona = Some("{{ groups }} {% if %} a baker".to_owned());
    let user = template(PersonaMode::Predefined).render("user", &values(&shot, PersonaMode::Predefined)).unwrap();
    assert!(user.contains(": {{ groups }} {% if %} a baker\n"));
}

#[test]
fn a_prompt_leaves_a_small_model_room_for_its_answer() {
    // 8,192 tokens of context at three characters a token or more, two examples, and 2,000 tokens for the answer.
    for (set, mode) in SETS {
        let shots = shots(set);
        let longest = shots.iter().map(|shot| Example::new(shot, mode)).max_by_key(|e| e.input.len() + e.output.len());
        let mut values = values(&shots[0], mode);
        values.shots = vec![longest.clone().unwrap(), longest.unwrap()];
        let length = template(mode).render("user", &values).unwrap().chars().count();
        assert!(length < 3 * (8_192 - 2_000), "{set}: {length}");
    }
}

#[test]
fn personas_that_ship_are_many_and_distinct() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts/personas/personahub-placeholder.jsonl");
    let text = crate::store::fs::read_to_string(&path).unwrap();
    let personas: Vec<String> = text
        .lines()
        .map(|line| {
            let row: std::collections::BTreeMap<String, String> = serde_json::from_str(line).unwrap();
            assert_eq!(row.keys().collect::<Vec<_>>(), ["persona"]);
            row["persona"].clone()
        })
        .collect();
    assert!(personas.len() >= 220, "{}", personas.len());
    let distinct: BTreeSet<String> = personas.iter().map(|persona| persona.to_lowercase()).collect();
    assert_eq!(distinct.len(), personas.len());
    for persona in &personas {
        let words = persona.split_whitespace().count();
        assert!((8..=30).contains(&words), "{words} words: {persona}");
        assert!(persona.chars().count() <= 2000);
    }
    // No template: few rows open with the same three words.
    let mut openings: Vec<String> =
        personas.iter().map(|p| p.split(' ').take(3).collect::<Vec<_>>().join(" ").to_lowercase()).collect();
    openings.sort();
    let most = openings.chunk_by(|a, b| a == b).map(<[String]>::len).max();
    assert!(most <= Some(5), "{most:?}");
}
