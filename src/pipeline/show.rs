//! Conversations of a finished run, to be read: one, those that a filter takes, some of them at random, or what was lost and why.
//!
//! Sealed parts are read through once and nothing is held but what is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::RunError;
use super::finished::FinishedRun;
use super::preview::PreviewSample;
use crate::config::fingerprint::Stage;
use crate::draw::Draw;
use crate::record::{Conversation, Dropped, Duplicate, Facets, Outcome, Situation, TalkFilter};
use crate::stages::sealed::Sealed;

/// What is to be shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wanted {
    /// A conversation, or a situation with its conversations, by id.
    Item(String),
    /// Conversations, or what was lost.
    Some(Selection),
}

/// Which of the conversations, or of what was lost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selection {
    /// How they ended. What did not end as accepted may be a situation as well.
    pub outcome: Outcome,
    /// The reason in a word, of what was lost.
    pub reason: Option<String>,
    /// What they are like.
    pub filter: TalkFilter,
    /// How many are shown at most.
    pub number: u64,
    /// What the draw of those that are shown hangs on; `None`: the first ones.
    pub drawn: Option<u64>,
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
        Wanted::Some(selection) if selection.outcome == Outcome::Accepted => some(&run, selection),
        Wanted::Some(selection) => lost(&run, selection),
    }
}

fn item(run: &FinishedRun, id: &str) -> Result<ShownRun, RunError> {
    let is_wanted = |lost: &Dropped| lost.id == id;
    let dropped = dropped(run, Stage::Conversations, is_wanted)?.chain(dropped(run, Stage::Situations, is_wanted)?);
    let dropped: Vec<Dropped> = dropped.collect::<Result<_, _>>()?;
    let conversations: Vec<Conversation> =
        kept(run, Stage::Conversations, |talk: &Conversation| talk.id == id || talk.situation_id == id)?;
    let of = (conversations.len() + dropped.len()) as u64;
    let mut sample = PreviewSample { conversations, dropped, ..PreviewSample::default() };
    sample.situations = situations(run, &sample, Some(id))?;
    let of = of.max(sample.situations.len() as u64);
    Ok(ShownRun { sample, of })
}

fn some(run: &FinishedRun, selection: &Selection) -> Result<ShownRun, RunError> {
    let talks = rows::<Conversation>(run, Stage::Conversations)?;
    let meant = talks.filter(|talk| talk.as_ref().map_or(true, |talk| selection.filter.takes(talk)));
    let (conversations, of) = selection.choose(meant)?;
    let mut sample = PreviewSample { conversations, ..PreviewSample::default() };
    sample.situations = situations(run, &sample, None)?;
    Ok(ShownRun { sample, of })
}

fn lost(run: &FinishedRun, selection: &Selection) -> Result<ShownRun, RunError> {
    let Selection { outcome, reason, filter, .. } = selection;
    let is_meant = |lost: &Dropped| {
        lost.outcome == *outcome
            && reason.as_ref().is_none_or(|reason| lost.reason == *reason)
            && filter.takes_lost(lost)
    };
    let all = dropped(run, Stage::Conversations, is_meant)?.chain(dropped(run, Stage::Situations, is_meant)?);
    let (dropped, of) = selection.choose(all)?;
    let mut sample = PreviewSample { dropped, ..PreviewSample::default() };
    sample.situations = situations(run, &sample, None)?;
    Ok(ShownRun { sample, of })
}

impl Selection {
    /// Those that are shown, in their order, and of how many. A draw gives each the same chance and holds no more than are shown
    /// (algorithm R; J. Vitter, *Random sampling with a reservoir*, ACM TOMS 11.1, 1985).
    fn choose<R>(&self, all: impl Iterator<Item = Result<R, RunError>>) -> Result<(Vec<R>, u64), RunError> {
        let mut draw = self.drawn.map(|seed| Draw::new(seed, &["show"]));
        let mut chosen = BTreeMap::new();
        let mut of = 0_u64;
        let mut places = Vec::new();
        for one in all {
            let one = one?;
            of += 1;
            if of <= self.number {
                places.push(of);
                chosen.insert(of, one);
            } else if let Some(draw) = &mut draw
                && let Some(place) = places.get_mut(draw.below(usize::try_from(of).unwrap_or(usize::MAX)))
            {
                chosen.remove(&std::mem::replace(place, of));
                chosen.insert(of, one);
            }
        }
        Ok((chosen.into_values().collect(), of))
    }
}

