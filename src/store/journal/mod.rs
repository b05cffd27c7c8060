//! Every reply of a model, durable before it counts.
//!
//! While a stage is at work the journal is the truth: a run is resumed by asking it what was answered already. Replies
//! cost money, so what matters, in this order: an acknowledged entry survives kill, power loss, a full or failing disk;
//! damage is never taken for a crash; the files can be read with `jq`, `grep` and `tail -f`.
//!
//! # Format
//!
//! `journal/00000001.jsonl`, `00000002.jsonl`, …: the segments. Only the newest is written; it is left for the next
//! one at 64 MiB. Names beginning with `.tmp-` are unfinished and do not count. Each line is one JSON object:
//!
//! ```text
//! {"v":1,"seq":42,"batch":7,"kind":"reply","key":"…","item":"…","body":{…},"crc":"9a0b1c2d"}\n
//! ```
//!
//! | key | |
//! | --- | --- |
//! | `v` | version of the format |
//! | `seq` | 1, 2, 3 … without a gap, over all segments |
//! | `batch` | the `seq` of the first entry that was synced together with this one |
//! | `kind` | `segment`, `intent`, `reply`, `reject`, `seal` |
//! | `key` | of the call, a hash of what was asked; `null` in `segment` and `seal` |
//! | `item` | what it was asked for; may be `null` |
//! | `body` | what the writer of the entry wants; the journal does not look into it |
//! | `crc` | CRC-32C of every byte before `,"crc":"`, as eight lower-case hex digits, compared as text |
//!
//! Keys stand in this order, without white space. The first line of a segment is its header, of kind `segment`:
//! `{"format":1,"run_id":"…","previous":{"last_seq":41,"blake3":"…"}}`, `previous` being the last number and the hash of
//! the whole segment before, `null` in the first. So the segments form a chain, and a finished one is checked by it.
//!
//! An `intent` is recorded before a call is sent, a `reply` or a `reject` when it is known what came of it. An intent
//! without either is a call that was possibly billed.
//!
//! # Writing
//!
//! One thread owns the newest segment. It takes all entries that wait (at most 256, or about 4 MiB), writes them in one
//! piece, syncs, and then answers. Therefore:
//!
//! - an acknowledged entry is durable;
//! - batch B+1 is written only after the sync of batch B has returned.
//!
//! The first error ends it (*poison*): nothing is acknowledged any more, each later call fails with that first error. A
//! sync is not tried again, since Linux may report the second as a success that did not happen, and the descriptor is
//! not used again.
//!
//! A new segment is written under a temporary name up to its header, synced, renamed, and the folder synced, before an
//! entry goes into it. So no crash leaves a segment without its header.
//!
//! Whoever makes calls asks [`Journal::low_space`] before each. It tells when less than the floor (512 MiB) was free at
//! opening or at one of the writer's looks at the disk, and still is: no call is begun then, and what is under way can
//! be recorded.
//!
//! # Recovery
//!
//! 1. The caller holds the run's lock.
//! 2. All segments are read in order. Broken bytes are what a crash left if and only if they are in the last batch; by
//!    `batch` and `seq` that is known even where nothing is legible. The sound lines of that batch are kept, they are
//!    paid for and their keys make their order irrelevant. Anything else that is not as it was written is damage, and
//!    stops the run with the file, the offset and the item. The module `examine` has the rules.
//! 3. The sound lines of the newest segment are written into a fresh file, which is synced and takes the old one's name.
//!    Only now do they count: what was read may have been in the page cache only. Nothing is ever appended after a torn line.
//! 4. Of two replies with one key the first counts; if they differ it is reported.
//!
//! Until the rename of step 3 nothing is changed but temporary files, after it the journal is whole: recovery can be
//! killed anywhere, and started again.
//!
//! # Looking replies up
//!
//! [`Journal::get_as`] finds the replies that were there when the journal was opened, and no others. That is all a run needs:
//! it asks for each call once in a process, so a reply that the process itself has recorded went to whoever asked for
//! it. (What may be asked for twice, such as how an endpoint takes a schema, is remembered by who asks.) The index takes
//! 32 bytes for each reply found at opening and never grows; replies stay on disk. Opening reads one segment at a time.

mod error;
mod examine;
mod frame;
mod index;
mod recovery;
mod salvage;
mod segment;
mod space;
mod writer;

#[cfg(test)]
mod law;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

pub(crate) use error::{Damage, JournalError, JournalProblem};
use frame::EntryText;
pub(crate) use frame::{EntryKind, JournalEntry};
pub(crate) use index::Archive;
pub(crate) use recovery::{Intent, Recovered};
pub(crate) use salvage::{salvage, verify};
pub(crate) use space::LowSpace;

use index::{JournalIndex, Segments};
use recovery::Intents;
use space::Space;
use writer::{JournalWriter, Request, SharedWriter, Waiter};

use super::fs::{self, FsError};

/// The longest entry. A reply is at most 8 MiB as it comes from an endpoint.
const LONGEST: usize = 64 << 20;

/// How a journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    /// Bytes from which a segment is left for the next one.
    pub segment_bytes: u64,
    /// Bytes that must be free on the disk for calls to be made.
    pub free_space_floor: u64,
    /// Batches after which free space is looked at again.
    pub space_check_batches: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, free_space_floor: 512 << 20, space_check_batches: 64 }
    }
}

