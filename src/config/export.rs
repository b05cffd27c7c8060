//! What conversations are exported as: formats and their options, in configurations and on the command line.

use std::fmt;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A form that training tools or corpus tools read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum ExportFormat {
    /// One row per speaker, who is `assistant`: `messages` of `role` and `content`.
    Messages,
    /// One row per reply of a speaker: the messages before it as `prompt`, the reply as `completion`.
    PromptCompletion,
    /// As `messages`, with a column `system` and `conversations` of `from` and `value`.
    Sharegpt,
    /// As `messages`, without any other column.
    Openai,
    /// One row per conversation: its text, a line a turn.
    Transcript,
    /// One row per turn: what was said before, who is there, and who spoke.
    NextSpeaker,
    /// One row per turn whose addressee is known: what was said, who is there, and to whom it was said.
    Addressee,
    /// A corpus folder of `ConvoKit`.
    Convokit,
    /// The records of upstream `ConvoGen`, as JSONL and tab-separated parts.
    Convogen,
}

impl ExportFormat {
    /// The value as it stands in configuration, and the name of the table.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::PromptCompletion => "prompt_completion",
            Self::Sharegpt => "sharegpt",
            Self::Openai => "openai",
            Self::Transcript => "transcript",
            Self::NextSpeaker => "next_speaker",
            Self::Addressee => "addressee",
            Self::Convokit => "convokit",
            Self::Convogen => "convogen",
        }
    }

    /// Where it lies in a dataset.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Messages => "exports/messages",
            Self::PromptCompletion => "exports/prompt_completion",
            Self::Sharegpt => "exports/sharegpt",
            Self::Openai => "exports/openai",
            Self::Transcript => "exports/transcript",
            Self::NextSpeaker => "exports/next_speaker",
            Self::Addressee => "exports/addressee",
            Self::Convokit => "exports/convokit",
            Self::Convogen => "exports/convogen",
        }
    }

    /// Whether its rows are messages, seen by one of the speakers.
    pub(crate) fn is_chat(self) -> bool {
        matches!(self, Self::Messages | Self::PromptCompletion | Self::Sharegpt | Self::Openai)
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the text stands that tells the speaker who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum SystemPlace {
    /// In a message, or a column, of its own.
    #[default]
    Message,
    /// In front of the first user message, for chat templates that have no system role.
    FirstUser,
}

/// A key in every message that says whether its tokens count towards the loss, by the name that a trainer looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum LossFlag {
    /// `train`: true or false (axolotl, by `message_field_training`).
    Train,
    /// `weight`: 1 or 0 (`OpenAI`, Mistral).
    Weight,
    /// `loss`: true or false (ms-swift).
    Loss,
}

/// A format with what can be chosen about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportOptions {
    /// The form.
    pub format: ExportFormat,
    /// For forms of messages: where the system text stands. Left out: `message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemPlace>,
    /// For forms of messages: whether the system text says what its person keeps to themself (stance, goal and knowledge, as
    /// the situation has them), and never what anyone else does. Left out: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// For `messages`, `sharegpt` and `openai`: a key that says which messages count towards the loss. Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossFlag>,
    /// For `convogen`: conversations in a part. Left out: 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_partition_size: Option<u64>,
}

/// Conversations in a part, unless another number is asked for.
const PARTITION: u64 = 1_000;

impl ExportOptions {
    /// A format with nothing chosen about it.
    pub(crate) fn of(format: ExportFormat) -> Self {
        Self { format, system: None, private: None, loss: None, write_partition_size: None }
    }

    /// Where the system text stands.
    pub(crate) fn system(&self) -> SystemPlace {
        self.system.unwrap_or_default()
    }

    /// Whether people's own rows say what they keep to themselves.
    pub(crate) fn private(&self) -> bool {
        self.private.unwrap_or_default()
    }

    /// Conversations in a part, at least 1.
    pub(crate) fn partition(&self) -> u64 {
        self.write_partition_size.unwrap_or(PARTITION).max(1)
    }

    /// An option that means nothing for the format: its key, and why.
    pub(crate) fn problem(&self) -> Option<(&'static str, String)> {
        let format = self.format;
        if self.system.is_some() && !format.is_chat() {
            return Some(("system", format!("{format} has no system text; leave it out")));
        }
        if self.private.is_some() && !format.is_chat() {
            return Some(("private", format!("{format} is seen by nobody in particular; leave it out")));
        }
        if self.loss.is_some() && (!format.is_chat() || format == ExportFormat::PromptCompletion) {
            return Some((
                "loss",
                format!("{format} has no messages to flag; take messages, sharegpt or openai, or leave it out"),
            ));
        }
        if self.write_partition_size.is_some() && format != ExportFormat::Convogen {
            return Some(("write_partition_size", format!("{format} is not written in parts; leave it out")));
        }
        let empty = self.write_partition_size == Some(0);
        empty.then(|| ("write_partition_size", "0 conversations in a part; at least 1".to_owned()))
    }
}

/// An entry of `export`: a format's name, or a mapping with options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExportEntry {
    /// The format as it is.
    Format(ExportFormat),
    /// The format with options.
    Options(ExportOptions),
}

impl ExportEntry {
    /// The format with its options.
    pub(crate) fn options(&self) -> ExportOptions {
        match self {
            Self::Format(format) => ExportOptions::of(*format),
            Self::Options(options) => options.clone(),
        }
    }
}

/// The formats of a list of entries.
pub(crate) fn every(entries: &[ExportEntry]) -> Vec<ExportOptions> {
    entries.iter().map(ExportEntry::options).collect()
}
