//! What shells and `man` know of the program, made from the same description as `--help`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::args::Cli;
use super::failure::Failure;
use super::output::Printer;
use crate::exit::ExitCode;

const PROGRAM: &str = "convogen";

pub(super) const EXAMPLES: &str = "\
Examples:
  convogen completions bash > ~/.local/share/bash-completion/completions/convogen
  convogen completions zsh > ~/.zfunc/_convogen          with ~/.zfunc in fpath
  convogen completions fish > ~/.config/fish/completions/convogen.fish
  convogen man > ~/.local/share/man/man1/convogen.1";

/// `completions`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints a completion script.
pub(super) fn completions(args: CompletionsArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), PROGRAM, &mut script);
    print(&script, printer)
}

/// Prints the manual page: the program's own, then a section for each command.
pub(super) fn man(printer: &Printer) -> Result<ExitCode, Failure> {
    let mut page = Vec::new();
    let mut cli = Cli::command();
    cli.build();
    let failed = |error: std::io::Error| Failure::of(ExitCode::Bug, &error);
    clap_mangen::Man::new(cli.clone()).render(&mut page).map_err(failed)?;
    for command in leaves(&cli) {
        let name = command.get_bin_name().unwrap_or(PROGRAM).to_owned();
        page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
        let man = clap_mangen::Man::new(command);
        man.render_description_section(&mut page).map_err(failed)?;
        man.render_synopsis_section(&mut page).map_err(failed)?;
        man.render_options_section(&mut page).map_err(failed)?;
        man.render_extra_section(&mut page).map_err(failed)?;
    }
    print(&page, printer)
}

/// The commands that do something, with the whole line each is called by.
fn leaves(command: &clap::Command) -> Vec<clap::Command> {
    let inner: Vec<clap::Command> =
        command.get_subcommands().filter(|inner| inner.get_name() != "help").flat_map(leaves).collect();
    if inner.is_empty() { vec![command.clone()] } else { inner }
}

fn print(text: &[u8], printer: &Printer) -> Result<ExitCode, Failure> {
    printer.data(String::from_utf8_lossy(text).trim_end())?;
    Ok(ExitCode::Success)
}
