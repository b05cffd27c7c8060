//! `export`: the conversations of a run or dataset in the form that another tool reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::output::Printer;
use super::progress::thousands;
use crate::config::export::{ExportFormat, ExportOptions, LossFlag, SystemPlace};
use crate::exit::ExitCode;
use crate::export::{ExportError, Exported, Exporter, JoinedSecrets, SecretsJoin, write_card};
use crate::pipeline::finished::FinishedRun;
use crate::report::{ConversationSource, SourceKind};
use crate::store::fs;

pub(crate) const EXAMPLES: &str = "\
Examples:
  convogen export runs/demo --format messages -o sft
  convogen export runs/demo --format sharegpt --system first_user --loss train -o sft
  convogen export dataset/ --format convokit -o corpus";

/// What to export, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExportArgs {
    /// A finished run directory, a dataset folder, or a Parquet file of conversations
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The form
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// A folder that is not there yet, or is empty
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// For messages: where the text stands that tells a speaker who they are
    #[arg(long, value_enum, value_name = "PLACE")]
    pub system: Option<SystemPlace>,
    /// For messages: tell each speaker, and nobody else, what they keep to themself: stance, goal and knowledge
    #[arg(long)]
    pub private: bool,
    /// For messages: a key that says which of them count towards the loss, as the trainer calls it
    #[arg(long, value_enum, value_name = "KEY")]
    pub loss: Option<LossFlag>,
    /// For convogen: conversations in a part
    #[arg(long, value_name = "N")]
    pub write_partition_size: Option<u64>,
    /// Print the outcome as one JSON object, the last line of stdout
    #[arg(long)]
    pub json: bool,
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        Self::of(error.exit_code(), &error)
    }
}

/// Writes the folder beside its place and moves it there when it is whole.
pub(super) fn run(args: &ExportArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let options = ExportOptions {
        format: args.format,
        system: args.system,
        private: args.private.then_some(true),
        loss: args.loss,
        write_partition_size: args.write_partition_size,
    };
    if let Some((option, problem)) = options.problem() {
        return Err(Failure::new(ExitCode::Usage, format!("--{}: {problem}", option.replace('_', "-"))));
    }
    let source = source(&args.run)?;
    require_room(&args.output)?;
    let draft = draft(&args.output);
    fs::discard_dir(&draft)?;
    fs::create_dir_all(&draft)?;
    let written = write(&source, &options, &draft).and_then(|exported| {
        fs::replace_dir(&draft, &args.output)?;
        Ok(exported)
    });
    if written.is_err() {
        fs::discard_dir(&draft)?;
    }
    let exported = written?;
    tell(args, &exported, printer)?;
    Ok(ExitCode::Success)
}

/// What conversations are read from: a run has to be finished, since more may still come.
fn source(path: &Path) -> Result<ConversationSource, Failure> {
    let source = ConversationSource::find(path)?;
    match source.kind {
        SourceKind::Run => drop(FinishedRun::open(path)?),
        SourceKind::Dataset | SourceKind::Parquet => {}
        SourceKind::Jsonl => {
            let hint = "name a run directory, a dataset folder, or a Parquet file of conversations";
            let message = format!("{} is a text file, which export does not read", path.display());
            return Err(Failure::new(ExitCode::Usage, message).with_hint(hint));
        }
    }
    Ok(source)
}

/// What is there stays.
fn require_room(folder: &Path) -> Result<(), Failure> {
    let message = match fs::metadata(folder) {
        _ if folder.file_name().is_none() => format!("{} is no folder of its own", folder.display()),
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(found) if !found.is_dir() => format!("{} is not a folder", folder.display()),
        Ok(_) if fs::list(folder)?.is_empty() => return Ok(()),
        Ok(_) => format!("{} is not empty, and nothing in it is replaced", folder.display()),
    };
    Err(Failure::new(ExitCode::Usage, message).with_hint("name a new folder with -o, or remove this one first"))
}

/// Where the folder is written until it is whole: beside its place, under a name that says it does not count.
fn draft(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    fs::folder_of(folder).join(format!(".tmp-export-{}-{name}", std::process::id()))
}

fn write(source: &ConversationSource, options: &ExportOptions, folder: &Path) -> Result<Exported, Failure> {
    let secrets = options.private().then(|| secrets(source, folder)).transpose()?;
    let mut writer = Exporter::new(options, folder, "", secrets)?;
    let mut pushed = Ok(());
    source.records(&mut |talk| {
        pushed = writer.push(&talk);
        pushed.is_ok()
    })?;
    pushed?;
    let exported = writer.finish()?;
    let path = source.path.display();
    if exported.conversations == 0 {
        return Err(Failure::new(
            ExitCode::Input,
            format!("{path} has no conversation, so there is nothing to export"),
        )
        .with_hint("see `convogen report` for what became of its inputs"));
    }
    if exported.rows() == 0 {
        let message = format!("the conversations of {path} give no row of {}", options.format);
        return Err(Failure::new(ExitCode::Input, message).with_hint(empty_hint(options.format)));
    }
    write_card(folder, options, &exported)?;
    Ok(exported)
}

/// What the people of every conversation keep to themselves, which their situations say.
fn secrets(source: &ConversationSource, folder: &Path) -> Result<JoinedSecrets, Failure> {
    let mut join = SecretsJoin::new(folder);
    let mut added = Ok(());
    source.records(&mut |talk| {
        added = join.conversation(&talk);
        added.is_ok()
    })?;
    added?;
    let mut added = Ok(());
    let found = source.situations(&mut |situation| {
        added = join.situation(&situation);
        added.is_ok()
    })?;
    added?;
    if !found {
        let message =
            format!("--private: {} has no situations, which say what people keep to themselves", source.path.display());
        let hint = "name the run directory, or a dataset folder with situations/, or leave out --private";
        return Err(Failure::new(ExitCode::Usage, message).with_hint(hint));
    }
    Ok(join.finish()?)
}

fn empty_hint(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Addressee => "no turn in them names or asks anybody",
        _ => "nobody in them answers anybody; see `convogen report` for what they are like",
    }
}

fn tell(args: &ExportArgs, exported: &Exported, printer: &Printer) -> Result<(), Failure> {
    let splits: BTreeMap<&str, u64> =
        exported.splits.iter().map(|split| (split.name.as_str(), split.parquet.rows())).collect();
    if args.json {
        return printer.json(&json!({
            "format": args.format, "folder": args.output, "conversations": exported.conversations,
            "rows": exported.rows(), "splits": splits, "files": exported.files,
        }));
    }
    let each: Vec<String> = splits.iter().map(|(name, rows)| format!("{name} {}", thousands(*rows))).collect();
    let each = if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) };
    let (rows, talks) = (thousands(exported.rows()), thousands(exported.conversations));
    printer.data(&format!("{}: {rows} rows{each} of {talks} conversations as {}", args.output.display(), args.format))
}
