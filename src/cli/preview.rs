//! `preview`: a few situations and their conversations, as a person would want to read them.

pub(super) mod page;

use std::path::Path;

use serde_json::json;

use super::args::PreviewArgs;
use super::explain;
use super::failure::Failure;
use super::output::{Printer, Span};
use super::pipeline::{advised, block_on, environment, uses_embedded, watched};
use super::place;
use super::spend::spend;
use super::telemetry::Telemetry;
use crate::config::load;
use crate::exit::ExitCode;
use crate::pipeline::preview::{self, PreviewSample};
use crate::pipeline::{explain as explained, status};

/// Makes a preview, or goes on with one, and shows it. What was made before an error or Ctrl-C is shown all the same.
pub(super) fn run(args: &PreviewArgs, printer: &Printer, telemetry: &Telemetry) -> Result<ExitCode, Failure> {
    let mut loaded = load::load(args.config.config.as_deref(), &args.config.sets)?;
    // A preview lies beside its run, wherever the command is typed.
    if loaded.config.shard.is_none() {
        loaded.config.run_dir = place::to_read(&loaded);
    }
    let environment = environment(printer)?;
    let (small, options) = preview::prepare(&loaded, &environment, u64::from(args.number), args.offline)?;
    let run_dir = options.run_dir.clone().unwrap_or_default();
    if uses_embedded(&small) && !args.offline && !status::is_finished(&run_dir) {
        super::model::pull(printer)?;
    }
    let result = watched(&small, &environment, &options, printer, telemetry)?;
    if status::is_run(&run_dir) {
        match (block_on(preview::shown(&run_dir))?, &result) {
            (Ok(shown), Ok(_)) => show(args, &run_dir, &shown, printer)?,
            (Ok(shown), Err(_)) if !shown.situations.is_empty() => show(args, &run_dir, &shown, printer)?,
            (Err(error), Ok(_)) => return Err(error.into()),
            // What stopped the run is the news, not that there is nothing to show yet.
            (_, Err(_)) => {}
        }
    }
    let ended = result.map_err(|error| advised(error, &run_dir))?;
    printer.note(&format!("\n{}", spend(&ended.summary.usage)));
    let (kept, named) = (run_dir.display(), args.config.config.as_ref());
    let named = named.map_or_else(String::new, |file| format!(" -c {}", file.display()));
    let named = args.config.sets.iter().fold(named, |named, set| format!("{named} --set '{set}'"));
    printer.note(&format!("kept in {kept}\n  use it  convogen pipeline run{named} --fork {kept}"));
    Ok(ended.summary.status.exit_code())
}

fn show(args: &PreviewArgs, run_dir: &Path, shown: &PreviewSample, printer: &Printer) -> Result<(), Failure> {
    if args.json {
        let usage = status::status(run_dir).map(|found| found.summary.usage).ok();
        let PreviewSample { situations, conversations, dropped } = shown;
        return printer.json(&json!({
            "run_dir": run_dir, "situations": situations, "conversations": conversations, "dropped": dropped,
            "usage": usage,
        }));
    }
    if args.prompts || printer.verbosity().verbose > 0 {
        printer.page(&prompts(run_dir, shown)?)?;
    }
    printer.page(&page::page(shown, printer.width()))
}

/// The first call of the first situation and of the first conversation, as they were sent and answered.
fn prompts(run_dir: &Path, shown: &PreviewSample) -> Result<Vec<Vec<Span>>, Failure> {
    let situation = shown.situations.first().map(|situation| situation.id.as_str());
    let talk = shown.conversations.first().map(|talk| talk.id.as_str());
    let mut page = String::new();
    for id in [situation, talk].into_iter().flatten() {
        let mut found = block_on(explained::explain(run_dir, id))??;
        found.calls.truncate(1);
        if !found.calls.is_empty() {
            page += &explain::origin(&found);
            page += &explain::calls(&found);
            page.push('\n');
        }
    }
    Ok(page.lines().map(|line| vec![Span { text: line.to_owned(), style: "" }]).collect())
}
