//! `pipeline run`, `status` and `verify`, `plan` and `explain`.

use super::args::{ExplainArgs, PlanArgs, RunArgs, StatusArgs, VerifyArgs};
use super::failure::{Exit, Failure};
use super::output::Printer;
use super::telemetry::Telemetry;

/// Starts a run or goes on with one. Returns the exit code.
pub(super) fn run(_args: &RunArgs, _printer: &Printer, _telemetry: &Telemetry) -> Result<u8, Failure> {
    Err(unavailable())
}

/// Shows the progress of a run.
pub(super) fn status(_args: &StatusArgs, _printer: &Printer) -> Result<u8, Failure> {
    Err(unavailable())
}

/// Checks the files of a run.
pub(super) fn verify(_args: &VerifyArgs, _printer: &Printer) -> Result<u8, Failure> {
    Err(unavailable())
}

/// Shows what a run would cost.
pub(super) fn plan(_args: &PlanArgs, _printer: &Printer) -> Result<u8, Failure> {
    Err(unavailable())
}

/// Shows the messages behind a conversation.
pub(super) fn explain(_args: &ExplainArgs, _printer: &Printer) -> Result<u8, Failure> {
    Err(unavailable())
}

fn unavailable() -> Failure {
    Failure::new(Exit::Usage, "not available in this build")
}
