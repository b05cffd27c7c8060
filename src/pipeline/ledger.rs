//! What a run came to: outcomes by stage, spend, time; the object that `--json` prints.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::exit::ExitCode;
use crate::llm::budget::{Budget, RoleSnapshot};
use crate::record::Tally;

/// How a run, or the part of it made so far, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The target was reached, or as much of it as is enough.
    Finished,
    /// Finished, but fewer accepted than asked for and than are enough.
    Short,
    /// The budget was reached and what was there was sealed.
    Partial,
    /// Stopped before its end; the same command goes on with it.
    Resumable,
}

/// The closing summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run directory.
    pub run_dir: PathBuf,
    /// How it stands.
    pub status: Status,
    /// Outcomes by stage.
    pub stages: BTreeMap<String, Tally>,
    /// How near the stages came to what was asked of them, of those that are over and were asked for a number.
    #[serde(default)]
    pub targets: BTreeMap<String, Target>,
    /// What it cost.
    pub usage: Spend,
    /// Seconds this process took.
    pub wall_s: f64,
    /// CPU seconds this process took.
    pub cpu_s: f64,
}

/// What a run cost, everything since it began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spend {
    /// HTTP requests, retries included.
    pub calls: u64,
    /// The same by role.
    pub calls_by_role: BTreeMap<String, u64>,
    /// Prompt tokens as the endpoint counted them, cached ones included; what `estimated` says of them was not counted.
    pub prompt_tokens: u64,
    /// Those of them from the endpoint's cache; `null` where no reply said a word of a cache.
    pub cached_prompt_tokens: Option<u64>,
    /// Those of them that were written to the endpoint's cache.
    pub cache_write_tokens: u64,
    /// Completion tokens, reasoning included.
    pub completion_tokens: u64,
    /// Those of them that went into reasoning.
    pub reasoning_tokens: u64,
    /// The part of the tokens that is no count of the endpoint.
    pub estimated: Estimated,
    /// In the currency of the prices; `null` without prices.
    pub cost: Option<f64>,
    /// ISO 4217 code of the prices; `null` without prices.
    pub currency: Option<String>,
    /// Tokens and cost by role.
    pub by_role: BTreeMap<String, RoleTokens>,
    /// Requests that may have been billed although no reply came.
    pub possibly_billed: u64,
}

/// Tokens that the endpoint did not count, or not as it can be true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimated {
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Completion tokens.
    pub completion_tokens: u64,
    /// Counts that the endpoint gave and that cannot be true.
    pub impossible_counts: u64,
}

/// What one role took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RoleTokens {
    /// HTTP requests, retries included.
    pub calls: u64,
    /// As in [`Spend`], as all that follows.
    pub prompt_tokens: u64,
    /// `null` where no reply said a word of a cache.
    pub cached_prompt_tokens: Option<u64>,
    /// Written to the endpoint's cache.
    pub cache_write_tokens: u64,
    /// Reasoning included.
    pub completion_tokens: u64,
    /// Reasoning.
    pub reasoning_tokens: u64,
    /// `null` without a price by token.
    pub cost: Option<f64>,
}

impl Spend {
    /// What `budget` has counted.
    pub(crate) fn of(budget: &Budget) -> Self {
        let spent = budget.snapshot();
        let calls_by_role = spent.roles.iter().map(|(role, spent)| (role.to_string(), spent.calls));
        let by_role = spent.roles.iter().map(|(role, spent)| (role.to_string(), RoleTokens::of(spent)));
        Self {
            calls: spent.calls(),
            calls_by_role: calls_by_role.collect(),
            prompt_tokens: spent.usage.prompt_tokens,
            cached_prompt_tokens: spent.usage.told_cached(),
            cache_write_tokens: spent.usage.cache_write_tokens,
            completion_tokens: spent.usage.completion_tokens,
            reasoning_tokens: spent.usage.reasoning_tokens,
            estimated: Estimated {
                prompt_tokens: spent.usage.estimated_prompt_tokens,
                completion_tokens: spent.usage.estimated_completion_tokens,
                impossible_counts: spent.usage.impossible_counts,
            },
            cost: spent.cost,
            currency: spent.currency.clone(),
            by_role: by_role.collect(),
            possibly_billed: spent.unknown,
        }
    }
}

impl RoleTokens {
    fn of(spent: &RoleSnapshot) -> Self {
        let RoleSnapshot { calls, usage, cost } = *spent;
        Self {
            calls,
            prompt_tokens: usage.prompt_tokens,
            cached_prompt_tokens: usage.told_cached(),
            cache_write_tokens: usage.cache_write_tokens,
            completion_tokens: usage.completion_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cost,
        }
    }
}

impl Status {
    /// The exit code that goes with it.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Finished => ExitCode::Success,
            Self::Short => ExitCode::Short,
            Self::Partial => ExitCode::Budget,
            Self::Resumable => ExitCode::Interrupted,
        }
    }
}
