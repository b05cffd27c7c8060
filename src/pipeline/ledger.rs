//! What a run came to: outcomes by stage, spend, time; the object that `--json` prints.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::exit::ExitCode;
use crate::llm::budget::Budget;
use crate::record::Tally;

/// How a run, or the part of it made so far, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The target was reached.
    Finished,
    /// Finished, but fewer accepted than asked for.
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
    /// What it cost.
    pub usage: Spend,
    /// Seconds this process took.
    pub wall_s: f64,
    /// CPU seconds this process took.
    pub cpu_s: f64,
}

/// What a run cost, everything since it began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spend {
    /// HTTP requests, retries included.
    pub calls: u64,
    /// The same by role.
    pub calls_by_role: BTreeMap<String, u64>,
    /// Prompt tokens as the endpoint counted them, cached ones included.
    pub prompt_tokens: u64,
    /// Those of them from the endpoint's cache.
    pub cached_prompt_tokens: u64,
    /// Completion tokens.
    pub completion_tokens: u64,
    /// In the currency of the prices; `null` without prices.
    pub cost: Option<f64>,
    /// Requests that may have been billed although no reply came.
    pub possibly_billed: u64,
}

impl Spend {
    /// What `budget` has counted.
    pub fn of(budget: &Budget) -> Self {
        let spent = budget.snapshot();
        Self {
            calls: spent.calls,
            calls_by_role: spent.calls_by_role.iter().map(|(role, calls)| (role.to_string(), *calls)).collect(),
            prompt_tokens: spent.prompt_tokens,
            cached_prompt_tokens: spent.cached_prompt_tokens,
            completion_tokens: spent.completion_tokens,
            cost: spent.cost,
            possibly_billed: spent.unknown,
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
