//! `pipeline run`, `verify` and `gc`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::args::{RunArgs, RunGcArgs, VerifyArgs};
use super::failure::Failure;
use super::output::{Printer, table};
use super::place;
use super::progress::{Display, duration, thousands};
use super::spend::spend;
use super::status::meant;
use super::telemetry::Telemetry;
use crate::config::Provider;
use crate::config::environment::Environment;
use crate::config::load;
use crate::config::loaded::Loaded;
use crate::exit::ExitCode;
use crate::llm::Halt;
use crate::llm::control::Control;
use crate::pipeline::error::RunError;
use crate::pipeline::ledger::{RunSummary, Status};
use crate::pipeline::next_steps::next_steps;
use crate::pipeline::run::{self, RunEnd, RunOptions, RunWatch};
use crate::pipeline::stopped::stopped_at;
use crate::pipeline::target::Target;
use crate::pipeline::{gc, reasons, status, verify};

/// How long calls in flight may take to finish after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(30);

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Config(error) => error.into(),
            error => Self::of(error.exit_code(), &error),
        }
    }
}

/// Starts a run or goes on with one. Returns the exit code.
pub(super) fn run(args: &RunArgs, printer: &Printer, telemetry: &Telemetry) -> Result<ExitCode, Failure> {
    let environment = environment(printer)?;
    let sets: Vec<String> = args.config.sets.iter().cloned().chain(args.part.setting(&environment)?).collect();
    let loaded = load::load(args.config.config.as_deref(), &sets)?;
    tell_translation(loaded.name(), &loaded.translation(), printer);
    let run_dir = place::to_make(&loaded, args.run_dir.as_deref())?;
    // A finished run needs no model; one that is offline says itself what is missing.
    if uses_embedded(&loaded) && !args.offline && args.replay.is_none() && !status::is_finished(&run_dir) {
        super::model::pull(printer)?;
    }
    let options = RunOptions {
        run_dir: Some(run_dir.clone()),
        fork: args.fork.clone(),
        retry_failed: args.retry_failed,
        accept_partial: args.accept_partial,
        record: args.record.clone(),
        replay: args.replay.clone(),
        offline: args.offline,
        allow_network_fs: args.allow_network_fs,
        model: None,
    };
    let result = watched(&loaded, &environment, &options, printer, telemetry)?;
    match result {
        Ok(ended) => {
            conclude(&ended, printer);
            if args.json {
                printer.json(&json!(ended.summary))?;
            }
            Ok(ended.summary.status.exit_code())
        }
        Err(error) => {
            // Scripts get the same object however a run ends, as long as there is a run.
            if args.json
                && let Ok(found) = status::status(&run_dir)
            {
                printer.json(&json!(found.summary))?;
            }
            Err(advised(error, &run_dir))
        }
    }
}

/// Says what became of the keys of a configuration of upstream's, if it is one.
pub(super) fn tell_translation(file: &str, lines: &[String], printer: &Printer) {
    if lines.is_empty() {
        return;
    }
    printer.note(&format!(
        "{file} is in upstream ConvoGen's schema and is taken as it is; `convogen config import` shows it in ours"
    ));
    for line in lines {
        printer.note(line);
    }
}

/// Runs with progress shown and signals heeded.
pub(super) fn watched(
    loaded: &Loaded,
    environment: &Environment,
    options: &RunOptions,
    printer: &Printer,
    telemetry: &Telemetry,
) -> Result<Result<RunEnd, RunError>, Failure> {
    let log = telemetry.clone();
    // A run without a log is still a run; whatever keeps the log from being written stops the journal too.
    let watch = Arc::new(RunWatch::new(move |run_dir: &Path| drop(log.log_to(run_dir))));
    let display = Display::start(&watch, printer);
    let result = block_on(async {
        tokio::spawn(heed_signals(Arc::clone(&watch.control), printer.clone()));
        Box::pin(run::run(loaded, environment, options, &watch)).await
    })?;
    display.finish();
    Ok(result)
}

/// Whether a run makes calls to the embedded model.
pub(super) fn uses_embedded(loaded: &Loaded) -> bool {
    loaded.config.used_models().values().any(|model| model.provider == Provider::Embedded)
}

/// The variables that may be used, and a word on where they come from.
pub(super) fn environment(printer: &Printer) -> Result<Environment, Failure> {
    let environment = Environment::load()?;
    if let Some(file) = environment.file() {
        printer.detail(&format!("read {}", file.display()));
        environment.not_understood().iter().for_each(|told| printer.warning(told));
        if environment.is_exposed() {
            printer.warning(&format!(
                "{0} can be read by other users; `chmod 600 {0}` keeps keys private",
                file.display()
            ));
        }
    }
    Ok(environment)
}

