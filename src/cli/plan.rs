//! `plan`
use super::args::PlanArgs;
use super::failure::Failure;
use super::output::Printer;
pub(super) fn run(_args: &PlanArgs, _printer: &Printer) -> Result<u8, Failure> {
    Ok(0)
}
