//! The command line, as clap reads it. The doc comments here are the help texts.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::compile::CompileArgs;
use super::config::ImportArgs;
use super::explain::ExplainArgs;
use super::shard::ShardArgs;
use super::shell::{self, CompletionsArgs};
use super::show::{self, ShowArgs};
use super::status::StatusArgs;
use crate::exit::ExitCode;

/// Synthetic multi-party conversation datasets, made by LLM agents.
///
/// Personas are put into situations, situations become group conversations turn by turn, duplicates are removed, and
/// what is left is compiled into JSONL and Parquet. A run that is interrupted goes on where it stopped.
#[derive(Debug, Parser)]
#[command(name = "convogen", version, max_term_width = 100, propagate_version = false, after_help = after_help())]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print errors and data only
    #[arg(long, short, global = true, conflicts_with = "verbose", display_order = 100)]
    pub quiet: bool,
    /// Say more: -v milestones, -vv each call, -vvv prompts and replies
    #[arg(long, short, global = true, action = ArgAction::Count, display_order = 101)]
    pub verbose: u8,
}

const EXAMPLES: &str = "\
Examples:
  convogen pipeline run                            without key or configuration
  convogen init my-dataset                         files to start from
  convogen config check -c configs/pipeline.yaml   what a run would do
  convogen plan -c configs/pipeline.yaml           what it would cost
  convogen preview -c configs/pipeline.yaml -n 3   three talks, to be read first
  convogen pipeline run -c configs/pipeline.yaml   again: goes on where it was
  convogen compile-upload -c configs/upload.yaml   publish what runs made";

