//! From the text of a reply to drafts.
//!
//! [`parse_situations`] holds each situation against what was asked for. What it answers for an unsound one is meant for the
//! model, which gets it back once.

use serde_json::Value;

use super::CallRequest;
use super::draft::{Draft, DraftFlaw, DraftPerson, flaw};
use super::leak::Leaks;
use super::{individuals, reading};

/// How much is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standard {
    /// Everything.
    Full,
    /// What a model of the demo tier can be asked for. It fills in a form and chooses names badly: people count by position
    /// where their names do not fit, some may be without a relation, and stances may be alike.
    Demo,
}

/// The situations in a reply: one result for each that was asked for, in that order. An error is a reason for the model,
/// such as `situations[0].personas[2].stance: a text is wanted, not null`. People come in the order of the given group.
pub(crate) fn parse_situations(
    text: &str,
    wanted: &CallRequest,
    leaks: &Leaks,
    standard: Standard,
) -> Vec<Result<Draft, String>> {
    let items = match reading::json(text, &["situations", "personas", "individuals"]) {
        Ok(value) => situations_of(value),
        Err(error) => return vec![Err(error.to_string()); wanted.count()],
    };
    let one = |at: usize| {
        let Some(item) = items.get(at) else {
            return Err(format!("situations: {} are wanted, there are {}", wanted.count(), items.len()));
        };
        read_situation(item, at, wanted, leaks, standard).map_err(|flaw| reason(at, &flaw))
    };
    (0..wanted.count()).map(one).collect()
}

fn reason(at: usize, flaw: &DraftFlaw) -> String {
    let dot = if flaw.key.is_empty() { ": " } else { "." };
    format!("situations[{at}]{dot}{flaw}")
}

/// `{"situations": […]}`, a bare list, or a single situation.
fn situations_of(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Object(mut map) => match map.remove("situations") {
            Some(Value::Array(items)) => items,
            Some(item) => vec![item],
            None => vec![Value::Object(map)],
        },
        _ => Vec::new(),
    }
}

fn read_situation(
    item: &Value,
    at: usize,
    wanted: &CallRequest,
    leaks: &Leaks,
    standard: Standard,
) -> Result<Draft, DraftFlaw> {
    // In upstream's shape nobody has a stance or a goal, and relations are prose.
    let is_theirs = individuals::is_one(item);
    let mut draft = Draft::from_value(item)?;
    match wanted {
        CallRequest::Given(groups) => {
            let names = groups.get(at).map(Vec::as_slice).unwrap_or_default();
            let placed = put_in_place(&mut draft, names, standard);
            // There a model names people itself: whoever knows the personas tells who is who.
            if let Err(flaw) = placed
                && !(is_theirs && draft.personas.len() == names.len())
            {
                return Err(flaw);
            }
        }
        CallRequest::Invented { min, max, .. } => check_invented(&draft, *min, *max)?,
    }
    draft.drop_idle_relations();
    for (index, person) in draft.personas.iter().enumerate().filter(|_| !is_theirs) {
        check_filled(index, person)?;
    }
    draft.check()?;
    draft.check_lengths()?;
    if standard == Standard::Full && !is_theirs {
        draft.check_cover()?;
        check_stances(&draft)?;
    }
    match leaks.find(&draft) {
        Some((key, run)) => flaw(key, format!("copied from the prompt: \"{run} …\"; write something of its own")),
        None => Ok(draft),
    }
}

/// Gives people and relations the names as they were given, and people the order.
fn put_in_place(draft: &mut Draft, names: &[String], standard: Standard) -> Result<(), DraftFlaw> {
    for person in &mut draft.personas {
        restore(&mut person.name, names);
    }
    for tie in &mut draft.relations {
        restore(&mut tie.from, names);
        restore(&mut tie.to, names);
    }
    let place = |person: &DraftPerson| names.iter().position(|name| *name == person.name);
    draft.personas.sort_by_key(|person| place(person).unwrap_or(usize::MAX));
    if draft.personas.iter().map(|person| &person.name).eq(names) {
        draft.personas.iter_mut().for_each(|person| person.persona = None);
        return Ok(());
    }
    if standard == Standard::Demo && draft.personas.len() == names.len() {
        for (person, name) in draft.personas.iter_mut().zip(names) {
            person.name.clone_from(name);
            person.persona = None;
        }
        return Ok(());
    }
    let found: Vec<&str> = draft.personas.iter().map(|person| person.name.as_str()).collect();
    flaw("personas", format!("{} are wanted, each once, not {}", names.join(", "), found.join(", ")))
}

