//! `pipeline status`: where a run stands, once or until it ends.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::output::Printer;
use super::pipeline::{losses, report};
use super::place;
use super::progress::{roughly, thousands};
use super::spend::by_role;
use crate::config::load;
use crate::exit::ExitCode;
use crate::pipeline::error::RunError;
use crate::pipeline::status::{self, FoundRun};
use crate::stages::situations::fill::Fill;
use crate::store::fs;

/// `pipeline status`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StatusArgs {
    /// The run; left out: that of the quick start, or the only one in runs/
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: Option<PathBuf>,
    /// The run that this configuration makes
    #[arg(long, short, value_name = "FILE", conflicts_with = "run_dir")]
    pub config: Option<PathBuf>,
    /// Look again every two seconds until the run ends
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// Print it as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The run that is meant where none is named, if it is there.
const QUICKSTART: &str = "runs/quickstart";

/// Where other runs lie by custom.
const RUNS: &str = "runs";

/// How often a run is looked at that is watched; its process writes down once a second where it stands.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Shows where a run stands.
pub(super) fn run(args: &StatusArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let run_dir = meant(args.run_dir.as_deref(), args.config.as_deref())?;
    if args.watch {
        return watch(&run_dir, printer);
    }
    let found = status::status(&run_dir)?;
    if args.json {
        json(&found, printer)?;
    } else {
        printer.text(&page(&run_dir, &found)?)?;
    }
    Ok(ExitCode::Success)
}

/// Shows where a run stands until it ends: in one place on a terminal, else page after page as something changes.
fn watch(run_dir: &Path, printer: &Printer) -> Result<ExitCode, Failure> {
    let place = printer.redrawn();
    let mut shown = String::new();
    loop {
        let found = status::status(run_dir)?;
        let page = page(run_dir, &found)?;
        if found.process.is_none() {
            if let Some(place) = &place {
                place.finish_and_clear();
            }
            printer.text(&page)?;
            return Ok(ExitCode::Success);
        }
        match &place {
            Some(place) => place.set_message(printer.folded_page(&page)),
            None if page != shown => printer.text(&page)?,
            None => {}
        }
        shown = page;
        thread::sleep(LOOK_EVERY);
    }
}

fn json(found: &FoundRun, printer: &Printer) -> Result<(), Failure> {
    let mut object = json!(found.summary);
    if let Some(object) = object.as_object_mut() {
        object.insert("coverage".to_owned(), json!(found.coverage));
        object.extend(found.running.as_ref().map(|running| ("running".to_owned(), json!(running))));
        object.extend(found.process.as_ref().map(|process| ("process".to_owned(), json!(process))));
    }
    printer.json(&object)
}

fn page(run_dir: &Path, found: &FoundRun) -> Result<String, RunError> {
    let mut lines = vec![report(&found.summary, found.process.as_deref())];
    if !found.summary.usage.by_role.is_empty() {
        lines.push(by_role(&found.summary.usage));
    }
    lines.extend(filled(&found.coverage));
    let left = found.running.as_ref().and_then(|running| running.left_s);
    let left = left.map(|left| format!(", {} left", roughly(left))).unwrap_or_default();
    lines.extend(found.at_work.as_ref().map(|line| line.clone() + &left));
    if let Some(gates) = &found.gates {
        lines.push(gates.line());
        lines.extend(gates.fallbacks_line());
    }
    lines.extend(losses(run_dir)?);
    let reason = |loss: &status::LossCount| format!("  {}: {} × {}", loss.stage, thousands(loss.count), loss.reason);
    lines.extend(found.reasons.iter().map(reason));
    lines.extend(found.notices.iter().cloned());
    Ok(lines.join("\n"))
}

/// The run that is meant: the one that is named, or that the configuration makes, or the quick start's, or the only one there is.
///
/// # Errors
/// If there are several.
pub(super) fn meant(given: Option<&Path>, config: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    if let Some(config) = config {
        return Ok(place::to_read(&load::load(Some(config), &[])?));
    }
    let quickstart = PathBuf::from(QUICKSTART);
    let names = if Path::new(RUNS).is_dir() { fs::list(Path::new(RUNS))? } else { Vec::new() };
    let all = names.into_iter().filter(|name| !name.starts_with("preview-")).map(|name| Path::new(RUNS).join(name));
    let all: Vec<PathBuf> = all.filter(|path| path.join("run.json").is_file()).collect();
    match all.as_slice() {
        [one] => Ok(one.clone()),
        [] => Ok(quickstart),
        several if several.contains(&quickstart) => Ok(quickstart),
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            let message = format!("there are {} runs; name one of {}", several.len(), names.join(", "));
            Err(Failure::new(ExitCode::Usage, message))
        }
    }
}

/// A line for each attribute of the coverage grid: how many situations each value has, of how many it was to have; where there
/// are fewer situations than values, how many values were met.
fn filled(coverage: &[Fill]) -> Vec<String> {
    let attributes = coverage.chunk_by(|one, other| one.attribute == other.attribute);
    attributes
        .map(|values| {
            let all: u64 = values.iter().map(|fill| fill.situations).sum();
            let value =
                |fill: &Fill| format!("{} ({} of {:.1})", fill.value, fill.situations, fill.wanted * all as f64);
            let name = values.first().map_or("", |fill| fill.attribute.as_str());
            if all < values.len() as u64 {
                let met = values.iter().filter(|fill| fill.situations > 0).count();
                return format!("  {name}: {met} of {} values met by {all} situations", values.len());
            }
            let shown: Vec<String> = values.iter().map(value).collect();
            format!("  {name}: {}", shown.join(", "))
        })
        .collect()
}
