//! The `safety` and `judge` parts of a configuration: what is looked for in finished conversations, and who scores them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What finished conversations are screened for, and what is done about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Safety {
    /// Look for personal data and listed words. No call is made for it.
    pub screen: bool,
    /// Word lists, one per language and named for it, such as `en.txt`. Left out: those that ship; empty: none.
    pub words: Option<Vec<PathBuf>>,
    /// Who else looks at every conversation, with the model under `models.safety`.
    pub service: Option<Service>,
    /// The prompt for service `judge`. Left out: the one that ships.
    pub prompt: Option<PathBuf>,
    /// From which score of the service, 0 to 1, a category counts.
    pub thresholds: Thresholds,
    /// What is done about what was found.
    pub action: Actions,
    /// What is done with a conversation that the service refused or failed to look at.
    pub on_failure: OnFailure,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            screen: true,
            words: None,
            service: None,
            prompt: None,
            thresholds: Thresholds::default(),
            action: Actions::default(),
            on_failure: OnFailure::default(),
        }
    }
}

/// Services that screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Azure AI Content Safety. Its severities 0 to 7 are scores of a seventh each: from 0.5 is severity 4, medium.
    AzureContentSafety,
    /// An endpoint with `/moderations`, such as OpenAI's. Its category scores are taken as they are.
    OpenaiModeration,
    /// A chat model with a prompt. Its severities 0 to 3 are scores of a third each: from 0.5 is severity 2, serious.
    Judge,
}

impl Service {
    /// The value as it stands in configuration and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AzureContentSafety => "azure_content_safety",
            Self::OpenaiModeration => "openai_moderation",
            Self::Judge => "judge",
        }
    }
}

/// From which score of the service a category counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Contempt for people because of what they are.
    pub hate: f64,
    /// Insults and threats against a person. Azure AI Content Safety has no such category.
    pub harassment: f64,
    /// Sexual content.
    pub sexual: f64,
    /// Self-harm and suicide.
    pub self_harm: f64,
    /// Violence.
    pub violence: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { hate: 0.5, harassment: 0.5, sexual: 0.5, self_harm: 0.5, violence: 0.5 }
    }
}

/// What is done about what was found, by category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Actions {
    /// E-mail addresses.
    pub email: Action,
    /// Phone numbers.
    pub phone: Action,
    /// Payment card numbers.
    pub credit_card: Action,
    /// Bank accounts by IBAN.
    pub iban: Action,
    /// Social security numbers of the United States.
    pub ssn: Action,
    /// Public IP addresses.
    pub ip_address: Action,
    /// Passwords and tokens in URLs, keys of well-known services.
    pub credentials: Action,
    /// Contempt for people because of what they are.
    pub hate: Action,
    /// Insults and threats against a person.
    pub harassment: Action,
    /// Sexual content.
    pub sexual: Action,
    /// Self-harm and suicide.
    pub self_harm: Action,
    /// Violence.
    pub violence: Action,
}

impl Default for Actions {
    /// Personal data has a form that can be checked, and nobody wants to train on it: it is replaced. Whether talk is
    /// hateful is a judgement, and depends on what the dataset is for: it is marked.
    fn default() -> Self {
        use Action::{Flag, Redact};
        Self {
            email: Redact,
            phone: Redact,
            credit_card: Redact,
            iban: Redact,
            ssn: Redact,
            ip_address: Redact,
            credentials: Redact,
            hate: Flag,
            harassment: Flag,
            sexual: Flag,
            self_harm: Flag,
            violence: Flag,
        }
    }
}

/// What is done about something that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is noted in the record.
    Flag,
    /// It is replaced by its category in brackets, such as `[email]`. Where a service named no place, the conversation is dropped.
    Redact,
    /// The conversation is rejected.
    Drop,
}

/// What is done with a conversation that the service did not look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is accepted and marked as unscreened.
    #[default]
    Flag,
    /// It fails, or is refused, with the reason `safety_unscreened`.
    Drop,
}

/// Scores of finished conversations, by a model of its own. They decide nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Judge {
    /// On: conversations are scored by the model under `models.judge`.
    pub enabled: bool,
    /// The share of conversations that is scored, drawn by a seeded hash of their ids.
    pub sample: f64,
    /// The prompt. Left out: the one that ships.
    pub prompt: Option<PathBuf>,
}

impl Default for Judge {
    fn default() -> Self {
        Self { enabled: false, sample: 1.0, prompt: None }
    }
}
