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
pub(crate) mod document;
mod dotenv;
pub(crate) mod environment;
pub(crate) mod error;
pub(crate) mod export;
pub(crate) mod fingerprint;
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
    /// How many situations to end up with, counted after dedup. Left out: 20, or in mode `file` all there are.
    pub count: Option<u64>,
    /// How many people are in one.
    pub personas: GroupSize,
    /// Who is put together with whom.
    pub casting: Casting,
    /// Situations asked for in one call. Left out: as the prompt configuration says.
    pub per_call: Option<usize>,
    /// A file with a grid of attributes and quotas. Left out or `built-in`: the one that ships; `null`: none.
    pub coverage: Option<PathBuf>,
    /// A JSONL file of intents, dialogues or summaries to make situations after: `{id, intent, dialogue, summary, labels}`.
    pub seeds: Option<PathBuf>,
    /// The pool of accepted situations that later prompts draw examples from.
    pub hub: HubSettings,
    /// The most tokens of a situation. Left out: as the number of people and the language ask for.
    pub max_tokens: Option<u32>,
}

/// What `situations.coverage` is called where it is the grid that ships.
pub(crate) const BUILT_IN_GRID: &str = "built-in";

impl Default for Situations {
    fn default() -> Self {
        Self {
            mode: SituationMode::default(),
            source: None,
            prompt_config: None,
            count: None,
            personas: GroupSize::default(),
            casting: Casting::default(),
            per_call: None,
            coverage: Some(PathBuf::from(BUILT_IN_GRID)),
            seeds: None,
            hub: HubSettings::default(),
            max_tokens: None,
        }
    }
}

impl HubSettings {
    /// The number of calls in a round of a run of `situations`, `per_call` of which are asked for at once: wide enough for many
    /// calls in flight, and still about 32 rounds, so that most prompts draw from what the run itself made.
    pub fn width(situations: u64, per_call: usize) -> usize {
        let calls = situations.div_ceil(per_call.max(1) as u64);
        usize::try_from(calls / ROUNDS).unwrap_or(usize::MAX).clamp(NARROWEST_ROUND, WIDEST_ROUND)
    }
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Casting {
    /// The rule.
    pub mode: CastingMode,
    /// Whether people are cast again once everybody was (by `domain` and `anchor`: once everybody had a group around them).
    /// `false`: the run ends there, with fewer situations if need be.
    pub rewind: bool,
}

impl Default for Casting {
    fn default() -> Self {
        Self { mode: CastingMode::default(), rewind: true }
    }
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
    /// Those who stand in one row of the source, such as a pair.
    Row,
}

/// Rounds a run is to have at least, once it is large enough for rounds of [`NARROWEST_ROUND`] calls.
const ROUNDS: u64 = 32;
/// Calls in a round at least: as many as earlier versions made.
const NARROWEST_ROUND: usize = 16;
/// Calls in a round at most.
const WIDEST_ROUND: usize = 1_024;

/// The few-shot hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HubSettings {
    /// Calls in a round; two rounds are under way at a time. Round r draws its examples from the hub as it stood after round
    /// r-2. `null`: a 32nd of the calls that are expected, from 16 to 1,024; a run directory keeps the number it was made with.
    pub round_calls: Option<usize>,
    /// Share of hand-written examples in every prompt; the rest comes from the hub once it has any. `null`: drawn evenly from both.
    pub seed_ratio: Option<f64>,
    /// A situation joins the hub if its similarity (Jaccard of word 3-grams) to everything in it is at most 1 - this; 0: always.
    pub novelty: f64,
    /// Most situations in the hub; the most used leave first, the older of two equals before the younger. `null`: no limit.
    pub cap: Option<usize>,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self { round_calls: None, seed_ratio: Some(0.5), novelty: 0.6, cap: Some(2000) }
    }
}

