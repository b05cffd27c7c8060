//! The model that runs in the process: SmolLM2-135M-Instruct on the CPU, for a first dataset without a key and for
//! tests without a network.
//!
//! ```text
//! weights ──► Mind (model + vocabulary) ──► threads ──► engine ──► session (reads, samples) ──► text
//!                                             ▲            └────► author + structured ────────► JSON
//!                                           slots (what was read lately)
//! ```
//!
//! It is small: fluent sentence by sentence, prone to echo and to agree. Records made with it say `tier: demo`.
//!
//! Invariants:
//! - A reply depends on its request, the weights and the kind of processor; never on other requests, on threads, or
//!   on what the model happens to remember. That is why its arithmetic is written here (`kernel`) and not taken from
//!   a library.
//! - A request is answered by one thread. Two in flight use two cores, which is faster in sum than both cores on
//!   one request after the other, and nothing waits at barriers when a core is busy elsewhere.

mod author;
mod bpe;
mod echo;
mod engine;
mod fetch;
mod gguf;
mod kernel;
mod model;
mod sampling;
mod schema;
mod session;
mod slots;
mod structured;
mod vocabulary;
pub(crate) mod weights;
mod wheel;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use self::engine::{EngineError, LoadedModel};
use self::slots::Slots;
use super::{AttemptError, ChatModel, ChatRequest, Reply, Structured};
use crate::store::fs::FsError;

pub(crate) use self::gguf::GgufError;

/// Threads at most: each holds the memory of a conversation while it works.
const MAX_THREADS: usize = 4;

/// Why the embedded model could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The weights could not be opened.
    #[error(transparent)]
    File(#[from] FsError),
    /// They are not what this program reads.
    #[error(
        "failed to load the embedded model's weights from {path}: {reason}; put {name} there, which `convogen model pull` fetches, or configure an endpoint under `models`",
        path = path.display(),
        name = weights::SMOLLM2.name
    )]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: GgufError,
    },
    /// The system gave no thread to run on.
    #[error("failed to start a thread for the embedded model: {0}")]
    Thread(std::io::Error),
}

/// Reads prompts as the embedded model does, to count their tokens.
#[cfg(feature = "bench")]
#[derive(Debug)]
pub struct PromptTokenizer(vocabulary::Vocabulary);

#[cfg(feature = "bench")]
impl PromptTokenizer {
    /// The tokenizer in the file of `weights`.
    pub fn load(weights: &Path) -> Result<Self, LoadError> {
        let unreadable = |reason| LoadError::Model { path: weights.to_owned(), reason };
        let file = std::io::BufReader::new(crate::store::fs::open(weights)?);
        let gguf = gguf::Gguf::read(file).map_err(unreadable)?;
        Ok(Self(vocabulary::Vocabulary::load(&gguf).map_err(unreadable)?))
    }

    /// The tokens of a prompt, with those of the chat template.
    pub fn tokens(&self, messages: &[crate::llm::Message]) -> Vec<u32> {
        self.0.chat(messages, "")
    }
}

/// The embedded model. Dropping it ends its threads once they are done.
#[derive(Debug)]
pub(crate) struct Embedded {
    jobs: Sender<Job>,
}

#[derive(Debug)]
struct Job {
    request: ChatRequest,
    answer: oneshot::Sender<Result<Reply, EngineError>>,
}

impl Embedded {
    /// Loads the weights that [`weights::ensure`] has checked and starts a thread per core, four at most. Blocks for
    /// about a second.
    pub(crate) fn load(weights: &Path) -> Result<Self, LoadError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::start(&Arc::new(LoadedModel::load(weights)?), cores.min(MAX_THREADS))
    }

    fn start(mind: &Arc<LoadedModel>, threads: usize) -> Result<Self, LoadError> {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let slots = Arc::new(Slots::default());
        for index in 0..threads {
            let (mind, slots, queue) = (Arc::clone(mind), Arc::clone(&slots), Arc::clone(&queue));
            let thread = std::thread::Builder::new().name(format!("embedded-{index}"));
            thread.spawn(move || serve(&mind, &slots, &queue)).map_err(LoadError::Thread)?;
        }
        Ok(Self { jobs })
    }
}

fn serve(mind: &LoadedModel, slots: &Slots, queue: &Mutex<Receiver<Job>>) {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { request, answer }) = next() {
        let result = mind.answer(&request, slots, &|| answer.is_closed());
        // A caller that has gone takes no answer, and needs none.
        let _ = answer.send(result);
    }
}

impl ChatModel for Embedded {
    fn attempt<'a>(&'a self, request: &'a ChatRequest, _: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        Box::pin(async move {
            let (answer, reply) = oneshot::channel();
            let job = Job { request: request.clone(), answer };
            self.jobs.send(job).map_err(|_| stopped())?;
            Ok(reply.await.map_err(|_| stopped())??)
        })
    }

    fn target(&self) -> String {
        "this process".to_owned()
    }
}

fn stopped() -> AttemptError {
    AttemptError::Fatal {
        message: "the embedded model's thread has stopped; this is a bug, please report it".to_owned(),
    }
}

impl From<EngineError> for AttemptError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::TooLong { .. } | EngineError::Overflow | EngineError::Schema(_) => {
                Self::BadRequest { status: 400, message }
            }
            EngineError::Abandoned => Self::Fatal { message },
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
