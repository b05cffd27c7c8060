//! `model pull` and `model path`: the weights of the built-in model.

use std::path::PathBuf;

use super::args::ModelCommand;
use super::failure::{Exit, Failure};
use super::output::Printer;

pub(super) fn run(command: ModelCommand, printer: &Printer) -> Result<u8, Failure> {
    let path = match command {
        ModelCommand::Pull => pull(printer)?,
        ModelCommand::Path => locate().ok_or_else(|| {
            Failure::new(Exit::Unavailable, "the weights are not on this machine")
                .with_hint("`convogen model pull` fetches them")
        })?,
    };
    printer.data(&path.display().to_string())?;
    Ok(Exit::Reached as u8)
}

/// Makes sure that the weights are there, with a bar on a terminal.
pub(super) fn pull(printer: &Printer) -> Result<PathBuf, Failure> {
    let bar = printer.bytes_bar("fetching the model");
    let result = ensure(false, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    result
}

fn ensure(_offline: bool, _progress: impl FnMut(u64, u64)) -> Result<PathBuf, Failure> {
    Err(Failure::new(Exit::Unavailable, "not available in this build"))
}

fn locate() -> Option<PathBuf> {
    None
}
