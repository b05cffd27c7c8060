//! What a run is asked to do: the YAML files of `configs/`, typed, every key documented, unknown keys refused.
//!
//! [`load`](mod@load) reads a file in three steps, each of which reports all it finds: `document` parses YAML and lays `--set`
//! over it, `shape` compares it with the schema of the structs below, `check` judges what the values mean.
//! [`fingerprint`] says which keys shape the data and which only how it is made, [`environment`] finds credentials,
//! [`prompts`] the prompt configuration, [`assets`] what is compiled in. Paths stay as written here;
//! [`loaded::Loaded`] resolves them. Files in the schema of upstream ConvoGen pass through [`upstream`] first.

pub(crate) mod address;
pub(crate) mod assets;
mod check;
mod context;
mod conversations;
pub(crate) mod document;
mod dotenv;
pub(crate) mod drift;
pub(crate) mod environment;
pub(crate) mod error;
pub(crate) mod export;
pub(crate) mod fingerprint;
mod inherit;
pub(crate) mod language;
pub(crate) mod load;
pub(crate) mod loaded;
mod models;
pub(crate) mod price;
mod prompt_cache;
pub(crate) mod prompts;
mod roles;
pub(crate) mod safety;
mod shape;
mod shard;
mod situations;
#[cfg(test)]
mod testing;
pub(crate) mod upload;
pub(crate) mod upstream;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use export::ExportEntry;

pub(crate) use context::ShownTranscript;
pub(crate) use conversations::{
    Balance, ConversationPrompts, Conversations, Ending, Gate, GateSettings, Layout, SpeakerSelection, TurnRange,
    WordsPerTurn,
};
pub use models::Timeouts;
pub(crate) use models::{AzureAuth, Model, Models, Provider, QuotaLimits, RequestHeader, StructuredMode};
pub(crate) use price::Price;
pub(crate) use prompt_cache::{Breakpoints, PromptCache};
#[cfg(test)]
pub(crate) use prompt_cache::{CacheMode, CacheRetention};
pub use roles::Role;
pub use roles::Structured;
pub(crate) use safety::{Judge, Safety};
pub(crate) use shard::Shard;
pub(crate) use situations::BUILT_IN_GRID;
pub(crate) use situations::{Casting, CastingMode, GroupSize, HubSettings, SituationMode, Situations};

/// A pipeline configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this format; 1.
    pub version: u32,
    /// Decides every draw of the run. Another seed is another dataset.
    #[serde(default)]
    pub seed: u64,
    /// What situations and conversations are written in, a BCP 47 tag.
    #[serde(default = "default_language")]
    pub language: String,
    /// Where the run lives, relative to the working directory.
    pub run_dir: PathBuf,
    /// Which part of the run this is, where several processes make it; see `pipeline run --shard`. Left out: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Who can be cast.
    #[serde(default)]
    pub personas: Personas,
    /// What people are put into.
    #[serde(default)]
    pub situations: Situations,
    /// How they talk.
    #[serde(default)]
    pub conversations: Conversations,
    /// The share of the situations and conversations asked for that is enough: the run ends with exit code 0 then, and
    /// `compile-upload` takes it. Above 0 and at most 1.
    #[serde(default = "default_min_accepted")]
    pub min_accepted: f64,
    /// What finished conversations are screened for.
    #[serde(default)]
    pub safety: Safety,
    /// Who scores them.
    #[serde(default)]
    pub judge: Judge,
    /// Removal of duplicates.
    #[serde(default)]
    pub dedup: Dedup,
    /// How the dataset is laid out.
    #[serde(default)]
    pub compile: Compile,
    /// Forms that the dataset's conversations are written in besides, each in a folder of its own: a format's name, or
    /// `{format, system, loss, write_partition_size}`.
    #[serde(default)]
    pub export: Vec<ExportEntry>,
    /// What the dataset card says.
    #[serde(default)]
    pub card: Card,
    /// Where the run stops spending.
    #[serde(default)]
    pub budget: BudgetLimits,
    /// The models, by role.
    #[serde(default)]
    pub models: Models,
    /// `none`: endpoints are reached without a proxy; an address: through this one, without credentials in it. Left out: as
    /// `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say. Never for this machine.
    #[serde(default)]
    pub proxy: Option<String>,
    /// What people who read a run may say of it.
    #[serde(default, skip_serializing_if = "ReviewScheme::is_empty")]
    pub review: ReviewScheme,
}

/// What people who read a run on its page may say of a conversation, besides that they accept or reject it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReviewScheme {
    /// Labels by name, each with the values one of which is chosen.
    pub labels: BTreeMap<String, Vec<String>>,
}

impl ReviewScheme {
    fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

impl Config {
    /// The roles that this configuration makes calls for, each with the key of its model under `models` and the model.
    pub fn roles(&self) -> Vec<(Role, &'static str, &Model)> {
        let makes_situations = self.situations.mode != SituationMode::File;
        let asks_selector = self.conversations.speaker_selection == SpeakerSelection::Auto;
        let models = &self.models;
        let all = [
            (Role::Situations, "situations", &models.situations, makes_situations),
            (Role::Speaker, "speaker", &models.speaker, true),
            (Role::Selector, "selector", &models.selector, asks_selector),
            (Role::Summary, "speaker", &models.speaker, self.conversations.context.summary),
            (Role::Safety, "safety", &models.safety, self.safety.service.is_some()),
            (Role::Judge, "judge", &models.judge, self.judge.enabled),
        ];
        let used = all.into_iter().filter(|(.., used)| *used);
        used.map(|(role, key, own, _)| match own {
            Some(model) => (role, key, model),
            None => (role, "default", &models.default),
        })
        .collect()
    }

