//! Stops a run once, for one reason, everywhere.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Halt;

/// Shared by all calls of a run: the first reason to stop wins, and nobody starts anything new after it.
#[derive(Debug, Default)]
pub struct Control {
    is_stopped: AtomicBool,
    /// Wakes whoever waits when the run stops.
    stopped: Notify,
    reason: Mutex<Option<Halt>>,
    replies: AtomicU64,
    refused: AtomicU64,
    shielded: AtomicU64,
    /// Answers of this process: of calls it made, from the record of its run, and from that of the run it was forked from.
    made: AtomicU64,
    own: AtomicU64,
    inherited: AtomicU64,
    told: Mutex<Vec<String>>,
    /// Held by the one caller that waits for room on the disk for all.
    pub(super) wait_for_room: tokio::sync::Mutex<()>,
}

/// Where the answers of a process came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AnswerOrigins {
    /// From calls that it made.
    pub made: u64,
    /// From the record of its run.
    pub own: u64,
    /// From the record of the run that it was forked from.
    pub inherited: u64,
}

impl AnswerOrigins {
    /// From a record, so that no call was made for them.
    pub(crate) fn recorded(self) -> u64 {
        self.own + self.inherited
    }
}

impl Control {
    /// Stops the run for `reason`, unless it stops already. Returns what the caller hands up.
    pub fn stop(&self, reason: Halt) -> Halt {
        let mut first = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() && !matches!(reason, Halt::Stopping) {
            *first = Some(reason);
        }
        self.is_stopped.store(true, Ordering::SeqCst);
        self.stopped.notify_waiters();
        Halt::Stopping
    }

    /// Why the run stopped, handed out once.
    pub fn take_reason(&self) -> Option<Halt> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether it was the budget that stopped the run.
    pub fn is_spent(&self) -> bool {
        matches!(*self.reason.lock().unwrap_or_else(PoisonError::into_inner), Some(Halt::Budget(_)))
    }

    /// Whether nothing new may start.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    /// Tells the user something while the run is at work.
    pub fn tell(&self, text: impl Into<String>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(text.into());
    }

    /// What was told since the last time of asking.
    pub fn take_told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for `work`, which has no effect of its own yet, unless the run stops first.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T> + Send) -> Result<T, Halt> {
        // Made before looking: it is woken by whatever stops the run from here on, though not polled yet.
        let stopped = self.stopped.notified();
        if self.is_stopped() {
            return Err(Halt::Stopping);
        }
        // Most work is done at once: only what has to wait also waits for the end.
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = stopped => Err(Halt::Stopping),
        }
    }

    /// Sleeps, unless the run stops first.
    pub async fn sleep(&self, pause: Duration) -> Result<(), Halt> {
        self.unless_stopped(tokio::time::sleep(pause)).await
    }

    /// Counts an answer that a call was made for.
    pub(super) fn count_made(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer that was on record; `inherited`: in the run that this one was forked from.
    pub(super) fn count_recorded(&self, inherited: bool) {
        let counter = if inherited { &self.inherited } else { &self.own };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Where the answers of this process came from.
    pub(crate) fn answers(&self) -> AnswerOrigins {
        let [made, own, inherited] = [&self.made, &self.own, &self.inherited].map(|n| n.load(Ordering::Relaxed));
        AnswerOrigins { made, own, inherited }
    }

    /// Counts a call that a prompt shield refused.
    pub(super) fn count_shielded(&self) {
        self.shielded.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls of this process that a prompt shield refused.
    pub fn shielded(&self) -> u64 {
        self.shielded.load(Ordering::Relaxed)
    }

    /// Counts a reply; returns how many there were and how many of them were refused.
    pub(super) fn count_reply(&self, refused: bool) -> (u64, u64) {
        let seen = self.replies.fetch_add(1, Ordering::Relaxed) + 1;
        let refused = self.refused.fetch_add(u64::from(refused), Ordering::Relaxed) + u64::from(refused);
        (seen, refused)
    }
}
