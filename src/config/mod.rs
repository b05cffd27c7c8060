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
pub mod prompts;
mod shape;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::llm::{Role, Structured};

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Situations {
    /// Where the people come from.
    pub mode: SituationMode,
    /// For mode `file`: Situation records as JSONL, imported and deduplicated without a call.
    pub source: Option<PathBuf>,
    /// A prompt configuration. Left out: the one that ships for the mode.
    pub prompt_config: Option<PathBuf>,
    /// How many situations to end up with, counted after dedup.
    pub count: u64,
    /// How many people are in one.
    pub personas: GroupSize,
    /// Who is put together with whom.
    pub casting: Casting,
    /// A file with a grid of attributes and quotas.
    pub coverage: Option<PathBuf>,
    /// The pool of accepted situations that later prompts draw examples from.
    pub hub: Hub,
}

impl Default for Situations {
    fn default() -> Self {
        Self {
            mode: SituationMode::default(),
            source: None,
            prompt_config: None,
            count: 20,
            personas: GroupSize::default(),
            casting: Casting::default(),
            coverage: None,
            hub: Hub::default(),
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

/// The models by role. A role without one of its own uses `default`; one of its own takes nothing over from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// For every role that names no other.
    pub default: Model,
    /// Writes situations.
    pub situations: Option<Model>,
    /// Speaks.
    pub speaker: Option<Model>,
    /// Chooses the next speaker.
    pub selector: Option<Model>,
}

impl Models {
    /// Every model that is configured, used or not, by its key.
    pub fn named(&self) -> Vec<(&'static str, &Model)> {
        let own = [("situations", &self.situations), ("speaker", &self.speaker), ("selector", &self.selector)];
        let own = own.into_iter().filter_map(|(key, model)| model.as_ref().map(|model| (key, model)));
        [("default", &self.default)].into_iter().chain(own).collect()
    }
}

/// One model and how to reach it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// The kind of endpoint.
    pub provider: Provider,
    /// `openai`: base URL up to and with `/v1`. Left out: `OPENAI_BASE_URL`, else OpenAI's own.
    pub base_url: Option<String>,
    /// The logical name. It is part of a reply's key; the host is not. `azure_openai`: left out, the deployment's name.
    pub model: Option<String>,
    /// `openai`: the *name* of the variable that holds the key, never the key. `null` where the server wants none.
    pub api_key_env: Option<String>,
    /// `azure_openai`: the resource, such as `https://NAME.openai.azure.com`. Left out: `AZURE_OPENAI_ENDPOINT`.
    pub endpoint: Option<String>,
    /// `azure_openai`: the deployment. Left out: `AZURE_OPENAI_CHAT_DEPLOYMENT_NAME`.
    pub deployment: Option<String>,
    /// `azure_openai`: a dated API version. Left out: `OPENAI_API_VERSION` or `AZURE_OPENAI_API_VERSION`; none at all: the `/openai/v1/` route.
    pub api_version: Option<String>,
    /// `azure_openai`: how to sign in.
    pub auth: AzureAuth,
    /// `azure_openai` with Entra ID: the token's scope.
    pub entra_scope: String,
    /// Hosts besides this machine to which a key may go over plain `http://`.
    pub allow_http_hosts: Vec<String>,
    /// Most calls in flight.
    pub concurrency: usize,
    /// Sampling temperature. `null`: the endpoint's own; reasoning models want that.
    pub temperature: Option<f64>,
    /// Nucleus sampling mass. `null`: the endpoint's own.
    pub top_p: Option<f64>,
    /// The most tokens a spoken turn or a choice of speaker may have; situations get this for each one asked for, and at least 1,000 a call.
    pub max_tokens: u32,
    /// How JSON is asked for.
    pub structured: StructuredMode,
    /// What it costs. `null`: cost is not counted.
    pub price: Option<Price>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Attempts at one call before its item fails; pauses that the endpoint asks for do not count.
    pub max_attempts: u32,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            provider: Provider::default(),
            base_url: None,
            model: None,
            api_key_env: Some("OPENAI_API_KEY".to_owned()),
            endpoint: None,
            deployment: None,
            api_version: None,
            auth: AzureAuth::default(),
            entra_scope: "https://cognitiveservices.azure.com/.default".to_owned(),
            allow_http_hosts: Vec::new(),
            concurrency: 64,
            temperature: Some(0.8),
            top_p: None,
            max_tokens: 300,
            structured: StructuredMode::default(),
            price: None,
            timeouts: Timeouts::default(),
            max_attempts: 8,
        }
    }
}

/// Kinds of endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Anything that speaks `POST /v1/chat/completions`: OpenAI, vLLM, Ollama, LM Studio, llama.cpp.
    Openai,
    /// Azure OpenAI.
    AzureOpenai,
    /// A small model in this process: no key, no network once fetched, demo quality.
    #[default]
    Embedded,
}

impl Provider {
    /// The value as it stands in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::AzureOpenai => "azure_openai",
            Self::Embedded => "embedded",
        }
    }
}

/// How to sign in to Azure OpenAI.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AzureAuth {
    /// `AZURE_OPENAI_API_KEY`.
    #[default]
    Key,
    /// Entra ID: service principal, workload identity, managed identity or developer tools.
    Entra,
}

/// How JSON is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StructuredMode {
    /// The endpoint is asked once what it can do; the answer is recorded with the run.
    #[default]
    Auto,
    /// By JSON schema.
    JsonSchema,
    /// As a JSON object.
    JsonObject,
    /// In words only.
    None,
}

impl StructuredMode {
    /// The wire form, or `None` where it has to be found out.
    pub fn fixed(self) -> Option<Structured> {
        match self {
            Self::Auto => None,
            Self::JsonSchema => Some(Structured::JsonSchema),
            Self::JsonObject => Some(Structured::JsonObject),
            Self::None => Some(Structured::None),
        }
    }
}

/// What a model costs: per million tokens by kind, or per hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// ISO 4217 code; the same for every model of a run.
    #[serde(default = "default_currency")]
    pub currency: String,
    /// Per million prompt tokens.
    #[serde(default)]
    pub prompt: Option<f64>,
    /// Per million cached prompt tokens; left out: as `prompt`.
    #[serde(default)]
    pub cached_prompt: Option<f64>,
    /// Per million completion tokens.
    #[serde(default)]
    pub completion: Option<f64>,
    /// Per hour in which calls are in flight, for endpoints that are rented.
    #[serde(default)]
    pub per_hour: Option<f64>,
}

fn default_currency() -> String {
    "USD".to_owned()
}

/// How long to wait for what, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect_s: f64,
    /// Until the first byte of the answer.
    pub first_byte_s: f64,
    /// Between two pieces of the answer.
    pub idle_s: f64,
    /// For one attempt as a whole.
    pub total_s: f64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_s: 10.0, first_byte_s: 180.0, idle_s: 60.0, total_s: 300.0 }
    }
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
