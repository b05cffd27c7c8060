use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How far a run is, for whoever wants to look: written by the stages, polled by the command line.
///
/// Besides inputs a stage counts its *work* in what it takes time for: bytes of a file that is read, situations, turns of
/// conversations, rows of a dataset. A share of the work tells the time left better than a share of the inputs, most of which may
/// be half done at one time.
#[derive(Debug, Default)]
pub struct Progress {
    stage: Mutex<&'static str>,
    wanted: AtomicU64,
    done: AtomicU64,
    accepted: AtomicU64,
    work: AtomicU64,
    /// Work of the inputs that have ended; what they took on average tells what the others will take.
    ended_work: AtomicU64,
    /// All work, where that is known; else 0.
    all_work: AtomicU64,
    /// What one input is expected to take, in thousandths of a unit, where all work is not known.
    each_work: AtomicU64,
    past: Mutex<Vec<ProgressSnapshot>>,
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
    /// The share of the stage's work that is done, 0 to 1; `None` where all of it is not known.
    pub share: Option<f64>,
}

impl Progress {
    /// A stage begins, and the one before it is over. `wanted`: accepted results it aims at; 0 where that is not known.
    pub fn start(&self, stage: &'static str, wanted: u64) {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).push(self.look());
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.wanted.store(wanted, Ordering::Relaxed);
        let counters = [&self.done, &self.accepted, &self.work, &self.ended_work, &self.all_work, &self.each_work];
        for counter in counters {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// All work of the stage, in units of its own.
    pub fn expect(&self, work: u64) {
        self.all_work.store(work, Ordering::Relaxed);
    }

    /// What one input is expected to take before any has ended, in thousandths of a unit.
    pub fn expect_each(&self, milliunits: u64) {
        self.each_work.store(milliunits, Ordering::Relaxed);
    }

    /// So much work more is done.
    pub fn work(&self, units: u64) {
        self.work.fetch_add(units, Ordering::Relaxed);
    }

    /// So much of the work that was counted came to nothing.
    pub fn unwork(&self, units: u64) {
        self.work.fetch_sub(units, Ordering::Relaxed);
    }

    /// One more input has ended.
    pub fn end_one(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// One more input has ended, which took so much of the work that was counted.
    pub fn end_one_of(&self, units: u64) {
        self.ended_work.fetch_add(units, Ordering::Relaxed);
        self.end_one();
    }

    /// So many were accepted so far in all.
    pub fn accept(&self, accepted: u64) {
        self.accepted.store(accepted, Ordering::Relaxed);
    }

    /// `inputs` more have ended; `accepted` were accepted so far in all.
    pub fn advance(&self, inputs: u64, accepted: u64) {
        self.done.fetch_add(inputs, Ordering::Relaxed);
        self.accept(accepted);
    }

    /// The stages that ended since the last time of asking, as they ended.
    pub fn take_past(&self) -> Vec<ProgressSnapshot> {
        std::mem::take(&mut self.past.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where things stand.
    pub fn look(&self) -> ProgressSnapshot {
        ProgressSnapshot {
            stage: *self.stage.lock().unwrap_or_else(PoisonError::into_inner),
            wanted: self.wanted.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            share: self.share(),
        }
    }

    fn share(&self) -> Option<f64> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let (work, done, wanted) = (load(&self.work), load(&self.done), load(&self.wanted));
        let (all, each, ended) = (load(&self.all_work), load(&self.each_work) / 1000.0, load(&self.ended_work));
        let all = if each > 0.0 {
            // The first inputs to end are the short ones: what was expected counts as much as ten of them.
            let mean = (ended + 10.0 * each) / (done + 10.0);
            f64::max(ended + (wanted - done) * mean, work)
        } else {
            all
        };
        (all > 0.0).then(|| (work / all).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_half_done_counts_and_expectation_yields_to_what_is_seen() {
        let progress = Progress::default();
        progress.start("conversations", 100);
        progress.expect_each(8_000);
        assert_eq!(progress.look().share, Some(0.0));
        progress.work(200);
        let share = progress.look().share.unwrap();
        assert!((share - 0.25).abs() < 1e-9, "a quarter of 800 turns, though nothing has ended: {share}");
        (0..50).for_each(|_| progress.end_one_of(4));
        let share = progress.look().share.unwrap();
        assert!((0.4..0.5).contains(&share), "turns were half of what was expected: {share}");
        (50..100).for_each(|_| {
            progress.work(4);
            progress.end_one_of(4);
        });
        assert_eq!(progress.look().share, Some(1.0));
    }

    #[test]
    fn a_stage_that_does_not_know_its_work_has_no_share() {
        let progress = Progress::default();
        progress.start("personas", 0);
        progress.work(7);
        assert_eq!(progress.look().share, None);
        progress.expect(14);
        assert_eq!(progress.look().share, Some(0.5));
    }
}
