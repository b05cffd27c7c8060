//! A file of records that somebody gives, as the source of a dataset: JSON Lines, plain or compressed, or Parquet.
//!
//! JSON Lines are read where they lie, once to see whether they are in the order of their ids and once to write them. Parquet is
//! written out as JSON Lines first, since the tables are made from those.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Compared, CompileError, Compiled, Input, Limits, RecordSource, compile_within};
use crate::config;
use crate::exit::ExitCode;
use crate::record::arrow::{TableError, TableRow};
use crate::record::parquet::Reader;
use crate::record::{Conversation, Situation, misread};
use crate::stages::imported::{self, InputLine, InputLines, SourceError};
use crate::store::checkpoint::CheckpointError;
use crate::store::fs::{self, FsError};
use crate::store::lines::LinesFile;
use crate::store::part::JsonlWriter;
use crate::tables::Cut;

/// The longest record, in bytes.
const LONGEST_LINE: usize = 16 << 20;
/// Lines that are named one by one where they do not fit.
const NAMED: usize = 10;
/// The settings that such a dataset says it was made by: none.
const CONFIG: &str = "version: 1\n";

/// Why there is no dataset of a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GivenError {
    /// Nothing is there, or no file.
    #[error("{path} is not a file; name JSON Lines, plain or compressed with gzip or zstd, or Parquet", path = path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// The dataset's folder is in use.
    #[error("{folder} is there already and is not empty; name a folder that is to be made", folder = folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The file cannot be read to its end.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The first record is neither a conversation nor a situation.
    #[error("{path}, line {line}: {problem}", path = path.display())]
    NoRecord {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What it is, and what would do.
        problem: String,
    },
    /// Lines that are no such record.
    #[error("{count} lines of {path} are no {table}; nothing was made\n{}", named.join("\n"), path = path.display())]
    Misfits {
        /// The file.
        path: PathBuf,
        /// What the others are.
        table: &'static str,
        /// How many.
        count: u64,
        /// The first of them, with what is wrong.
        named: Vec<String>,
    },
    /// A Parquet file that does not hold such records.
    #[error("{path}, in the rows from {row} on: {source}", path = path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The first row of the batch, from 1.
        row: u64,
        /// Why.
        source: TableError,
    },
    /// The dataset.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

impl From<FsError> for GivenError {
    fn from(error: FsError) -> Self {
        Self::Compile(error.into())
    }
}

impl GivenError {
    /// The exit code of the contract.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotAFile { .. } | Self::InUse { .. } => ExitCode::Usage,
            Self::Source(error) => error.exit_code(),
            Self::NoRecord { .. } | Self::Misfits { .. } | Self::Table { .. } => ExitCode::Input,
            Self::Compile(error) => error.exit_code(),
        }
    }
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Conversations,
    Situations,
}

/// Makes the dataset of the records in the file `path` in `folder`, which must be empty or absent and is there whole or not at
/// all. `content_chunks`: pages of Parquet end where the content says so. `written` is told how many rows are written by then.
///
/// # Errors
/// If a record does not fit, each named by its line, or something cannot be read or written.
pub(crate) fn compile_file(
    path: &Path,
    folder: &Path,
    content_chunks: bool,
    written: &dyn Fn(u64),
) -> Result<Compiled, GivenError> {
    let before = fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
    let before = before.ok_or_else(|| GivenError::NotAFile { path: path.to_owned() })?;
    if folder.exists() && !(folder.is_dir() && fs::list(folder)?.is_empty()) {
        return Err(GivenError::InUse { folder: folder.to_owned() });
    }
    let (draft, spool) = (beside(folder, "dataset"), beside(folder, "records"));
    for made in [&draft, &spool] {
        fs::discard_dir(made)?;
        fs::create_dir_all(made)?;
    }
    let limits = Limits { cut: Cut { content_chunks, ..Cut::default() }, ..Limits::default() };
    let compiled = source(path, &spool).and_then(|(holds, source)| {
        compile_within(limits, &draft, &input(holds, source), written).map_err(|error| explained(error, path, holds))
    });
    let after = fs::metadata(path)?;
    let changed = before.len() != after.len() || before.modified().ok() != after.modified().ok();
    if compiled.is_err() || changed {
        fs::discard_dir(&draft)?;
    }
    fs::discard_dir(&spool)?;
    if changed {
        return Err(SourceError::Changed { path: path.to_owned() }.into());
    }
    let compiled = compiled?;
    fs::replace_dir(&draft, folder)?;
    Ok(compiled)
}

/// A folder of ours beside `folder`.
fn beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    fs::folder_of(folder).join(format!(".tmp-{name}-{what}"))
}