/// A run's journal, open for writing. See the module for what it promises.
///
/// Dropping it waits until everything that was handed over is durable.
#[derive(Debug)]
pub(crate) struct Journal {
    index: JournalIndex,
    segments: Segments,
    shared: Arc<SharedWriter>,
    space: Arc<Space>,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal in the folder `dir`, or begins one. The caller holds the run's lock.
    ///
    /// `on_entry` is called for every entry that counts, in order: what a run has spent is rebuilt from that.
    pub(crate) fn open(
        dir: &Path,
        run_id: &str,
        options: Options,
        mut on_entry: impl FnMut(&JournalEntry<'_>),
    ) -> Result<(Self, Recovered), JournalError> {
        fs::create_dir_all(dir)?;
        let space = Arc::new(Space::new(dir, options.free_space_floor)?);
        let (tail, index, recovered) = recovery::recover(dir, run_id, &mut on_entry)?;
        let shared = Arc::new(SharedWriter::default());
        let (requests, receiver) = mpsc::channel();
        let writer =
            JournalWriter { tail, shared: Arc::clone(&shared), requests: receiver, options, space: Arc::clone(&space) };
        let writer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| FsError { action: "start the writer of", path: dir.to_owned(), source })?;
        let segments = Segments::new(dir);
        let journal = Self { index, segments, shared, space, requests: Some(requests), writer: Some(writer) };
        Ok((journal, recovered))
    }

    /// Hands an entry over. It is durable when the returned future says so.
    ///
    /// The entry is on its way when this returns: dropping the future does not take it back.
    pub(crate) fn append<B: Serialize + ?Sized>(
        &self,
        kind: EntryKind,
        key: Option<&str>,
        item: Option<&str>,
        body: &B,
    ) -> Acknowledgement {
        let (waiter, outcome) = oneshot::channel();
        self.hand_over(kind, key, item, body, waiter);
        Acknowledgement { outcome, shared: Arc::clone(&self.shared) }
    }

    /// Sends an entry to the writer, or answers at once that it cannot be.
    fn hand_over<B: Serialize + ?Sized>(
        &self,
        kind: EntryKind,
        key: Option<&str>,
        item: Option<&str>,
        body: &B,
        waiter: Waiter,
    ) {
        let record = self.shared.check().and_then(|()| record(kind, key, item, body));
        match (record, &self.requests) {
            (Ok(record), Some(requests)) => {
                if let Err(mpsc::SendError(refused)) = requests.send(Request { record, waiter }) {
                    let _ = refused.waiter.send(Err(self.shared.gone()));
                }
            }
            (Ok(_), None) => drop(waiter.send(Err(self.shared.gone()))),
            (Err(error), _) => drop(waiter.send(Err(error))),
        }
    }

    /// Whether there is too little room on the disk for another call. While there is enough this costs nothing.
    pub(crate) fn low_space(&self) -> Result<Option<LowSpace>, JournalError> {
        Ok(self.space.shortage()?)
    }

    /// The body of the first reply with this key, parsed, if there was one when the journal was opened.
    pub(crate) fn get_as<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, JournalError> {
        self.index.get(key).map(|location| self.segments.read(key, location)).transpose()
    }

    /// Waits until everything that was handed over is durable, and says so, or what prevented it.
    #[cfg(test)]
    pub(crate) fn close(mut self) -> Result<(), JournalError> {
        self.stop();
        self.shared.check()
    }

    /// Records an entry and waits until it is durable.
    #[cfg(test)]
    fn append_blocking<B: Serialize + ?Sized>(
        &self,
        kind: EntryKind,
        key: Option<&str>,
        item: Option<&str>,
        body: &B,
    ) -> Result<(), JournalError> {
        let Acknowledgement { outcome, shared } = self.append(kind, key, item, body);
        outcome.blocking_recv().unwrap_or_else(|_| Err(shared.gone()))
    }

    fn stop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            // The thread has no panic of its own to tell of.
            let _ = writer.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

fn record<B: Serialize + ?Sized>(
    kind: EntryKind,
    key: Option<&str>,
    item: Option<&str>,
    body: &B,
) -> Result<EntryText, JournalError> {
    let unfit = |problem: &str| JournalError::Unfit { kind, problem: problem.to_owned() };
    if kind == EntryKind::Segment {
        return Err(unfit("the journal writes headers itself"));
    }
    if kind.needs_key() && key.is_none() {
        return Err(unfit("it has no key"));
    }
    let record = EntryText::new(kind, key, item, body).map_err(|error| unfit(&error.to_string()))?;
    if record.len() > LONGEST {
        return Err(unfit("it is longer than 64 MiB"));
    }
    Ok(record)
}

/// Resolves when an entry is durable, or cannot be made so.
#[derive(Debug)]
#[must_use = "an entry counts only once it is acknowledged"]
pub(crate) struct Acknowledgement {
    outcome: oneshot::Receiver<Result<(), JournalError>>,
    shared: Arc<SharedWriter>,
}

impl Future for Acknowledgement {
    type Output = Result<(), JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = ready!(Pin::new(&mut self.outcome).poll(context));
        Poll::Ready(answered.unwrap_or_else(|_| Err(self.shared.gone())))
    }
}

/// Hands every sound entry of the journal in `dir` to `on_entry`, in order, and returns the calls that are announced
/// and not settled: while a run is at work, those in flight.
///
/// Reads only, takes no lock, and may be used while a run is at work. A folder without a journal has no entries.
pub(crate) fn scan(dir: &Path, mut on_entry: impl FnMut(&JournalEntry<'_>)) -> Result<Vec<Intent>, JournalError> {
    let mut intents = Intents::default();
    examine::walk(dir, None, |segment| {
        segment.check()?;
        for (location, entry) in segment.entries() {
            intents.note(entry).map_err(|_| Damage {
                file: segment.path.to_owned(),
                offset: location.offset,
                item: entry.item.as_ref().map(|item| format!("item {item}")),
                problem: JournalProblem::Body { seq: entry.seq },
            })?;
            on_entry(entry);
        }
        Ok(())
    })?;
    Ok(intents.unsettled())
}
