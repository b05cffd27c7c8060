//! What models are used for, and how JSON is asked of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a model is used for. A role may have a model of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Writes situations.
    Situations,
    /// Speaks in a conversation.
    Speaker,
    /// Chooses who speaks next.
    Selector,
    /// Sums up what prompts no longer show of a conversation.
    Summary,
    /// Screens finished conversations for what is unsafe.
    Safety,
    /// Scores finished conversations.
    Judge,
    /// Asks the endpoint whether it can follow a JSON schema.
    Probe,
}

impl Role {
    /// Whether it judges conversations that others made: those stand without its verdict, or the configuration says what becomes
    /// of them.
    pub(crate) fn looks_on(self) -> bool {
        matches!(self, Self::Safety | Self::Judge)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Situations => "situations",
            Self::Speaker => "speaker",
            Self::Selector => "selector",
            Self::Summary => "summary",
            Self::Safety => "safety",
            Self::Judge => "judge",
            Self::Probe => "probe",
        })
    }
}

/// How JSON is asked for on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structured {
    /// `response_format: {type: json_schema, strict: true}`.
    JsonSchema,
    /// `response_format: {type: json_object, schema}`, as llama-cpp-python takes it.
    JsonObjectSchema,
    /// `response_format: {type: json_object}`.
    JsonObject,
    /// Nothing but the prompt.
    None,
}

impl Structured {
    /// Whether an endpoint that takes this form holds replies to the schema, so that a prompt need not show it.
    pub(crate) fn enforces(self) -> bool {
        matches!(self, Self::JsonSchema | Self::JsonObjectSchema)
    }
}
