//! Conversations of a finished run, to be read: one, some at random, or what was lost and why.
//!
//! Sealed parts are read through once and nothing is held but what is shown.

use std::collections::BTreeSet;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::RunError;
use super::finished::FinishedRun;
use super::preview::PreviewSample;
use crate::config::fingerprint::Stage;
use crate::draw::Draw;
use crate::record::{Conversation, Dropped, Outcome, Situation};
use crate::stages::sealed::Sealed;

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A conversation, or a situation with its conversations, by id.
    Item(String),
    /// So many conversations, the first ones or those of a draw.
    Some {
        /// How many.
        number: u64,
        /// What the draw hangs on; `None`: the first ones.
        drawn: Option<u64>,
    },
    /// What was lost in one way, and for one reason where that is named.
    Lost {
        /// How it ended.
        outcome: Outcome,
        /// The reason in a word.
        reason: Option<String>,
        /// How many at most.
        number: u64,
    },
}

/// What is shown, and of how much.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ShownRun {
    /// What there is to read.
    pub sample: PreviewSample,
    /// How many there are of the kind.
    pub of: u64,
}

/// Looks up what is wanted of the run in `path`.
///
/// # Errors
/// If the run is not finished or is damaged.
pub(crate) fn show(path: &Path, wanted: &Wanted) -> Result<ShownRun, RunError> {
    let run = FinishedRun::open(path)?;
    match wanted {
        Wanted::Item(id) => item(&run, id),
        Wanted::Some { number, drawn } => some(&run, *number, *drawn),
        Wanted::Lost { outcome, reason, number } => lost(&run, *outcome, reason.as_deref(), *number),
    }
}

fn item(run: &FinishedRun, id: &str) -> Result<ShownRun, RunError> {
    let is_wanted = |lost: &Dropped| lost.id == id;
    let dropped = dropped(run, Stage::Conversations, is_wanted)?.chain(dropped(run, Stage::Situations, is_wanted)?);
    let dropped: Vec<Dropped> = dropped.collect::<Result<_, _>>()?;
    let conversations: Vec<Conversation> =
        kept(run, Stage::Conversations, |_, talk: &Conversation| talk.id == id || talk.situation_id == id)?;
    let of = (conversations.len() + dropped.len()) as u64;
    let mut sample = PreviewSample { conversations, dropped, ..PreviewSample::default() };
    sample.situations = situations(run, &sample, Some(id))?;
    let of = of.max(sample.situations.len() as u64);
    Ok(ShownRun { sample, of })
}

fn some(run: &FinishedRun, number: u64, drawn: Option<u64>) -> Result<ShownRun, RunError> {
    let of = run.tally(Stage::Conversations).accepted;
    let chosen = chosen(number.min(of), of, drawn);
    let conversations = kept(run, Stage::Conversations, |at, _: &Conversation| chosen.contains(&at))?;
    let mut sample = PreviewSample { conversations, ..PreviewSample::default() };
    sample.situations = situations(run, &sample, None)?;
    Ok(ShownRun { sample, of })
}

/// Which rows of `of` are shown. By Floyd's algorithm: as many draws as rows are wanted (J. Bentley, *Programming Pearls: A sample
/// of brilliance*, Communications of the ACM 30.9, 1987).
fn chosen(number: u64, of: u64, drawn: Option<u64>) -> BTreeSet<u64> {
    let Some(seed) = drawn else { return (0..number).collect() };
    let (mut draw, mut chosen) = (Draw::new(seed, &["show"]), BTreeSet::new());
    for last in of - number..of {
        let at = draw.below(usize::try_from(last + 1).unwrap_or(usize::MAX)) as u64;
        if !chosen.insert(at) {
            chosen.insert(last);
        }
    }
    chosen
}

fn lost(run: &FinishedRun, outcome: Outcome, reason: Option<&str>, number: u64) -> Result<ShownRun, RunError> {
    let is_wanted = |lost: &Dropped| lost.outcome == outcome && reason.is_none_or(|reason| lost.reason == reason);
    let mut shown = ShownRun::default();
    for stage in [Stage::Conversations, Stage::Situations] {
        for lost in dropped(run, stage, is_wanted)? {
            shown.of += 1;
            if shown.of <= number {
                shown.sample.dropped.push(lost?);
            }
        }
    }
    shown.sample.situations = situations(run, &shown.sample, None)?;
    Ok(shown)
}

/// The situations that what is shown belongs to, and the one with this id.
fn situations(run: &FinishedRun, sample: &PreviewSample, id: Option<&str>) -> Result<Vec<Situation>, RunError> {
    let of_talks = sample.conversations.iter().map(|talk| talk.situation_id.as_str());
    // `c-<situation id>-<replicate>`
    let of_lost = sample.dropped.iter().filter_map(|lost| Some(lost.id.strip_prefix("c-")?.rsplit_once('-')?.0));
    let wanted: BTreeSet<&str> = of_talks.chain(of_lost).chain(id).collect();
    kept(run, Stage::Situations, |_, situation: &Situation| wanted.contains(situation.id.as_str()))
}

/// The accepted records of a stage that `is_wanted` is true of, given the place of each.
fn kept<R: DeserializeOwned>(
    run: &FinishedRun,
    stage: Stage,
    is_wanted: impl Fn(u64, &R) -> bool,
) -> Result<Vec<R>, RunError> {
    let Some(sealed) = run.sealed(stage) else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    for (at, record) in Sealed::<R>::of(sealed.clone()).rows()?.enumerate() {
        let record = record?;
        if is_wanted(at as u64, &record) {
            kept.push(record);
        }
    }
    Ok(kept)
}

/// The inputs of a stage that were lost, of those `is_wanted` is true of.
fn dropped(
    run: &FinishedRun,
    stage: Stage,
    is_wanted: impl Fn(&Dropped) -> bool,
) -> Result<impl Iterator<Item = Result<Dropped, RunError>>, RunError> {
    let rows = run.sealed(stage).map(|sealed| sealed.rows::<Dropped>("rejected.jsonl")).transpose()?;
    let rows = rows.into_iter().flatten().filter(move |row| row.as_ref().map_or(true, &is_wanted));
    Ok(rows.map(|row| row.map_err(RunError::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_has_as_many_as_asked_for_all_different_and_the_same_for_the_same_seed() {
        for (number, of) in [(0, 0), (1, 1), (3, 10), (10, 10)] {
            let drawn = chosen(number, of, Some(5));
            assert_eq!(drawn.len() as u64, number);
            assert!(drawn.iter().all(|at| *at < of), "{drawn:?}");
            assert_eq!(drawn, chosen(number, of, Some(5)));
        }
        assert_ne!(chosen(3, 1000, Some(5)), chosen(3, 1000, Some(6)));
        assert_eq!(chosen(2, 9, None), BTreeSet::from([0, 1]));
    }
}
