//! A `ConvoKit` corpus: `utterances.jsonl`, `conversations.json`, `speakers.json`, `corpus.json` and `index.json`.
//!
//! An utterance has the id of the conversation if it opens it, which is what the library takes for its root. The starter belongs
//! to a speaker of its own, [`OPENER`]; a person is another speaker in each conversation, with the persona's id among the data.

use std::path::Path;

use serde_json::{Value, json};

use crate::record::{Conversation, Turn};
use crate::store::fs::FsError;
use crate::store::part::{FileEntry, JsonlWriter, PartFile};

/// Who says the line that opens a conversation.
const OPENER: &str = "starter";

/// A corpus being written.
#[derive(Debug)]
pub(super) struct CorpusFolder {
    root: std::path::PathBuf,
    home: String,
    utterances: JsonlWriter,
    conversations: JsonObject,
    speakers: JsonObject,
    opened: bool,
}

impl CorpusFolder {
    pub(super) fn create(root: &Path, home: &str) -> Result<Self, FsError> {
        Ok(Self {
            root: root.to_owned(),
            home: home.to_owned(),
            utterances: JsonlWriter::create(root, &format!("{home}utterances.jsonl"))?,
            conversations: JsonObject::create(root, &format!("{home}conversations.json"))?,
            speakers: JsonObject::create(root, &format!("{home}speakers.json"))?,
            opened: false,
        })
    }

    pub(super) fn push(&mut self, talk: &Conversation) -> Result<(), FsError> {
        let meta = json!({
            "situation": talk.situation, "topic": talk.topic, "split": talk.split, "stop_reason": talk.stop_reason,
            "model": talk.model,
        });
        self.conversations.entry(&talk.id, &json!({"meta": meta, "vectors": []}))?;
        for person in &talk.participants {
            let meta = json!({
                "name": person.name, "description": person.description, "persona": person.persona, "person": person.id,
            });
            self.speakers.entry(&speaker(talk, &person.id), &json!({"meta": meta, "vectors": []}))?;
        }
        self.opened |= !talk.conversation_starter.trim().is_empty();
        utterances(talk).iter().try_for_each(|utterance| self.utterances.push(utterance).map(drop))
    }

    pub(super) fn finish(mut self) -> Result<Vec<FileEntry>, FsError> {
        if self.opened {
            self.speakers.entry(OPENER, &json!({"meta": {"name": OPENER}, "vectors": []}))?;
        }
        let (rows, talks, people) = (self.utterances.rows(), self.conversations.rows, self.speakers.rows);
        let mut files = vec![self.utterances.finish()?, self.conversations.finish()?, self.speakers.finish()?];
        let about = json!({"name": "convogen", "utterances": rows, "conversations": talks, "speakers": people});
        for (name, content) in [("corpus.json", about), ("index.json", index())] {
            let mut file = PartFile::create(&self.root, &format!("{}{name}", self.home))?;
            file.append(format!("{content}\n").as_bytes())?;
            files.push(file.finish(None)?);
        }
        Ok(files)
    }
}

/// What type each piece of data has, as the library keeps it.
fn index() -> Value {
    let text = |names: &[&str]| -> Value {
        names
            .iter()
            .map(|name| ((*name).to_owned(), json!(["<class 'str'>"])))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let number = json!(["<class 'int'>"]);
    json!({
        "utterances-index": text(&["addressee", "selected_by"]),
        "speakers-index": text(&["name", "description", "persona", "person"]),
        "conversations-index": text(&["situation", "topic", "split", "stop_reason", "model"]),
        "overall-index": {"name": ["<class 'str'>"], "utterances": number, "conversations": number, "speakers": number},
        "vectors": [], "version": 1,
    })
}

fn speaker(talk: &Conversation, person: &str) -> String {
    format!("{}#{person}", talk.id)
}

/// The starter and the turns, each a reply to the one before; their time is their place.
fn utterances(talk: &Conversation) -> Vec<Value> {
    let starter = (OPENER.to_owned(), talk.conversation_starter.as_str(), json!({}));
    let turns = talk.turns.iter().map(|turn| (speaker(talk, &turn.speaker_id), turn.text.as_str(), meta(talk, turn)));
    let said = [starter].into_iter().chain(turns).filter(|(_, text, _)| !text.trim().is_empty());
    let mut before = Value::Null;
    let utterance = |(at, (speaker, text, meta)): (usize, (String, &str, Value))| {
        let id = if at == 0 { talk.id.clone() } else { format!("{}#{at}", talk.id) };
        let reply_to = std::mem::replace(&mut before, Value::from(id.as_str()));
        json!({
            "id": id, "conversation_id": talk.id, "text": text, "speaker": speaker, "meta": meta, "reply-to": reply_to,
            "timestamp": at, "vectors": [],
        })
    };
    said.enumerate().map(utterance).collect()
}

fn meta(talk: &Conversation, turn: &Turn) -> Value {
    match &turn.addressee_id {
        Some(person) => json!({"selected_by": turn.selected_by, "addressee": speaker(talk, person)}),
        None => json!({"selected_by": turn.selected_by}),
    }
}

/// A file with one JSON object, written entry by entry.
#[derive(Debug)]
struct JsonObject {
    file: PartFile,
    rows: u64,
}

impl JsonObject {
    fn create(root: &Path, name: &str) -> Result<Self, FsError> {
        Ok(Self { file: PartFile::create(root, name)?, rows: 0 })
    }

    fn entry(&mut self, key: &str, value: &Value) -> Result<(), FsError> {
        let lead = if self.rows == 0 { "{" } else { "," };
        self.rows += 1;
        self.file.append(format!("{lead}\n{}: {value}", Value::from(key)).as_bytes())
    }

    fn finish(mut self) -> Result<FileEntry, FsError> {
        self.file.append(if self.rows == 0 { b"{}\n" } else { b"\n}\n" })?;
        self.file.finish(Some(self.rows))
    }
}
