//! What is kept of a stop at an endpoint: where it was, and which calls are made anew.
//!
//! Whatever stopped a run there is mended by a change of settings. One that is operational never bars the same directory. One
//! that shapes the data may go on in it as long as the stage that was at work holds no accepted record: then nothing made by
//! the old settings would stand beside what the new ones make.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::identity::{self, Details};
use crate::config::fingerprint::Stage;
use crate::llm::Halt;
use crate::llm::evidence::Evidence;
use crate::stages::ProgressSnapshot;
use crate::stages::error::StageError;
use crate::store::run::{RunDir, RunPaths};

/// Where a run was when an endpoint stopped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoppedAt {
    /// The stage at work.
    pub stage: Stage,
    /// Its accepted records.
    pub accepted: u64,
}

impl StoppedAt {
    /// Whether settings of `stage` may change: nothing made by them counts yet.
    pub(super) fn may_change(self, stage: Stage) -> bool {
        self.accepted == 0 && stage >= self.stage
    }

    /// How to go on, for people.
    pub(crate) fn way_on(self, run_dir: &Path) -> String {
        let run_dir = run_dir.display();
        let kept = format!("what was received is kept in {run_dir}; the same command goes on with it");
        match self {
            Self { accepted: 0, stage: Stage::Situations, .. } => format!("{kept}, whatever setting is changed"),
            Self { accepted: 0, stage } => format!(
                "{kept} after a change of key, host or time-outs, or of a setting of the {stage} alone; after a change of one that earlier stages share: convogen pipeline run -c FILE --fork {run_dir} --run-dir NEW_DIR"
            ),
            Self { .. } => format!(
                "{kept} after a change of key, host or time-outs; after one that shapes the data: convogen pipeline run -c FILE --fork {run_dir} --run-dir NEW_DIR"
            ),
        }
    }
}

/// Notes in `run.json` that an endpoint stopped the run, if that is what `error` is.
pub(super) fn note(
    dir: &RunDir,
    error: &RunError,
    look: ProgressSnapshot,
    evidence: &Evidence,
) -> Result<(), RunError> {
    let RunError::Stage(StageError::Halted(Halt::Endpoint { .. } | Halt::Alike { .. } | Halt::Refusals { .. })) = error
    else {
        return Ok(());
    };
    let Some(stage) = Stage::ALL.into_iter().find(|stage| stage.as_str() == look.stage) else { return Ok(()) };
    let anew = evidence.to_ask_anew();
    identity::amend(dir, |details| {
        details.stopped = Some(StoppedAt { stage, accepted: look.accepted });
        details.anew.extend(anew);
    })
}

/// Where the run in `path` was when an endpoint stopped it, if that is how it last ended.
pub(crate) fn stopped_at(path: &Path) -> Option<StoppedAt> {
    let info = RunPaths::of_run(path).and_then(|paths| paths.info()).ok().flatten()?;
    Details::of(&info).stopped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_may_change_from_the_stage_on_that_holds_nothing() {
        let of = |stage, accepted| StoppedAt { stage, accepted };
        assert!(of(Stage::Situations, 0).may_change(Stage::Situations));
        assert!(of(Stage::Situations, 0).may_change(Stage::Conversations));
        assert!(!of(Stage::Situations, 0).may_change(Stage::Personas));
        assert!(!of(Stage::Situations, 1).may_change(Stage::Conversations));
        assert!(!of(Stage::Conversations, 0).may_change(Stage::Situations));
        let way = |stopped: StoppedAt| stopped.way_on(Path::new("runs/x"));
        assert!(!way(of(Stage::Situations, 0)).contains("--fork"));
        assert!(way(of(Stage::Situations, 2)).contains("--fork runs/x --run-dir"));
        assert!(way(of(Stage::Conversations, 0)).contains("--fork runs/x --run-dir"));
    }
}
