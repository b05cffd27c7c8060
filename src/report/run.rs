//! What only a run directory tells: outcomes with reasons, spend, how the hub and the grid fared.

use std::path::Path;

use serde::Serialize;

use super::coverage::{CoverageFigures, GridCounts};
use super::error::ReportError;
use super::hub::{self, HubFigures, HubSituation};
use super::source::parts;
use crate::config::{Config, load};
use crate::pipeline::error::RunError;
use crate::pipeline::ledger::RunSummary;
use crate::pipeline::status::{self, LossCount};
use crate::record::Situation;
use crate::stages::inputs::Inputs;
use crate::store::checkpoint::SealedStage;
use crate::store::run::RunPaths;

/// What only a run directory tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFigures {
    /// Status, outcomes by stage and spend, as `pipeline status` prints them.
    pub summary: RunSummary,
    /// Why inputs were dropped.
    pub reasons: Vec<LossCount>,
    /// The spend for each accepted conversation; `null` while there is none.
    pub per_conversation: Option<PerConversation>,
    /// Diversity of the situations by round; `null` where there are too few, or they were imported.
    pub hub: Option<HubFigures>,
    /// How the coverage grid was filled by the situations; `null` without one.
    pub coverage: Option<CoverageFigures>,
    /// Stages that are not sealed yet, and with that not in the report.
    pub unsealed: Vec<String>,
}

/// Everything the run spent, situations and what was dropped included, for each accepted conversation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PerConversation {
    /// Requests.
    pub calls: f64,
    /// Prompt tokens.
    pub prompt_tokens: f64,
    /// Completion tokens.
    pub completion_tokens: f64,
    /// In the currency of the prices; `null` without prices.
    pub cost: Option<f64>,
}

pub(super) fn figures(path: &Path) -> Result<RunFigures, ReportError> {
    let found = status::status(path)?;
    let dir = RunPaths::of_run(path)?;
    let stages =
        [("personas", dir.personas()), ("situations", dir.situations()), ("conversations", dir.conversations())];
    let mut unsealed = Vec::new();
    for (stage, folder) in stages {
        if SealedStage::open(&folder)?.is_none() {
            unsealed.push(stage.to_owned());
        }
    }
    let (written, fill) = situations(&dir)?;
    let grid = Inputs::read(&dir.inputs()).and_then(|inputs| inputs.coverage()).map_err(RunError::from)?;
    let sizes = settings(path)?.situations.personas;
    let grid = grid.map(|grid| grid.for_groups(sizes.min, sizes.max));
    Ok(RunFigures {
        per_conversation: per_conversation(&found.summary),
        summary: found.summary,
        reasons: found.reasons,
        hub: hub::figures(written),
        coverage: fill.figures(grid.as_ref()),
        unsealed,
    })
}

/// What the run in `path` was asked for.
pub(super) fn settings(path: &Path) -> Result<Config, ReportError> {
    Ok(load::kept(&RunPaths::of_run(path)?.config()).map_err(RunError::from)?)
}

fn situations(dir: &RunPaths) -> Result<(Vec<HubSituation>, GridCounts), ReportError> {
    let (mut written, mut fill) = (Vec::new(), GridCounts::default());
    if let Some(sealed) = SealedStage::open(&dir.situations())? {
        for name in parts(&sealed) {
            for situation in sealed.rows::<Situation>(&name)? {
                let situation = situation?;
                fill.add(&situation.attributes);
                written.extend(HubSituation::of(&situation));
            }
        }
    }
    Ok((written, fill))
}

fn per_conversation(summary: &RunSummary) -> Option<PerConversation> {
    let accepted = summary.stages.get("conversations").map(|tally| tally.accepted).filter(|accepted| *accepted > 0)?;
    let each = |sum: u64| sum as f64 / accepted as f64;
    Some(PerConversation {
        calls: each(summary.usage.calls),
        prompt_tokens: each(summary.usage.prompt_tokens),
        completion_tokens: each(summary.usage.completion_tokens),
        cost: summary.usage.cost.map(|cost| cost / accepted as f64),
    })
}
