//! What several people said of one run, next to each other and to the judge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::agreement::{RaterAgreement, Ratings, agreement};
use super::file::{ReviewFile, ReviewVerdict};
use crate::pipeline::error::RunError;
use crate::pipeline::finished::FinishedRun;
use crate::record::Conversation;
use crate::stages::judge::Judgement;

/// A judge accepts what it gives at least this on every scale: the middle of the five.
const PASSES: u64 = 3;

/// How far reviewers of a run agree.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct ReviewComparison {
    /// On what is accepted; `null` with one reviewer.
    pub verdicts: Option<RaterAgreement>,
    /// On each label; empty with one reviewer.
    pub labels: BTreeMap<String, RaterAgreement>,
    /// Of each reviewer with the judge, on what is accepted; empty where nobody judged.
    pub judge: BTreeMap<String, RaterAgreement>,
}

/// Compares the reviews of `run` in `files`.
///
/// # Errors
/// If one of them does not fit the run.
pub(crate) fn compare(run: &Path, files: &[PathBuf]) -> Result<ReviewComparison, RunError> {
    let run = FinishedRun::open(run)?;
    let reviews = files.iter().map(|file| ReviewFile::read(file, &run)).collect::<Result<Vec<_>, _>>()?;
    let judge = judged(&run)?;
    let mut compared = ReviewComparison::default();
    for (file, review) in files.iter().zip(&reviews).filter(|_| !judge.is_empty()) {
        let name = if review.reviewer.is_empty() { file.display().to_string() } else { review.reviewer.clone() };
        compared.judge.insert(name, agreement(&[verdicts(review), judge.clone()]));
    }
    if reviews.len() > 1 {
        compared.verdicts = Some(agreement(&reviews.iter().map(verdicts).collect::<Vec<_>>()));
        let names: BTreeSet<&String> =
            reviews.iter().flat_map(|review| review.rows.values()).flat_map(|row| row.labels.keys()).collect();
        for name in names {
            let raters: Vec<Ratings> = reviews.iter().map(|review| labelled(review, name)).collect();
            compared.labels.insert(name.clone(), agreement(&raters));
        }
    }
    Ok(compared)
}

fn word(accepts: bool) -> String {
    if accepts { "accept" } else { "reject" }.to_owned()
}

fn verdicts(review: &ReviewFile) -> Ratings {
    let rated = review.rows.values().filter_map(|row| Some((row.id.clone(), row.verdict?)));
    rated.map(|(id, verdict)| (id, word(verdict == ReviewVerdict::Accept))).collect()
}

fn labelled(review: &ReviewFile, name: &str) -> Ratings {
    review.rows.values().filter_map(|row| Some((row.id.clone(), row.labels.get(name)?.clone()))).collect()
}

/// What the judge accepts, of what it scored.
fn judged(run: &FinishedRun) -> Result<Ratings, RunError> {
    let mut ratings = Ratings::new();
    for talk in run.sealed_conversations().rows::<Conversation>("part-00000.jsonl")? {
        let talk = talk?;
        let judged = serde_json::from_str::<Judgement>(&talk.judgement).ok().filter(|judged| !judged.scores.is_empty());
        if let Some(judged) = judged {
            ratings.insert(talk.id, word(judged.scores.values().all(|score| score.score >= PASSES)));
        }
    }
    Ok(ratings)
}