/// How often each facet of accepted conversations has each value, and each number.
///
/// # Errors
/// If the run is not finished or is damaged.
pub(crate) fn tallies(path: &Path) -> Result<BTreeMap<String, BTreeMap<String, u64>>, RunError> {
    let run = FinishedRun::open(path)?;
    let mut tallies: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for talk in rows::<Conversation>(&run, Stage::Conversations)? {
        let Facets { values, numbers } = Facets::of(&talk?, Outcome::Accepted.as_str());
        let numbers = numbers.into_iter().map(|(name, number)| (name, number.to_string()));
        for (name, value) in values.into_iter().chain(numbers) {
            *tallies.entry(name).or_default().entry(value).or_default() += 1;
        }
    }
    Ok(tallies)
}

/// The situations that what is shown belongs to, and the one with this id.
fn situations(run: &FinishedRun, sample: &PreviewSample, id: Option<&str>) -> Result<Vec<Situation>, RunError> {
    let of_talks = sample.conversations.iter().map(|talk| talk.situation_id.as_str());
    // `c-<situation id>-<replicate>`
    let of_lost = sample.dropped.iter().filter_map(|lost| Some(lost.id.strip_prefix("c-")?.rsplit_once('-')?.0));
    let wanted: BTreeSet<&str> = of_talks.chain(of_lost).chain(id).collect();
    kept(run, Stage::Situations, |situation: &Situation| wanted.contains(situation.id.as_str()))
}

/// The accepted records of a stage that `is_wanted` is true of.
fn kept<R: DeserializeOwned>(
    run: &FinishedRun,
    stage: Stage,
    is_wanted: impl Fn(&R) -> bool,
) -> Result<Vec<R>, RunError> {
    rows(run, stage)?.filter(|row| row.as_ref().map_or(true, &is_wanted)).collect()
}

/// The accepted records of a stage; none where the stage is not there.
fn rows<R: DeserializeOwned>(
    run: &FinishedRun,
    stage: Stage,
) -> Result<impl Iterator<Item = Result<R, RunError>>, RunError> {
    let rows = run.sealed(stage).map(|sealed| Sealed::<R>::of(sealed.clone()).rows()).transpose()?;
    Ok(rows.into_iter().flatten().map(|row| row.map_err(RunError::from)))
}

/// The inputs of a stage that were lost or were duplicates, of those `is_wanted` is true of.
fn dropped(
    run: &FinishedRun,
    stage: Stage,
    is_wanted: impl Fn(&Dropped) -> bool,
) -> Result<impl Iterator<Item = Result<Dropped, RunError>>, RunError> {
    let sealed = run.sealed(stage);
    let lost = sealed.map(|sealed| sealed.rows::<Dropped>("rejected.jsonl")).transpose()?;
    let duplicates = sealed.map(|sealed| sealed.rows::<Duplicate>("duplicates.jsonl")).transpose()?;
    let duplicates = duplicates.into_iter().flatten().map(|row| row.map(Dropped::from));
    let rows = lost.into_iter().flatten().chain(duplicates).map(|row| row.map_err(RunError::from));
    Ok(rows.filter(move |row| row.as_ref().map_or(true, &is_wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_has_as_many_as_asked_for_all_different_in_order_and_the_same_for_the_same_seed() {
        let chosen = |number, of: u64, drawn| {
            let (outcome, filter) = (Outcome::Accepted, TalkFilter::default());
            let selection = Selection { outcome, reason: None, filter, number, drawn };
            selection.choose((0..of).map(Ok)).unwrap()
        };
        for (number, of) in [(0, 0), (1, 1), (3, 10), (10, 10), (12, 10)] {
            let (drawn, counted) = chosen(number, of, Some(5));
            assert_eq!((drawn.len() as u64, counted), (number.min(of), of));
            assert!(drawn.is_sorted_by(|one, other| one < other), "{drawn:?}");
            assert_eq!((drawn, of), chosen(number, of, Some(5)));
        }
        assert_ne!(chosen(3, 1000, Some(5)), chosen(3, 1000, Some(6)));
        assert_eq!(chosen(2, 9, None), (vec![0, 1], 9));
        // Of ten, each is drawn about as often as any other.
        let mut often = [0; 10];
        (0..2000).flat_map(|seed| chosen(3, 10, Some(seed)).0).for_each(|at| often[usize::try_from(at).unwrap()] += 1);
        assert!(often.iter().all(|times| (500..700).contains(times)), "{often:?}");
    }
}
