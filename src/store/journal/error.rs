//! What can be wrong with a journal.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::frame::{EntryKind, FORMAT, FrameError};
use crate::exit::ExitCode;
use crate::store::fs::FsError;

/// Why the journal cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Something is wrong that no crash explains.
    #[error(
        "{0}; a crash does not explain it: restore the journal from a copy, or save what is sound with `convogen pipeline verify RUN_DIR --salvage NEW_DIR`"
    )]
    Damaged(Box<Damage>),
    /// A later version wrote it.
    #[error("{path} has format {found}, this version reads {FORMAT}; use the version that wrote it, or a later one", path = path.display())]
    NewerFormat {
        /// The segment.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// A recorded reply has another form than expected.
    #[error("the recorded reply of {item} (key {key}) cannot be read: {source}")]
    Unreadable {
        /// The item, or a dash.
        item: String,
        /// The reply's key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] FsError),
    /// An earlier write or sync failed: from then on nothing is recorded.
    #[error("nothing is recorded any more since {first}; run the same command again once that is mended")]
    Poisoned {
        /// The first failure.
        first: Arc<JournalError>,
    },
    /// The writer is gone without having failed.
    #[error("the journal is closed")]
    Closed,
    /// An entry that cannot be recorded. A mistake in the program.
    #[error("a {kind} entry cannot be recorded: {problem}")]
    Unfit {
        /// Its kind.
        kind: EntryKind,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no journal to read from.
    #[error("{path} holds no journal; name a run directory that has one", path = path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A fresh journal was to be made where one is.
    #[error("{path} holds a journal already; choose a new folder", path = path.display())]
    Present {
        /// Where it is.
        path: PathBuf,
    },
}

impl JournalError {
    /// The exit code of a run that this error stops.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Damaged(_) | Self::Unreadable { .. } => ExitCode::Damage,
            Self::NewerFormat { .. } => ExitCode::Drift,
            Self::Io(_) | Self::Closed => ExitCode::Io,
            Self::Poisoned { first } => first.exit_code(),
            Self::Unfit { .. } => ExitCode::Bug,
            Self::Absent { .. } | Self::Present { .. } => ExitCode::Usage,
        }
    }
}

impl From<Damage> for JournalError {
    fn from(damage: Damage) -> Self {
        match damage.problem {
            JournalProblem::Line(FrameError::Format(found)) => Self::NewerFormat { path: damage.file, found },
            _ => Self::Damaged(Box::new(damage)),
        }
    }
}

/// One place of a journal that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{file}, byte {offset}{item}: {problem}", file = file.display(), item = item.as_ref().map(|item| format!(", {item}")).unwrap_or_default())]
pub struct Damage {
    /// The segment.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// The item, such as `item c-0001`, or the one recorded before it, such as `after item c-0000`.
    pub item: Option<String>,
    /// What is wrong.
    pub problem: JournalProblem,
}

/// Kinds of damage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalProblem {
    /// A line is broken.
    #[error("{0}")]
    Line(FrameError),
    /// Lines are gone without a trace.
    #[error("records {first} to {last} are missing")]
    Missing {
        /// The first that is.
        first: u64,
        /// The last that is.
        last: u64,
    },
    /// There is something between two lines that were written one after the other.
    #[error("bytes that the journal did not write")]
    Inserted,
    /// A line that is repeated, or not where it was written.
    #[error("record {seq} is out of place")]
    OutOfPlace {
        /// Its number.
        seq: u64,
    },
    /// The first line is no header.
    #[error("the segment's header is missing or broken")]
    Header,
    /// It was written by another run.
    #[error("it belongs to run {found}, not to {expected}")]
    OtherRun {
        /// This run.
        expected: String,
        /// The run that wrote it.
        found: String,
    },
    /// The next segment recorded another content when it was begun.
    #[error("its content is not what the next segment recorded of it")]
    Chain,
    /// A whole segment is gone.
    #[error("the segment is missing")]
    Segment,
    /// The checksum is right, but the body is no JSON.
    #[error("record {seq} has a body that is no JSON")]
    Body {
        /// Its number.
        seq: u64,
    },
}

impl Serialize for JournalProblem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
