//! `plan`: calls, tokens and cost of a run, and its first prompts.

use serde_json::json;

use super::args::PlanArgs;
use super::failure::Failure;
use super::output::{Printer, table};
use super::pipeline::environment;
use super::progress::thousands;
use crate::config::load;
use crate::exit::ExitCode;
use crate::llm::MessageRole;
use crate::pipeline::layouts::LayoutAdvice;
use crate::pipeline::plan::{self, Range, Rendered, RunPlan};

/// Prints what a run would ask for and cost. Nothing is sent.
pub(super) fn run(args: &PlanArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let loaded = load::load(args.config.config.as_deref(), &args.config.sets)?;
    let plan = plan::plan(&loaded, &environment(printer)?)?;
    if args.json {
        printer.json(&json!(plan))?;
    } else {
        printer.data(&page(&plan))?;
    }
    Ok(ExitCode::Success)
}

fn page(plan: &RunPlan) -> String {
    let mut page = String::new();
    for prompt in &plan.prompts {
        page += &rendered(prompt);
    }
    for model in &plan.models {
        page += &format!("{:12} {} ({})\n", model.role, model.model, model.provider);
    }
    page += &format!("\n{} conversations; least, likely and most:\n", thousands(plan.conversations));
    let header = ["", "calls", "prompt tokens", "reply tokens", "cost"].map(str::to_owned);
    let mut rows = vec![header.to_vec()];
    for role in &plan.roles {
        let cost = role.cost.map_or_else(|| "no prices".to_owned(), |cost| range(cost, |n| format!("{n:.2}")));
        rows.push(vec![
            role.role.clone(),
            range(role.calls, whole),
            range(role.prompt_tokens, rounded),
            range(role.completion_tokens, rounded),
            cost,
        ]);
    }
    page += table(&rows).trim_end();
    page.extend(plan.unpriced.iter().map(|unpriced| format!("\n{unpriced}")));
    page += "\n";
    page += &plan.layout.as_ref().map(advice).unwrap_or_default();
    page + "\nNo call was made. Set budget.max_calls, max_tokens or max_cost to cap the run."
}

/// Which layout is cheaper, and by how much.
fn advice(advice: &LayoutAdvice) -> String {
    let mut text = String::from("\nprompts of the likely conversations by layout:\n");
    for figures in &advice.layouts {
        let cost = figures.cost.map(|cost| format!(", {cost:.2}")).unwrap_or_default();
        let (all, uncached) = (rounded(figures.prompt_tokens), rounded(figures.uncached_tokens));
        text +=
            &format!("  {:14} {all} tokens, {uncached} of them not served by a prefix cache{cost}\n", figures.layout);
    }
    let saved = format!("{:.0} % cheaper", advice.saves * 100.0);
    text += &if advice.configured == advice.cheaper {
        format!("  {} is {saved}, and configured\n", advice.cheaper)
    } else {
        format!("  {0} is {saved}: set conversations.layout: {0}\n", advice.cheaper)
    };
    text
}

fn range(range: Range, show: impl Fn(f64) -> String) -> String {
    let [least, likely, most] = [range.least, range.likely, range.most].map(show);
    if least == most { least } else { format!("{least} · {likely} · {most}") }
}

fn whole(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    thousands(number.round().clamp(0.0, 1e18) as u64)
}

/// A number that is an estimate anyway, short enough for three of them in a column.
fn rounded(number: f64) -> String {
    match number {
        0.0..10_000.0 => whole(number),
        10_000.0..999_500.0 => format!("{:.0}k", number / 1e3),
        _ => format!("{:.1}M", number / 1e6),
    }
}

fn rendered(prompt: &Rendered) -> String {
    let mut page = format!("━━ {}\n", prompt.title);
    for message in &prompt.messages {
        let role = match message.role {
            MessageRole::System => "system",
            MessageRole::User => "user",
            MessageRole::Assistant => "assistant",
        };
        page += &format!("── {role}\n{}\n", message.content);
    }
    page.push('\n');
    page
}
