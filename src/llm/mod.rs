//! Talking to language models: one seam, [`ChatModel`], and what makes calling through it safe.
//!
//! A [`ChatModel`] performs exactly one attempt. Everything around an attempt lives in wrappers that know
//! nothing of stages: [`recorded`] looks a reply up before it is asked for and journals it before it counts
//! ([`entries`] are what it leaves there),
//! [`budget`] reserves before anything is sent, [`limiter`] shares the endpoint's patience among all callers,
//! [`net::retry`](crate::net::retry) decides what is worth another attempt.

pub(crate) mod azure;
pub(crate) mod batch;
pub(crate) mod budget;
pub(crate) mod control;
#[cfg(feature = "embedded")]
pub(crate) mod embedded;
pub(crate) mod entries;
pub(crate) mod limiter;
mod messages;
pub(crate) mod openai;
mod outcome;
pub(crate) mod recorded;
pub(crate) mod recording;
mod schema;

use std::fmt;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use batch::{BatchError, BatchQueue, BatchSeat};
pub(crate) use messages::Messages;
pub(crate) use outcome::{Answer, Halt};
pub(crate) use schema::Schema;

pub use crate::config::Role;
pub(crate) use crate::config::Structured;
pub use crate::net::attempt::{AttemptError, Transient};

/// What is asked of a model, in terms that name no host, deployment or key.
///
/// Its JSON form is the canonical body that a reply's key is made from, so a field added here changes every key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The logical model name.
    pub model: String,
    /// The messages, oldest first; the last one is from the user.
    pub messages: Messages,
    /// Sampling temperature; `None` leaves it to the endpoint (reasoning models refuse the field).
    pub temperature: Option<f64>,
    /// Nucleus sampling mass; `None` leaves it to the endpoint.
    pub top_p: Option<f64>,
    /// The most tokens a reply may have.
    pub max_tokens: u32,
    /// Texts at which a reply ends, not part of it. Endpoints take at most four.
    pub stop: Vec<String>,
    /// Decides the sampling of the embedded model. Not sent to endpoints.
    pub seed: u64,
    /// The form a reply must have.
    pub format: ReplyFormat,
}

/// One message of a [`ChatRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks to the model.
    pub role: MessageRole,
    /// The text.
    pub content: String,
}

impl Message {
    /// A message from the system.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: MessageRole::System, content: content.into() }
    }

    /// A message from the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: MessageRole::User, content: content.into() }
    }

    /// A message the model is told it wrote.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: MessageRole::Assistant, content: content.into() }
    }
}

/// The roles of the chat-completions protocol that convogen uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
    /// Instructions.
    System,
    /// Everyone but the model.
    User,
    /// The model.
    Assistant,
}

/// The form a reply must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyFormat {
    /// Free text. `prefix` is put into the mouth of models that can be forced (the embedded one)
    /// and is not part of the reply.
    Text {
        /// What the reply starts with, such as `Ann:`.
        prefix: Option<String>,
    },
    /// One JSON value that fits `schema`.
    Json {
        /// A name for the schema, `[a-z_]+`; endpoints ask for one.
        name: String,
        /// A JSON schema within the subset that strict structured output takes: every object closed and all its keys
        /// required, `enum`, `minItems`/`maxItems`; `null` by `"type": ["string", "null"]`.
        schema: Schema,
    },
}

impl ReplyFormat {
    /// A JSON value that fits `schema`, which is called `name`.
    pub fn json(name: &str, schema: impl Into<Schema>) -> Self {
        Self::Json { name: name.to_owned(), schema: schema.into() }
    }
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The text, as it came.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// What it cost.
    pub usage: Usage,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done, or met a stop text.
    Stop,
    /// `max_tokens`: the text is torn.
    Length,
}

/// Tokens as the endpoint counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u64,
    /// Those of them that came from the endpoint's prefix cache.
    pub cached_prompt_tokens: u64,
    /// Tokens of the reply, reasoning included.
    pub completion_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.cached_prompt_tokens = self.cached_prompt_tokens.saturating_add(other.cached_prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
    }
}

/// What a model can be relied on for when JSON is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StructuredSupport {
    /// It cannot produce anything that does not fit.
    Native,
    /// The configuration says how to ask.
    Fixed(Structured),
    /// To be found out by a call.
    Probe,
}

/// One language model behind one way of reaching it. An implementation performs a single attempt:
/// recording, budget, limits and retries are the wrappers' work.
pub trait ChatModel: fmt::Debug + Send + Sync {
    /// Sends `request` once. `wire` says how to ask for JSON when `request.format` wants it.
    fn attempt<'a>(&'a self, request: &'a ChatRequest, wire: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>>;

    /// Where calls go, for messages: an origin, never a key or a query.
    fn target(&self) -> String;

    /// The jobs that calls go in; `None` where each goes on its own.
    fn batch(&self) -> Option<&BatchQueue> {
        None
    }

    /// As [`attempt`](Self::attempt), in the job of `seat`, for models that have a [`batch`](Self::batch).
    fn attempt_in<'a>(
        &'a self,
        seat: BatchSeat,
        request: &'a ChatRequest,
        wire: Structured,
    ) -> BoxFuture<'a, Result<Reply, BatchError>> {
        drop(seat);
        Box::pin(async move { Ok(self.attempt(request, wire).await?) })
    }
}
