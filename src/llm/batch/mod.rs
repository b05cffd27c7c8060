//! Calls that go in jobs: many of them in one file, half the price, done within a day. The Batch API of OpenAI and of
//! Azure OpenAI.
//!
//! To a stage nothing is different: it asks, waits, and gets a reply that is journaled under its key. What is different is
//! the way there. A call takes a seat in the [`wave::CallWave`] that is gathering, journals its intent with the
//! wave's mark, and puts its line in. Once no call has come for [`QUIET`](wave::QUIET) the wave is closed and becomes a
//! [`job::BatchJob`]: the file is sent, the job created with the mark in its metadata, looked at until it is
//! over, and its results are handed to those who wait. Situations of a round gather in one job, conversations go in waves
//! of one call each.
//!
//! # What a kill leaves behind
//!
//! The mark is in the journal before anything is sent, and in the job's metadata. The next process finds calls with an
//! intent and no outcome, and looks their job up by the mark before it sends anything:
//!
//! | at the endpoint | then |
//! | --- | --- |
//! | a job with the mark | its results are waited for and taken; nothing is sent or billed twice |
//! | jobs with other marks only, or none at all | it was never created: the calls are sent again, nothing was billed |
//! | no list of jobs, or jobs without any metadata | it cannot be known: possibly billed, and sent again |
//!
//! A process that is stopped leaves its jobs at work; the next one finds them the same way.
//!
//! # What the two services do differently
//!
//! | | OpenAI | Azure OpenAI |
//! | --- | --- | --- |
//! | a job that takes more than 24 hours | expires; what is not done comes back as `batch_expired`, unbilled | goes on |
//! | the input file | can be used at once | only when it is `processed` |
//! | `status` | `completed` | `completed` or `Completed` |
//! | the model of each line | the model | a deployment of the type Global-Batch or Data Zone Batch |
//!
//! Sources: platform.openai.com/docs/guides/batch, learn.microsoft.com/azure/ai-foundry/openai/how-to/batch.

mod driver;
mod job;
mod line;
mod service;
mod wave;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use self::driver::JobDriver;
use self::job::{Answered, BatchJob};
pub(crate) use self::service::{BatchService, JobAddress, JobSignIn};
use self::wave::CallWave;
use super::AttemptError;
use super::control::Control;
use crate::net::http::HttpReply;

/// Why a call has no answer.
#[derive(Debug, Clone)]
pub enum BatchError {
    /// What came of it, as of any attempt.
    Attempt(AttemptError),
    /// Nothing came of it yet: its job may be at work. The run stops, and the next start looks for the job.
    Left {
        /// What went wrong and what to do.
        message: String,
    },
}

impl From<AttemptError> for BatchError {
    fn from(error: AttemptError) -> Self {
        Self::Attempt(error)
    }
}

/// The calls of one model that go in jobs.
#[derive(Debug)]
pub struct BatchQueue {
    service: Arc<BatchService>,
    gathering: Arc<Mutex<Option<Arc<CallWave>>>>,
    found: Mutex<BTreeMap<String, Arc<BatchJob>>>,
}

impl BatchQueue {
    /// No call yet.
    pub(crate) fn new(service: BatchService) -> Self {
        Self { service: Arc::new(service), gathering: Arc::default(), found: Mutex::default() }
    }

    /// A seat for the call with this key in the job that gathers calls now.
    pub(super) fn seat(&self, key: &str, control: &Arc<Control>) -> BatchSeat {
        let mut gathering = self.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        let wave = match gathering.as_ref().filter(|wave| wave.has_room()) {
            Some(wave) => Arc::clone(wave),
            None => Arc::clone(gathering.insert(self.open_wave(key, control))),
        };
        wave.expect_one();
        BatchSeat(Some(Place::New { wave, key: key.to_owned() }))
    }

    fn open_wave(&self, key: &str, control: &Arc<Control>) -> Arc<CallWave> {
        let wave = Arc::new(CallWave::new(key));
        let (gathered, gathering) = (Arc::clone(&wave), Arc::clone(&self.gathering));
        let (service, control) = (Arc::clone(&self.service), Arc::clone(control));
        drop(tokio::spawn(async move {
            let calls = gathered.gather(&gathering).await;
            // Who waits has gone already where the run stops, and then nothing is to be sent.
            if !calls.is_empty() && !control.is_stopped() {
                JobDriver::new(service, control, gathered.mark()).send(calls).await;
            }
        }));
        wave
    }

    /// The seat of a call that an earlier process put into the job with this mark, among the calls with `keys`.
    pub(super) fn seat_again(
        &self,
        key: &str,
        mark: &str,
        keys: impl FnOnce() -> Vec<String>,
        control: &Arc<Control>,
    ) -> BatchSeat {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let job = found.entry(mark.to_owned()).or_insert_with(|| {
            let driver = JobDriver::new(Arc::clone(&self.service), Arc::clone(control), mark);
            let job = Arc::new(BatchJob::expecting(keys()));
            let looked_for = Arc::clone(&job);
            drop(tokio::spawn(async move { driver.find_again(&looked_for).await }));
            job
        });
        BatchSeat(Some(Place::Found { answer: job.ask(key) }))
    }
}

/// A call's place in a job.
pub struct BatchSeat(Option<Place>);

enum Place {
    New { wave: Arc<CallWave>, key: String },
    Found { answer: oneshot::Receiver<Answered> },
}

impl fmt::Debug for BatchSeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchSeat({:?})", self.mark())
    }
}

impl BatchSeat {
    /// The mark of the job that the call will be in; `None` if it is in one already.
    pub(super) fn mark(&self) -> Option<&str> {
        match &self.0 {
            Some(Place::New { wave, .. }) => Some(wave.mark()),
            _ => None,
        }
    }

    /// Puts the call's request in, and waits for its answer. The request of a call that an earlier process put in is in
    /// its job already.
    pub(super) async fn send(mut self, body: Vec<u8>) -> Result<HttpReply, BatchError> {
        let answer = match self.0.take() {
            Some(Place::New { wave, key }) => wave.put(key, body),
            Some(Place::Found { answer }) => answer,
            None => oneshot::channel().1,
        };
        answer.await.unwrap_or_else(|_| Err(BatchError::Left { message: "a batch job was left alone".to_owned() }))
    }
}

impl Drop for BatchSeat {
    fn drop(&mut self) {
        if let Some(Place::New { wave, .. }) = &self.0 {
            wave.expect_one_less();
        }
    }
}
