//! The body of a request for a completion.
//!
//! `seed` is never sent: endpoints that take it promise little, others refuse it. `stream` is sent as false, since some
//! servers stream unless they are told not to.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::complaint::NotTaken;
use super::dialect::Dialect;
use crate::llm::endpoint::Endpoint;
use crate::llm::{ChatRequest, MessageRole, Messages, ReplyFormat, Structured};

/// Endpoints take at most this many stop texts.
const MOST_STOPS: usize = 4;

/// The request as it goes over the wire.
#[derive(Debug, Serialize)]
pub(super) struct RequestBody<'a> {
    model: &'a str,
    messages: Cow<'a, Messages>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(flatten)]
    extra_body: &'a Map<String, Value>,
    /// Keywords that were left out of the schema.
    #[serde(skip)]
    left_out: BTreeSet<&'static str>,
}

impl<'a> RequestBody<'a> {
    /// What is sent for `request`, in the dialect of the endpoint.
    pub(super) fn new(endpoint: &'a Endpoint, dialect: &Dialect, request: &'a ChatRequest, wire: Structured) -> Self {
        let renamed = dialect.renames_limit();
        let stops = if dialect.has_no_stop() { 0 } else { MOST_STOPS };
        let Endpoint { model, additions, .. } = endpoint;
        Self {
            model,
            messages: dialect.messages(&request.messages),
            temperature: request.temperature,
            top_p: request.top_p,
            max_tokens: (!renamed).then_some(request.max_tokens),
            max_completion_tokens: renamed.then_some(request.max_tokens),
            stop: request.stop.iter().take(stops).map(String::as_str).collect(),
            response_format: response_format(&request.format, wire, dialect),
            stream: false,
            reasoning_effort: additions.reasoning_effort.as_deref(),
            extra_body: &additions.body,
            left_out: dialect.left_out(),
        }
    }

    /// Whether it holds what an endpoint says it does not take.
    pub(super) fn holds(&self, not_taken: NotTaken) -> bool {
        match not_taken {
            NotTaken::MaxTokens => self.max_tokens.is_some(),
            NotTaken::Stop => !self.stop.is_empty(),
            NotTaken::System => self.messages.list().iter().any(|message| message.role == MessageRole::System),
            NotTaken::Keyword(keyword) => {
                matches!(
                    self.response_format,
                    Some(ResponseFormat::JsonSchema { .. } | ResponseFormat::JsonObject { schema: Some(_) })
                ) && !self.left_out.contains(keyword)
            }
            NotTaken::Setting(_) => false,
        }
    }
}

/// How JSON is asked for on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonSchema {
        json_schema: NamedSchema<'a>,
    },
    JsonObject {
        #[serde(skip_serializing_if = "Option::is_none")]
        schema: Option<Cow<'a, RawValue>>,
    },
}

#[derive(Debug, Serialize)]
struct NamedSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: Cow<'a, RawValue>,
}

fn response_format<'a>(format: &'a ReplyFormat, wire: Structured, dialect: &Dialect) -> Option<ResponseFormat<'a>> {
    let ReplyFormat::Json { name, schema } = format else { return None };
    let as_sent = || dialect.schema(schema);
    match wire {
        Structured::JsonSchema => {
            Some(ResponseFormat::JsonSchema { json_schema: NamedSchema { name, strict: true, schema: as_sent() } })
        }
        Structured::JsonObjectSchema => Some(ResponseFormat::JsonObject { schema: Some(as_sent()) }),
        Structured::JsonObject => Some(ResponseFormat::JsonObject { schema: None }),
        Structured::None => None,
    }
}
