//! The calls of one job and who waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::wave::WaitingCall;
use super::{AttemptError, BatchError};
use crate::net::http::HttpReply;

/// What came of a call.
pub(super) type Answered = Result<HttpReply, BatchError>;

/// The calls of a job, by key.
#[derive(Debug)]
pub(super) struct BatchJob(Mutex<BTreeMap<String, CallState>>);

#[derive(Debug)]
enum CallState {
    /// It is in the job; nobody has asked for it in this process yet.
    Expected,
    Waiting(oneshot::Sender<Answered>),
    /// Its answer came before anyone asked.
    Ready(Answered),
    Taken,
}

/// Whose a result was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    /// A call that had none yet.
    First,
    /// A call that has one.
    Again,
    /// No call of the job.
    Unknown,
}

impl BatchJob {
    /// A job of calls that are waited for.
    pub(super) fn of(calls: impl IntoIterator<Item = WaitingCall>) -> Self {
        let calls = calls.into_iter().map(|call| (call.key, CallState::Waiting(call.answer)));
        Self(Mutex::new(calls.collect()))
    }

    /// A job of calls with these keys, which will be asked for.
    pub(super) fn expecting(keys: Vec<String>) -> Self {
        Self(Mutex::new(keys.into_iter().map(|key| (key, CallState::Expected)).collect()))
    }

    /// Where the answer to the call with this key will come.
    pub(super) fn ask(&self, key: &str) -> oneshot::Receiver<Answered> {
        let (sender, receiver) = oneshot::channel();
        let mut calls = self.calls();
        let call = calls.entry(key.to_owned()).or_insert(CallState::Expected);
        *call = match std::mem::replace(call, CallState::Taken) {
            CallState::Ready(answer) => {
                // Whoever asked a moment ago is there.
                let _ = sender.send(answer);
                CallState::Taken
            }
            _ => CallState::Waiting(sender),
        };
        receiver
    }

    /// Hands a result to whoever waits for it.
    pub(super) fn deliver(&self, key: &str, answer: Answered) -> Delivered {
        let mut calls = self.calls();
        let Some(call) = calls.get_mut(key) else { return Delivered::Unknown };
        match std::mem::replace(call, CallState::Taken) {
            CallState::Waiting(sender) => {
                // Whoever has gone since asks again in the next process, of the same job.
                let _ = sender.send(answer);
            }
            CallState::Expected => *call = CallState::Ready(answer),
            CallState::Ready(first) => {
                *call = CallState::Ready(first);
                return Delivered::Again;
            }
            CallState::Taken => return Delivered::Again,
        }
        Delivered::First
    }

    /// How many calls have no result.
    pub(super) fn open(&self) -> usize {
        self.calls().values().filter(|call| matches!(call, CallState::Expected | CallState::Waiting(_))).count()
    }

    /// Gives every call without a result this one.
    pub(super) fn end(&self, error: &BatchError) {
        let open: BTreeSet<String> = {
            let calls = self.calls();
            let open = calls.iter().filter(|(_, call)| matches!(call, CallState::Expected | CallState::Waiting(_)));
            open.map(|(key, _)| key.clone()).collect()
        };
        for key in open {
            self.deliver(&key, Err(error.clone()));
        }
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, CallState>> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt that was not made: nothing is billed.
pub(super) fn not_made(message: String) -> AttemptError {
    AttemptError::Transient { message, kind: crate::net::attempt::Transient::NotSent, retry_after: None }
}
