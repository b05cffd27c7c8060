//! `model pull` and `model path`: the weights of the built-in model.

use std::path::PathBuf;

use super::args::ModelCommand;
use super::failure::Failure;
use super::output::Printer;
use crate::exit::ExitCode;

pub(super) fn run(command: ModelCommand, printer: &Printer) -> Result<ExitCode, Failure> {
    let path = match command {
        ModelCommand::Pull => pull(printer)?,
        ModelCommand::Path => locate().ok_or_else(|| {
            Failure::new(ExitCode::Unavailable, "the weights are not on this machine")
                .with_hint("`convogen model pull` fetches them")
        })?,
    };
    printer.data(&path.display().to_string())?;
    Ok(ExitCode::Success)
}

/// Makes sure that the weights are there, with a bar on a terminal.
pub(super) fn pull(printer: &Printer) -> Result<PathBuf, Failure> {
    let bar = printer.bytes_bar("fetching the model");
    let result = ensure(|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    result
}

#[cfg(feature = "embedded")]
fn ensure(mut progress: impl FnMut(u64, u64) + Send) -> Result<PathBuf, Failure> {
    use crate::llm::embedded::weights;
    let fetched = weights::ensure(false, |got| progress(got.bytes, got.total));
    fetched.map_err(|error| Failure::of(error.exit_code(), &error))
}

#[cfg(feature = "embedded")]
fn locate() -> Option<PathBuf> {
    crate::llm::embedded::weights::locate()
}

#[cfg(not(feature = "embedded"))]
fn ensure(_progress: impl FnMut(u64, u64) + Send) -> Result<PathBuf, Failure> {
    Err(Failure::from(crate::pipeline::error::RunError::NoEmbedded))
}

#[cfg(not(feature = "embedded"))]
fn locate() -> Option<PathBuf> {
    None
}
