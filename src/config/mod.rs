//! What a run is asked to do: the YAML files of `configs/`, typed, every key documented, unknown keys refused.
//!
//! [`load`](mod@load) reads a file in three steps, each of which reports all it finds: `document` parses YAML and lays `--set`
//! over it, `shape` compares it with the schema of the structs below, `check` judges what the values mean.
//! [`fingerprint`] says which keys shape the data and which only how it is made, [`environment`] finds credentials,
//! [`prompts`] the prompt configuration, [`assets`] what is compiled in. Paths stay as written here;
//! [`load::Loaded`] resolves them.

pub mod assets;
mod check;
mod document;
pub mod environment;
pub mod fingerprint;
pub mod load;
mod models;
pub mod prompts;
mod shape;
#[cfg(test)]
mod testing;
pub mod upload;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use models::{AzureAuth, Model, Models, Price, Provider, StructuredMode, Timeouts};

use crate::llm::Role;

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
    /// Who can be cast.
    #[serde(default)]
    pub personas: Personas,
    /// What people are put into.
    #[serde(default)]
    pub situations: Situations,
    /// How they talk.
    #[serde(default)]
    pub conversations: Conversations,
    /// Removal of duplicates.
    #[serde(default)]
    pub dedup: Dedup,
    /// How the dataset is laid out.
    #[serde(default)]
    pub compile: Compile,
    /// What the dataset card says.
    #[serde(default)]
    pub card: Card,
    /// Where the run stops spending.
    #[serde(default)]
    pub budget: Budget,
    /// The models, by role.
    #[serde(default)]
    pub models: Models,
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
        ];
        let used = all.into_iter().filter(|(.., used)| *used);
        used.map(|(role, key, own, _)| match own {
            Some(model) => (role, key, model),
            None => (role, "default", &models.default),
        })
        .collect()
    }

    /// The models that calls are made to, each once, by their key under `models`.
    pub fn used_models(&self) -> BTreeMap<&'static str, &Model> {
        self.roles().into_iter().map(|(_, key, model)| (key, model)).collect()
    }
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

/// The situations stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Situations {
    /// Where the people come from.
    pub mode: SituationMode,
    /// For mode `file`: Situation records as JSONL, imported and deduplicated without a call.
    pub source: Option<PathBuf>,
    /// A prompt configuration. Left out: the one that ships for the mode.
    pub prompt_config: Option<PathBuf>,
    /// How many situations to end up with, counted after dedup. Left out: 20, or in mode `file` all there are.
    pub count: Option<u64>,
    /// How many people are in one.
    pub personas: GroupSize,
    /// Who is put together with whom.
    pub casting: Casting,
    /// A file with a grid of attributes and quotas.
    pub coverage: Option<PathBuf>,
    /// The pool of accepted situations that later prompts draw examples from.
    pub hub: Hub,
}

impl Situations {
    /// How many situations to end up with; `None`: all there are.
    pub fn wanted(&self) -> Option<u64> {
        match self.mode {
            SituationMode::File => self.count,
            SituationMode::Predefined | SituationMode::Auto => Some(self.count.unwrap_or(20)),
        }
    }
}

/// Where the people of a situation come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SituationMode {
    /// From the personas stage.
    #[default]
    Predefined,
    /// The model invents them together with the situation.
    Auto,
    /// Situations are imported from `situations.source`.
    File,
}

/// Fewest and most people in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupSize {
    /// Fewest; at least 2.
    pub min: usize,
    /// Most.
    pub max: usize,
}

impl Default for GroupSize {
    fn default() -> Self {
        Self { min: 3, max: 5 }
    }
}

/// How groups are formed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Casting {
    /// The rule.
    pub mode: CastingMode,
}

/// Rules for forming groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CastingMode {
    /// Anyone with anyone.
    Random,
    /// People who share a domain.
    Domain,
    /// One person, then complements who could meet them.
    #[default]
    Anchor,
}

