//! The file of a review, and whether it is one of the run it is applied to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::ReviewScheme;
use crate::exit::ExitCode;
use crate::pipeline::error::RunError;
use crate::pipeline::finished::FinishedRun;
use crate::record::Conversation;
use crate::store::fs;
use crate::store::part;
use crate::store::run::RunPaths;

const KIND: &str = "convogen review";
/// The version of the file that this module reads.
const VERSION: u32 = 1;
/// Most problems that are told at once.
const TOLD: usize = 20;

/// Why a review cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is no review.
    #[error("{path} is no review: {problem}; save it again from the page of the run", path = path.display())]
    NotAReview {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// It ends too soon, or something was added.
    #[error("{path} is torn: it says that it has {said} rows, and it has {found}; save it again from the page of the run", path = path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// Rows by its first line.
        said: u64,
        /// Rows in it.
        found: u64,
    },
    /// It is of another run.
    #[error("{path} is a review of another run than {run}: apply it to the run whose page it was saved from", path = path.display(), run = run.display())]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// The run.
        run: PathBuf,
    },
    /// The run is not what was reviewed any more.
    #[error(
        "{run} has changed since {path} was written; write its page again (`convogen report {run} --html FILE --force`) and review that",
        path = path.display(),
        run = run.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The run.
        run: PathBuf,
    },
    /// Rows that do not fit the run.
    #[error("{path} does not fit the run:\n{problems}", path = path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// Line by line.
        problems: String,
    },
    /// A folder that is in the way.
    #[error("{path} is there already and holds something else; name another folder with -o", path = path.display())]
    InTheWay {
        /// The folder.
        path: PathBuf,
    },
    /// A run that only applying its review again can finish.
    #[error("{path} is made by `convogen review apply`, and goes on by that command alone", path = path.display())]
    OnlyByReview {
        /// The run.
        path: PathBuf,
    },
}

impl ReviewError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::InTheWay { .. } | Self::OnlyByReview { .. } => ExitCode::Usage,
            _ => ExitCode::Input,
        }
    }
}

/// What is said of a conversation as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReviewVerdict {
    /// It is good as it is.
    Accept,
    /// It is not.
    Reject,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewHead {
    kind: String,
    version: u32,
    run: Option<String>,
    conversations: String,
    reviewer: String,
    rows: u64,
}

/// What is said of one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewRow {
    /// The conversation.
    pub id: String,
    /// Its hash when it was read.
    pub hash: String,
    /// Whether it is good.
    pub verdict: Option<ReviewVerdict>,
    /// The first turn that is rejected, from 0; `null` where all of it is.
    pub from_turn: Option<u32>,
    /// In the reviewer's words.
    pub comment: String,
    /// Labels by the scheme of the configuration.
    pub labels: BTreeMap<String, String>,
    /// Turns that were put in other words.
    pub edits: Vec<TurnEdit>,
    /// Where it stands in the file.
    #[serde(skip)]
    pub line: u64,
}

/// A turn that was put in other words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TurnEdit {
    /// Which, from 0.
    pub turn: u32,
    /// What stood there.
    pub original: String,
    /// What is to stand there.
    pub text: String,
}

impl ReviewRow {
    /// Puts its edits into the conversation it is about.
    pub(super) fn put_into(&self, talk: &mut Conversation) {
        for TurnEdit { turn, text, .. } in &self.edits {
            talk.turns.iter_mut().filter(|said| said.index == *turn).for_each(|said| said.text.clone_from(text));
        }
    }
}

/// A review that fits its run.
#[derive(Debug)]
pub(crate) struct ReviewFile {
    /// Who made it, in their own words.
    pub reviewer: String,
    /// What is said, by conversation.
    pub rows: BTreeMap<String, ReviewRow>,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
}

impl ReviewFile {
    /// Reads the review in `path` and holds it against `run`.
    ///
    /// # Errors
    /// If it is no review, torn, of another run, or if rows of it do not fit: all of them are named.
    pub(crate) fn read(path: &Path, run: &FinishedRun) -> Result<Self, RunError> {
        let text = fs::read_to_string(path)?;
        let not = |problem: String| ReviewError::NotAReview { path: path.to_owned(), problem };
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let (_, first) = lines.next().ok_or_else(|| not("it is empty".to_owned()))?;
        let head: ReviewHead = serde_json::from_str(first).map_err(|error| not(format!("line 1: {error}")))?;
        if head.kind != KIND || head.version != VERSION {
            return Err(
                not(format!("it is {} {}, this version reads {KIND} {VERSION}", head.kind, head.version)).into()
            );
        }
        belongs(&head, path, run)?;
        let lines: Vec<(u64, &str)> = lines.collect();
        if head.rows != lines.len() as u64 {
            return Err(ReviewError::Torn { path: path.to_owned(), said: head.rows, found: lines.len() as u64 }.into());
        }
        let rows = rows(&lines, path, run)?;
        Ok(Self { reviewer: head.reviewer, rows, sha256: part::hash_file(path)?.1 })
    }
}

