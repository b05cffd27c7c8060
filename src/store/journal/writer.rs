//! The thread that owns the newest segment.
//!
//! It takes whatever waits, at least one entry and at most [`BATCH_ENTRIES`] or [`BATCH_BYTES`], writes it in one piece,
//! syncs, and only then answers those who wait. There is no timer: while a sync runs the
//! next batch gathers by itself, so that batches grow with the load.
//!
//! The first failure poisons the journal: everyone who waits, and everyone who comes later, is given that failure.
//! The file is left as it is, for recovery to judge.

use std::sync::{Arc, OnceLock, mpsc};

use tokio::sync::oneshot;

use super::Options;
use super::error::JournalError;
use super::frame::EntryText;
use super::segment::ActiveSegment;
use super::space::Space;

/// The most entries in a batch.
const BATCH_ENTRIES: usize = 256;
/// The size from which a batch is full.
const BATCH_BYTES: usize = 4 << 20;

/// Whoever waits for the outcome of an entry; who stopped waiting has no use for it.
pub(super) type Waiter = oneshot::Sender<Result<(), JournalError>>;

/// An entry that someone waits for.
pub(super) struct Request {
    pub record: EntryText,
    pub waiter: Waiter,
}

/// What the writer shares with those who use the journal.
#[derive(Debug, Default)]
pub(super) struct SharedWriter {
    /// The first failure.
    failure: OnceLock<Arc<JournalError>>,
}

impl SharedWriter {
    /// The error for whoever comes after the first failure, if there was one.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        match self.failure.get() {
            Some(first) => Err(JournalError::Poisoned { first: Arc::clone(first) }),
            None => Ok(()),
        }
    }

    /// The error for whoever waits in vain.
    pub(super) fn gone(&self) -> JournalError {
        self.check().err().unwrap_or(JournalError::Closed)
    }
}

/// The thread's state.
pub(super) struct JournalWriter {
    pub tail: ActiveSegment,
    pub shared: Arc<SharedWriter>,
    pub requests: mpsc::Receiver<Request>,
    pub options: Options,
    pub space: Arc<Space>,
}

impl JournalWriter {
    /// Works until no one can send any more, or something fails.
    pub(super) fn run(mut self) {
        let mut batches = 0_u64;
        while let Some(batch) = self.gather() {
            batches += 1;
            if let Err(error) = self.commit(&batch, batches) {
                // Set before anyone is answered: who is told of it must not be able to go on.
                let _ = self.shared.failure.set(Arc::new(error));
                for request in batch.into_iter().chain(self.requests.try_iter()) {
                    let _ = request.waiter.send(Err(self.shared.gone()));
                }
                return;
            }
            for request in batch {
                let _ = request.waiter.send(Ok(()));
            }
        }
    }

    /// Whatever waits, or the next that comes.
    fn gather(&self) -> Option<Vec<Request>> {
        let first = self.requests.recv().ok()?;
        let mut bytes = first.record.len();
        let mut batch = vec![first];
        while batch.len() < BATCH_ENTRIES && bytes < BATCH_BYTES {
            let Ok(next) = self.requests.try_recv() else { break };
            bytes += next.record.len();
            batch.push(next);
        }
        Some(batch)
    }

    pub(super) fn commit(&mut self, batch: &[Request], number: u64) -> Result<(), JournalError> {
        if number.is_multiple_of(self.options.space_check_batches.max(1)) {
            self.space.look()?;
        }
        if self.tail.length() >= self.options.segment_bytes {
            self.tail.rotate()?;
        }
        Ok(self.tail.commit(batch.iter().map(|request| &request.record))?)
    }
}
