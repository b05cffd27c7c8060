//! `show`: conversations of a finished run, as a person would want to read them.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::failure::Failure;
use super::filter::FilterArgs;
use super::output::Printer;
use super::preview::page::page;
use super::progress::thousands;
use super::status::meant;
use crate::clock;
use crate::exit::ExitCode;
use crate::pipeline::preview::PreviewSample;
use crate::pipeline::show::{Selection, ShownRun, Wanted, show, tallies};
use crate::record::{Outcome, TalkFilter};

pub(super) const EXAMPLES: &str = "\
Examples:
  convogen show                                                 the first conversation of the only run
  convogen show runs/demo c-s-00000-0003-00-000                 one by its id
  convogen show runs/demo --random 3                            others each time
  convogen show runs/demo --gate echo --turned-down 2..         those a filter takes
  convogen show runs/demo --score coherence=..2 --count         how many there are
  convogen show runs/demo --outcome rejected --reason echo      what was lost, and why";

/// Most that is shown where a filter or an outcome is given and no number.
const SHOWN: u64 = 10;
/// Most values that are named where none of a conversation is what was asked for.
const NAMED: usize = 12;

/// `show`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    /// The run; left out: that of the quick start, or the only one in runs/
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: Option<PathBuf>,
    /// A conversation's or a situation's id; left out: the first conversation
    #[arg(value_name = "ID", conflicts_with_all = ["random", "outcome", "number", "count", "FilterArgs"])]
    pub id: Option<String>,
    /// So many conversations at random
    #[arg(long, value_name = "N")]
    pub random: Option<u64>,
    /// How it ended [default: accepted]; what was not accepted is shown with its reason, situations too
    #[arg(long, value_enum)]
    pub outcome: Option<OutcomeName>,
    /// Only what was lost for this reason, such as `status` has it
    #[arg(long, value_name = "REASON", requires = "outcome")]
    pub reason: Option<String>,
    /// Most to show [default: 1, and 10 of what a filter takes]
    #[arg(long, short, value_name = "N", conflicts_with = "random")]
    pub number: Option<u64>,
    /// Print how many there are, and nothing else
    #[arg(long, conflicts_with_all = ["random", "number"])]
    pub count: bool,
    /// Print it as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which
    #[command(flatten)]
    pub filters: FilterArgs,
}

/// How an input of a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum OutcomeName {
    /// In the dataset
    Accepted,
    /// Says what an earlier one says
    Duplicate,
    /// Judged unfit
    Rejected,
    /// Turned down by a content filter or by the model
    Refused,
    /// Never answered
    Failed,
    /// Not worked on because the budget was reached
    OverBudget,
}

impl From<OutcomeName> for Outcome {
    fn from(ending: OutcomeName) -> Self {
        match ending {
            OutcomeName::Accepted => Self::Accepted,
            OutcomeName::Duplicate => Self::Duplicate,
            OutcomeName::Rejected => Self::Rejected,
            OutcomeName::Refused => Self::Refused,
            OutcomeName::Failed => Self::Failed,
            OutcomeName::OverBudget => Self::OverBudget,
        }
    }
}

impl ShowArgs {
    /// How what is shown ended.
    fn ended(&self) -> Outcome {
        self.outcome.map_or(Outcome::Accepted, Outcome::from)
    }

    fn selection(&self, filter: TalkFilter) -> Selection {
        let outcome = self.ended();
        let is_whole = outcome == Outcome::Accepted && filter.is_empty();
        let number = match (self.count, self.random.or(self.number)) {
            (true, _) => 0,
            (false, Some(number)) => number,
            (false, None) => {
                if is_whole {
                    1
                } else {
                    SHOWN
                }
            }
        };
        // Another draw each time: whoever asks again wants others.
        let seed = || u64::try_from(clock::unix_nanos() & u128::from(u64::MAX)).unwrap_or_default();
        Selection { outcome, reason: self.reason.clone(), filter, number, drawn: self.random.map(|_| seed()) }
    }
}

/// Prints what is wanted of a run.
pub(super) fn run(args: &ShowArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    if let (Some(reason), Outcome::Accepted) = (&args.reason, args.ended()) {
        let message = format!("what was accepted has no reason {reason}");
        return Err(Failure::new(ExitCode::Usage, message).with_hint("name another --outcome, such as rejected"));
    }
    let (run_dir, filter) = (meant(args.run_dir.as_deref(), None)?, args.filters.filter());
    let wanted = match &args.id {
        Some(id) => Wanted::Item(id.clone()),
        None => Wanted::Some(args.selection(filter.clone())),
    };
    let ShownRun { sample, of } = show(&run_dir, &wanted)?;
    if let (Some(id), true) = (&args.id, sample == PreviewSample::default()) {
        let run_dir = run_dir.display();
        let failure = Failure::new(ExitCode::Usage, format!("{run_dir} has no conversation and no situation {id}"));
        return Err(
            failure.with_hint(format!("ids stand in the dataset; `convogen show {run_dir} --random 1` shows one"))
        );
    }
    if args.json {
        let PreviewSample { situations, conversations, dropped } = &sample;
        printer.json(&json!({
            "run_dir": run_dir, "of": of, "situations": situations, "conversations": conversations, "dropped": dropped,
        }))?;
        return Ok(ExitCode::Success);
    }
    if args.count {
        printer.data(&of.to_string())?;
    } else {
        printer.page(&page(&sample, printer.width()))?;
        printer.note(&closing(args, &run_dir, &sample, of));
    }
    if of == 0 {
        printer.note(known(args, &run_dir, &filter)?.trim_end());
    }
    Ok(ExitCode::Success)
}

/// What could have been asked for, of each facet that was.
fn known(args: &ShowArgs, run_dir: &Path, filter: &TalkFilter) -> Result<String, Failure> {
    if args.ended() != Outcome::Accepted || filter.values.is_empty() && filter.ranges.is_empty() {
        return Ok(String::new());
    }
    let tallies = tallies(run_dir)?;
    let (values, ranges) = (filter.values.iter().map(|(name, _)| name), filter.ranges.iter().map(|(name, _)| name));
    let mut told = String::new();
    for name in values.chain(ranges) {
        let Some(tally) = tallies.get(name) else {
            // Of one kind, such as scores, those there are.
            let kind = name.split(": ").next().unwrap_or(name);
            let others: Vec<&str> =
                tallies.keys().filter(|other| other.starts_with(&format!("{kind}: "))).map(String::as_str).collect();
            let others = if others.is_empty() { String::new() } else { format!("; there is {}", others.join(", ")) };
            told += &format!("no conversation has a {name}{others}\n");
            continue;
        };
        let values = tally.iter().take(NAMED).map(|(value, times)| format!("{value} ({})", thousands(*times)));
        if !tally.is_empty() {
            told += &format!("{name}: {}\n", values.collect::<Vec<_>>().join(", "));
        }
    }
    Ok(told)
}

/// Of how much this was, and how to see more.
fn closing(args: &ShowArgs, run_dir: &Path, sample: &PreviewSample, of: u64) -> String {
    let run_dir = run_dir.display();
    let PreviewSample { conversations, dropped, .. } = sample;
    if of == 0 {
        let kind = if args.ended() == Outcome::Accepted { "no conversation is" } else { "nothing that was lost is" };
        return format!("{kind} like that");
    }
    if args.ended() != Outcome::Accepted {
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
