//! `plan`: calls, tokens and cost of a run, and on request its first prompts.

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
use crate::pipeline::plan::{self, PlannedRole, Range, Rendered, RunPlan};

/// Prints what a run would ask for and cost. Nothing is sent.
pub(super) fn run(args: &PlanArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let loaded = load::load(args.config.config.as_deref(), &args.config.sets)?;
    let plan = plan::plan(&loaded, &environment(printer)?)?;
    if args.json {
        printer.json(&json!(plan))?;
    } else {
        printer.text(&page(&plan))?;
        if args.prompts {
            printer.data(&plan.prompts.iter().map(rendered).collect::<String>())?;
        }
    }
    Ok(ExitCode::Success)
}

fn page(plan: &RunPlan) -> String {
    let RunPlan { conversations, most_conversations, .. } = *plan;
    let most = if most_conversations > conversations {
        format!(" (at most {} begun, to replace lost ones)", thousands(most_conversations))
    } else {
        String::new()
    };
    let mut page = format!("{} conversations{most}, likely {}\n\n", thousands(conversations), sum(plan));
    page += table(&rows(plan)).trim_end();
    page += "\n\n";
    for model in &plan.models {
        page += &format!("{:12} {} ({})\n", model.role, model.model, model.provider);
    }
    page.extend(plan.unpriced.iter().map(|unpriced| format!("{unpriced}\n")));
    page += &plan.layout.as_ref().map(|layouts| advice(layouts, plan.currency.as_deref())).unwrap_or_default();
    page + "\nNo call was made. budget.max_calls, max_tokens and max_cost cap a run; --prompts shows its first prompts."
}

/// What all of it likely comes to, and from where to where that may go.
fn sum(plan: &RunPlan) -> String {
    let Some(all) = plan.roles.last() else { return String::new() };
    if let (Some(Range { least, likely, most }), Some(currency)) = (all.cost, &plan.currency) {
        return format!("{likely:.2} {currency}: from {least:.2} to {most:.2} {currency}");
    }
    let Range { least, likely, most } = all.calls;
    format!("{} calls: from {} to {}", whole(likely), whole(least), whole(most))
}

/// What each role likely takes; below it all of them, likely, and in the best and the worst case.
fn rows(plan: &RunPlan) -> Vec<Vec<String>> {
    let cost = plan.currency.as_ref().map(|currency| format!("cost in {currency}"));
    let header = ["", "calls", "prompt tokens", "reply tokens"].map(str::to_owned);
    let mut rows = vec![header.into_iter().chain(cost).collect::<Vec<String>>()];
    let row = |name: &str, role: &PlannedRole, part: fn(Range) -> f64| {
        let cost = role.cost.map_or_else(|| "no price".to_owned(), |cost| format!("{:.2}", part(cost)));
        let tokens = [role.prompt_tokens, role.completion_tokens].map(|tokens| rounded(part(tokens)));
        let counts = [name.to_owned(), whole(part(role.calls))].into_iter().chain(tokens);
        counts.chain(plan.currency.is_some().then_some(cost)).collect::<Vec<String>>()
    };
    let likely = |range: Range| range.likely;
    for role in &plan.roles {
        rows.push(row(&role.role, role, likely));
    }
    if let Some(all) = plan.roles.last() {
        rows.push(row("at least", all, |range| range.least));
        rows.push(row("at most", all, |range| range.most));
    }
    rows
}

/// Which layout is cheaper, and by how much.
fn advice(advice: &LayoutAdvice, currency: Option<&str>) -> String {
    let mut text = String::from("\nprompts of the likely conversations by layout:\n");
    for figures in &advice.layouts {
        let cost = figures.cost.zip(currency).map(|(cost, currency)| format!(", {cost:.2} {currency}"));
        let cost = cost.unwrap_or_default();
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

fn whole(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    thousands(number.round().clamp(0.0, 1e18) as u64)
}

/// A number that is an estimate anyway.
fn rounded(number: f64) -> String {
    match number {
        0.0..10_000.0 => whole(number),
        10_000.0..999_500.0 => format!("{:.0}k", number / 1e3),
        _ => format!("{:.1}M", number / 1e6),
    }
}

fn rendered(prompt: &Rendered) -> String {
    let mut page = format!("\n━━ {}\n", prompt.title);
    for message in &prompt.messages {
        let role = match message.role {
            MessageRole::System => "system",
            MessageRole::User => "user",
            MessageRole::Assistant => "assistant",
        };
        page += &format!("── {role}\n{}\n", message.content);
    }
    page + "\n"
}
