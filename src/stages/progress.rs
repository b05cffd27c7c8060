use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ended inputs that what was expected of an input counts as much as: the first ones to end are the short ones.
const PRIOR: f64 = 10.0;

/// How far a run is, for whoever wants to look: written by the stages, polled by the command line.
///
/// Besides inputs a stage counts its *work* in what it takes time for: bytes of a file that is read, situations, turns of
/// conversations, rows of a dataset. Most inputs may be half done at one time, so that a share of the work tells the time left
/// better than a share of the inputs.
#[derive(Debug, Default)]
pub struct Progress {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    stage: &'static str,
    wanted: u64,
    /// Inputs beyond those wanted, that make up for some that came to nothing.
    others: u64,
    done: u64,
    accepted: u64,
    work: u64,
    /// Work of the inputs that have ended; what they took on average tells what the others will take.
    ended_work: u64,
    /// All work, where that is known.
    all_work: Option<u64>,
    /// What one input takes, where all work is not known.
    each: Option<EachInput>,
    /// Inputs at work, by the work done on them.
    open: BTreeMap<u64, u64>,
    past: Vec<ProgressSnapshot>,
}

/// What one input of a stage takes, before any has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct EachInput {
    /// What its work is counted in, for people, such as `turns`.
    pub unit: &'static str,
    /// Units on average.
    pub mean: f64,
    /// Units at most.
    pub most: f64,
}

/// A look at a [`Progress`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProgressSnapshot {
    /// The stage at work; empty before the first.
    pub stage: &'static str,
    /// Accepted results the stage aims at; 0 where that is not known.
    pub wanted: u64,
    /// Inputs that have ended in some outcome.
    pub done: u64,
    /// Those of them that were accepted.
    pub accepted: u64,
    /// Units of work done.
    pub work: u64,
    /// What work is counted in, where that is worth telling.
    pub unit: Option<&'static str>,
    /// The work to come; `None` where nothing tells it.
    pub left: Option<WorkLeft>,
}

/// The work of a stage that is still to be done, as far as it can be foreseen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WorkLeft {
    /// Units.
    pub units: f64,
    /// Inputs at work at one time; their units are done side by side, those of one input one after another.
    pub open: u64,
    /// Units that the longest of them takes yet.
    pub longest: f64,
    /// Whether there are inputs that nobody has begun.
    pub more_to_begin: bool,
}

impl ProgressSnapshot {
    /// The share of the work that is done, 0 to 1; `None` where all of it is not known.
    pub fn share(&self) -> Option<f64> {
        let all = self.work as f64 + self.left?.units;
        (all > 0.0).then(|| (self.work as f64 / all).min(1.0))
    }
}

/// An input at work. One that is dropped is at work no more, whether it has ended or was given up.
#[derive(Debug)]
pub(crate) struct OpenInput<'a> {
    progress: &'a Progress,
    done: AtomicU64,
}

impl OpenInput<'_> {
    /// One unit more of it is done.
    pub(crate) fn work(&self) {
        let mut counts = self.progress.counts();
        let done = self.done.fetch_add(1, Ordering::Relaxed);
        counts.work += 1;
        counts.close(done);
        *counts.open.entry(done + 1).or_default() += 1;
    }
}

impl Drop for OpenInput<'_> {
    fn drop(&mut self) {
        let mut counts = self.progress.counts();
        counts.close(self.done.load(Ordering::Relaxed));
    }
}

impl Progress {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stage begins, and the one before it is over. `wanted`: accepted results it aims at; 0 where that is not known.
    pub fn start(&self, stage: &'static str, wanted: u64) {
        let mut counts = self.counts();
        let mut past = std::mem::take(&mut counts.past);
        past.push(counts.look());
        *counts = Counts { stage, wanted, past, ..Counts::default() };
    }

    /// All work of the stage, in units of its own.
    pub fn expect(&self, work: u64) {
        self.counts().all_work = Some(work).filter(|work| *work > 0);
    }

    /// What one input is expected to take before any has ended.
    pub(crate) fn expect_each(&self, each: EachInput) {
        self.counts().each = Some(each);
    }

    /// So much work more is done.
    pub fn work(&self, units: u64) {
        self.counts().work += units;
    }

    /// So much of the work that was counted came to nothing.
    pub fn unwork(&self, units: u64) {
        let mut counts = self.counts();
        counts.work = counts.work.saturating_sub(units);
    }

