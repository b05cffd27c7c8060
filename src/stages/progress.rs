use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How far a run is, for whoever wants to look: written by the stages, polled by the command line.
#[derive(Debug, Default)]
pub struct Progress {
    stage: Mutex<&'static str>,
    wanted: AtomicU64,
    done: AtomicU64,
    accepted: AtomicU64,
    past: Mutex<Vec<Look>>,
}

/// A look at a [`Progress`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// The stage at work; empty before the first.
    pub stage: &'static str,
    /// Accepted results the stage aims at; 0 where that is not known.
    pub wanted: u64,
    /// Inputs that have ended in some outcome.
    pub done: u64,
    /// Those of them that were accepted.
    pub accepted: u64,
}

impl Progress {
    /// A stage begins, and the one before it is over.
    pub fn start(&self, stage: &'static str, wanted: u64) {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).push(self.look());
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.wanted.store(wanted, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        self.accepted.store(0, Ordering::Relaxed);
    }

    /// One more input has ended.
    pub fn end_one(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
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
    pub fn take_past(&self) -> Vec<Look> {
        std::mem::take(&mut self.past.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where things stand.
    pub fn look(&self) -> Look {
        Look {
            stage: *self.stage.lock().unwrap_or_else(PoisonError::into_inner),
            wanted: self.wanted.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
        }
    }
}
