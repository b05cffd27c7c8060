//! The command line: reads arguments, calls the library, prints what came of it.
//!
//! One file a command. [`args`] holds what clap reads, [`output`] everything that is printed, [`failure`] how
//! errors are shown, [`telemetry`] logging. Nothing else in the crate prints.

pub(crate) mod args;
mod compile;
mod config;
mod dedup;
mod explain;
mod export;
pub(crate) mod failure;
mod filter;
mod init;
mod model;
#[cfg(feature = "otlp")]
mod otlp;
pub(crate) mod output;
mod pipeline;
mod place;
mod plan;
mod preview;
mod progress;
mod publish;
mod reading;
mod report;
mod review;
mod screen;
mod shard;
mod shell;
mod show;
mod spend;
mod status;
pub(crate) mod telemetry;
mod wrap;

use std::io::Write;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process;

use clap::Parser;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

use args::{Cli, Command, Pipeline, PublishCommand};
use failure::Failure;
use output::{Printer, Verbosity, clean};
use telemetry::Telemetry;

use crate::exit::ExitCode;

/// Runs the program and says how it ended.
pub fn run() -> process::ExitCode {
    harden();
    allow_open_files();
    report_panics();
    // A panic has been reported by the hook when it arrives here.
    panic::catch_unwind(AssertUnwindSafe(run_command)).unwrap_or(ExitCode::Bug).into()
}

fn run_command() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // Help and version are no errors; neither is a reader that went away.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::Usage } else { ExitCode::Success };
        }
    };
    let printer = Printer::standard(Verbosity { quiet: cli.quiet, verbose: cli.verbose });
    let telemetry = Telemetry::start(&printer);
    let code = dispatch(&cli.command, &printer, &telemetry).unwrap_or_else(|failure| {
        printer.failure(&failure.clone().with_place_of_env());
        failure.code
    });
    telemetry.finish(&printer);
    code
}

fn dispatch(command: &Command, printer: &Printer, telemetry: &Telemetry) -> Result<ExitCode, Failure> {
    match command {
        Command::Pipeline(Pipeline::Run(args)) => pipeline::run(args, printer, telemetry),
        Command::Pipeline(Pipeline::Status(args)) => status::run(args, printer),
        Command::Pipeline(Pipeline::Verify(args)) => pipeline::verify(args, printer),
        Command::Pipeline(Pipeline::Gc(args)) => pipeline::gc(args, printer),
        Command::Compile(args) => compile::run(args, printer),
        Command::CompileUpload(args) => publish::compile_upload(args, printer),
        Command::Publish(PublishCommand::Gc(args)) => publish::gc(args, printer),
        Command::Plan(args) => plan::run(args, printer),
        Command::Preview(args) => preview::run(args, printer, telemetry),
        Command::Show(args) => show::run(args, printer),
        Command::Explain(args) => explain::run(args, printer),
        Command::Export(args) => export::run(args, printer),
        Command::Report(args) => report::run(args, printer),
        Command::Dedup(args) => dedup::run(args, printer),
        Command::Review(command) => review::run(command, printer),
        Command::Config(command) => config::run(command, printer),
        Command::Model(command) => model::run(*command, printer),
        Command::Init(args) => init::run(args, printer),
        Command::Completions(args) => shell::completions(*args, printer),
        Command::Man => shell::man(printer),
    }
}

/// Keys live in memory, so a crash must leave no core file; what is written is its owner's alone.
fn harden() {
    // Lowering a limit is always allowed; there is nothing to do where it is not.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    umask(Mode::RWXG | Mode::RWXO);
}

/// A call in flight takes a connection, and the usual soft limit of 1,024 open files is there for programs that use `select`.
fn allow_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Up to the hard limit it is always allowed; a run says what it needs where that is too low.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// A panic is a bug: say so in a line, and leave the backtrace to those who ask for it by `RUST_BACKTRACE`.
fn report_panics() {
    let trace = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // Not eprintln: it would panic again where stderr is closed.
        let _ = std::io::stderr().write_all(panic_report(info).as_bytes());
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            trace(info);
        }
    }));
}

fn panic_report(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let message: String = message.unwrap_or("no message").chars().take(500).collect();
    format!(
        "error: a bug in convogen{place}: {}\nhint: please report it with the command and this message; \
         a run that was interrupted goes on with the same command\n",
        clean(&message)
    )
}