fn belongs(head: &ReviewHead, path: &Path, run: &FinishedRun) -> Result<(), RunError> {
    if head.conversations == run.content() {
        return Ok(());
    }
    let info = RunPaths::of_run(&run.path)?.info()?;
    let (path, of) = (path.to_owned(), run.path.clone());
    let same = info.is_some_and(|info| Some(info.run_id) == head.run);
    Err(if same { ReviewError::Changed { path, run: of } } else { ReviewError::OtherRun { path, run: of } }.into())
}

/// The rows, each held against its conversation.
fn rows(lines: &[(u64, &str)], path: &Path, run: &FinishedRun) -> Result<BTreeMap<String, ReviewRow>, RunError> {
    let (mut rows, mut problems) = (BTreeMap::new(), Vec::new());
    let mut line_of: BTreeMap<String, u64> = BTreeMap::new();
    for (number, line) in lines {
        match serde_json::from_str::<ReviewRow>(line) {
            Err(error) => problems.push((*number, format!("it cannot be read: {error}"))),
            Ok(mut row) => {
                row.line = *number;
                if line_of.insert(row.id.clone(), *number).is_some() {
                    problems.push((*number, format!("{} stands in an earlier line already", row.id)));
                }
                rows.insert(row.id.clone(), row);
            }
        }
    }
    for talk in run.sealed_conversations().rows::<Conversation>("part-00000.jsonl")? {
        let talk = talk?;
        if let (Some(row), Some(number)) = (rows.get(&talk.id), line_of.remove(&talk.id)) {
            problems.extend(misfits(row, &talk, &run.config.review).into_iter().map(|problem| (number, problem)));
        }
    }
    problems.extend(line_of.iter().map(|(id, number)| (*number, format!("there is no accepted conversation {id}"))));
    refuse(path, problems)?;
    Ok(rows)
}

/// Refuses a review with problems, told line by line.
pub(super) fn refuse(path: &Path, mut problems: Vec<(u64, String)>) -> Result<(), ReviewError> {
    if problems.is_empty() {
        return Ok(());
    }
    problems.sort();
    let more = problems.len().saturating_sub(TOLD);
    let mut told: Vec<String> =
        problems.into_iter().take(TOLD).map(|(number, problem)| format!("  line {number}: {problem}")).collect();
    told.extend((more > 0).then(|| format!("  and {more} more")));
    Err(ReviewError::Rows { path: path.to_owned(), problems: told.join("\n") })
}

/// What of a row does not fit its conversation.
fn misfits(row: &ReviewRow, talk: &Conversation, scheme: &ReviewScheme) -> Vec<String> {
    let mut problems = Vec::new();
    let turns = talk.turns.len();
    if row.hash != talk.hash {
        problems.push(format!("{} is not what was reviewed: its hash is {}", row.id, talk.hash));
    }
    if row.from_turn.is_some() && row.verdict != Some(ReviewVerdict::Reject) {
        problems.push("it has from_turn and does not reject".to_owned());
    }
    if row.from_turn.is_some_and(|turn| turn as usize >= turns) {
        problems.push(format!("from_turn is beyond the last of {turns} turns, which are counted from 0"));
    }
    for (name, value) in &row.labels {
        if !scheme.labels.get(name).is_some_and(|values| values.contains(value)) {
            problems.push(format!("review.labels of the configuration has no {name}: {value}"));
        }
    }
    for TurnEdit { turn, original, text } in &row.edits {
        match talk.turns.get(*turn as usize) {
            None => problems.push(format!("it edits turn {turn}, and there are {turns}")),
            Some(said) if said.text != *original => {
                problems.push(format!("its original of turn {turn} is not what stands there"));
            }
            Some(_) if text.trim().is_empty() => problems.push(format!("it leaves turn {turn} empty")),
            Some(_) => {}
        }
        if row.verdict == Some(ReviewVerdict::Reject) && row.from_turn.is_none_or(|from| *turn >= from) {
            problems.push(format!("it edits turn {turn}, which it rejects"));
        }
    }
    problems
}