/// The conversations stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Conversations {
    /// Conversations grown from each situation.
    pub per_situation: u64,
    /// Agent replies in a conversation; the conversation starter is not one of them.
    pub turns: TurnRange,
    /// When a conversation may end before the maximum.
    pub ending: Ending,
    /// Who decides who speaks next.
    pub speaker_selection: SpeakerSelection,
    /// Whether one may speak twice running.
    pub allow_repeat_speaker: bool,
    /// How prompts are laid out.
    pub layout: Layout,
    /// How much of the transcript prompts show.
    pub context: ShownTranscript,
    /// A word target drawn for each turn. Left out: near human talk. `null`: the model decides.
    pub words_per_turn: Option<WordsPerTurn>,
    /// Prompt files in place of the ones that ship.
    pub prompts: ConversationPrompts,
    /// How often an unsound turn is asked for again, with the reason, before the conversation is trimmed or rejected.
    pub max_repairs: u32,
    /// What a turn is held against before it stands.
    pub gates: GateSettings,
}

impl Default for Conversations {
    fn default() -> Self {
        Self {
            per_situation: 1,
            turns: TurnRange::default(),
            ending: Ending::default(),
            speaker_selection: SpeakerSelection::default(),
            allow_repeat_speaker: false,
            layout: Layout::default(),
            context: ShownTranscript::default(),
            words_per_turn: Some(WordsPerTurn::default()),
            prompts: ConversationPrompts::default(),
            max_repairs: 2,
            gates: GateSettings::default(),
        }
    }
}

/// Fewest and most turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TurnRange {
    /// A conversation that ends with fewer is rejected.
    pub min: u32,
    /// It is ended after this many.
    pub max: u32,
}

impl Default for TurnRange {
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
    /// Always at the maximum.
    MaxOnly,
    /// After a number of turns drawn for each conversation, evenly from the minimum to the maximum.
    Drawn,
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

/// Distribution of the word target of a turn: log-normal with these quantiles, some of the shorter half as back-channels.
///
/// The default is near human talk: in transcribed talk of several people a turn has a median of 6 to 10 words and a long
/// tail, where a model that is asked for nothing in particular writes about 50.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WordsPerTurn {
    /// Half of the targets are below.
    pub median: f64,
    /// Nine tenths of the targets are below.
    pub p90: f64,
    /// Share of turns that are a word or three, as listeners put in; 0 to 0.5. They take the place of other turns below
    /// the median, so both quantiles stay.
    #[serde(default = "default_back_channels")]
    pub back_channels: f64,
}

impl Default for WordsPerTurn {
    fn default() -> Self {
        Self { median: 9.0, p90: 28.0, back_channels: default_back_channels() }
    }
}

fn default_back_channels() -> f64 {
    0.08
}

/// What a turn is held against before it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GateSettings {
    /// So many turns in a row that only agree, thank or flatter are too many; at least 2.
    pub agreement_run: u32,
    /// Gates that are switched off.
    pub without: Vec<Gate>,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self { agreement_run: 3, without: Vec::new() }
    }
}

impl GateSettings {
    /// Whether `gate` judges turns.
    pub fn has(&self, gate: Gate) -> bool {
        !self.without.contains(&gate)
    }
}

/// A gate that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Lines for somebody else.
    SpeaksForOthers,
    /// An earlier line once more.
    Echo,
    /// The same words over and over.
    Loop,
    /// Words of the instructions, role markers.
    Leak,
    /// Talk as a model: what it is, what it may not do.
    AiTalk,
    /// The persona's description word for word.
    Recital,
    /// Far over the word target.
    TooLong,
    /// Goodbye after goodbye while the conversation goes on.
    ClosingLoop,
    /// Several turns in a row that only agree.
    AgreementRun,
    /// Another language than the conversation's.
    Language,
    /// What only somebody else knows.
    LeakedKnowledge,
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
    /// What stands for turns that are no longer shown.
    pub context: Option<PathBuf>,
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
