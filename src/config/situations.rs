//! The situations stage, as a configuration asks for it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
