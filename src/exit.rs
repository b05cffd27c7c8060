//! How the program ends, by what stopped it.

use clap::ValueEnum;

/// The exit codes, which scripts may rely on.
///
/// What is said of each here is what the help prints, word for word, and `docs/configuration.md` repeats it: a value of an
/// argument for clap, so that list and texts stand once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[repr(u8)]
pub enum ExitCode {
    /// The target was reached, or as much of it as `min_accepted` asks for.
    Success = 0,
    /// A bug in convogen.
    Bug = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Input data that cannot be used.
    Input = 3,
    /// The run directory is in use by another process.
    InUse = 4,
    /// The run directory was made with other settings, prompts or inputs.
    Drift = 5,
    /// An endpoint, the blob service or the weights of the model are not available.
    Unavailable = 6,
    /// Disk or other I/O error.
    Io = 7,
    /// Budget reached: resumable, or sealed as it is with `--accept-partial`.
    Budget = 8,
    /// Finished, but fewer accepted than asked for.
    Short = 9,
    /// Publish conflict: somebody else has published meanwhile, or something else is there.
    Conflict = 10,
    /// Damage: a journal, checkpoint, dataset or published file fails its check.
    Damage = 11,
    /// Interrupted: the same command continues.
    Interrupted = 130,
}

impl ExitCode {
    /// Every code with its meaning, a line each.
    pub fn list() -> String {
        let lines = Self::value_variants().iter().filter_map(|code| {
            let meaning = code.to_possible_value()?.get_help()?.to_string();
            Some(format!("  {:>3}  {meaning}", *code as u8))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