    /// How many conversations are in progress at a time: as many as the speaker's model answers at once. Where any of
    /// their models takes batch jobs, as many as may wait in those, or the jobs would hold few calls.
    pub(crate) fn conversations_at_once(&self) -> usize {
        let models = self.roles().into_iter().filter(|(role, ..)| *role != Role::Situations);
        let counts = models.filter(|(role, _, model)| *role == Role::Speaker || model.batch);
        counts.map(|(.., model)| model.most_in_flight()).max().unwrap_or(1)
    }

    /// The models that calls are made to, each once, by their key under `models`.
    pub fn used_models(&self) -> BTreeMap<&'static str, &Model> {
        self.roles().into_iter().map(|(_, key, model)| (key, model)).collect()
    }
}

/// Attempts at most for each situation or conversation that is wanted, where those that are lost are made up for.
pub(crate) const MOST_ATTEMPTS: u64 = 3;

fn default_min_accepted() -> f64 {
    0.95
}

fn default_language() -> String {
    "en".to_owned()
}

/// The personas stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Personas {
    /// A JSONL file in one of PersonaHub's shapes; `.jsonl`, `.jsonl.gz` or `.jsonl.zst`. Left out: the personas that ship with convogen.
    pub source: Option<PathBuf>,
    /// Rows at the start of the source that are left out.
    pub skip: u64,
    /// How many to take: those with the smallest seeded hash, so that a larger sample contains the smaller one. Left out: all.
    pub sample: Option<u64>,
    /// Descriptions shorter or longer than this are rejected.
    pub length: PersonaLength,
}

/// Length limits of a persona, in characters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PersonaLength {
    /// Shortest, in characters.
    pub min: usize,
    /// Longest, in characters.
    pub max: usize,
}

impl Default for PersonaLength {
    fn default() -> Self {
        Self { min: 10, max: 2000 }
    }
}

/// Removal of duplicates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dedup {
    /// Off: duplicates stay.
    pub enabled: bool,
    /// Jaccard similarity from which two situations are duplicates, before any conversation is bought.
    pub situations: f64,
    /// Jaccard similarity from which two conversations are duplicates.
    pub conversations: f64,
}

impl Default for Dedup {
    fn default() -> Self {
        Self { enabled: true, situations: 0.7, conversations: 0.8 }
    }
}

/// Layout of the dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compile {
    /// Split names and their shares, which add up to 1. People are put into splits before groups are formed.
    pub splits: BTreeMap<String, f64>,
    /// Who stands in the table of personas.
    pub personas: PublishedPersonas,
}

/// Who stands in the table of personas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublishedPersonas {
    /// Those who occur in an accepted situation of the dataset.
    #[default]
    Used,
    /// Everyone who could have been cast.
    All,
}

impl Default for Compile {
    fn default() -> Self {
        let splits = BTreeMap::from([("train".to_owned(), 0.9), ("test".to_owned(), 0.1)]);
        Self { splits, personas: PublishedPersonas::default() }
    }
}

/// What the dataset card says of the dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Card {
    /// A date to print, `YYYY-MM-DD`. Left out: none, so that the same data makes the same card.
    pub date: Option<String>,
    /// A licence identifier of the Hugging Face hub, such as `cc-by-4.0`.
    pub license: Option<String>,
    /// The dataset's name.
    pub name: Option<String>,
}

/// Where the run stops spending. `null`: no limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetLimits {
    /// HTTP requests, retries included. Exact.
    pub max_calls: Option<u64>,
    /// Prompt and completion tokens together.
    pub max_tokens: Option<u64>,
    /// In the currency of the prices.
    pub max_cost: Option<f64>,
}

/// A prompt configuration: which prompt, which examples, how many of them, how many situations a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptConfig {
    /// The prompt, Markdown with template variables; relative to this file.
    pub prompt: PathBuf,
    /// Shot files, JSON, one situation each; a folder stands for all `.json` in it, by name. Relative to this file.
    pub shots: Vec<PathBuf>,
    /// The prompt for `situations.mode: predefined`, where the people are given. Left out: `prompt`.
    #[serde(default)]
    pub persona_prompt: Option<PathBuf>,
    /// The shots for `situations.mode: predefined`. Left out: `shots`.
    #[serde(default)]
    pub persona_shots: Option<Vec<PathBuf>>,
    /// Which shots a prompt shows.
    #[serde(default)]
    pub selection: ShotSelection,
    /// Shots in a prompt.
    #[serde(default = "default_shots_per_prompt")]
    pub shots_per_prompt: usize,
    /// Situations asked for in one call.
    #[serde(default = "default_situations_per_call")]
    pub situations_per_call: usize,
    /// How the prompt marks its places.
    #[serde(default, skip_serializing_if = "PromptSyntax::is_default")]
    pub syntax: PromptSyntax,
}

/// How a prompt file marks what is filled in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PromptSyntax {
    /// Named sections with template variables.
    #[default]
    Sections,
    /// One text with `{shots}`, `{numGeneratedExamples}` and `{personas}`, a literal brace doubled; the shots in one JSON list.
    Braces,
    /// As `braces`, the shots one after another.
    BracesText,
}

impl PromptSyntax {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_default(&self) -> bool {
        *self == Self::Sections
    }
}

fn default_shots_per_prompt() -> usize {
    2
}

fn default_situations_per_call() -> usize {
    1
}

/// Which shots a prompt shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShotSelection {
    /// The first `shots_per_prompt`, always the same; the hub is not used.
    Fixed,
    /// Drawn anew for each call from shots and hub.
    #[default]
    Random,
}
