//! The conversations stage, as a configuration asks for it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MOST_ATTEMPTS, ShownTranscript};

/// The conversations stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Conversations {
    /// Conversations grown from each situation.
    pub per_situation: u64,
    /// How many conversations to end up with, counted after dedup, in place of `per_situation`: spread evenly over the
    /// situations, and those that are lost are replaced. Left out: `per_situation` for each.
    pub count: Option<u64>,
    /// Whether conversations that are lost are replaced where `count` is left out: by another on the same situation, then by
    /// one on the next. At most 3 times as many as asked for are begun.
    pub top_up: bool,
    /// Agent replies in a conversation; the conversation starter is not one of them.
    pub turns: TurnRange,
    /// When a conversation may end before the maximum.
    pub ending: Ending,
    /// Who decides who speaks next.
    pub speaker_selection: SpeakerSelection,
    /// Whether one may speak twice running.
    pub allow_repeat_speaker: bool,
    /// How evenly turns are shared.
    pub balance: Balance,
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
            count: None,
            top_up: false,
            turns: TurnRange::default(),
            ending: Ending::default(),
            speaker_selection: SpeakerSelection::default(),
            allow_repeat_speaker: false,
            balance: Balance::default(),
            layout: Layout::default(),
            context: ShownTranscript::default(),
            words_per_turn: Some(WordsPerTurn::default()),
            prompts: ConversationPrompts::default(),
            max_repairs: 2,
            gates: GateSettings::default(),
        }
    }
}

impl Conversations {
    /// How many are asked for on so many situations.
    pub fn wanted(&self, situations: u64) -> u64 {
        self.count.unwrap_or_else(|| situations.saturating_mul(self.per_situation))
    }

    /// Whether those that are lost are replaced.
    pub fn replaces_lost(&self) -> bool {
        self.top_up || self.count.is_some()
    }

    /// How many are begun at most where so many are asked for.
    pub fn most_begun(&self, wanted: u64) -> u64 {
        if self.replaces_lost() { wanted.saturating_mul(MOST_ATTEMPTS) } else { wanted }
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

/// How evenly turns are shared: who has had too many may not be chosen, by whatever strategy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Nobody speaks who is two turns ahead of whoever has said least, or has had a fair share of the most turns.
    #[default]
    Even,
    /// Up to one and a half times a fair share of the most turns.
    Loose,
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
