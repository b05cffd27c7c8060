//! `report`: what conversations are like, as tables for people or as one object.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::output::{Printer, table};
use super::pipeline::block_on;
use super::progress::thousands;
use super::wrap::wrap;
use crate::exit::ExitCode;
use crate::pipeline::{preview, status, tries};
use crate::report::{
    AnnotationFigures, CATALOGUE, CoverageFigures, FigureEntry, Form, GateFigures, HubFigures, MOST_TURNS, PageOptions,
    Replayed, Report, ReportError, RunFigures, report, write_page,
};

/// A line of the page is at most this long.
const MOST_COLUMNS: usize = 98;

/// `report`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ReportArgs {
    /// The run; a dataset folder or a JSONL or Parquet file of conversations does as well
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
    /// What to compare with; exact copies in it are left out
    #[arg(long, value_name = "FILE")]
    pub reference: Option<PathBuf>,
    /// Print it as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Write it, with all conversations, as one page that a browser opens without a server or a network
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub html: Option<PathBuf>,
    /// Replace a page that is there
    #[arg(long, requires = "html")]
    pub force: bool,
    /// Turns that the page may hold; of more it holds a sample
    #[arg(long, value_name = "TURNS", requires = "html", default_value_t = MOST_TURNS, value_parser = clap::value_parser!(u64).range(1..))]
    pub most_turns: u64,
}

/// Most rows of a list that can grow without end.
const LISTED: usize = 12;
/// Most conversations whose rejected replies a page shows: each is held once more over its recorded replies for that.
const MOST_RETRIED: usize = 2_000;

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Run(error) => (*error).into(),
            error => Self::of(error.exit_code(), &error),
        }
    }
}

/// Measures, and prints what came of it.
pub(super) fn run(args: &ReportArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    if let Some(file) = &args.html {
        return write(args, file, printer);
    }
    let report = report(&args.run_dir, args.reference.as_deref())?;
    if args.json {
        printer.json(&json!(report))?;
    } else {
        printer.text(&page(&report))?;
    }
    Ok(ExitCode::Success)
}

/// Writes the page and says how to open it.
fn write(args: &ReportArgs, file: &Path, printer: &Printer) -> Result<ExitCode, Failure> {
    let path = args.run_dir.as_path();
    // What a run has not sealed is what its recorded replies make.
    let is_under_way = status::is_under_way(path)?;
    let begun = if is_under_way { Some(block_on(preview::shown(path))??) } else { None };
    let tries =
        if status::is_finished(path) { block_on(tries::rejected(path, MOST_RETRIED))?? } else { BTreeMap::new() };
    let options = PageOptions {
        path,
        reference: args.reference.as_deref(),
        most_turns: args.most_turns,
        replayed: Replayed { begun, tries },
        file,
        force: args.force,
    };
    let written = write_page(options)?;
    let (conversations, size) = (thousands(written.conversations), written.bytes as f64 / 1e6);
    printer.note(&format!("{}: {conversations} conversations, {size:.1} MB; open it in a browser", file.display()));
    Ok(ExitCode::Success)
}

fn page(report: &Report) -> String {
    let mut page = format!("{}\n", report.subject.path.display());
    if let Some(reference) = &report.reference {
        let removed = match reference.copies_removed {
            0 => String::new(),
            copies => format!(" ({} exact copies left out)", thousands(copies)),
        };
        page += &format!("reference: {}{removed}\n", reference.path.display());
    }
    if let Some(run) = &report.run {
        page += &outcomes(run);
    }
    page += &figures(report);
    page += &report.subject.gates.as_ref().map(gates).unwrap_or_default();
    page += &annotations("safety screen", report.subject.safety.as_ref());
    page += &annotations("judge", report.subject.judgement.as_ref());
    let run = report.run.as_ref();
    page += &run.and_then(|run| run.hub.as_ref()).map(hub).unwrap_or_default();
    let filled = run.and_then(|run| run.coverage.as_ref()).or(report.subject.coverage.as_ref());
    page += &filled.map(coverage).unwrap_or_default();
    page + &hints(report)
}