/// The few-shot hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hub {
    /// Calls in a round. Round r draws its examples from the hub as it stood after round r-2.
    pub round_calls: usize,
    /// Share of hand-written examples in every prompt; the rest comes from the hub once it has any.
    pub seed_ratio: f64,
    /// A situation joins the hub if its similarity (Jaccard of word 3-grams) to everything in it is at most 1 - this.
    pub novelty: f64,
    /// Most situations in the hub; the most used leave first, the older of two equals before the younger.
    pub cap: usize,
}

impl Default for Hub {
    fn default() -> Self {
        Self { round_calls: 16, seed_ratio: 0.5, novelty: 0.6, cap: 2000 }
    }
}

/// The conversations stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Conversations {
    /// Conversations grown from each situation.
    pub per_situation: u64,
    /// Agent replies in a conversation; the conversation starter is not one of them.
    pub turns: Turns,
    /// When a conversation may end before the maximum.
    pub ending: Ending,
    /// Who decides who speaks next.
    pub speaker_selection: SpeakerSelection,
    /// Whether one may speak twice running.
    pub allow_repeat_speaker: bool,
    /// How prompts are laid out.
    pub layout: Layout,
    /// A word target drawn for each turn from a log-normal distribution. Left out: the model decides.
    pub words_per_turn: Option<WordsPerTurn>,
    /// Prompt files in place of the ones that ship.
    pub prompts: ConversationPrompts,
    /// How often an unsound turn is asked for again, with the reason, before the conversation is trimmed or rejected.
    pub max_repairs: u32,
}

impl Default for Conversations {
    fn default() -> Self {
        Self {
            per_situation: 1,
            turns: Turns::default(),
            ending: Ending::default(),
            speaker_selection: SpeakerSelection::default(),
            allow_repeat_speaker: false,
            layout: Layout::default(),
            words_per_turn: None,
            prompts: ConversationPrompts::default(),
            max_repairs: 2,
        }
    }
}

/// Fewest and most turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Turns {
    /// A conversation that ends with fewer is rejected.
    pub min: u32,
    /// It is ended after this many.
    pub max: u32,
}

impl Default for Turns {
    fn default() -> Self {
        Self { min: 6, max: 10 }
    }
}

/// When a conversation may end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// After the minimum, two votes by different speakers within one round of the group end it.
    #[default]
    Agreed,
    /// Always at the maximum, as upstream does.
    MaxOnly,
}

/// Who decides who speaks next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpeakerSelection {
    /// A model chooses from the candidates' descriptions: two calls a turn.
    #[default]
    Auto,
    /// The speaker's reply also hands on the floor: one call a turn.
    Fused,
    /// In order: one call a turn.
    RoundRobin,
    /// A weighted draw: one call a turn.
    Random,
    /// Who is addressed, else who has said least, else a draw: one call a turn.
    Rules,
}

impl SpeakerSelection {
    /// The value as it stands in configuration and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fused => "fused",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::Rules => "rules",
        }
    }
}

/// How the messages of a turn are arranged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Each agent's own system message, then the transcript: what upstream sends.
    #[default]
    AgentFirst,
    /// Rules, situation and cast, then the append-only transcript, the same for every speaker; the private persona last.
    SharedPrefix,
}

impl Layout {
    /// The value as it stands in configuration and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentFirst => "agent_first",
            Self::SharedPrefix => "shared_prefix",
        }
    }
}

/// Distribution of the word target of a turn: log-normal with these quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WordsPerTurn {
    /// Half of the targets are below.
    pub median: f64,
    /// Nine tenths of the targets are below.
    pub p90: f64,
}

/// Prompt files of the conversations stage. `null`: the one that ships.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConversationPrompts {
    /// What a speaker is told.
    pub speaker: Option<PathBuf>,
    /// What the selector is told.
    pub selector: Option<PathBuf>,
    /// What a speaker who hands on the floor is told.
    pub fused: Option<PathBuf>,
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
}

impl Default for Compile {
    fn default() -> Self {
        Self { splits: BTreeMap::from([("train".to_owned(), 0.9), ("test".to_owned(), 0.1)]) }
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
pub struct Budget {
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
pub struct PromptConfig {
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
pub enum ShotSelection {
    /// The first `shots_per_prompt`, always the same; the hub is not used.
    Fixed,
    /// Drawn anew for each call from shots and hub.
    #[default]
    Random,
}
