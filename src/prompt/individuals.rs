//! Situations in the shape of upstream ConvoGen: `individuals`, relations as prose, `conversationStarter`.
//!
//! An individual is `{name, persona}`, or `{name, age, qualities[], speechStyle, lifestyle, memory}` where people are invented.
//! Attributes become the text of the persona and can be read back from it, so that an example that is drawn from the hub has
//! the shape the prompt asks for.

use serde_json::{Map, Value, json};

use super::draft::{self, Draft, DraftFlaw, DraftPerson, DraftRelation, flaw, optional_text, tidy};

/// Longest description that is made of a persona, in characters.
const DESCRIPTION: usize = 200;

/// The attributes of an invented individual in the order of a persona's text: key, and what stands in front of the value.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("age", "Age:"),
    ("qualities", "Qualities:"),
    ("speechStyle", "Speech style:"),
    ("lifestyle", "Lifestyle:"),
    ("memory", "Memory:"),
];

/// The keys of a situation there.
const KEYS: [&str; 5] = ["individuals", "relations", "situation", "topic", "conversationStarter"];

/// Keys that a record of a situation has here whatever its shape.
const OF_RECORDS: [&str; 7] = ["id", "language", "split", "attributes", "labels", "personas", "conversation_starter"];

/// Whether `key`, in a situation of this shape, is its author's own: a label.
pub(crate) fn is_label(key: &str) -> bool {
    !KEYS.contains(&key) && !OF_RECORDS.contains(&key)
}

/// Whether `value` is a situation of this shape.
pub(crate) fn is_one(value: &Value) -> bool {
    value.get("individuals").is_some() && value.get("personas").is_none()
}

/// Reads a situation of this shape.
pub(super) fn read(map: &Map<String, Value>) -> Result<Draft, DraftFlaw> {
    let individuals = draft::list(map, "individuals")?.iter().enumerate();
    let personas = individuals.map(|(at, person)| read_individual(at, person)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<&str> = personas.iter().map(|person| person.name.as_str()).collect();
    let relations = match map.get("relations") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(prose)) => ties(&tidy(prose), &names),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            let sentences: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            ties(&tidy(&sentences.join(" ")), &names)
        }
        Some(_) => return flaw("relations", "a text is wanted"),
    };
    let starter = if map.contains_key("conversationStarter") { "conversationStarter" } else { "conversation_starter" };
    Ok(Draft {
        relations,
        situation: draft::text(map, "", "situation")?,
        topic: draft::text(map, "", "topic")?,
        conversation_starter: without_speaker(draft::text(map, "", starter)?, &names),
        personas,
    })
}

/// A starter belongs to nobody here; there some have a name in front.
fn without_speaker(starter: String, names: &[&str]) -> String {
    let said = names.iter().find_map(|name| starter.strip_prefix(name)?.trim_start().strip_prefix(':'));
    said.map(|said| said.trim().to_owned()).filter(|said| !said.is_empty()).unwrap_or(starter)
}

fn read_individual(at: usize, value: &Value) -> Result<DraftPerson, DraftFlaw> {
    let path = format!("individuals[{at}].");
    let Value::Object(map) = value else { return flaw(format!("individuals[{at}]"), "an object is wanted") };
    let name = draft::text(map, &path, "name")?;
    let persona = match map.get("persona") {
        Some(Value::Array(sentences)) => Some(listed(sentences, " ")).filter(|text| !text.is_empty()),
        _ => optional_text(map, &path, "persona")?,
    };
    let (persona, description) = match (persona, persona_of(map)) {
        (Some(persona), _) => (persona.clone(), in_short(&persona)),
        (None, Some(persona)) => (persona, attributes_in_short(&name, map)),
        (None, None) => {
            return flaw(
                format!("individuals[{at}]"),
                "`persona` is wanted, or some of age, qualities, speechStyle, lifestyle and memory",
            );
        }
    };
    Ok(DraftPerson { name, persona: Some(persona), description, stance: None, goal: None, knowledge: None })
}

fn listed(items: &[Value], between: &str) -> String {
    items.iter().filter_map(Value::as_str).map(tidy).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(between)
}