fn after_help() -> String {
    format!("{EXAMPLES}\n\nExit codes:\n{}", ExitCode::list())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a dataset: run the stages, look at a run, check it
    #[command(subcommand)]
    Pipeline(Pipeline),
    /// Make a dataset folder of a file of conversations or situations
    Compile(CompileArgs),
    /// Publish what finished runs made: Azure, a folder, a hub
    #[command(after_help = UPLOAD_EXAMPLES)]
    CompileUpload(CompileUploadArgs),
    /// Look after what is published
    #[command(subcommand)]
    Publish(PublishCommand),
    /// Show what a run would ask for and cost, without a call
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(PlanArgs),
    /// Show a handful of conversations before a run is paid for
    #[command(after_help = PREVIEW_EXAMPLES)]
    Preview(PreviewArgs),
    /// Read conversations of a finished run, or what was lost of it
    #[command(after_help = show::EXAMPLES)]
    Show(Box<ShowArgs>),
    /// Show a conversation, its origin, and the messages behind it
    Explain(ExplainArgs),
    /// Write conversations as trainers and corpus tools read them
    #[command(after_help = super::export::EXAMPLES)]
    Export(super::export::ExportArgs),
    /// Measure conversations: lengths, openings, shares, variety
    #[command(after_help = REPORT_EXAMPLES)]
    Report(super::report::ReportArgs),
    /// Remove exact and near duplicates from JSONL or Parquet
    #[command(after_help = super::dedup::EXAMPLES)]
    Dedup(super::dedup::DedupArgs),
    /// Put what people said of a run into a fork of it
    #[command(subcommand)]
    Review(super::review::ReviewCommand),
    /// Check, print or document configurations
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Fetch or find the weights of the built-in model
    #[command(subcommand)]
    Model(ModelCommand),
    /// Write files to start from; those that exist are left alone
    Init(InitArgs),
    /// Print what a shell completes commands by
    #[command(after_help = shell::EXAMPLES)]
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

/// The commands about runs.
#[derive(Debug, Subcommand)]
pub(crate) enum Pipeline {
    /// Start a run, or go on with one; a finished run is left as it is
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Show progress, outcomes and spend of a run, also while it is going on
    Status(StatusArgs),
    /// Check every file of a run against its hash, and every journal line against its checksum
    Verify(VerifyArgs),
    /// Remove the journal of a finished run to free space; what explains or forks it works no more
    #[command(after_help = GC_NOTES)]
    Gc(RunGcArgs),
}

const GC_NOTES: &str = "\
The journal holds every reply, word for word. Stages, dataset and what was spent stay; `verify`, `status`
and the same `run` work as before and make no call. `explain`, --fork and --retry-failed are refused.";

const RUN_EXAMPLES: &str = "\
Examples:
  convogen pipeline run
  convogen pipeline run -c configs/pipeline.yaml --set conversations.turns.max=12
  convogen pipeline run -c big.yaml --fork runs/demo --run-dir runs/big   use what it has on record
  convogen pipeline run -c big.yaml --record big.rec                      its replies in one file
  convogen pipeline run -c big.yaml --replay big.rec --run-dir runs/new   again, without an endpoint";

const UPLOAD_EXAMPLES: &str = "\
Examples:
  convogen compile-upload -c configs/upload.yaml --dry-run   what would be sent
  convogen compile-upload -c configs/upload.yaml             again after a crash or Ctrl-C: goes on
  convogen compile-upload -c configs/upload.yaml --verify    and read everything back
  convogen publish gc -c configs/upload.yaml --keep 3        remove old versions

Equal data has an equal version: publishing it twice sends nothing and changes nothing.";

const PLAN_EXAMPLES: &str = "\
Examples:
  convogen plan -c configs/pipeline.yaml
  convogen plan -c configs/pipeline.yaml --set conversations.layout=shared_prefix";

const PREVIEW_EXAMPLES: &str = "\
Examples:
  convogen preview                                      five talks of the built-in model
  convogen preview -c configs/pipeline.yaml -n 2        two situations, and what is said in them
  convogen preview -c configs/pipeline.yaml --prompts   what was sent for the first of them, too

A preview is a small run in a directory of its own beside the configured run_dir, named preview-HASH-N. The same preview
again makes no call. A run of the same configuration with --fork runs/preview-HASH-N uses its replies.";

const REPORT_EXAMPLES: &str = "\
Examples:
  convogen report runs/demo                             figures, outcomes, spend, and what to look at
  convogen report runs/demo --reference samsum.jsonl    beside human talk, with the distance
  convogen report runs/new --reference runs/old         beside another run
  convogen report talks.parquet --json                  any file of conversations, as one JSON object
  convogen report runs/demo --html demo.html            everything as one page, to be read and sent on

A reference is a run directory, a dataset folder, a Parquet file of conversations, or JSONL of them or of
{\"turns\" | \"messages\" | \"conversations\" | \"dialogue\": [{\"speaker\" | \"role\" | \"from\" | \"name\",
\"text\" | \"content\" | \"value\" | \"utterance\"}]}, or of {\"dialogue\": \"Ann: Hello\\nBo: Hi\"}.";

/// Which configuration.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration; left out: the built-in quick start
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key for this run: a dotted key and a YAML value, such as conversations.turns.max=12
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

/// `config check`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CheckArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Make one small call to every model in use, and say what it found
    #[arg(long)]
    pub online: bool,
}

/// `pipeline run`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Where the run lives, in place of the one in the configuration
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Which part of it, where several processes make it.
    #[command(flatten)]
    pub part: ShardArgs,
    /// Start from another run: use its recorded replies wherever the same is asked
    #[arg(long, value_name = "OLD_RUN")]
    pub fork: Option<PathBuf>,
    /// Try again what failed in earlier attempts at this run
    #[arg(long)]
    pub retry_failed: bool,
    /// When the budget is reached, finish with what is there
    #[arg(long)]
    pub accept_partial: bool,
    /// Write every reply of the run to a file, without keys, when it ends or stops
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Make the run from such a file: same bytes, no endpoint, key or network
    #[arg(long, value_name = "FILE", conflicts_with = "retry_failed")]
    pub replay: Option<PathBuf>,
    /// No network but this machine; weights that are missing are an error
    #[arg(long)]
    pub offline: bool,
    /// Accept a run directory on a network file system, whose locks and renames may not hold
    #[arg(long)]
    pub allow_network_fs: bool,
    /// Print a summary as one JSON object on the last line of stdout
    #[arg(long)]
    pub json: bool,
}

/// `pipeline verify`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct VerifyArgs {
    /// The run; left out: that of the quick start, or the only one in runs/
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: Option<PathBuf>,
    /// Copy what is sound into a new run directory
    #[arg(long, value_name = "NEW_DIR")]
    pub salvage: Option<PathBuf>,
    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `compile-upload`.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct CompileUploadArgs {
    /// The upload configuration: runs, tables, destination
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Set one key for this time: a dotted key and a YAML value, such as dataset=demo
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Compile, look at the destination and say what would be sent; write nothing there
    #[arg(long)]
    pub dry_run: bool,
    /// Read everything that is published back at the end, and compare it with its manifest
    #[arg(long)]
    pub verify: bool,
    /// Publish runs with fewer accepted than are enough, or none, as they are
    #[arg(long)]
    pub allow_partial: bool,
    /// Print a summary as one JSON object on the last line of stdout
    #[arg(long)]
    pub json: bool,
}