/// What became of the inputs, and what that cost.
fn outcomes(run: &RunFigures) -> String {
    let header = ["outcomes", "accepted", "duplicate", "rejected", "refused", "failed", "over budget"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for stage in ["personas", "situations", "conversations"] {
        let Some(tally) = run.summary.stages.get(stage) else { continue };
        let counts = [tally.accepted, tally.duplicate, tally.rejected, tally.refused, tally.failed, tally.over_budget];
        rows.push([stage.to_owned()].into_iter().chain(counts.map(thousands)).collect());
    }
    let mut text = format!("\n{}\n", table(&rows));
    for reason in run.reasons.iter().take(LISTED) {
        text += &format!("  {}: {} × {}\n", reason.stage, thousands(reason.count), reason.reason);
    }
    if let Some(each) = &run.per_conversation {
        let cost = each.cost.map(|cost| format!(", cost {cost:.4}")).unwrap_or_default();
        text += &format!(
            "an accepted conversation took {:.1} calls, {:.0} prompt and {:.0} completion tokens{cost}\n",
            each.calls, each.prompt_tokens, each.completion_tokens
        );
    }
    if !run.unsealed.is_empty() {
        text += &format!("not sealed yet, and not in this report: {}\n", run.unsealed.join(", "));
    }
    text
}

/// The figures under their headings, with the reference and the distance where there is one.
fn figures(report: &Report) -> String {
    let Some(own) = &report.subject.figures else { return String::new() };
    let theirs = report.reference.as_ref().and_then(|side| side.figures.as_ref());
    let sample = own.sample;
    let mut text = format!(
        "\nfigures across conversations are of a sample: {} conversations, {} words, {} bytes{}\n",
        thousands(sample.conversations as u64),
        thousands(sample.words as u64),
        thousands(sample.bytes as u64),
        if theirs.is_some() { " each" } else { "" }
    );
    let mut lines = vec![columns("", "here", theirs.map(|_| ["reference", "distance"]))];
    let mut readings = vec![""];
    let mut group = "";
    for entry in CATALOGUE {
        if entry.group != group {
            group = entry.group;
            lines.extend([Vec::new(), vec![group.to_owned()]]);
            readings.extend(["", ""]);
        }
        let there = theirs.map(|theirs| [show(entry, (entry.get)(theirs)), distance(entry, report)]);
        let there = there.as_ref().map(|[value, distance]| [value.as_str(), distance.as_str()]);
        lines.push(columns(&format!("  {}", entry.label), &show(entry, (entry.get)(own)), there));
        readings.push(entry.reading);
    }
    let cells = table(&lines);
    let width = cells.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    for (line, reading) in cells.lines().zip(readings) {
        text += format!("{line:<width$}  {reading}").trim_end();
        text.push('\n');
    }
    text
}

fn columns(label: &str, own: &str, theirs: Option<[&str; 2]>) -> Vec<String> {
    [label, own].into_iter().chain(theirs.into_iter().flatten()).map(str::to_owned).collect()
}

fn show(entry: &FigureEntry, value: Option<f64>) -> String {
    match (value, entry.form) {
        (None, _) => "-".to_owned(),
        (Some(value), Form::Share) => format!("{:.1} %", value * 100.0),
        (Some(value), Form::Count) => format!("{value:.0}"),
        (Some(value), Form::Number) => format!("{value:.2}"),
    }
}

/// The difference; for lengths the Kolmogorov-Smirnov distance of the whole distribution, in the line of the mean.
fn distance(entry: &FigureEntry, report: &Report) -> String {
    let Some(distance) = &report.distance else { return String::new() };
    let ks = match entry.key {
        "turns_mean" => distance.ks_turns,
        "words_mean" => distance.ks_words,
        _ => None,
    };
    if let Some(ks) = ks {
        return format!("KS {ks:.2}");
    }
    match (distance.figures.get(entry.key), entry.form) {
        (None, _) => String::new(),
        (Some(difference), Form::Share) => format!("{:+.1}", difference * 100.0),
        (Some(difference), _) => format!("{difference:+.2}"),
    }
}

fn gates(gates: &GateFigures) -> String {
    let mut text = format!(
        "\ngates, per 100 turns before repair: {:.1} replies were asked for again\n",
        gates.asked_again_per_100_turns
    );
    let line = |(name, rate): (&String, &f64)| vec![format!("  {name}"), format!("{rate:.2}")];
    let mut rows: Vec<Vec<String>> = gates.flaws_per_100_turns.iter().map(line).collect();
    rows.extend(gates.mended_per_100_turns.iter().map(|(name, rate)| line((&format!("mended: {name}"), rate))));
    if !rows.is_empty() {
        text += &format!("{}\n", table(&rows));
    }
    if let Some(calls) = gates.repair_calls {
        let tokens = [gates.repair_prompt_tokens, gates.repair_completion_tokens];
        let [prompt, completion] = tokens.map(|sum| thousands(sum.unwrap_or(0)));
        text +=
            &format!("  repair took {} calls, {prompt} prompt and {completion} completion tokens\n", thousands(calls));
    }
    text
}

/// What a column of JSON objects says, key by key.
fn annotations(title: &str, figures: Option<&AnnotationFigures>) -> String {
    let Some(figures) = figures else { return String::new() };
    let mut text = format!("\n{title}: {} conversations\n", thousands(figures.records));
    let means = figures.means.iter().map(|(key, mean)| vec![format!("  {key}, mean"), format!("{mean:.2}")]);
    let counts = figures.counts.iter().flat_map(|(key, values)| {
        values.iter().map(move |(value, count)| vec![format!("  {key}: {value}"), thousands(*count)])
    });
    let rows: Vec<Vec<String>> = means.chain(counts).take(LISTED * 2).collect();
    text += &table(&rows);
    text.push('\n');
    text
}

fn hub(hub: &HubFigures) -> String {
    let header = ["rounds", "situations", "different in effect"].map(str::to_owned).to_vec();
    let rows = hub.rounds.iter().map(|group| {
        let effective = format!("{:.1} of {}", group.effective, hub.compared);
        vec![format!("  {} to {}", group.first, group.last), thousands(group.situations), effective]
    });
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    format!("\nthe hub, round by round; where the numbers fall, situations become more alike\n{}\n", table(&rows))
}

fn coverage(coverage: &CoverageFigures) -> String {
    let cells = coverage.cells_possible.map(|possible| format!(" of {}", thousands(possible))).unwrap_or_default();
    let mut text = format!("\ncoverage: {} cells{cells} filled\n", thousands(coverage.cells_filled));
    for (name, values) in &coverage.attributes {
        let mut rows = vec![[format!("  {name}"), "share".to_owned(), "wanted".to_owned()].to_vec()];
        for (value, fill) in values.iter().take(LISTED * 2) {
            let wanted = fill.expected.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
            rows.push(vec![format!("    {value}"), format!("{:.1} %", fill.share * 100.0), wanted]);
        }
        text += &format!("{}\n", table(&rows));
    }
    text
}

fn hints(report: &Report) -> String {
    let title = if report.hints.is_empty() { "" } else { "\nworth a look\n" };
    let lines = report.hints.iter().map(|hint| {
        format!("  {}\n    `{}` changes it\n", wrap(&hint.message, MOST_COLUMNS).join("\n  "), hint.setting)
    });
    title.to_owned() + &lines.collect::<String>()
}