/// Runs `work` on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of(ExitCode::Io, &error))?;
    let result = runtime.block_on(work);
    // A look-up of a host name that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok(result)
}

/// The first signal lets calls in flight finish, the second does not wait; nor does the first for more than [`DRAIN`].
///
/// A task of its own, so that a stage that computes does not keep it from being heard.
pub(super) async fn heed_signals(control: Arc<Control>, printer: Printer) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    control.stop(Halt::Interrupted);
    printer.note("stopping once the calls in flight have ended; Ctrl-C again stops at once, just as safely");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = tokio::time::sleep(DRAIN) => {}
    }
    exit_now(&printer);
}

/// Ends the process as a kill would: what counts is on disk already.
#[expect(clippy::disallowed_methods, clippy::exit, reason = "the one place where nothing may be waited for")]
pub(super) fn exit_now(printer: &Printer) -> ! {
    printer.wipe();
    std::process::exit(ExitCode::Interrupted as i32)
}

/// The failure, with a word on what is kept where the run can go on.
pub(super) fn advised(error: RunError, run_dir: &Path) -> Failure {
    let resumable = matches!(error.exit_code(), ExitCode::Unavailable | ExitCode::Io | ExitCode::Interrupted);
    let stopped = stopped_at(run_dir).filter(|_| matches!(error, RunError::Stage(_)));
    let failure = Failure::from(error);
    if failure.hint.is_some() || !run_dir.join("journal").is_dir() {
        return failure;
    }
    match stopped {
        Some(stopped) => failure.with_hint(stopped.way_on(run_dir)),
        None if resumable => {
            let kept = format!("what was received is kept in {}; the same command goes on with it", run_dir.display());
            failure.with_hint(kept)
        }
        None => failure,
    }
}

/// The closing summary for people.
fn conclude(ended: &RunEnd, printer: &Printer) {
    let summary = &ended.summary;
    printer.note("");
    printer.note(&report(summary, None));
    if let Some(line) = this_time(ended) {
        printer.note(&line);
    }
    if let Ok(Some(gates)) = status::gates(&summary.run_dir) {
        printer.note(&gates.line());
        gates.fallbacks_line().iter().for_each(|line| printer.note(line));
    }
    // Whatever kept them from being read is told where it matters.
    losses(&summary.run_dir).unwrap_or_default().iter().for_each(|line| printer.note(line));
    let dataset = summary.run_dir.join("dataset");
    if !dataset.is_dir() {
        return;
    }
    let dataset = dataset.display();
    printer.note(&format!("dataset: {dataset}"));
    if let Some((id, _)) = &ended.example {
        let run_dir = summary.run_dir.display();
        printer.note(&format!("  look at it   convogen report {run_dir} --html {run_dir}.html"));
        printer.note(&format!("  read it      convogen show {run_dir}"));
        printer.note(&format!("  about it     less {dataset}/README.md"));
        printer.note(&format!("  how it came  convogen explain {id} --run-dir {run_dir}"));
    }
}

/// What of the calls was made this time, where that is not all of them.
fn this_time(ended: &RunEnd) -> Option<String> {
    let RunEnd { summary, calls_now, recorded, inherited, .. } = ended;
    if *inherited == 0 && *calls_now == summary.usage.calls {
        return None;
    }
    let fork = match inherited {
        0 => String::new(),
        inherited => format!(", {} of them taken from the fork", thousands(*inherited)),
    };
    let (made, recorded) = (thousands(*calls_now), thousands(*recorded));
    Some(match (made.as_str(), recorded.as_str()) {
        ("0", "0") => "this time: no call was made".to_owned(),
        _ => format!("this time: {made} calls made, {recorded} replies used from the record{fork}"),
    })
}

/// What most of the losses of the run in `run_dir` are due to, and what to do about what is missing, a line each.
///
/// # Errors
/// If something that was sealed cannot be read.
pub(super) fn losses(run_dir: &Path) -> Result<Vec<String>, RunError> {
    let mut lines = reasons::told(run_dir)?;
    lines.extend(next_steps(run_dir)?.into_iter().map(|step| format!("next: {step}")));
    Ok(lines)
}