/// The commands about what is published.
#[derive(Debug, Subcommand)]
pub(crate) enum PublishCommand {
    /// Remove old versions of a dataset; what latest.json points at always stays
    Gc(GcArgs),
}

/// `publish gc`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct GcArgs {
    /// The upload configuration that it was published by
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Set one key for this time: a dotted key and a YAML value, such as dataset=demo
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// How many of the newest versions stay, the latest among them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub keep: u64,
    /// Say what would be removed; remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print what was removed as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `pipeline gc`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunGcArgs {
    /// The run; it must be finished, its stages sealed and its dataset compiled
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
    /// Say what would be removed; remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print what was freed as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `plan`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlanArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Show the first prompts behind it, as they would be sent
    #[arg(long)]
    pub prompts: bool,
    /// Print it as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `preview`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PreviewArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How many situations, with a conversation each
    #[arg(long, short, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub number: u32,
    /// Show the messages of the first situation and of the first turn, too; so does -v
    #[arg(long)]
    pub prompts: bool,
    /// No network but this machine; weights that are missing are an error
    #[arg(long)]
    pub offline: bool,
    /// Print situations and conversations as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The commands about configurations.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration and every file it names, and say what it would do
    Check(CheckArgs),
    /// Print a configuration with every default written out
    Show(ConfigArgs),
    /// Print the prices of common models, as of which day they were looked up, and how a configuration uses them
    Prices,
    /// Write a configuration of upstream ConvoGen as one of ours, with a comment for each key
    Import(ImportArgs),
    /// Print the JSON schema of configurations, for editors and as a reference of all keys
    Schema {
        /// Of which kind of configuration
        #[arg(value_enum, default_value_t)]
        of: ConfigKind,
    },
}

/// The kinds of configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigKind {
    /// What `pipeline run` reads
    #[default]
    Pipeline,
    /// What `compile-upload` reads
    Upload,
    /// What `situations.prompt_config` names
    Prompts,
}

/// The commands about the built-in model.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ModelCommand {
    /// Fetch the weights into the cache directory, unless they are there
    Pull,
    /// Print where the weights are
    Path,
}

