//! `dedup`: duplicates of any corpus removed, or the steps of it that run on many machines.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::failure::Failure;
use super::output::{Printer, table};
use super::progress::thousands;
use crate::clock::{self, Stopwatch};
use crate::corpus::{
    CorpusError, CorpusSummary, DedupOptions, FieldNames, SignatureOptions, SignatureSummary, dedup, signatures,
};
use crate::exit::ExitCode;
use crate::stages::dedup::Shingling;

pub(super) const EXAMPLES: &str = "\
Examples:
  convogen dedup corpus.jsonl --report duplicates.jsonl                    look first
  convogen dedup corpus.jsonl -o clean.jsonl --report removed.jsonl
  convogen dedup shards/ more.jsonl.zst -o clean.jsonl --threshold 0.7
  convogen dedup data/ -o clean.parquet --text-field body --id-field url
  convogen dedup shard-7.jsonl --signatures sigs --shingles 5-words        where one machine ends:
  convogen dedup shards/ -o clean.jsonl --pairs pairs --shingles 5-words   see docs/scale.md

Of records that are alike the one with the smallest id stays, compared as bytes. Lines are written
as they came, rows of Parquet with all of their columns, both in the order of ids. A row of the report:
{\"id\", \"kept\", \"jaccard\", \"kind\": \"exact\" | \"near\", \"cluster_size\"}.";

/// `dedup`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DedupArgs {
    /// JSONL (also .gz, .zst) or Parquet: files, and folders of them
    #[arg(value_name = "IN", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Where the records that stay go: .parquet if the inputs are, else lines; left out: only the report is written
    #[arg(long, short, value_name = "OUT", required_unless_present_any = ["signatures", "report"])]
    pub out: Option<PathBuf>,
    /// Where a row for each removed record goes
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The Jaccard index of shingles from which two texts are duplicates
    #[arg(long, value_name = "T", default_value_t = 0.8, value_parser = threshold)]
    pub threshold: f64,
    /// The field that is compared
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text_field: String,
    /// The field that names a record: a string, or a whole number taken as its digits
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub id_field: String,
    /// What texts are cut into: 3-words, 5-words, 5-characters; left out: by the first texts of each file
    #[arg(long, value_name = "KIND", value_parser = shingling)]
    pub shingles: Option<Shingling>,
    /// Remove a cluster of more than 5 % of the records, too
    #[arg(long)]
    pub allow_giant_cluster: bool,
    /// Write hashes and band keys as Parquet for a join elsewhere, and remove nothing
    #[arg(long, value_name = "DIR", requires = "shingles", conflicts_with_all = ["out", "report", "pairs", "allow_giant_cluster"])]
    pub signatures: Option<PathBuf>,
    /// Compare the pairs of a list that such a join made: Parquet with two columns of ids
    #[arg(long, value_name = "FILE", requires = "shingles")]
    pub pairs: Option<PathBuf>,
    /// Threads; left out: one a core. Their number changes no byte
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print a summary as one JSON object on the last line of stdout
    #[arg(long)]
    pub json: bool,
}

fn threshold(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| (0.1..=1.0).contains(number));
    number.ok_or_else(|| "a number from 0.1 to 1 is needed".to_owned())
}

fn shingling(text: &str) -> Result<Shingling, String> {
    let (number, unit) = text.split_once('-').unwrap_or_default();
    match (number.parse().ok().filter(|number| (1..=100).contains(number)), unit) {
        (Some(number), "words") => Ok(Shingling::Words(number)),
        (Some(number), "characters") => Ok(Shingling::Chars(number)),
        _ => Err("such as 5-words or 5-characters".to_owned()),
    }
}

impl From<CorpusError> for Failure {
    fn from(error: CorpusError) -> Self {
        let failure = Self::of(error.exit_code(), &error);
        match error {
            CorpusError::GiantCluster { .. } => failure.with_hint(
                "look at its rows in the --report; if they are copies, --allow-giant-cluster removes them, if they share a \
                 template, raise --threshold",
            ),
            _ => failure,
        }
    }
}

/// A summary, and what it took.
#[derive(Serialize)]
struct TimedSummary<T> {
    #[serde(flatten)]
    summary: T,
    wall_s: f64,
    cpu_s: f64,
}

/// Does what the arguments say, and prints what came of it.
pub(super) fn run(args: &DedupArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let started = Stopwatch::start();
    let names = FieldNames { text: args.text_field.clone(), id: args.id_field.clone() };
    let threads = args.threads.map_or_else(cores, usize::from);
    if let (Some(folder), Some(shingling)) = (&args.signatures, args.shingles) {
        let (inputs, folder) = (args.inputs.clone(), folder.clone());
        let options = SignatureOptions { inputs, folder, names, threshold: args.threshold, shingling, threads };
        let summary = signatures(&options)?;
        tell(args, printer, started, &signature_page(&summary, &options.folder), summary)
    } else {
        let summary = dedup(&options(args, names, threads))?;
        let mut page = page(&summary);
        if args.out.is_none() {
            page += "nothing was removed: -o OUT writes the records that stay\n";
        }
        tell(args, printer, started, &page, summary)
    }
}

fn tell<T: Serialize>(
    args: &DedupArgs,
    printer: &Printer,
    started: Stopwatch,
    page: &str,
    summary: T,
) -> Result<ExitCode, Failure> {
    if args.json {
        let (wall_s, cpu_s) = (started.wall().as_secs_f64(), clock::cpu_time().as_secs_f64());
        printer.json(&json!(TimedSummary { summary, wall_s, cpu_s }))?;
    } else {
        printer.data(page)?;
    }
    Ok(ExitCode::Success)
}

fn options(args: &DedupArgs, names: FieldNames, threads: usize) -> DedupOptions {
    DedupOptions {
        inputs: args.inputs.clone(),
        out: args.out.clone(),
        report: args.report.clone(),
        names,
        threshold: args.threshold,
        shingling: args.shingles,
        pairs: args.pairs.clone(),
        allow_giant: args.allow_giant_cluster,
        threads,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn page(summary: &CorpusSummary) -> String {
    let figures = [
        ("records", summary.records),
        ("kept", summary.kept),
        ("exact copies", summary.exact),
        ("near duplicates", summary.near),
        ("clusters", summary.clusters),
    ];
    let rows: Vec<Vec<String>> =
        figures.iter().map(|(name, value)| vec![(*name).to_owned(), thousands(*value)]).collect();
    let mut page = format!(
        "{}\nnear: a Jaccard index of {} and more, of {}\n",
        table(&rows),
        summary.threshold,
        summary.shingles.replace('-', " ")
    );
    if !summary.largest.is_empty() {
        let largest =
            summary.largest.iter().map(|cluster| vec![format!("  {}", cluster.kept), thousands(cluster.size)]);
        page += &format!("largest clusters, by the record that stays\n{}\n", table(&largest.collect::<Vec<_>>()));
    }
    page
}

fn signature_page(summary: &SignatureSummary, folder: &Path) -> String {
    format!(
        "{} records, {} bands each, in {} files below {}\nnext: scripts/dedup-pairs.sql over all of them, then --pairs\n",
        thousands(summary.records),
        summary.bands,
        summary.files.len() * 2,
        folder.display()
    )
}
