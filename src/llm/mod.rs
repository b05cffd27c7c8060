//! Talking to language models: one seam, [`ChatModel`], and what makes calling through it safe.
//!
//! A [`ChatModel`] performs exactly one attempt. Everything around an attempt lives in wrappers that know
//! nothing of stages: [`recorded`] looks a reply up before it is asked for and journals it before it counts
//! ([`entries`] are what it leaves there),
//! [`budget`] reserves before anything is sent, [`limiter`] shares an endpoint's patience among all callers, [`pool`] chooses among several,
//! [`net::retry`](crate::net::retry) decides what is worth another attempt.

pub(crate) mod azure;
pub(crate) mod batch;
pub(crate) mod budget;
pub(crate) mod context;
pub(crate) mod control;
#[cfg(feature = "embedded")]
pub(crate) mod embedded;
pub(crate) mod endpoint;
pub(crate) mod entries;
pub(crate) mod estimate;
pub(crate) mod evidence;
mod extra;
pub(crate) mod limiter;
mod messages;
pub(crate) mod openai;
mod outcome;
pub(crate) mod pool;
pub(crate) mod recorded;
pub(crate) mod recording;
mod schema;
mod usage;

use std::fmt;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use batch::{BatchError, BatchQueue, BatchSeat};
pub use extra::Extra;
pub use messages::Messages;
pub(crate) use outcome::{Answer, Halt};
pub use schema::Schema;
pub use usage::Usage;

pub use crate::config::{Role, Structured};
pub use crate::net::attempt::{AttemptError, Transient};
use crate::net::rate_headers::RemainingQuota;

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
    /// What the configuration adds that shapes replies; absent where it adds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Box<Extra>>,
}

#[cfg(test)]
impl ChatRequest {
    /// A request for text of up to `max_tokens` that sets nothing else.
    pub(crate) fn plain(messages: Vec<Message>, max_tokens: u32) -> Self {
        Self {
            model: "m".to_owned(),
            messages: messages.into(),
            temperature: None,
            top_p: None,
            max_tokens,
            stop: Vec::new(),
            seed: 0,
            format: ReplyFormat::Text { prefix: None },
            extra: None,
        }
    }
}

/// One message of a [`ChatRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks to the model.
    pub role: MessageRole,
    /// The text.
    pub content: String,
    /// Places in the text, as bytes from its start, up to which the request is or will be the same as others: where a prefix
    /// cache can be told to keep it. Nothing that is sent by itself, and no part of a reply's key.
    #[serde(skip)]
    pub(crate) stable: Vec<usize>,
}

impl Message {
    /// A message from the system.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(MessageRole::System, content.into())
    }

    /// A message from the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(MessageRole::User, content.into())
    }

    /// A message the model is told it wrote.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(MessageRole::Assistant, content.into())
    }

    fn new(role: MessageRole, content: String) -> Self {
        Self { role, content, stable: Vec::new() }
    }

    /// The message with the places up to which it stays the same.
    #[must_use]
    pub(crate) fn stable_to(self, places: &[usize]) -> Self {
        Self { stable: places.to_vec(), ..self }
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
    /// The model's context was full before `max_tokens` was reached: the text is torn.
    ContextFull,
}

impl Finish {
    /// As endpoints call it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length | Self::ContextFull => "length",
        }
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

    /// What the latest answer said is left of the endpoint's limits.
    fn remaining(&self) -> Option<RemainingQuota> {
        None
    }

    /// The model that the latest reply says it is from, where that is not the name that was asked for.
    fn answered_by(&self) -> Option<String> {
        None
    }

    /// Keywords of JSON schemas that it was found not to take and that are left out; readers of replies check what they say.
    fn left_out(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

impl ChatModel for std::sync::Arc<dyn ChatModel> {
    fn attempt<'a>(&'a self, request: &'a ChatRequest, wire: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        self.as_ref().attempt(request, wire)
    }

    fn target(&self) -> String {
        self.as_ref().target()
    }

    fn left_out(&self) -> Vec<&'static str> {
        self.as_ref().left_out()
    }
}
