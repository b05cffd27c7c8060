//! Calls on their way into one job.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::job::Answered;
use crate::clock;
use crate::record::content_hash;

/// A wave is closed when no call has come for this long: calls that do not wait for one another come within it.
pub(super) const QUIET: Duration = Duration::from_secs(1);
/// Calls in a job. OpenAI takes 50,000, Azure 100,000.
const MOST_CALLS: usize = 50_000;
/// Bytes of a file from which a wave takes no further call. Both services take 200 MB; it is held in memory.
const MOST_BYTES: usize = 64 << 20;

/// A call in a wave.
pub(super) struct WaitingCall {
    pub(super) key: String,
    pub(super) body: Vec<u8>,
    pub(super) answer: oneshot::Sender<Answered>,
}

/// Calls that gather for one job.
pub(super) struct CallWave {
    mark: String,
    state: Mutex<WaveState>,
    changed: Notify,
}

#[derive(Default)]
struct WaveState {
    /// Seats whose calls have not been put in yet.
    expected: usize,
    calls: Vec<WaitingCall>,
    bytes: usize,
}

impl WaveState {
    fn has_room(&self) -> bool {
        self.calls.len() + self.expected < MOST_CALLS && self.bytes < MOST_BYTES
    }
}

impl std::fmt::Debug for CallWave {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallWave({})", self.mark)
    }
}

impl CallWave {
    /// A wave that the call with this key begins. No other wave, of any process, has its mark.
    pub(super) fn new(first: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed).to_string();
        let (now, process) = (clock::unix_nanos().to_string(), std::process::id().to_string());
        let mark = content_hash(["batch", first, &now, &process, &count]);
        Self { mark, state: Mutex::default(), changed: Notify::new() }
    }

    /// What the job is found again by.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    pub(super) fn has_room(&self) -> bool {
        self.state().has_room()
    }

    /// A call will come.
    pub(super) fn expect_one(&self) {
        self.state().expected += 1;
        self.changed.notify_one();
    }

    /// A call that was expected comes no more.
    pub(super) fn expect_one_less(&self) {
        self.end_of_wait(&mut self.state());
    }

    /// Puts in a call that was expected.
    pub(super) fn put(&self, key: String, body: Vec<u8>) -> oneshot::Receiver<Answered> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.state();
        state.bytes += body.len();
        state.calls.push(WaitingCall { key, body, answer });
        self.end_of_wait(&mut state);
        receiver
    }

    fn end_of_wait(&self, state: &mut WaveState) {
        state.expected = state.expected.saturating_sub(1);
        self.changed.notify_one();
    }

    /// The calls of this wave that are still waited for, once no more are coming. `gathering` points at it until then.
    pub(super) async fn gather(&self, gathering: &Mutex<Option<Arc<Self>>>) -> Vec<WaitingCall> {
        loop {
            let quiet = timeout(QUIET, self.changed.notified()).await.is_err();
            let mut gathering = gathering.lock().unwrap_or_else(PoisonError::into_inner);
            let mut state = self.state();
            // A call that is expected is recording its intent: it comes soon, or gives its seat up.
            if state.expected > 0 || (!quiet && state.has_room()) {
                continue;
            }
            if gathering.as_ref().is_some_and(|wave| wave.mark == self.mark) {
                *gathering = None;
            }
            let mut calls = std::mem::take(&mut state.calls);
            calls.retain(|call| !call.answer.is_closed());
            return calls;
        }
    }

    fn state(&self) -> MutexGuard<'_, WaveState> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