/// The given name that `name` is, but for case.
fn restore(name: &mut String, names: &[String]) {
    if let Some(given) = names.iter().find(|given| given.to_lowercase() == name.to_lowercase()) {
        name.clone_from(given);
    }
}

fn check_invented(draft: &Draft, min: usize, max: usize) -> Result<(), DraftFlaw> {
    let people = draft.personas.len();
    if !(min..=max).contains(&people) {
        return flaw("personas", format!("{min} to {max} people are wanted, there are {people}"));
    }
    match draft.personas.iter().position(|person| person.persona.is_none()) {
        Some(at) => flaw(format!("personas[{at}].persona"), "a text is wanted, it is missing"),
        None => Ok(()),
    }
}

fn check_filled(at: usize, person: &DraftPerson) -> Result<(), DraftFlaw> {
    let missing = [("stance", &person.stance), ("goal", &person.goal)].into_iter().find(|(_, text)| text.is_none());
    match missing {
        Some((key, _)) => flaw(format!("personas[{at}].{key}"), "a text is wanted, it is missing"),
        None => Ok(()),
    }
}

/// That not everyone agrees: people with word for word the same stance have nothing to talk about.
fn check_stances(draft: &Draft) -> Result<(), DraftFlaw> {
    let mut stances: Vec<String> =
        draft.personas.iter().filter_map(|person| Some(person.stance.as_ref()?.to_lowercase())).collect();
    let people = stances.len();
    stances.sort_unstable();
    stances.dedup();
    if people > 1 && stances.len() == 1 {
        return flaw("personas", "the stances are all the same; let people differ");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn given() -> CallRequest {
        CallRequest::Given(vec![names(&["Ann", "Bo", "Cy"])])
    }

    fn reply() -> Value {
        let person = |name: &str| json!({"name": name, "description": format!("{name} repairs clocks."), "stance": format!("{name} has a view"), "goal": "be home by six"});
        json!({"situations": [{
            "personas": [person("Cy"), person("ann"), person("Bo")],
            "relations": [
                {"from": "Ann", "to": "bo", "type": "boss", "text": "Ann hired Bo."},
                {"from": "Cy", "to": "Ann", "type": "cousin", "text": "Cy and Ann are cousins."}
            ],
            "situation": "A clock stopped in the middle of the auction.",
            "topic": "a stopped clock",
            "conversation_starter": "It was running this morning."
        }]})
    }

    fn parse(change: impl FnOnce(&mut Value), wanted: &CallRequest, standard: Standard) -> Result<Draft, String> {
        let mut value = reply();
        change(&mut value);
        parse_situations(&value.to_string(), wanted, &Leaks::default(), standard).remove(0)
    }

    #[test]
    fn people_come_in_the_given_order_under_their_given_names() {
        let draft = parse(|_| {}, &given(), Standard::Full).unwrap();
        assert_eq!(draft.personas.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["Ann", "Bo", "Cy"]);
        assert_eq!(draft.relations[0].to, "Bo");
        assert_eq!(draft.personas[2].stance.as_deref(), Some("Cy has a view"));
    }

    #[test]
    fn reasons_are_short_and_exact() {
        let flaws: Vec<String> = [
            parse(|v| v["situations"] = json!([]), &given(), Standard::Full),
            parse(|v| v["situations"][0] = json!("They meet."), &given(), Standard::Full),
            parse(|v| v["situations"][0]["personas"][0]["name"] = json!("Dee"), &given(), Standard::Full),
            parse(|v| drop(v["situations"][0]["personas"].as_array_mut().unwrap().pop()), &given(), Standard::Full),
            parse(|v| v["situations"][0]["personas"][0]["goal"] = Value::Null, &given(), Standard::Full),
            parse(|v| drop(v["situations"][0]["relations"].as_array_mut().unwrap().pop()), &given(), Standard::Full),
            parse(|v| v["situations"][0]["relations"][1]["to"] = json!("Cy"), &given(), Standard::Full),
            parse(|v| v["situations"][0]["relations"][1]["to"] = json!("Dee"), &given(), Standard::Full),
            parse(|v| v["situations"][0]["topic"] = json!("t".repeat(200)), &given(), Standard::Full),
            parse(
                |v| {
                    for person in v["situations"][0]["personas"].as_array_mut().unwrap() {
                        person["stance"] = json!("fine by me");
                    }
                },
                &given(),
                Standard::Full,
            ),
            parse(|_| {}, &CallRequest::Invented { count: 1, min: 4, max: 5 }, Standard::Full),
            parse(|_| {}, &CallRequest::Invented { count: 1, min: 3, max: 5 }, Standard::Full),
        ]
        .into_iter()
        .map(|result| result.unwrap_err())
        .collect();
        insta::assert_snapshot!(flaws.join("\n"), @r#"
        situations: 1 are wanted, there are 0
        situations[0]: an object is wanted
        situations[0].personas: Ann, Bo, Cy are wanted, each once, not Ann, Bo, Dee
        situations[0].personas: Ann, Bo, Cy are wanted, each once, not Ann, Cy
        situations[0].personas[2].goal: a text is wanted, it is missing
        situations[0].relations: Cy is in none; say how they know one of the others
        situations[0].relations: Cy is in none; say how they know one of the others
        situations[0].relations[1].to: one of Ann, Bo, Cy is wanted, not "Dee"
        situations[0].topic: at most 160 characters are wanted, these are 200
        situations[0].personas: the stances are all the same; let people differ
        situations[0].personas: 4 to 5 people are wanted, there are 3
        situations[0].personas[0].persona: a text is wanted, it is missing
        "#);
    }

    #[test]
    fn the_demo_standard_takes_people_by_position_and_needs_no_full_cover() {
        let twice = |v: &mut Value| {
            v["situations"][0]["personas"][0]["name"] = json!("Bo");
            v["situations"][0]["relations"][1] = json!({"from": "Cy", "to": "Cy", "type": "x", "text": "x y"});
        };
        assert!(parse(twice, &given(), Standard::Full).is_err());
        let draft = parse(twice, &given(), Standard::Demo).unwrap();
        assert_eq!(draft.personas.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["Ann", "Bo", "Cy"]);
        assert_eq!(draft.relations.len(), 1);
    }

    #[test]
    fn what_was_copied_from_the_prompt_is_refused() {
        let leaks = Leaks::new(["Here, a clock stopped in the middle of the auction again"]);
        let results = parse_situations(&reply().to_string(), &given(), &leaks, Standard::Full);
        insta::assert_snapshot!(results[0].as_ref().unwrap_err(), @r#"situations[0].situation: copied from the prompt: "a clock stopped in the middle of the …"; write something of its own"#);
    }

    #[test]
    fn every_situation_asked_for_has_a_result() {
        let two = CallRequest::Given(vec![names(&["Ann", "Bo", "Cy"]), names(&["Dee", "Eli"])]);
        let results = parse_situations(&reply().to_string(), &two, &Leaks::default(), Standard::Full);
        assert!(results.len() == 2 && results[0].is_ok());
        assert_eq!(results[1].as_ref().unwrap_err(), "situations: 2 are wanted, there are 1");
        assert_eq!(parse_situations("no", &two, &Leaks::default(), Standard::Full).len(), 2);
        // A single situation or a bare list will do.
        let bare = reply()["situations"][0].to_string();
        assert!(parse_situations(&bare, &given(), &Leaks::default(), Standard::Full)[0].is_ok());
        let list = reply()["situations"].to_string();
        assert!(parse_situations(&list, &given(), &Leaks::default(), Standard::Full)[0].is_ok());
    }

    proptest! {
        #[test]
        fn no_reply_makes_it_panic(text in "([\\[\\]{}\",:\\\\a1 \n]|\"personas\":|\"situations\":){0,60}") {
            let _ = parse_situations(&text, &given(), &Leaks::default(), Standard::Demo);
        }

        #[test]
        fn a_torn_reply_is_never_completed(cut in 1_usize..500) {
            let whole = reply().to_string();
            if let Some(torn) = whole.get(..cut.min(whole.len() - 1)) {
                prop_assert!(parse_situations(torn, &given(), &Leaks::default(), Standard::Full)[0].is_err());
            }
        }
    }
}
