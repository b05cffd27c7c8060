//! The views of a conversation as messages, in the forms of the trainers.

use serde_json::{Map, Value, json};

use super::secrets::RoomSecrets;
use super::view::{Passage, View, Voice, views};
use crate::config::export::{ExportOptions, LossFlag, SystemPlace};
use crate::record::Conversation;

/// How a form spells a message.
struct Spelling {
    role: &'static str,
    text: &'static str,
    user: &'static str,
    assistant: &'static str,
    loss: Option<LossFlag>,
}

impl Spelling {
    const OPENAI: Self = Self { role: "role", text: "content", user: "user", assistant: "assistant", loss: None };
    const SHAREGPT: Self = Self { role: "from", text: "value", user: "human", assistant: "gpt", loss: None };

    fn flagged(self, options: &ExportOptions) -> Self {
        Self { loss: options.loss, ..self }
    }

    fn message(&self, role: &str, text: &str, counts: bool) -> Value {
        let mut message = Map::new();
        message.insert(self.role.to_owned(), role.into());
        message.insert(self.text.to_owned(), text.into());
        match self.loss {
            None => {}
            Some(LossFlag::Train) => drop(message.insert("train".to_owned(), counts.into())),
            Some(LossFlag::Loss) => drop(message.insert("loss".to_owned(), counts.into())),
            Some(LossFlag::Weight) => drop(message.insert("weight".to_owned(), u8::from(counts).into())),
        }
        message.into()
    }

    fn spoken(&self, spoken: &Passage) -> Value {
        match spoken.side {
            Voice::Others => self.message(self.user, &spoken.text, false),
            Voice::Own => self.message(self.assistant, &spoken.text, true),
        }
    }

    /// What is said, the system text in a message in front or at the beginning of the first.
    fn all(&self, view: &View<'_>, place: SystemPlace) -> Vec<Value> {
        match place {
            SystemPlace::Message => {
                let system = self.message("system", &view.system, false);
                [system].into_iter().chain(view.spoken.iter().map(|spoken| self.spoken(spoken))).collect()
            }
            SystemPlace::FirstUser => self.with_system_in_front(view),
        }
    }

    fn with_system_in_front(&self, view: &View<'_>) -> Vec<Value> {
        let Some((first, rest)) = view.spoken.split_first() else { return Vec::new() };
        let first = self.message(self.user, &format!("{}\n\n{}", view.system, first.text), false);
        [first].into_iter().chain(rest.iter().map(|spoken| self.spoken(spoken))).collect()
    }
}

/// `{id, messages: [{role, content}]}`
pub(super) fn messages(talk: &Conversation, secrets: &RoomSecrets, options: &ExportOptions) -> Vec<Value> {
    let spelling = Spelling::OPENAI.flagged(options);
    views(talk, secrets)
        .map(|view| json!({"id": view.id(talk), "messages": spelling.all(&view, options.system())}))
        .collect()
}

/// `{messages: [{role, content}]}`
pub(super) fn openai(talk: &Conversation, secrets: &RoomSecrets, options: &ExportOptions) -> Vec<Value> {
    let spelling = Spelling::OPENAI.flagged(options);
    views(talk, secrets).map(|view| json!({"messages": spelling.all(&view, options.system())})).collect()
}

/// `{id, system, conversations: [{from, value}]}`, without `system` where that text stands in the first message.
pub(super) fn sharegpt(talk: &Conversation, secrets: &RoomSecrets, options: &ExportOptions) -> Vec<Value> {
    let spelling = Spelling::SHAREGPT.flagged(options);
    let row = |view: View<'_>| match options.system() {
        SystemPlace::FirstUser => {
            json!({"id": view.id(talk), "conversations": spelling.with_system_in_front(&view)})
        }
        SystemPlace::Message => {
            let said: Vec<Value> = view.spoken.iter().map(|spoken| spelling.spoken(spoken)).collect();
            json!({"id": view.id(talk), "system": view.system, "conversations": said})
        }
    };
    views(talk, secrets).map(row).collect()
}

/// `{id, prompt: [{role, content}], completion: [{role, content}]}`, a row for each time the person answers.
pub(super) fn prompt_completion(talk: &Conversation, secrets: &RoomSecrets, options: &ExportOptions) -> Vec<Value> {
    views(talk, secrets).flat_map(|view| answers(talk, &view, options.system())).collect()
}

fn answers(talk: &Conversation, view: &View<'_>, place: SystemPlace) -> Vec<Value> {
    let said = Spelling::OPENAI.all(view, place);
    let own = said.iter().enumerate().filter(|(_, message)| message["role"] == "assistant");
    let row = |(number, (at, answer)): (usize, (usize, &Value))| json!({"id": format!("{}#{number}", view.id(talk)), "prompt": said.get(..at), "completion": [answer]});
    own.enumerate().map(row).collect()
}
