//! A situation as shots, replies and imported files have it: people by name, no ids yet.
//!
//! One set of rules holds for all three, so that an example never shows what a reply would be refused for. A broken rule is
//! a [`DraftFlaw`]: the key and what is wanted there, in words short enough to be sent back to a model.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::individuals;
use super::kinship::{self, KinshipConflict};

/// A situation before it becomes a record. Keys serialise in the order in which a reply has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Draft {
    /// Who takes part.
    pub personas: Vec<DraftPerson>,
    /// How they are related.
    pub relations: Vec<DraftRelation>,
    /// What is going on, in the third person.
    pub situation: String,
    /// What they talk about, in a few words.
    pub topic: String,
    /// The line that opens the conversation; no one's turn.
    pub conversation_starter: String,
}

/// A person of a [`Draft`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DraftPerson {
    /// The name relations refer to.
    pub name: String,
    /// Who they are; absent from replies about given people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persona: Option<String>,
    /// One short sentence in the third person that everyone may know.
    pub description: String,
    /// Their position on the topic; may be absent from imported files only.
    pub stance: Option<String>,
    /// What they want from the conversation; may be absent from imported files only.
    pub goal: Option<String>,
    /// What they alone know; most know nothing special.
    pub knowledge: Option<String>,
}

/// How one person of a [`Draft`] stands to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DraftRelation {
    /// A name.
    pub from: String,
    /// A name.
    pub to: String,
    /// A word or two; empty when only the text is known.
    pub r#type: String,
    /// The relation as a sentence.
    pub text: String,
}

impl DraftRelation {
    /// Whether it says the same of the same people as `other`, in one word or in a sentence.
    fn says(&self, other: &Self) -> bool {
        let same_people = self.from == other.from && self.to == other.to;
        let same_type = self.r#type == other.r#type && !self.r#type.is_empty();
        same_people && (same_type || self.text == other.text)
    }
}

/// A rule that a draft breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DraftFlaw {
    /// Where, such as `personas[1].stance`; empty for the whole situation.
    pub key: String,
    /// What is wanted there.
    pub wanted: String,
}

impl fmt::Display for DraftFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.wanted),
            key => write!(f, "{key}: {}", self.wanted),
        }
    }
}

/// A [`DraftFlaw`] as the error of a check.
pub(super) fn flaw<T>(key: impl Into<String>, wanted: impl Into<String>) -> Result<T, DraftFlaw> {
    Err(DraftFlaw { key: key.into(), wanted: wanted.into() })
}

/// Longest texts, in characters: about three times what the shipped examples use. Longer ones are rambling, or a prompt
/// that came back.
pub(super) mod longest {
    pub(in crate::prompt) const NAME: usize = 60;
    pub(in crate::prompt) const PERSONA: usize = 2000;
    pub(in crate::prompt) const LINE: usize = 400;
    pub(in crate::prompt) const TYPE: usize = 60;
    pub(in crate::prompt) const SITUATION: usize = 2000;
    pub(in crate::prompt) const TOPIC: usize = 160;
}

