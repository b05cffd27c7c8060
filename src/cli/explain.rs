//! `explain`: an item, where its parts came from, and on request the exact messages behind it.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::output::Printer;
use super::pipeline::block_on;
use super::preview::page;
use super::status::meant;
use crate::exit::ExitCode;
use crate::llm::{Answer, Message, MessageRole};
use crate::pipeline::explain::{self, Explained, ExplainedCall};
use crate::pipeline::show::{ShownRun, Wanted, show};

/// `explain`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ExplainArgs {
    /// A conversation's id, such as it stands in the dataset
    #[arg(value_name = "ID")]
    pub id: String,
    /// The run it belongs to; left out: that of the quick start, or the only one in runs/
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Every call made for it: the messages sent, to the byte, and the replies
    #[arg(long)]
    pub calls: bool,
}

/// Prints an item as it is read, and where its parts came from; with `--calls` every call of it, too.
pub(super) fn run(args: &ExplainArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let run_dir = meant(args.run_dir.as_deref(), None)?;
    let explained = block_on(explain::explain(&run_dir, &args.id))??;
    // Of a run that is not finished there is nothing to be read yet.
    if let Ok(ShownRun { sample, .. }) = show(&run_dir, &Wanted::Item(args.id.clone())) {
        printer.page(&page::page(&sample, printer.width()))?;
    }
    printer.data(&origin(&explained))?;
    if args.calls {
        printer.data(&calls(&explained))?;
    } else {
        let (count, id, run_dir) = (explained.calls.len(), &explained.id, run_dir.display());
        printer.note(&format!("{count} calls were made for it: convogen explain {id} --run-dir {run_dir} --calls"));
    }
    Ok(ExitCode::Success)
}

/// Where the parts of an item came from.
pub(super) fn origin(explained: &Explained) -> String {
    let mut page = format!("{}\n", explained.id);
    if !explained.people.is_empty() {
        page += "\npeople\n";
        for person in &explained.people {
            page += &format!("  {} ({}) from {}\n", person.name, person.id, person.source);
        }
    }
    if let Some(provenance) = &explained.provenance {
        page += &format!("\nsituation made from\n  {provenance}\n");
    }
    if let Some(seed) = &explained.seed {
        page += &format!("\nmade after the seed {}, in inputs/ of the run\n", seed.id);
        let parts = [("intent", &seed.intent), ("summary", &seed.summary), ("dialogue", &seed.dialogue)];
        for (name, text) in parts {
            page +=
                &text.as_ref().map(|text| format!("  {name}: {}\n", text.replace('\n', "\n    "))).unwrap_or_default();
        }
        page += &format!("  labels: {}\n", seed.labels());
    }
    page += "\nprompts, in inputs/ of the run\n";
    for (name, hash) in &explained.inputs {
        page += &format!("  {name} {hash}\n");
    }
    page
}

/// Every call that was made for an item.
pub(super) fn calls(explained: &Explained) -> String {
    if explained.calls.is_empty() {
        return "\nno call was made for it\n".to_owned();
    }
    explained.calls.iter().enumerate().map(|(at, call)| section(at + 1, call)).collect()
}

fn section(number: usize, call: &ExplainedCall) -> String {
    let again = if call.attempt > 0 { format!(", time {}", call.attempt + 1) } else { String::new() };
    let turn = if call.stage == "conversations" { format!(", turn {}", call.turn) } else { String::new() };
    let mut section =
        format!("\n━━ call {number}: {} of {}{turn}{again}, asked of {}\n", call.role, call.item, call.model);
    for Message { role, content, .. } in &call.messages {
        let who = match role {
            MessageRole::System => "system",
            MessageRole::User => "user",
            MessageRole::Assistant => "assistant",
        };
        section += &format!("── {who}\n{content}\n");
    }
    section += "── reply\n";
    section += &match &call.answer {
        Answer::Reply(reply) => reply.text.clone(),
        Answer::Refused { category, message } => format!("refused ({category}): {message}"),
        Answer::Failed { reason, message } => format!("failed ({reason}): {message}"),
    };
    section.push('\n');
    section
}