/// How near a stage came to what was asked of it; nothing where it is all there and nothing was lost.
fn reached(stage: &str, target: &Target) -> Option<String> {
    let Target { wanted, accepted, replaced, min_accepted } = *target;
    let (wanted, accepted) = (thousands(wanted), thousands(accepted));
    let mut line = format!("{stage}: accepted {accepted} of {wanted}");
    if target.is_missed() {
        let than = if target.is_enough() { "enough by" } else { "less than" };
        line += &format!(" ({}), {than} min_accepted ({})", percent(target.share()), percent(min_accepted));
    }
    if replaced > 0 {
        line += &format!(", {} replaced", thousands(replaced));
    }
    (target.is_missed() || replaced > 0).then_some(line)
}

/// A share in percent; never 100 where something is missing.
fn percent(share: f64) -> String {
    let tenths = (share * 1000.0 + 1e-6).floor() / 10.0;
    format!("{tenths} %")
}

/// Status, outcomes and spend as a few lines.
pub(super) fn report(summary: &RunSummary, process: Option<&str>) -> String {
    let run_dir = summary.run_dir.display();
    let standing = match (summary.status, process) {
        (_, Some(process)) => format!("{run_dir} is running: {process}"),
        (Status::Finished, None) => format!("{run_dir} is finished"),
        (Status::Short, None) => format!("{run_dir} is finished, with fewer accepted than asked for"),
        (Status::Partial, None) => format!("{run_dir} was sealed as it was when the budget was reached"),
        (Status::Resumable, None) => format!("{run_dir} is not finished; the same command goes on with it"),
    };
    let header = ["", "accepted", "duplicate", "rejected", "refused", "failed", "over budget"].map(str::to_owned);
    let mut rows = vec![header.to_vec()];
    for stage in ["personas", "situations", "conversations"] {
        let Some(tally) = summary.stages.get(stage) else { continue };
        let counts = [tally.accepted, tally.duplicate, tally.rejected, tally.refused, tally.failed, tally.over_budget];
        rows.push([stage.to_owned()].into_iter().chain(counts.map(thousands)).collect());
    }
    let spend = spend(&summary.usage);
    let time = if summary.wall_s > 0.0 { format!(", {}", duration(summary.wall_s)) } else { String::new() };
    let reached =
        ["situations", "conversations"].into_iter().filter_map(|stage| reached(stage, summary.targets.get(stage)?));
    let reached: String = reached.map(|line| format!("\n{line}")).collect();
    format!("{standing}{time}\n{}{reached}\n{spend}", table(&rows).trim_end())
}

/// Checks the files of a run.
pub(super) fn verify(args: &VerifyArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let run_dir = meant(args.run_dir.as_deref(), None)?;
    let found = verify::verify(&run_dir, args.salvage.as_deref())?;
    if args.json {
        printer.json(&json!(found))?;
    } else {
        for damage in &found.damage {
            printer.data(damage)?;
        }
        let (files, replies) = (thousands(found.files), thousands(found.replies));
        printer.data(&format!("{files} files and {replies} recorded replies checked"))?;
        if let Some(salvaged) = &found.salvaged {
            printer.data(salvaged)?;
        }
    }
    if found.damage.is_empty() {
        return Ok(ExitCode::Success);
    }
    let failure =
        Failure::new(ExitCode::Damage, format!("{} is damaged in {} places", run_dir.display(), found.damage.len()));
    Err(failure.with_hint("`convogen pipeline verify RUN_DIR --salvage NEW_DIR` saves the replies that are sound"))
}

/// Removes the journal of a finished run.
pub(super) fn gc(args: &RunGcArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let freed = gc::gc(&args.run_dir, args.dry_run)?;
    if args.json {
        printer.json(&json!(freed))?;
        return Ok(ExitCode::Success);
    }
    let run_dir = args.run_dir.display();
    if freed.files == 0 {
        printer.data(&format!("{run_dir} has no journal any more; nothing was removed"))?;
        return Ok(ExitCode::Success);
    }
    let (bytes, replies) = (thousands(freed.bytes), thousands(freed.replies));
    if args.dry_run {
        printer.data(&format!("would remove the journal of {run_dir}: {replies} replies, {bytes} bytes"))?;
        return Ok(ExitCode::Success);
    }
    printer.data(&format!("removed the journal of {run_dir}: {replies} replies, {bytes} bytes"))?;
    printer
        .note("from now on explain, --fork and --retry-failed are refused; verify, status and the same run still work");
    Ok(ExitCode::Success)
}
