use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn value() -> Value {
    let person = |name: &str| json!({"name": name, "persona": "p p", "description": "d d", "stance": format!("s {name}"), "goal": "g g"});
    json!({
        "personas": [person("Ann"), person("Bo")],
        "relations": [{"from": "Ann", "to": "Bo", "type": "boss", "text": "Ann hired Bo."}],
        "situation": "s s", "topic": "t t", "conversation_starter": "c c"
    })
}

fn error_after(change: impl FnOnce(&mut Value)) -> String {
    let mut value = value();
    change(&mut value);
    Shot::parse(Path::new("shots/a.json"), &serde_json::to_string_pretty(&value).unwrap()).unwrap_err().to_string()
}

#[test]
fn mistakes_name_file_line_and_key() {
    let mut errors = vec![
        error_after(|v| v["personas"][1]["age"] = json!(4)),
        error_after(|v| drop(v["personas"][0].as_object_mut().unwrap().remove("goal"))),
        error_after(|v| v["personas"][1]["stance"] = json!(["x"])),
        error_after(|v| v["topic"] = json!("")),
        error_after(|v| v["personas"][1]["name"] = json!("Ann")),
        error_after(|v| v["relations"][0]["to"] = json!("Cy")),
        error_after(|v| v["personas"].as_array_mut().unwrap().truncate(1)),
        error_after(|v| v["relations"] = json!([])),
    ];
    errors.extend(["{", "[]", "{} x"].map(|text| Shot::parse(Path::new("a.json"), text).unwrap_err().to_string()));
    insta::assert_snapshot!(errors.join("\n"), @r#"
    shots/a.json, line 16: personas[1].age: unknown field `age`, expected one of `name`, `persona`, `description`, `stance`, `goal`, `knowledge`
    shots/a.json, line 8: personas[0]: missing field `goal`
    shots/a.json, line 14: personas[1].stance: invalid type: sequence, expected a string
    shots/a.json: topic: real text is wanted, not ""
    shots/a.json: personas[1].name: Ann is there twice; each name once
    shots/a.json: relations[0].to: one of Ann, Bo is wanted, not "Cy"
    shots/a.json: personas: at least two people are wanted
    shots/a.json: relations: Ann is in none; say how they know one of the others
    a.json, line 1: EOF while parsing an object
    a.json, line 1: invalid length 0, expected an object with one situation
    a.json, line 1: missing field `personas`
    "#);
}

#[test]
fn a_situation_becomes_a_shot_with_names_for_ids() {
    let person = |id: &str, name: &str| crate::record::Participant {
        id: id.to_owned(),
        name: name.to_owned(),
        description: "d".to_owned(),
        persona: "p".to_owned(),
        stance: Some(format!("{name} says no")),
        goal: Some("g".to_owned()),
        knowledge: None,
    };
    let situation = Situation {
        id: "s-0001".to_owned(),
        split: "train".to_owned(),
        personas: vec![person("p1", "Ann"), person("p2", "Bo")],
        relations: vec![crate::record::Relation {
            from: "p2".to_owned(),
            to: "p1".to_owned(),
            r#type: "boss".to_owned(),
            text: "Bo hired Ann.".to_owned(),
        }],
        situation: "s".to_owned(),
        topic: "t".to_owned(),
        conversation_starter: "c".to_owned(),
        language: "en".to_owned(),
        attributes: String::new(),
        labels: String::new(),
        provenance: String::new(),
        hash: String::new(),
    };
    let shot = Shot::from_situation(&situation);
    assert_eq!(shot.name, "s-0001");
    assert_eq!((shot.draft.relations[0].from.as_str(), shot.draft.relations[0].to.as_str()), ("Bo", "Ann"));
    assert_eq!(shot.draft.check(), Ok(()));
    assert_eq!(shot.input(), "- Ann: p\n- Bo: p");
    let reread = Shot::parse(Path::new("s-0001"), &serde_json::to_string(&shot.draft).unwrap()).unwrap();
    assert_eq!(reread, shot);
}

#[test]
fn the_persona_is_part_of_the_reply_only_when_it_is_invented() {
    let shot = Shot::parse(Path::new("a.json"), &value().to_string()).unwrap();
    assert!(shot.output(PersonaMode::Auto).contains("\"persona\": \"p p\""));
    assert!(!shot.output(PersonaMode::Predefined).contains("\"persona\":"));
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in "([\\[\\]{}\",:\\\\a1 \n]|\"personas\":|\"topic\":){0,60}") {
        let _ = Shot::parse(Path::new("a.json"), &text);
    }
}