impl Draft {
    /// Reads a draft from JSON, in our shape or in [upstream's](super::individuals), tolerantly: unknown keys are ignored, white space is evened out, relations may be plain
    /// sentences, and the keys that only replies must have (`persona`, `stance`, `goal`) may be missing.
    pub(crate) fn from_value(value: &Value) -> Result<Self, DraftFlaw> {
        let Value::Object(map) = value else { return flaw("", "an object is wanted") };
        if individuals::is_one(value) {
            return individuals::read(map);
        }
        let personas = list(map, "personas")?.iter().enumerate().map(|(at, person)| read_person(at, person));
        let personas = personas.collect::<Result<Vec<_>, _>>()?;
        let names: Vec<&str> = personas.iter().map(|person| person.name.as_str()).collect();
        let relations = list(map, "relations")?.iter().enumerate().map(|(at, tie)| read_tie(at, tie, &names));
        let relations = relations.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            relations,
            situation: text(map, "", "situation")?,
            topic: text(map, "", "topic")?,
            conversation_starter: text(map, "", "conversation_starter")?,
            personas,
        })
    }

    /// What holds for every situation, wherever it comes from: at least two people, no name twice, relations between
    /// known, different people that do not contradict each other, no empty text, a starter that is nobody's line.
    pub(crate) fn check(&self) -> Result<(), DraftFlaw> {
        self.check_people()?;
        for (at, tie) in self.relations.iter().enumerate() {
            self.check_tie(at, tie)?;
        }
        self.check_texts()
    }

    /// That no text is longer than a good one could be. Not asked of imported files, whose authors may know better.
    pub(crate) fn check_lengths(&self) -> Result<(), DraftFlaw> {
        let people = self.personas.iter().enumerate().flat_map(|(at, p)| {
            let optional = |text: &'_ Option<String>| text.as_deref().unwrap_or_default().chars().count();
            [
                (format!("personas[{at}].name"), p.name.chars().count(), longest::NAME),
                (format!("personas[{at}].persona"), optional(&p.persona), longest::PERSONA),
                (format!("personas[{at}].description"), p.description.chars().count(), longest::LINE),
                (format!("personas[{at}].stance"), optional(&p.stance), longest::LINE),
                (format!("personas[{at}].goal"), optional(&p.goal), longest::LINE),
                (format!("personas[{at}].knowledge"), optional(&p.knowledge), longest::LINE),
            ]
        });
        let ties = self.relations.iter().enumerate().flat_map(|(at, tie)| {
            [
                (format!("relations[{at}].type"), tie.r#type.chars().count(), longest::TYPE),
                (format!("relations[{at}].text"), tie.text.chars().count(), longest_relation(tie)),
            ]
        });
        let whole = [
            ("situation".to_owned(), self.situation.chars().count(), longest::SITUATION),
            ("topic".to_owned(), self.topic.chars().count(), longest::TOPIC),
            ("conversation_starter".to_owned(), self.conversation_starter.chars().count(), longest::LINE),
        ];
        match people.chain(ties).chain(whole).find(|(_, length, most)| length > most) {
            Some((key, length, most)) => flaw(key, format!("at most {most} characters are wanted, these are {length}")),
            None => Ok(()),
        }
    }

    /// That every person stands in a relation, and that the relations join all of them: nobody is in the room by accident.
    pub(crate) fn check_cover(&self) -> Result<(), DraftFlaw> {
        let tied = |name: &str| self.relations.iter().any(|tie| tie.from == name || tie.to == name);
        if let Some(person) = self.personas.iter().find(|person| !tied(&person.name)) {
            return flaw("relations", format!("{} is in none; say how they know one of the others", person.name));
        }
        let joined = self.joined_to_the_first();
        let (near, far): (Vec<&str>, Vec<&str>) =
            self.personas.iter().map(|person| person.name.as_str()).partition(|name| joined.contains(name));
        if far.is_empty() {
            return Ok(());
        }
        let (near, far) = (near.join(", "), far.join(", "));
        flaw("relations", format!("none joins {near} to {far}; say how one of these knows one of those"))
    }

    /// Everyone whom a way of relations leads to from the first person.
    fn joined_to_the_first(&self) -> Vec<&str> {
        let mut joined: Vec<&str> = self.personas.first().map(|person| person.name.as_str()).into_iter().collect();
        let mut at = 0;
        while let Some(here) = joined.get(at).copied() {
            for tie in &self.relations {
                let other = match here {
                    _ if tie.from == here => tie.to.as_str(),
                    _ if tie.to == here => tie.from.as_str(),
                    _ => continue,
                };
                if !joined.contains(&other) {
                    joined.push(other);
                }
            }
            at += 1;
        }
        joined
    }

    /// Drops what says nothing: relations of a person to themselves, and repeated ones.
    pub(crate) fn drop_idle_relations(&mut self) {
        let mut kept: Vec<DraftRelation> = Vec::with_capacity(self.relations.len());
        for tie in self.relations.drain(..) {
            if tie.from != tie.to && !kept.iter().any(|earlier| earlier.says(&tie)) {
                kept.push(tie);
            }
        }
        self.relations = kept;
    }

    /// Every text in it but names and relation types, with its key.
    pub(crate) fn texts(&self) -> Vec<(String, &str)> {
        let people = self.personas.iter().enumerate().flat_map(|(at, p)| {
            let named = [
                ("persona", p.persona.as_deref()),
                ("description", Some(p.description.as_str())),
                ("stance", p.stance.as_deref()),
                ("goal", p.goal.as_deref()),
                ("knowledge", p.knowledge.as_deref()),
            ];
            named.into_iter().filter_map(move |(key, text)| Some((format!("personas[{at}].{key}"), text?)))
        });
        let ties = self.relations.iter().enumerate();
        let ties = ties.map(|(at, tie)| (format!("relations[{at}].text"), tie.text.as_str()));
        let whole = [
            ("situation", &self.situation),
            ("topic", &self.topic),
            ("conversation_starter", &self.conversation_starter),
        ];
        people.chain(ties).chain(whole.map(|(key, text)| (key.to_owned(), text.as_str()))).collect()
    }

    fn check_people(&self) -> Result<(), DraftFlaw> {
        if self.personas.len() < 2 {
            return flaw("personas", "at least two people are wanted");
        }
        for (at, person) in self.personas.iter().enumerate() {
            let name = person.name.to_lowercase();
            if name.is_empty() {
                return flaw(format!("personas[{at}].name"), "a name is wanted");
            }
            if self.personas.iter().take(at).any(|other| other.name.to_lowercase() == name) {
                return flaw(format!("personas[{at}].name"), format!("{} is there twice; each name once", person.name));
            }
        }
        Ok(())
    }

    fn check_tie(&self, at: usize, tie: &DraftRelation) -> Result<(), DraftFlaw> {
        for (key, name) in [("from", &tie.from), ("to", &tie.to)] {
            if self.personas.iter().all(|person| person.name != *name) {
                let known: Vec<&str> = self.personas.iter().map(|person| person.name.as_str()).collect();
                return flaw(
                    format!("relations[{at}].{key}"),
                    format!("one of {} is wanted, not {name:?}", known.join(", ")),
                );
            }
        }
        if tie.from == tie.to {
            return flaw(
                format!("relations[{at}]"),
                format!("two different people are wanted, not {} twice", tie.from),
            );
        }
        let earlier = self.relations.get(..at).unwrap_or_default();
        let shown = format!("{} -> {} ({})", tie.from, tie.to, tie.r#type);
        let why = match kinship::contradiction(earlier, tie) {
            None => return Ok(()),
            Some(KinshipConflict::With(other)) => {
                format!("{shown} contradicts {} -> {} ({})", other.from, other.to, other.r#type)
            }
            Some(KinshipConflict::Chain) => {
                format!("{shown} contradicts those before: nobody is their own elder or superior")
            }
        };
        flaw(format!("relations[{at}]"), why)
    }

    fn check_texts(&self) -> Result<(), DraftFlaw> {
        if let Some((key, text)) = self.texts().into_iter().find(|(_, text)| is_placeholder(text)) {
            return flaw(key, format!("real text is wanted, not {text:?}"));
        }
        let spoken = |name: &str| {
            let rest = self.conversation_starter.strip_prefix(name);
            rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
        };
        match self.personas.iter().find(|person| spoken(&person.name)) {
            Some(person) => flaw(
                "conversation_starter",
                format!("it belongs to no one: leave out the \"{}:\" in front", person.name),
            ),
            None => Ok(()),
        }
    }
}

/// Where no type stands beside it, the text may be prose of several sentences.
fn longest_relation(tie: &DraftRelation) -> usize {
    if tie.r#type.is_empty() { longest::SITUATION } else { longest::LINE }
}

/// Empty, dots, or the name of a JSON type: a form that was not filled in.
fn is_placeholder(text: &str) -> bool {
    let bare = text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    matches!(bare.as_str(), "" | "string" | "text" | "null" | "none" | "n/a" | "todo" | "tbd" | "placeholder")
}

/// The words by which a model says that there is nothing to know.
fn is_nothing(text: &str) -> bool {
    is_placeholder(text) || matches!(text.trim_end_matches('.').to_lowercase().as_str(), "nothing" | "nothing special")
}

fn read_person(at: usize, value: &Value) -> Result<DraftPerson, DraftFlaw> {
    let Value::Object(map) = value else { return flaw(format!("personas[{at}]"), "an object is wanted") };
    let path = format!("personas[{at}].");
    Ok(DraftPerson {
        name: text(map, &path, "name")?,
        persona: optional_text(map, &path, "persona")?,
        description: text(map, &path, "description")?,
        stance: optional_text(map, &path, "stance")?,
        goal: optional_text(map, &path, "goal")?,
        // Told to write null, some write the word.
        knowledge: optional_text(map, &path, "knowledge")?.filter(|text| !is_nothing(text)),
    })
}

fn read_tie(at: usize, value: &Value, names: &[&str]) -> Result<DraftRelation, DraftFlaw> {
    match value {
        Value::Object(map) => {
            let path = format!("relations[{at}].");
            Ok(DraftRelation {
                from: text(map, &path, "from")?,
                to: text(map, &path, "to")?,
                r#type: optional_text(map, &path, "type")?.unwrap_or_default(),
                text: text(map, &path, "text")?,
            })
        }
        Value::String(sentence) => tie_from_sentence(at, sentence, names),
        _ => flaw(format!("relations[{at}]"), "an object or a sentence is wanted"),
    }
}

/// A relation given as a sentence: the first two people it names, in the order in which it names them.
pub(super) fn tie_from_sentence(at: usize, sentence: &str, names: &[&str]) -> Result<DraftRelation, DraftFlaw> {
    let text = tidy(sentence);
    let mut seen: Vec<(usize, usize, &str)> =
        names.iter().filter_map(|&name| mention(&text, name).map(|(from, to)| (from, to, name))).collect();
    // "Ann Lee" before "Ann" where both start at the same place: the longer one is meant.
    seen.sort_by_key(|&(from, to, _)| (from, usize::MAX - to));
    seen.dedup_by(|later, earlier| later.0 < earlier.1);
    match seen.as_slice() {
        [(_, _, from), (_, _, to), ..] => {
            Ok(DraftRelation { from: (*from).to_owned(), to: (*to).to_owned(), r#type: String::new(), text })
        }
        _ => {
            flaw(format!("relations[{at}]"), format!("a sentence that names two of the people is wanted, not {text:?}"))
        }
    }
}

/// Where `sentence` names `name` in full, or else by its first word.
fn mention(sentence: &str, name: &str) -> Option<(usize, usize)> {
    let whole_word = |part: &str, at: usize| {
        let before = sentence.get(..at).and_then(|text| text.chars().next_back());
        let after = sentence.get(at + part.len()..).and_then(|text| text.chars().next());
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    };
    let find = |part: &str| {
        let mut places = sentence.match_indices(part).map(|(at, _)| at);
        places.find(|&at| whole_word(part, at)).map(|at| (at, at + part.len()))
    };
    let first_word = name.split_whitespace().next()?;
    find(name).or_else(|| find(first_word))
}

pub(super) fn list<'a>(map: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], DraftFlaw> {
    match map.get(key) {
        Some(Value::Array(items)) => Ok(items),
        other => flaw(key, format!("a list is wanted, {}", instead(other))),
    }
}

pub(super) fn text(map: &Map<String, Value>, path: &str, key: &str) -> Result<String, DraftFlaw> {
    match map.get(key) {
        Some(Value::String(text)) => match tidy(text) {
            text if text.is_empty() => flaw(format!("{path}{key}"), "it is empty; write it out"),
            text => Ok(text),
        },
        other => flaw(format!("{path}{key}"), format!("a text is wanted, {}", instead(other))),
    }
}

pub(super) fn optional_text(map: &Map<String, Value>, path: &str, key: &str) -> Result<Option<String>, DraftFlaw> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(tidy(text)).filter(|text| !text.is_empty())),
        other => flaw(format!("{path}{key}"), format!("a text is wanted, {}", instead(other))),
    }
}