fn input(holds: Holds, source: RecordSource) -> Input<'static> {
    static CARD: config::Card = config::Card { date: None, license: None, name: None };
    static DEDUP: config::Dedup = config::Dedup { enabled: false, situations: 0.7, conversations: 0.8 };
    let (situations, conversations) = match holds {
        Holds::Situations => (source, RecordSource::default()),
        Holds::Conversations => (RecordSource::default(), source),
    };
    Input {
        personas: RecordSource::default(),
        cast_in: None,
        situations,
        conversations,
        splits: &[],
        exports: &[],
        compared: Compared::WhenCompiled,
        config: CONFIG,
        card: &CARD,
        dedup: &DEDUP,
        models: &[],
        prompts: &[],
        outcomes: &[],
    }
}

/// What the file holds, and its records.
fn source(path: &Path, spool: &Path) -> Result<(Holds, RecordSource), GivenError> {
    if imported::is_parquet(path)? {
        return from_parquet(path, spool);
    }
    let holds = first_line(path)?;
    Ok((holds, RecordSource::given(path)))
}

/// What of a record tells which it is.
#[derive(Deserialize)]
struct Keys {
    turns: Option<IgnoredAny>,
    personas: Option<IgnoredAny>,
}

fn first_line(path: &Path) -> Result<Holds, GivenError> {
    let mut lines = InputLines::new(imported::decoded(path)?, LONGEST_LINE);
    let unlike =
        |line, problem: &str| GivenError::NoRecord { path: path.to_owned(), line, problem: problem.to_owned() };
    while let Some((number, line)) = next(&mut lines, path)? {
        if line.is_blank() {
            continue;
        }
        let InputLine::Whole(text) = line else { return Err(unlike(number, "it is longer than 16 MiB")) };
        let keys: Keys = serde_json::from_slice(text).map_err(|error| {
            unlike(number, &misread(text, &format!("{error}; write one record a line, as a JSON object")))
        })?;
        return match keys {
            Keys { turns: Some(_), .. } => Ok(Holds::Conversations),
            Keys { personas: Some(_), .. } => Ok(Holds::Situations),
            _ => Err(unlike(
                number,
                "it has neither `turns`, as a Conversation record, nor `personas`, as a Situation record",
            )),
        };
    }
    Err(CompileError::Empty.into())
}

fn next<'a, R: BufRead>(lines: &'a mut InputLines<R>, path: &Path) -> Result<Option<(u64, InputLine<'a>)>, GivenError> {
    lines.next().map_err(|error| unreadable(path, error))
}

/// Tells a bad disk from bad data.
fn unreadable(path: &Path, error: io::Error) -> GivenError {
    imported::undecodable(path, "compressed", error).into()
}

/// Names the lines that do not fit, where that was the matter: they are looked for only then.
fn explained(error: CompileError, path: &Path, holds: Holds) -> GivenError {
    match error {
        CompileError::Checkpoint(CheckpointError::Row { .. }) => match holds {
            Holds::Conversations => misfits::<Conversation>(path),
            Holds::Situations => misfits::<Situation>(path),
        },
        CompileError::Fs(FsError { path: read, source, .. }) if read == path => unreadable(path, source),
        other => other.into(),
    }
}

fn misfits<R: TableRow>(path: &Path) -> GivenError {
    let (mut named, mut count) = (Vec::new(), 0);
    let looked = each(path, |number, text| {
        if let Err(error) = serde_json::from_slice::<R>(text) {
            count += 1;
            if named.len() < NAMED {
                named.push(format!("  line {number}: {error}"));
            }
        }
    });
    if let Err(error) = looked {
        return error;
    }
    if count > named.len() as u64 {
        named.push(format!("  and {} more", count - named.len() as u64));
    }
    GivenError::Misfits { path: path.to_owned(), table: R::NAME, count, named }
}

/// Shows every line that is not blank to `visit`.
fn each(path: &Path, mut visit: impl FnMut(u64, &[u8])) -> Result<(), GivenError> {
    let mut lines = InputLines::new(imported::decoded(path)?, LONGEST_LINE);
    while let Some((number, line)) = next(&mut lines, path)? {
        if !line.is_blank() {
            visit(number, line.bytes());
        }
    }
    Ok(())
}

/// The records of a Parquet file, written out in `spool`.
fn from_parquet(path: &Path, spool: &Path) -> Result<(Holds, RecordSource), GivenError> {
    match spooled::<Conversation>(path, spool) {
        Err(GivenError::Table { row: 1, source: TableError::Column { .. }, .. }) => {
            Ok((Holds::Situations, spooled::<Situation>(path, spool)?))
        }
        other => Ok((Holds::Conversations, other?)),
    }
}

fn spooled<R: TableRow + DeserializeOwned>(path: &Path, spool: &Path) -> Result<RecordSource, GivenError> {
    let failed = |row, source| GivenError::Table { path: path.to_owned(), row, source };
    let mut rows = JsonlWriter::create(spool, &format!("{}.jsonl", R::NAME))?;
    for batch in Reader::<R>::open(fs::open(path)?).map_err(|source| failed(1, source))? {
        for row in batch.map_err(|source| failed(rows.rows() + 1, source))? {
            rows.push(&row)?;
        }
    }
    Ok(RecordSource::spooled(vec![LinesFile::new(spool, rows.finish()?)]))
}