    /// An input is begun.
    pub(crate) fn open(&self) -> OpenInput<'_> {
        *self.counts().open.entry(0).or_default() += 1;
        OpenInput { progress: self, done: AtomicU64::new(0) }
    }

    /// One input that came to nothing is made up for by another.
    pub fn expect_another(&self) {
        self.counts().others += 1;
    }

    /// One more input has ended.
    pub fn end_one(&self) {
        self.counts().done += 1;
    }

    /// One more input has ended, which took so much of the work that was counted.
    pub fn end_one_of(&self, units: u64) {
        let mut counts = self.counts();
        counts.ended_work += units;
        counts.done += 1;
    }

    /// So many were accepted so far in all.
    pub fn accept(&self, accepted: u64) {
        self.counts().accepted = accepted;
    }

    /// `inputs` more have ended; `accepted` were accepted so far in all.
    pub fn advance(&self, inputs: u64, accepted: u64) {
        let mut counts = self.counts();
        counts.done += inputs;
        counts.accepted = accepted;
    }

    /// The stages that ended since the last time of asking, as they ended.
    pub fn take_past(&self) -> Vec<ProgressSnapshot> {
        std::mem::take(&mut self.counts().past)
    }

    /// Where things stand.
    pub fn look(&self) -> ProgressSnapshot {
        self.counts().look()
    }
}

impl Counts {
    /// An input on which so much was done is at work no more.
    fn close(&mut self, done: u64) {
        if let Some(open) = self.open.get_mut(&done) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open.remove(&done);
            }
        }
    }

    fn look(&self) -> ProgressSnapshot {
        let Self { stage, wanted, done, accepted, work, .. } = *self;
        let unit = self.each.map(|each| each.unit);
        ProgressSnapshot { stage, wanted, done, accepted, work, unit, left: self.left() }
    }

    fn left(&self) -> Option<WorkLeft> {
        let open: u64 = self.open.values().sum();
        if let Some(all) = self.all_work {
            let units = all.saturating_sub(self.work);
            return Some(WorkLeft { units: units as f64, open, longest: 1.0, more_to_begin: units > open });
        }
        let EachInput { mean, most, .. } = self.each?;
        let mean = (self.ended_work as f64 + PRIOR * mean) / (self.done as f64 + PRIOR);
        let waiting = (self.wanted + self.others).saturating_sub(self.done + open);
        let at_work: f64 = self.open.iter().map(|(done, open)| *open as f64 * to_come(*done, mean, most)).sum();
        // The longest of several is longer than the mean of them, the more so the more they are.
        let longest = self.open.iter().map(|(done, open)| {
            let beyond = (*open as f64 - 1.0) / (*open as f64 + 1.0);
            let length = mean + (most - mean).max(0.0) * beyond;
            to_come(*done, length, most)
        });
        Some(WorkLeft {
            units: at_work + waiting as f64 * mean,
            open,
            longest: longest.fold(0.0, f64::max),
            more_to_begin: waiting > 0,
        })
    }
}

/// The units that an input of `mean` and at most `most` takes yet, after `done`: one beyond the mean may end with any unit.
fn to_come(done: u64, mean: f64, most: f64) -> f64 {
    let (to_mean, to_most) = (mean - done as f64, (most - done as f64).max(0.0));
    to_mean.max(to_most / 2.0).min(to_most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: EachInput = EachInput { unit: "turns", mean: 8.0, most: 10.0 };

    #[test]
    fn work_that_is_half_done_counts_and_expectation_yields_to_what_is_seen() {
        let progress = Progress::default();
        progress.start("conversations", 100);
        progress.expect_each(TURNS);
        assert_eq!(progress.look().share(), Some(0.0));
        let begun: Vec<OpenInput<'_>> = (0..100).map(|_| progress.open()).collect();
        for input in begun.iter().chain(&begun) {
            input.work();
        }
        let share = progress.look().share().unwrap();
        assert!((share - 0.25).abs() < 1e-9, "a quarter of 800 turns, though nothing has ended: {share}");
        for input in begun.iter().chain(&begun) {
            input.work();
        }
        let mut begun = begun.into_iter();
        begun.by_ref().take(50).for_each(|_| progress.end_one_of(4));
        let share = progress.look().share().unwrap();
        assert!((0.65..0.8).contains(&share), "turns were half of what was expected: {share}");
        begun.for_each(|_| progress.end_one_of(4));
        assert_eq!(progress.look().share(), Some(1.0));
    }

    #[test]
    fn a_stage_that_does_not_know_its_work_has_no_share() {
        let progress = Progress::default();
        progress.start("personas", 0);
        progress.work(7);
        assert_eq!(progress.look().share(), None);
        progress.expect(14);
        assert_eq!(progress.look().share(), Some(0.5));
    }

    #[test]
    fn what_is_left_is_what_those_at_work_take_yet_and_those_that_wait() {
        let progress = Progress::default();
        progress.start("conversations", 3);
        progress.expect_each(TURNS);
        let (first, _second) = (progress.open(), progress.open());
        (0..9).for_each(|_| first.work());
        let left = progress.look().left.unwrap();
        assert_eq!((left.open, left.more_to_begin), (2, true));
        assert!((left.units - (0.5 + 8.0 + 8.0)).abs() < 1e-9, "{left:?}");
        assert!((left.longest - 8.0).abs() < 1e-9, "{left:?}");
        drop(first);
        progress.end_one_of(9);
        let left = progress.look().left.unwrap();
        assert_eq!((left.open, left.more_to_begin), (1, true));
    }
}