fn instead(found: Option<&Value>) -> &'static str {
    match found {
        None => "it is missing",
        Some(Value::Null) => "not null",
        Some(Value::Bool(_)) => "not true or false",
        Some(Value::Number(_)) => "not a number",
        Some(Value::String(_)) => "not a text",
        Some(Value::Array(_)) => "not a list",
        Some(Value::Object(_)) => "not an object",
    }
}

/// White space and control characters become single spaces: every text of a situation is one paragraph.
pub(super) fn tidy(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn person(name: &str) -> Value {
        json!({"name": name, "persona": "p", "description": format!("{name} fixes bicycles."), "stance": format!("{name} disagrees"), "goal": "home by six"})
    }

    fn value() -> Value {
        json!({
            "personas": [person("Ann Lee"), person("Bo"), person("Cy")],
            "relations": [
                {"from": "Ann Lee", "to": "Bo", "type": "mother", "text": "Ann raised Bo."},
                {"from": "Cy", "to": "Bo", "type": "friend", "text": "Cy shares a room with Bo."}
            ],
            "situation": "The three wait for a tow truck.", "topic": "whose fault it was",
            "conversation_starter": "The truck will take another hour."
        })
    }

    fn flaw_after(change: impl FnOnce(&mut Value)) -> String {
        let mut value = value();
        change(&mut value);
        let draft = Draft::from_value(&value);
        let checked = draft.and_then(|d| d.check().and_then(|()| d.check_lengths()).and_then(|()| d.check_cover()));
        checked.map_or_else(|flaw| flaw.to_string(), |()| "sound".to_owned())
    }

    #[test]
    fn flaws_name_the_key_and_what_is_wanted() {
        assert_eq!(flaw_after(|_| {}), "sound");
        let flaws = [
            flaw_after(|v| v["personas"] = json!("Ann")),
            flaw_after(|v| v["personas"] = json!([person("Ann Lee")])),
            flaw_after(|v| v["personas"][1]["name"] = json!("ann lee")),
            flaw_after(|v| v["personas"][1]["description"] = json!(7)),
            flaw_after(|v| v["personas"][2]["stance"] = json!("...")),
            flaw_after(|v| v["relations"][0]["to"] = json!("Dee")),
            flaw_after(|v| v["relations"][0]["to"] = json!("Ann Lee")),
            flaw_after(|v| v["relations"][1] = json!({"from": "Bo", "to": "Ann Lee", "type": "Mother", "text": "x"})),
            flaw_after(|v| v["relations"][1] = json!("Cy is a friend.")),
            flaw_after(|v| v["relations"][1] = json!({"from": "Bo", "to": "Ann Lee", "type": "son", "text": "x"})),
            flaw_after(|v| drop(v.as_object_mut().unwrap().remove("topic"))),
            flaw_after(|v| v["situation"] = json!(" \n ")),
            flaw_after(|v| v["conversation_starter"] = json!("x".repeat(401))),
            flaw_after(|v| v["conversation_starter"] = json!("Bo : why me?")),
        ];
        insta::assert_snapshot!(flaws.join("\n"), @r#"
        personas: a list is wanted, not a text
        personas: at least two people are wanted
        personas[1].name: ann lee is there twice; each name once
        personas[1].description: a text is wanted, not a number
        personas[2].stance: real text is wanted, not "..."
        relations[0].to: one of Ann Lee, Bo, Cy is wanted, not "Dee"
        relations[0]: two different people are wanted, not Ann Lee twice
        relations[1]: Bo -> Ann Lee (Mother) contradicts Ann Lee -> Bo (mother)
        relations[1]: a sentence that names two of the people is wanted, not "Cy is a friend."
        relations: Cy is in none; say how they know one of the others
        topic: a text is wanted, it is missing
        situation: it is empty; write it out
        conversation_starter: at most 400 characters are wanted, these are 401
        conversation_starter: it belongs to no one: leave out the "Bo:" in front
        "#);
    }

    #[test]
    fn a_sentence_relates_the_two_people_it_names() {
        for (sentence, from, to) in [
            ("Bo owes Ann Lee money.", "Bo", "Ann Lee"),
            ("Ann and Bo met at work, Cy later", "Ann Lee", "Bo"),
            ("Bob hates Cy's dog, as does Bo", "Cy", "Bo"),
        ] {
            let tie = tie_from_sentence(0, sentence, &["Ann Lee", "Bo", "Cy"]).unwrap();
            assert_eq!((tie.from.as_str(), tie.to.as_str(), tie.text.as_str()), (from, to, sentence));
        }
        let tie = tie_from_sentence(0, "Ann Lee and Bo", &["Ann", "Ann Lee", "Bo"]).unwrap();
        assert_eq!((tie.from.as_str(), tie.to.as_str()), ("Ann Lee", "Bo"));
    }

    #[test]
    fn only_what_says_nothing_is_dropped() {
        let mut value = value();
        let ties = value["relations"].as_array_mut().unwrap();
        ties.push(ties[1].clone());
        ties.push(json!({"from": "Cy", "to": "Cy", "type": "friend", "text": "Cy likes Cy."}));
        ties.push(json!({"from": "Bo", "to": "Cy", "type": "friend", "text": "And back."}));
        let mut draft = Draft::from_value(&value).unwrap();
        draft.drop_idle_relations();
        assert_eq!(draft.relations.len(), 3);
        assert_eq!(draft.check(), Ok(()));
    }

    #[test]
    fn imported_people_need_no_stance_and_no_goal() {
        let mut value = value();
        value["personas"][0] = json!({"name": "Ann Lee", "description": "A cook.", "persona": "A cook.", "age": 4});
        let draft = Draft::from_value(&value).unwrap();
        assert_eq!((draft.check(), draft.personas[0].stance.clone()), (Ok(()), None));
    }

    #[test]
    fn relations_join_everyone() {
        let between = |pairs: &[(usize, usize)]| {
            let mut value = value();
            let names = ["Ann Lee", "Bo", "Cy", "Dee"];
            value["personas"] = names.iter().map(|name| person(name)).collect();
            let tie = |(from, to): &(usize, usize)| json!({"from": names[*from], "to": names[*to], "text": format!("{from} {to}.")});
            value["relations"] = pairs.iter().map(tie).collect();
            Draft::from_value(&value)
                .unwrap()
                .check_cover()
                .map_or_else(|flaw| flaw.to_string(), |()| "sound".to_owned())
        };
        assert_eq!(between(&[(0, 1), (2, 1), (2, 3)]), "sound");
        assert_eq!(between(&[(3, 0), (3, 1), (3, 2)]), "sound");
        assert_eq!(
            between(&[(0, 1), (1, 0), (2, 3)]),
            "relations: none joins Ann Lee, Bo to Cy, Dee; say how one of these knows one of those"
        );
        assert_eq!(between(&[(0, 1), (1, 2)]), "relations: Dee is in none; say how they know one of the others");
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(names in proptest::collection::vec("[A-Zé]{0,3} ?[a-z]{0,2}", 0..4), sentence in "[A-Zé a-z']{0,20}") {
            let value = json!({"personas": names.iter().map(|n| person(n)).collect::<Vec<_>>(), "relations": [sentence],
                "situation": "s s", "topic": "t t", "conversation_starter": "c c"});
            if let Ok(mut draft) = Draft::from_value(&value) {
                draft.drop_idle_relations();
                let _ = (draft.check(), draft.check_cover(), draft.check_lengths());
            }
        }
    }
}
