//! `review`: what people said of a run on its page, applied and compared.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::output::{Printer, table};
use super::pipeline::{block_on, environment, heed_signals};
use super::progress::thousands;
use crate::exit::ExitCode;
use crate::llm::control::Control;
use crate::pipeline::review::agreement::RaterAgreement;
use crate::pipeline::review::apply::{ReviewOptions, ReviewOutcome, apply};
use crate::pipeline::review::compare::{ReviewComparison, compare};

/// The commands about reviews.
#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// Make a fork of a run in which what was rejected is left out or made anew, and edits stand
    #[command(after_help = APPLY_EXAMPLES)]
    Apply(ApplyArgs),
    /// Tell how far reviewers agree, with each other and with the judge
    Agreement(AgreementArgs),
}

const APPLY_EXAMPLES: &str = "\
Examples:
  convogen report runs/demo --html demo.html      look, accept, reject, edit; then save review.jsonl
  convogen review apply runs/demo review.jsonl    runs/demo-reviewed: rejected turns are asked for anew
  convogen review apply runs/demo review.jsonl --drop -o runs/clean    no call: all that is rejected is left out

Both versions of a turn that was edited or made anew are in NEW_RUN/preferences.jsonl.";

/// `review apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The run whose page was reviewed
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// What its page saved
    #[arg(value_name = "REVIEW")]
    review: PathBuf,
    /// The run that is made [default: RUN-reviewed]
    #[arg(short, long, value_name = "NEW_RUN")]
    output: Option<PathBuf>,
    /// Leave out conversations that are rejected from a turn on, in place of asking for these turns anew
    #[arg(long)]
    drop: bool,
    /// No network but loopback
    #[arg(long)]
    offline: bool,
    /// Print what came of it as one JSON object
    #[arg(long)]
    json: bool,
}

/// `review agreement`.
#[derive(Debug, Args)]
pub(crate) struct AgreementArgs {
    /// The run that was reviewed
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// What its page saved for each reviewer
    #[arg(value_name = "REVIEW", required = true, num_args = 1..)]
    reviews: Vec<PathBuf>,
    /// Print it as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs a command.
pub(super) fn run(command: &ReviewCommand, printer: &Printer) -> Result<ExitCode, Failure> {
    match command {
        ReviewCommand::Apply(args) => run_apply(args, printer),
        ReviewCommand::Agreement(args) => run_agreement(args, printer),
    }
}

fn run_apply(args: &ApplyArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let environment = environment(printer)?;
    let new_run = args.output.clone().unwrap_or_else(|| beside(&args.run));
    let ApplyArgs { run, review, drop, offline, .. } = args;
    let options = ReviewOptions { run, review, new_run: &new_run, drop: *drop, offline: *offline };
    let control = Arc::new(Control::default());
    let outcome = block_on(async {
        tokio::spawn(heed_signals(Arc::clone(&control), printer.clone()));
        Box::pin(apply(&options, &environment, control)).await
    })??;
    if args.json {
        printer.json(&json!(outcome))?;
    } else {
        printer.data(&told(&outcome))?;
    }
    Ok(ExitCode::Success)
}

/// The folder beside `run` that a review of it makes.
fn beside(run: &Path) -> PathBuf {
    let name = run.file_name().unwrap_or_default().to_string_lossy();
    run.with_file_name(format!("{name}-reviewed"))
}

fn told(outcome: &ReviewOutcome) -> String {
    let ReviewOutcome { run_dir, reviewed, dropped, made_anew, edited_turns, pairs, repeated, usage, .. } = outcome;
    let run_dir = run_dir.display();
    let [reviewed, dropped, anew] = [*reviewed, *dropped, *made_anew].map(thousands);
    let mut text = format!(
        "{run_dir}: {reviewed} reviewed, {dropped} left out, {anew} made anew from a turn on ({} calls), {} turns edited\n",
        thousands(usage.calls),
        thousands(*edited_turns)
    );
    if *pairs > 0 {
        text += &format!("preference pairs: {} in {run_dir}/preferences.jsonl\n", thousands(*pairs));
    }
    if *repeated > 0 {
        text += &format!(
            "{} turns came back word for word: the endpoint ignores the seed, so only a higher temperature makes it say something else\n",
            thousands(*repeated)
        );
    }
    text + &format!("dataset: {run_dir}/dataset\n")
}

fn run_agreement(args: &AgreementArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let compared = compare(&args.run, &args.reviews)?;
    if args.json {
        printer.json(&json!(compared))?;
    } else {
        printer.data(&page(&compared))?;
    }
    Ok(ExitCode::Success)
}

fn page(compared: &ReviewComparison) -> String {
    let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let row = |name: &str, agreement: &RaterAgreement| {
        let RaterAgreement { both, same, kappa, alpha } = agreement;
        vec![name.to_owned(), thousands(*both), thousands(*same), figure(*kappa), figure(*alpha)]
    };
    let header =
        ["", "both rated", "say the same", "Cohen's kappa", "Krippendorff's alpha"].map(str::to_owned).to_vec();
    let mut rows = vec![header];
    rows.extend(compared.verdicts.as_ref().map(|agreement| row("verdicts", agreement)));
    rows.extend(compared.labels.iter().map(|(name, agreement)| row(&format!("label {name}"), agreement)));
    rows.extend(compared.judge.iter().map(|(name, agreement)| row(&format!("{name} and the judge"), agreement)));
    let text = format!("{}\n1: full agreement, 0: what chance would give, -: too little to tell\n", table(&rows));
    if compared.judge.is_empty() { text } else { text + "the judge accepts what it gives 3 or more on every scale\n" }
}