/// `init`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct InitArgs {
    /// Where to write; made if need be
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn help(path: &[&str]) -> String {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut command = &mut command;
        for name in path {
            command = command.find_subcommand_mut(name).unwrap();
        }
        command.render_help().to_string()
    }

    #[test]
    fn the_help_teaches() {
        Cli::command().debug_assert();
        insta::assert_snapshot!(help(&[]), @r#"
        Synthetic multi-party conversation datasets, made by LLM agents

        Usage: convogen [OPTIONS] <COMMAND>

        Commands:
          pipeline        Make a dataset: run the stages, look at a run, check it
          compile         Make a dataset folder of a file of conversations or situations
          compile-upload  Publish what finished runs made: Azure, a folder, a hub
          publish         Look after what is published
          plan            Show what a run would ask for and cost, without a call
          preview         Show a handful of conversations before a run is paid for
          show            Read conversations of a finished run, or what was lost of it
          explain         Show a conversation, its origin, and the messages behind it
          export          Write conversations as trainers and corpus tools read them
          report          Measure conversations: lengths, openings, shares, variety
          dedup           Remove exact and near duplicates from JSONL or Parquet
          review          Put what people said of a run into a fork of it
          config          Check, print or document configurations
          model           Fetch or find the weights of the built-in model
          init            Write files to start from; those that exist are left alone
          completions     Print what a shell completes commands by
          man             Print the manual page
          help            Print this message or the help of the given subcommand(s)

        Options:
          -q, --quiet       Print errors and data only
          -v, --verbose...  Say more: -v milestones, -vv each call, -vvv prompts and replies
          -h, --help        Print help (see more with '--help')
          -V, --version     Print version

        Examples:
          convogen pipeline run                            without key or configuration
          convogen init my-dataset                         files to start from
          convogen config check -c configs/pipeline.yaml   what a run would do
          convogen plan -c configs/pipeline.yaml           what it would cost
          convogen preview -c configs/pipeline.yaml -n 3   three talks, to be read first
          convogen pipeline run -c configs/pipeline.yaml   again: goes on where it was
          convogen compile-upload -c configs/upload.yaml   publish what runs made

        Exit codes:
            0  The target was reached, or as much of it as `min_accepted` asks for
            1  A bug in convogen
            2  Wrong usage or configuration
            3  Input data that cannot be used
            4  The run directory is in use by another process
            5  The run directory was made with other settings, prompts or inputs
            6  An endpoint, the blob service or the weights of the model are not available
            7  Disk or other I/O error
            8  Budget reached: resumable, or sealed as it is with `--accept-partial`
            9  Finished, but fewer accepted than asked for
           10  Publish conflict: somebody else has published meanwhile, or something else is there
           11  Damage: a journal, checkpoint, dataset or published file fails its check
          130  Interrupted: the same command continues
        "#);
        insta::assert_snapshot!(help(&["pipeline", "run"]), @r#"
        Start a run, or go on with one; a finished run is left as it is

        Usage: convogen pipeline run [OPTIONS]

        Options:
          -c, --config <FILE>     The configuration; left out: the built-in quick start
              --set <KEY=VALUE>   Set one key for this run: a dotted key and a YAML value, such as
                                  conversations.turns.max=12
              --run-dir <DIR>     Where the run lives, in place of the one in the configuration
              --shard <I/N>       Make part I of N, counted from 0, in a run directory of its own:
                                  RUN_DIR-I-of-N
              --shards <N>        The same, with the part's number from JOB_COMPLETION_INDEX (Kubernetes) or
                                  SLURM_ARRAY_TASK_ID
              --fork <OLD_RUN>    Start from another run: use its recorded replies wherever the same is
                                  asked
              --retry-failed      Try again what failed in earlier attempts at this run
              --accept-partial    When the budget is reached, finish with what is there
              --record <FILE>     Write every reply of the run to a file, without keys, when it ends or
                                  stops
              --replay <FILE>     Make the run from such a file: same bytes, no endpoint, key or network
              --offline           No network but this machine; weights that are missing are an error
              --allow-network-fs  Accept a run directory on a network file system, whose locks and renames
                                  may not hold
              --json              Print a summary as one JSON object on the last line of stdout
          -q, --quiet             Print errors and data only
          -v, --verbose...        Say more: -v milestones, -vv each call, -vvv prompts and replies
          -h, --help              Print help

        Examples:
          convogen pipeline run
          convogen pipeline run -c configs/pipeline.yaml --set conversations.turns.max=12
          convogen pipeline run -c big.yaml --fork runs/demo --run-dir runs/big   use what it has on record
          convogen pipeline run -c big.yaml --record big.rec                      its replies in one file
          convogen pipeline run -c big.yaml --replay big.rec --run-dir runs/new   again, without an endpoint
        "#);
    }

    #[test]
    fn the_commands_of_the_contract_are_read() {
        for line in [
            "pipeline run -c f --run-dir d --set a=1 --set b=2 --fork o --retry-failed --accept-partial --record f --offline --json --quiet",
            "pipeline run",
            "pipeline status",
            "pipeline status d --json",
            "pipeline verify d --salvage n --json",
            "pipeline status -c f",
            "pipeline status d --watch",
            "pipeline verify",
            "pipeline gc d --dry-run",
            "pipeline run --shard 0/4",
            "pipeline run --shards 4",
            "plan -c f --json",
            "preview -c f -n 3 --set a=1 --prompts --offline --json",
            "preview",
            "show",
            "show d",
            "show d c-0001",
            "show d --random 3 --json",
            "show d --outcome rejected --reason echo -n 5",
            "explain c-0001",
            "explain c-0001 --run-dir d --calls",
            "completions bash",
            "man",
            "report d",
            "report d --reference f --json",
            "compile in.jsonl -o d --content-chunks --json",
            "dedup f -o o --report r --threshold 0.7 --text-field t --id-field i --json",
            "dedup d f g -o o.parquet --allow-giant-cluster --threads 4",
            "dedup d --signatures s --shingles 5-words",
            "dedup d -o o --pairs p --shingles 5-characters",
            "config check -c f",
            "config show -c f",
            "config schema",
            "config import f",
            "config import f -o o",
            "model pull",
            "model path",
            "init",
            "init d",
            "-vv pipeline run",
        ] {
            let parsed = Cli::try_parse_from(["convogen"].into_iter().chain(line.split(' ')));
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
        for line in [
            "",
            "pipeline",
            "pipeline run --shard 0/4 --shards 4",
            "pipeline status d -c f",
            "show d c-0001 --random 3",
            "show d --reason echo",
            "explain",
            "pipeline run --set",
            "preview -n 0",
            "report",
            "dedup f",
            "dedup -o o",
            "dedup f -o o --threshold 0",
            "dedup f -o o --shingles words",
            "dedup f --signatures s",
            "dedup f -o o --pairs p",
            "-q -v pipeline run",
        ] {
            let parsed = Cli::try_parse_from(["convogen"].into_iter().chain(line.split_whitespace()));
            assert_eq!(parsed.unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
