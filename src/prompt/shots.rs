//! Shots: the examples a prompt shows.
//!
//! A shot is a JSON file with one situation, people by name:
//!
//! ```json
//! {
//!   "personas": [{"name": "…", "persona": "…", "description": "…", "stance": "…", "goal": "…", "knowledge": null}],
//!   "relations": [{"from": "…", "to": "…", "type": "…", "text": "…"}],
//!   "situation": "…", "topic": "…", "conversation_starter": "…"
//! }
//! ```
//!
//! or one in the shape of upstream ConvoGen, see [`super::individuals`].
//!
//! It is read strictly, since what is wrong in an example is wrong in every reply, and it passes the rules that replies must
//! pass. Accepted situations become shots by [`Shot::from_situation`].

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::draft::{Draft, DraftFlaw, DraftPerson, DraftRelation};
use super::{PersonaMode, individuals};
use crate::exit::ExitCode;
use crate::record::Situation;

/// A shot that cannot be used. Exit code 2: shots are configuration.
#[derive(Debug, thiserror::Error)]
pub enum ShotError {
    /// Not JSON, or JSON with other keys or types.
    #[error("{path}, line {line}: {key}{message}", path = path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key and a colon, or nothing where the JSON itself is broken.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// A rule that every situation must keep.
    #[error("{path}: {flaw}", path = path.display())]
    Rule {
        /// The file.
        path: PathBuf,
        /// The rule.
        flaw: DraftFlaw,
    },
}

impl ShotError {
    /// The exit code of the process: 2, usage or configuration.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with one situation")]
struct ShotFile {
    personas: Vec<ShotPerson>,
    relations: Vec<ShotRelation>,
    situation: String,
    topic: String,
    conversation_starter: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with one person")]
struct ShotPerson {
    name: String,
    persona: String,
    description: String,
    stance: String,
    goal: String,
    knowledge: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with one relation")]
struct ShotRelation {
    from: String,
    to: String,
    r#type: String,
    text: String,
}

impl From<ShotFile> for Draft {
    fn from(file: ShotFile) -> Self {
        let personas = file.personas.into_iter().map(|p| DraftPerson {
            name: p.name,
            persona: Some(p.persona),
            description: p.description,
            stance: Some(p.stance),
            goal: Some(p.goal),
            knowledge: p.knowledge,
        });
        let relations = file.relations.into_iter().map(|r| DraftRelation {
            from: r.from,
            to: r.to,
            r#type: r.r#type,
            text: r.text,
        });
        Self {
            personas: personas.collect(),
            relations: relations.collect(),
            situation: file.situation,
            topic: file.topic,
            conversation_starter: file.conversation_starter,
        }
    }
}

/// One example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shot {
    /// The file's name, or the id of the situation it was.
    pub name: String,
    /// What it shows.
    pub draft: Draft,
    /// How it was written, where that is in upstream's shape.
    pub written: Option<Value>,
}

/// The keys of the JSON text a reply is shown as.
#[derive(Serialize)]
struct Output<'a> {
    situations: [&'a Draft; 1],
}

impl Shot {
    /// Reads a shot from text; `path` is for messages, and its last part becomes the name.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ShotError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let shape = |key: String, error: &serde_json::Error| ShotError::Shape {
            path: path.to_owned(),
            line: error.line(),
            key,
            message: without_position(error),
        };
        match serde_json::from_str::<Value>(text).map(alone) {
            Ok(value) if individuals::is_one(&value) => return Self::of_individuals(path, value),
            Ok(Value::Object(map)) if !map.contains_key("personas") => {
                let message = "neither `personas`, as in our shots, nor `individuals`, as in upstream's".to_owned();
                return Err(ShotError::Shape { path: path.to_owned(), line: 1, key: String::new(), message });
            }
            _ => {}
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let file: ShotFile = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| shape(key_of(error.path()), error.inner()))?;
        reader.end().map_err(|error| shape(String::new(), &error))?;
        let draft = Draft::from(file);
        let sound = draft.check().and_then(|()| draft.check_lengths()).and_then(|()| draft.check_cover());
        sound.map_err(|flaw| ShotError::Rule { path: path.to_owned(), flaw })?;
        Ok(Self { name: name_of(path), draft, written: None })
    }

    fn of_individuals(path: &Path, value: Value) -> Result<Self, ShotError> {
        let draft = Draft::from_value(&value).and_then(|draft| draft.check().map(|()| draft));
        let draft = draft.map_err(|flaw| ShotError::Rule { path: path.to_owned(), flaw })?;
        Ok(Self { name: name_of(path), draft, written: Some(value) })
    }

    /// An accepted situation as an example for later ones.
    pub(crate) fn from_situation(situation: &Situation) -> Self {
        let name_of = |id: &str| {
            let person = situation.personas.iter().find(|person| person.id == id);
            person.map_or_else(|| id.to_owned(), |person| person.name.clone())
        };
        let personas = situation.personas.iter().map(|p| DraftPerson {
            name: p.name.clone(),
            persona: Some(p.persona.clone()),
            description: p.description.clone(),
            stance: Some(p.stance.clone().unwrap_or_default()),
            goal: Some(p.goal.clone().unwrap_or_default()),
            knowledge: p.knowledge.clone(),
        });
        let relations = situation.relations.iter().map(|r| DraftRelation {
            from: name_of(&r.from),
            to: name_of(&r.to),
            r#type: r.r#type.clone(),
            text: r.text.clone(),
        });
        let draft = Draft {
            personas: personas.collect(),
            relations: relations.collect(),
            situation: situation.situation.clone(),
            topic: situation.topic.clone(),
            conversation_starter: situation.conversation_starter.clone(),
        };
        Self { name: situation.id.clone(), draft, written: None }
    }

    /// The people as a prompt gives them: a line `- name: persona` for each.
    pub(crate) fn input(&self) -> String {
        let line = |p: &DraftPerson| format!("- {}: {}", p.name, p.persona.as_deref().unwrap_or_default());
        self.draft.personas.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The reply it stands for: indented JSON with the keys, in the order, of the schema of replies in `mode`.
    pub(crate) fn output(&self, mode: PersonaMode) -> String {
        let mut draft = self.draft.clone();
        if mode == PersonaMode::Predefined {
            draft.personas.iter_mut().for_each(|person| person.persona = None);
        }
        // Structs of texts always serialise: an error would take a map with keys that are no text.
        serde_json::to_string_pretty(&Output { situations: [&draft] }).unwrap_or_default()
    }

    /// It as upstream has it.
    pub(crate) fn individuals(&self) -> Value {
        self.written.clone().unwrap_or_else(|| individuals::written(&self.draft))
    }

    /// Its texts, a line each: what a reply must not repeat as its own.
    pub(crate) fn words(&self) -> String {
        self.draft.texts().into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n")
    }
}

/// A list of one is that one.
fn alone(value: Value) -> Value {
    match value {
        Value::Array(mut items) if items.len() == 1 => items.pop().unwrap_or_default(),
        other => other,
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn key_of(path: &serde_path_to_error::Path) -> String {
    match path.to_string() {
        // The whole file, or a place in broken JSON that has no key yet.
        whole if matches!(whole.as_str(), "." | "?") => String::new(),
        key => format!("{key}: "),
    }
}

/// The message without "at line 3 column 7", which stands in front already.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
