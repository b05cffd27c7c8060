//! How the program ends, by what stopped it.

/// The exit codes, which scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The target was reached.
    Success = 0,
    /// A bug, a panic included.
    Bug = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Input data.
    Input = 3,
    /// The run directory is in use by another process.
    InUse = 4,
    /// The run directory was made with other settings, prompts or inputs.
    Drift = 5,
    /// An endpoint, the blob service or the weights can't be had.
    Unavailable = 6,
    /// Disk or other I/O.
    Io = 7,
    /// Budget reached; resumable.
    Budget = 8,
    /// Finished, but fewer accepted than asked for.
    Short = 9,
    /// Publish conflict.
    Conflict = 10,
    /// Damage: journal, checkpoint or published files fail their check.
    Damage = 11,
    /// Interrupted; resumable.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
