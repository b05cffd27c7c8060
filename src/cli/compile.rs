//! `compile`: a dataset folder of a file of records.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::output::{Printer, table};
use super::progress::{bytes, duration, thousands};
use crate::clock::{self, Stopwatch};
use crate::exit::ExitCode;
use crate::stages::compile::{DatasetManifest, GivenError, compile_file};

/// Rows after which the bar is told.
const TELL: u64 = 1_000;

/// `compile`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CompileArgs {
    /// Conversation or Situation records: JSON Lines, plain or compressed with gzip or zstd, or Parquet
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// The folder to make
    #[arg(long, short, value_name = "FOLDER")]
    pub output: PathBuf,
    /// End the pages of Parquet files where their content says so: a store that keeps equal pieces once, as the Hugging Face hub
    /// does, then takes only what differs from an earlier version
    #[arg(long)]
    pub content_chunks: bool,
    /// Print a summary as one JSON object on the last line of stdout
    #[arg(long)]
    pub json: bool,
}

impl From<GivenError> for Failure {
    fn from(error: GivenError) -> Self {
        Self::of(error.exit_code(), &error)
    }
}

/// Makes the folder. Returns the exit code.
pub(super) fn run(args: &CompileArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let stopwatch = Stopwatch::start();
    let bar = printer.spinner("compiling");
    let written = |rows: u64| {
        if rows.is_multiple_of(TELL) {
            bar.set_message(format!("compiling, {} rows", thousands(rows)));
        }
    };
    let made = compile_file(&args.input, &args.output, args.content_chunks, &written);
    bar.finish_and_clear();
    let made = made?;
    let (wall_s, cpu_s) = (stopwatch.wall().as_secs_f64(), clock::cpu_time().as_secs_f64());
    printer.note(&summary(args, &made.manifest, wall_s));
    if args.json {
        let DatasetManifest { files, rows, .. } = &made.manifest;
        printer.json(&json!({
            "folder": args.output, "rows": rows, "files": files.len() + 1,
            "bytes": files.iter().map(|file| file.bytes).sum::<u64>(),
            "manifest_sha256": made.manifest_sha256, "wall_s": wall_s, "cpu_s": cpu_s,
        }))?;
    }
    Ok(ExitCode::Success)
}

fn summary(args: &CompileArgs, manifest: &DatasetManifest, wall_s: f64) -> String {
    let mut rows = vec![["", "split", "rows"].map(str::to_owned).to_vec()];
    for (name, splits) in &manifest.rows {
        rows.extend(splits.iter().map(|(split, count)| vec![name.clone(), split.clone(), thousands(*count)]));
    }
    let size = bytes(manifest.files.iter().map(|file| file.bytes).sum());
    format!("{}: {size}, {}\n{}", args.output.display(), duration(wall_s), table(&rows))
}
