//! What a format is: columns, and a function from a conversation to rows.

use serde_json::Value;

use super::secrets::RoomSecrets;
use super::{chat, talk, upstream};
use crate::config::export::{ExportFormat, ExportOptions, LossFlag, SystemPlace};
use crate::record::Conversation;
use crate::record::arrow::{Column, ColumnKind};

/// A table of examples.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExampleTable {
    /// Its columns, in the order of the keys of a row.
    pub columns: &'static [Column],
    /// The rows of a conversation, whose people may be told what they keep to themselves.
    pub rows: fn(&Conversation, &RoomSecrets, &ExportOptions) -> Vec<Value>,
}

/// The table of a format; none where the form is no table.
pub(super) fn table(options: &ExportOptions) -> Option<ExampleTable> {
    let rows = match options.format {
        ExportFormat::Messages => chat::messages,
        ExportFormat::PromptCompletion => chat::prompt_completion,
        ExportFormat::Sharegpt => chat::sharegpt,
        ExportFormat::Openai => chat::openai,
        ExportFormat::Transcript => talk::transcript,
        ExportFormat::NextSpeaker => talk::next_speaker,
        ExportFormat::Addressee => talk::addressee,
        ExportFormat::Convogen => upstream::row,
        ExportFormat::Convokit => return None,
    };
    Some(ExampleTable { columns: columns(options), rows })
}

const fn column(name: &'static str, kind: ColumnKind) -> Column {
    Column { name, kind, nullable: false }
}

const fn text(name: &'static str) -> Column {
    column(name, ColumnKind::Text)
}

const fn list(name: &'static str, items: &'static [Column]) -> Column {
    column(name, ColumnKind::List(items))
}

const ID: Column = column("id", ColumnKind::Key);
const LABEL: Column = column("label", ColumnKind::Int32);
const ROLE: Column = column("role", ColumnKind::Category);
const FROM: Column = column("from", ColumnKind::Category);
const MESSAGE: &[Column] = &[ROLE, text("content")];
const CANDIDATES: Column =
    list("candidates", &[column("id", ColumnKind::Key), column("name", ColumnKind::Category), text("description")]);

/// The columns of a table that ends with a list of messages, which have a flag where one is asked for.
macro_rules! messages {
    ($loss:expr, [$($lead:expr),*], $name:literal, [$($field:expr),+]) => {
        match $loss {
            None => const { &[$($lead,)* list($name, const { &[$($field),+] })] },
            Some(LossFlag::Train) => const { &[$($lead,)* list($name, const { &[$($field,)+ column("train", ColumnKind::Bool)] })] },
            Some(LossFlag::Weight) => const { &[$($lead,)* list($name, const { &[$($field,)+ column("weight", ColumnKind::Int32)] })] },
            Some(LossFlag::Loss) => const { &[$($lead,)* list($name, const { &[$($field,)+ column("loss", ColumnKind::Bool)] })] },
        }
    };
}

fn columns(options: &ExportOptions) -> &'static [Column] {
    match (options.format, options.system()) {
        (ExportFormat::Messages, _) => messages!(options.loss, [ID], "messages", [ROLE, text("content")]),
        (ExportFormat::Openai, _) => messages!(options.loss, [], "messages", [ROLE, text("content")]),
        (ExportFormat::Sharegpt, SystemPlace::Message) => {
            messages!(options.loss, [ID, text("system")], "conversations", [FROM, text("value")])
        }
        (ExportFormat::Sharegpt, SystemPlace::FirstUser) => {
            messages!(options.loss, [ID], "conversations", [FROM, text("value")])
        }
        (ExportFormat::PromptCompletion, _) => const { &[ID, list("prompt", MESSAGE), list("completion", MESSAGE)] },
        (ExportFormat::Transcript, _) => const { &[ID, text("situation"), text("topic"), text("text")] },
        (ExportFormat::NextSpeaker, _) => {
            const { &[ID, text("situation"), text("context"), CANDIDATES, column("speaker", ColumnKind::Category), LABEL] }
        }
        (ExportFormat::Addressee, _) => {
            const {
                &[
                    ID,
                    text("situation"),
                    text("context"),
                    column("speaker", ColumnKind::Category),
                    text("text"),
                    CANDIDATES,
                    column("addressee", ColumnKind::Category),
                    LABEL,
                ]
            }
        }
        (ExportFormat::Convogen, _) => {
            const {
                &[
                    column("meetingID", ColumnKind::Key),
                    text("speakerMap"),
                    text("Conversation"),
                    text("situation_config"),
                ]
            }
        }
        (ExportFormat::Convokit, _) => &[],
    }
}
