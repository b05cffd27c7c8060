//! `show`: conversations of a finished run, as a person would want to read them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::failure::Failure;
use super::output::Printer;
use super::preview::page::page;
use super::progress::thousands;
use crate::clock;
use crate::exit::ExitCode;
use crate::pipeline::preview::PreviewSample;
use crate::pipeline::show::{ShownRun, Wanted, show};
use crate::record::Outcome;

pub(super) const EXAMPLES: &str = "\
Examples:
  convogen show runs/demo                                          the first conversation
  convogen show runs/demo c-s-00000-0003-00-000                    one by its id
  convogen show runs/demo --random 3                               others each time
  convogen show runs/demo --outcome rejected --reason echo -n 5    what was lost, and why";

/// `show`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    /// The run
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
    /// A conversation's or a situation's id; left out: the first conversation
    #[arg(value_name = "ID", conflicts_with_all = ["random", "outcome"])]
    pub id: Option<String>,
    /// So many conversations at random
    #[arg(long, value_name = "N", conflicts_with = "outcome")]
    pub random: Option<u64>,
    /// What was lost instead of conversations, and why
    #[arg(long, value_enum)]
    pub outcome: Option<Loss>,
    /// Only what was lost for this reason, such as `status` has it
    #[arg(long, value_name = "REASON", requires = "outcome")]
    pub reason: Option<String>,
    /// Most of what was lost to show
    #[arg(long, short, value_name = "N", default_value_t = 10, requires = "outcome")]
    pub number: u64,
    /// Print it as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// In which way something was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Loss {
    /// Judged unfit
    Rejected,
    /// Turned down by a content filter or by the model
    Refused,
    /// Never answered
    Failed,
    /// Not worked on because the budget was reached
    OverBudget,
}

impl From<Loss> for Outcome {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Rejected => Self::Rejected,
            Loss::Refused => Self::Refused,
            Loss::Failed => Self::Failed,
            Loss::OverBudget => Self::OverBudget,
        }
    }
}

impl ShowArgs {
    fn wanted(&self) -> Wanted {
        match (&self.id, self.outcome, self.random) {
            (Some(id), ..) => Wanted::Item(id.clone()),
            (None, Some(loss), _) => {
                Wanted::Lost { outcome: loss.into(), reason: self.reason.clone(), number: self.number }
            }
            (None, None, Some(number)) => {
                // Another draw each time: whoever asks again wants others.
                let seed = u64::try_from(clock::unix_nanos() & u128::from(u64::MAX)).unwrap_or_default();
                Wanted::Some { number, drawn: Some(seed) }
            }
            (None, None, None) => Wanted::Some { number: 1, drawn: None },
        }
    }
}

/// Prints what is wanted of a run.
pub(super) fn run(args: &ShowArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let ShownRun { sample, of } = show(&args.run_dir, &args.wanted())?;
    let run_dir = args.run_dir.display();
    let nothing = sample == PreviewSample::default();
    if let (Some(id), true) = (&args.id, nothing) {
        let failure = Failure::new(ExitCode::Usage, format!("{run_dir} has no conversation and no situation {id}"));
        return Err(
            failure.with_hint(format!("ids stand in the dataset; `convogen show {run_dir} --random 1` shows one"))
        );
    }
    if args.json {
        let PreviewSample { situations, conversations, dropped } = &sample;
        printer.json(&json!({
            "run_dir": args.run_dir, "of": of, "situations": situations, "conversations": conversations, "dropped": dropped,
        }))?;
        return Ok(ExitCode::Success);
    }
    printer.page(&page(&sample, printer.width()))?;
    printer.note(&closing(args, &sample, of));
    Ok(ExitCode::Success)
}

/// Of how much this was, and how to see more.
fn closing(args: &ShowArgs, sample: &PreviewSample, of: u64) -> String {
    let run_dir = args.run_dir.display();
    let PreviewSample { conversations, dropped, .. } = sample;
    if args.outcome.is_some() {
        let shown = thousands(dropped.len() as u64);
        let example = dropped
            .first()
            .map(|lost| format!("\n  how it came  convogen explain {} --run-dir {run_dir} --calls", lost.id));
        return format!("{shown} of {} that were lost so{}", thousands(of), example.unwrap_or_default());
    }
    let id = conversations.first().map_or("ID", |talk| talk.id.as_str());
    let count = if args.id.is_some() {
        String::new()
    } else {
        format!("{} of {} conversations\n", conversations.len(), thousands(of))
    };
    format!(
        "{count}  others       convogen show {run_dir} --random 3\n  how it came  convogen explain {id} --run-dir {run_dir}"
    )
}
