//! Calls that go in batch jobs, and those that earlier processes left in one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::{AttemptError, CallGateway, EntryKind, Estimate, Halt, PendingCall, Reply, Reservation, Role};
use crate::llm::ChatModel;
use crate::llm::Transient;
use crate::llm::batch::{BatchError, BatchQueue};

/// How long a call waits before it goes in another job.
const PAUSE: Duration = Duration::from_secs(1);

/// Calls that are in batch jobs, as far as the journal knows: intents with a mark and without an outcome.
#[derive(Debug, Default)]
pub(crate) struct CallsLeft {
    calls: BTreeMap<String, CallLeft>,
    /// Keys of those that were asked for since.
    asked: Mutex<BTreeSet<String>>,
}

/// A call that an earlier process put into a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallLeft {
    /// The mark of the job.
    pub mark: String,
    /// What was set aside for it.
    pub estimate: Estimate,
}

impl CallsLeft {
    /// These calls, by key.
    pub(crate) fn new(calls: BTreeMap<String, CallLeft>) -> Self {
        Self { calls, asked: Mutex::default() }
    }

    /// The call with this key, for the first who asks.
    fn take(&self, key: &str) -> Option<&CallLeft> {
        let call = self.calls.get(key)?;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(key.to_owned()).then_some(call)
    }

    /// The keys of all calls in the job with this mark.
    fn keys_of(&self, mark: &str) -> Vec<String> {
        self.calls.iter().filter(|(_, call)| call.mark == mark).map(|(key, _)| key.clone()).collect()
    }
}

/// The body of an `intent` entry of a call that goes in a job: that of any other, and the job's mark.
#[derive(Debug, Serialize)]
struct IntentInJob<'a> {
    role: Role,
    estimate: Estimate,
    job: &'a str,
}

impl CallGateway {
    /// One attempt in a job: the one it is in already, or the one that gathers calls now.
    pub(super) async fn send_in_job(
        &self,
        (model, queue): (&dyn ChatModel, &BatchQueue),
        call: &PendingCall<'_>,
    ) -> Result<(Result<Reply, AttemptError>, Reservation), Halt> {
        let PendingCall { site, request, wire, key, intent } = *call;
        let (seat, reservation) = if let Some(CallLeft { mark, estimate }) = self.left.take(key) {
            let reservation = self.budget.reopen(site.role, *estimate);
            (queue.seat_again(key, mark, || self.left.keys_of(mark), &self.control), reservation)
        } else {
            self.wait_for_room().await?;
            let reservation = self.reserve(call).await?;
            (queue.seat(key, &self.control), reservation)
        };
        if let Some(job) = seat.mark() {
            let intent = IntentInJob { role: intent.role, estimate: intent.estimate, job };
            self.write(EntryKind::Intent, key, site, &intent).await?;
        }
        match self.control.unless_stopped(model.attempt_in(seat, request, wire)).await? {
            Ok(reply) => Ok((Ok(reply), reservation)),
            Err(BatchError::Attempt(error)) => Ok((Err(in_a_job(error)), reservation)),
            Err(BatchError::Left { message }) => Err(self.control.stop(Halt::Endpoint { message })),
        }
    }
}

/// A line that was turned away was not worked on, and nobody else is to slow down for it. Another job is as good as a greeting.
fn in_a_job(error: AttemptError) -> AttemptError {
    match error {
        AttemptError::Transient { message, kind, .. } => {
            let kind = if kind.is_turned_away() { Transient::NotSent } else { kind };
            AttemptError::Transient { message, kind, retry_after: Some(PAUSE) }
        }
        error => error,
    }
}