fn as_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => tidy(text),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => listed(items, ", "),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// The persona that attributes make, if there are any.
fn persona_of(map: &Map<String, Value>) -> Option<String> {
    let parts = ATTRIBUTES.iter().filter_map(|(key, label)| {
        let text = as_text(map.get(*key)?)?;
        let end = if text.ends_with(['.', '!', '?', '…', '"', '。']) { "" } else { "." };
        Some(format!("{label} {text}{end}"))
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The attributes that `persona` was made of by [`persona_of`], if it was.
fn attributes_of(persona: &str) -> Option<Map<String, Value>> {
    let mut starts: Vec<(&str, usize, usize)> = Vec::new();
    let mut from = 0;
    for (key, label) in ATTRIBUTES {
        let Some(at) = persona.get(from..).and_then(|rest| rest.find(label)).map(|at| at + from) else { continue };
        from = at + label.len();
        starts.push((key, at, from));
    }
    let ends = starts.iter().skip(1).map(|(_, at, _)| *at).chain([persona.len()]);
    let mut map = Map::new();
    for ((key, _, begin), end) in starts.iter().zip(ends) {
        let text = persona.get(*begin..end)?.trim();
        let bare = text.strip_suffix('.').unwrap_or(text);
        let value = match *key {
            "age" => bare.parse::<u32>().map_or_else(|_| json!(bare), |age| json!(age)),
            "qualities" => json!(bare.split(", ").collect::<Vec<_>>()),
            _ => json!(text),
        };
        map.insert((*key).to_owned(), value);
    }
    (persona_of(&map).as_deref() == Some(persona)).then_some(map)
}

/// The first sentence of a persona, as others may know it.
fn in_short(persona: &str) -> String {
    let first = sentences(persona).first().map_or("", |sentence| *sentence);
    let is_of_oneself = ["I ", "I'", "I’", "My ", "We "].iter().any(|start| persona.starts_with(start));
    let text = if is_of_oneself { format!("In their own words: {persona}") } else { first.to_owned() };
    cut(&text)
}

fn attributes_in_short(name: &str, map: &Map<String, Value>) -> String {
    let value = |key: &str| map.get(key).and_then(as_text);
    let parts: Vec<String> = [value("age"), value("qualities")].into_iter().flatten().collect();
    match (parts.as_slice(), value("lifestyle").or_else(|| value("speechStyle")).or_else(|| value("memory"))) {
        ([], Some(other)) => cut(&other),
        _ => cut(&format!("{name}, {}.", parts.join(", "))),
    }
}

/// `text`, between two words if it is too long.
fn cut(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(DESCRIPTION) else { return text.to_owned() };
    let head = text.get(..end).unwrap_or(text);
    format!("{} …", head.rsplit_once(' ').map_or(head, |(whole, _)| whole))
}

/// The sentences of a text. Joined by spaces they are the text again.
fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(' ') {
        let sentence = text.get(from..at).unwrap_or_default();
        if sentence.ends_with(['.', '!', '?', '。', '！', '？']) {
            found.push(sentence);
            from = at + 1;
        }
    }
    found.extend(text.get(from..).filter(|rest| !rest.is_empty()));
    found
}

/// Relations out of prose: a sentence that names two people is between the first two of them; any other goes with the one
/// before it, or with the first. Joined by spaces the texts are the prose again.
fn ties(prose: &str, names: &[&str]) -> Vec<DraftRelation> {
    let mut ties: Vec<DraftRelation> = Vec::new();
    let mut ahead = String::new();
    for sentence in sentences(prose) {
        let text = if ahead.is_empty() { sentence.to_owned() } else { format!("{ahead} {sentence}") };
        match (draft::tie_from_sentence(0, sentence, names), ties.last_mut()) {
            (Ok(tie), _) => {
                ahead.clear();
                ties.push(DraftRelation { text, ..tie });
            }
            (Err(_), Some(before)) => before.text = format!("{} {sentence}", before.text),
            (Err(_), None) => ahead = text,
        }
    }
    if let ([from, to, ..], false) = (names, ahead.is_empty()) {
        let (from, to) = ((*from).to_owned(), (*to).to_owned());
        ties.push(DraftRelation { from, to, r#type: String::new(), text: ahead });
    }
    ties
}

/// A person in this shape: with the attributes that the persona was made of, or with the persona.
pub(crate) fn individual(name: &str, persona: &str) -> Value {
    let mut map = Map::from_iter([("name".to_owned(), json!(name))]);
    match attributes_of(persona) {
        Some(attributes) => map.extend(attributes),
        None => drop(map.insert("persona".to_owned(), json!(persona))),
    }
    Value::Object(map)
}

/// `draft` in this shape.
pub(super) fn written(draft: &Draft) -> Value {
    let people =
        draft.personas.iter().map(|person| individual(&person.name, person.persona.as_deref().unwrap_or_default()));
    let relations: Vec<&str> = draft.relations.iter().map(|tie| tie.text.as_str()).collect();
    json!({
        "individuals": people.collect::<Vec<_>>(),
        "relations": relations.join(" "),
        "situation": draft.situation,
        "topic": draft.topic,
        "conversationStarter": draft.conversation_starter,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_value(value: &Value) -> Result<Draft, DraftFlaw> {
        Draft::from_value(value)
    }

    fn invented() -> Value {
        json!({
            "individuals": [
                {"name": "Ann Lee", "age": 34, "qualities": ["patient", "dry"], "speechStyle": "Short sentences", "lifestyle": "Up at five.", "memory": "She once missed the ferry"},
                {"name": "Bob", "age": "in his sixties", "qualities": ["loud"], "speechStyle": "Long ones.", "lifestyle": "Sails.", "memory": "None worth telling."},
            ],
            "relations": "They share a pier. Ann is Bob's niece. Nobody says so.",
            "situation": "The last ferry is late.", "topic": "a late ferry", "conversationStarter": "It is not coming, is it?",
        })
    }

    #[test]
    fn attributes_become_a_persona_and_prose_becomes_relations() {
        let draft = read_value(&invented()).unwrap();
        let ann = &draft.personas[0];
        assert_eq!(
            ann.persona.as_deref(),
            Some(
                "Age: 34. Qualities: patient, dry. Speech style: Short sentences. Lifestyle: Up at five. Memory: She once missed the ferry."
            )
        );
        assert_eq!(ann.description, "Ann Lee, 34, patient, dry.");
        let tie = &draft.relations[0];
        assert_eq!((tie.from.as_str(), tie.to.as_str(), draft.relations.len()), ("Ann Lee", "Bob", 1));
        assert_eq!(tie.text, "They share a pier. Ann is Bob's niece. Nobody says so.");
        assert!(draft.check().is_ok() && draft.check_lengths().is_ok());
    }

    #[test]
    fn given_people_keep_their_persona_in_either_form() {
        let mut value = invented();
        value["individuals"] = json!([{"name": "Ann", "persona": "A nurse. She sings."}, {"name": "Bob", "persona": ["I sail.", "I am loud."]}]);
        let draft = read_value(&value).unwrap();
        let shown: Vec<_> =
            draft.personas.iter().map(|p| (p.persona.clone().unwrap(), p.description.as_str())).collect();
        assert_eq!(shown[0], ("A nurse. She sings.".to_owned(), "A nurse."));
        assert_eq!(shown[1], ("I sail. I am loud.".to_owned(), "In their own words: I sail. I am loud."));
    }

    #[test]
    fn a_starter_loses_the_name_in_front_but_no_time_of_day() {
        let mut value = invented();
        for (written, read) in [
            ("Ann Lee: At 10:30, then?", "At 10:30, then?"),
            ("Ann Lee : no", "no"),
            ("At 10:30, Bob?", "At 10:30, Bob?"),
            ("Bob:", "Bob:"),
        ] {
            value["conversationStarter"] = json!(written);
            assert_eq!(read_value(&value).unwrap().conversation_starter, read);
        }
    }

    #[test]
    fn an_individual_of_neither_shape_is_named() {
        let mut value = invented();
        value["individuals"][1] = json!({"name": "Bob"});
        let flaw = read_value(&value).unwrap_err().to_string();
        assert!(flaw.starts_with("individuals[1]: `persona` is wanted"), "{flaw}");
    }

    proptest! {
        #[test]
        fn what_is_read_written_and_read_again_stays(
            people in proptest::collection::vec(("[A-Z][a-z]{2,6}", "[a-z.,: ]{1,30}|Age: [0-9]{1,2}. Memory: [a-z. ]{1,9}", any::<bool>()), 2..5),
            prose in "([A-Z][a-z ]{0,12}[.!?]? ){0,4}[a-z]{0,5}",
        ) {
            let individual = |(name, text, has_persona): &(String, String, bool)| if *has_persona {
                json!({"name": name, "persona": format!("x{text}")})
            } else {
                json!({"name": name, "age": 7, "qualities": [text, "b"], "lifestyle": text, "memory": format!("m{text}")})
            };
            let value = json!({
                "individuals": people.iter().map(individual).collect::<Vec<_>>(), "relations": prose,
                "situation": "s", "topic": "t", "conversationStarter": "c",
            });
            let draft = read_value(&value).unwrap();
            let again = read_value(&written(&draft)).unwrap();
            prop_assert_eq!(&again.relations, &draft.relations);
            let texts = |draft: &Draft| draft.personas.iter().map(|p| (p.name.clone(), p.persona.clone())).collect::<Vec<_>>();
            prop_assert_eq!(texts(&again), texts(&draft));
            let joined: Vec<&str> = draft.relations.iter().map(|tie| tie.text.as_str()).collect();
            prop_assert_eq!(joined.join(" "), tidy(&prose));
        }
    }
}
