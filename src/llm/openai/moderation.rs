//! An endpoint with `/moderations`, as OpenAI's: texts in, scores by category out.
//!
//! Each message of a request is one text. The reply's text is the list of results as JSON, one for each text in their
//! order, as the endpoint gave them; what the scores mean is for the caller to say. Nothing is billed by the token.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Route, endpoint_at};
use crate::config::Model;
use crate::llm::endpoint::Endpoint;
use crate::llm::{AttemptError, ChatModel, ChatRequest, Finish, Reply, Structured, Usage};
use crate::net::http::{self, SetupError};

/// A moderation endpoint.
#[derive(Debug)]
pub(crate) struct Moderation(Route);

impl Moderation {
    /// The service at `endpoint`.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self(Route::new(endpoint))
    }

    async fn send(&self, request: &ChatRequest) -> Result<Reply, AttemptError> {
        let Self(route) = self;
        let texts: Vec<String> = request.messages.list().into_iter().map(|message| message.content).collect();
        let body = json!({"model": route.endpoint.model, "input": texts});
        let answer = route.consult(request, &body).await?;
        match answer.get("results").and_then(Value::as_array) {
            Some(results) if results.len() == texts.len() => {
                let text = Value::from(results.clone()).to_string();
                Ok(Reply { text, finish: Finish::Stop, usage: Usage::default() })
            }
            _ => Err(http::unknown(format!("{} sent no result for each of {} texts", route.origin(), texts.len()))),
        }
    }
}

/// The endpoint that `config` describes; `var` looks variables up (the process's, then those of `.env`).
pub(crate) fn endpoint(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<Endpoint, SetupError> {
    endpoint_at(&["moderations"], config, var)
}

impl ChatModel for Moderation {
    fn attempt<'a>(&'a self, request: &'a ChatRequest, _: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        Box::pin(self.send(request))
    }

    fn target(&self) -> String {
        self.0.origin()
    }
}
