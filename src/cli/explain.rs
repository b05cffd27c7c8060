//! `explain`: the exact messages of an item.

use super::args::ExplainArgs;
use super::failure::Failure;
use super::output::Printer;
use super::pipeline::block_on;
use crate::exit::ExitCode;
use crate::llm::{Answer, Message, MessageRole};
use crate::pipeline::explain::{self, Explained, ExplainedCall};

/// Prints every call of an item, and where its parts came from.
pub(super) fn run(args: &ExplainArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let explained = block_on(explain::explain(&args.run_dir, &args.id))??;
    printer.data(&page(&explained))?;
    Ok(ExitCode::Success)
}

/// Everything there is to say of an item.
pub(super) fn page(explained: &Explained) -> String {
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
    for (at, call) in explained.calls.iter().enumerate() {
        page += &section(at + 1, call);
    }
    if explained.calls.is_empty() {
        page += "\nno call was made for it\n";
    }
    page
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
