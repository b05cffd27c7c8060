//! What the scripted endpoint answers to what.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use convogen::Draw;
use serde_json::{Value, json};

use super::batch::Jobs;
use super::{prose, values};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Position among all requests, from 0.
    pub(crate) index: usize,
    /// How many requests with this very body came before.
    pub(crate) repeat: usize,
    /// Time since the endpoint was started.
    pub(crate) at: Duration,
    /// Path and query.
    pub(crate) path: String,
    /// The key it came with, by either header.
    pub(crate) key: Option<String>,
    /// The body as it came.
    pub(crate) raw: String,
    /// The body, or `null` if it is no JSON.
    pub(crate) body: Value,
}

impl Call {
    /// A number in [0, 1) that depends on the request alone: `call.share() < 0.2` is a fifth of all requests.
    pub(crate) fn share(&self) -> f64 {
        Draw::new(3, &["share", &self.raw]).unit()
    }

    /// The text of all messages.
    pub(crate) fn prompt(&self) -> String {
        let messages = self.body.get("messages").and_then(Value::as_array).into_iter().flatten();
        let texts = messages.filter_map(|m| m.get("content").and_then(Value::as_str));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Whether it goes to a service that screens, not to a model.
    pub(crate) fn screens(&self) -> bool {
        self.path.contains("/moderations") || self.path.contains("text:analyze")
    }

    /// Whether it asks for a line of a conversation.
    pub(crate) fn wants_a_line(&self) -> bool {
        !self.screens() && self.body.get("response_format").is_none() && self.schema().is_none()
    }

    /// The text of the last message.
    pub(crate) fn last_message(&self) -> &str {
        let messages = self.body.get("messages").and_then(Value::as_array);
        messages.and_then(|m| m.last()?.get("content")?.as_str()).unwrap_or_default()
    }

    /// The schema the reply must fit: in `response_format`, else in the words of the prompt.
    pub(crate) fn schema(&self) -> Option<Value> {
        let format = self.body.get("response_format");
        let schema = format.and_then(|f| f.pointer("/json_schema/schema").or_else(|| f.get("schema")));
        if let Some(schema) = schema {
            return Some(schema.clone());
        }
        let prompt = self.prompt();
        let starts = prompt.match_indices('{').map(|(at, _)| prompt.get(at..).unwrap_or_default());
        let values = starts.filter_map(|text| serde_json::Deserializer::from_str(text).into_iter().next()?.ok());
        values.into_iter().find(|value: &Value| value.get("properties").is_some_and(Value::is_object))
    }
}

/// How to answer a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// As a model would: JSON that fits the schema asked for, or an utterance.
    Plausible,
    /// A completion with this text.
    Text(String),
    /// The last message back.
    Echo,
    /// This status, these headers, this body.
    Status(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A status of 200 with this content type and this body.
    Body(&'static str, Vec<u8>),
    /// The plausible answer after this long.
    Late(Duration),
    /// Nothing, and the connection stays open.
    HangBeforeHeaders,
    /// Headers, and then nothing.
    HangAfterHeaders,
    /// The plausible answer, a byte at a time, this long apart.
    Drip(Duration),
    /// The connection is reset instead of an answer.
    Reset,
    /// The connection is reset amid the body.
    ResetInBody,
    /// The connection is closed in good order instead of an answer.
    HangUp,
    /// More bytes are announced than come.
    Short,
    /// A body of this many bytes.
    Huge(usize),
}

impl Answer {
    /// An error in OpenAI's shape.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({"error": {"message": message, "type": "error", "param": null, "code": code}});
        Self::Status(status, Vec::new(), body.to_string().into_bytes())
    }

    /// 429, with a Retry-After of any form or none.
    pub(crate) fn too_many(retry_after: Option<&str>) -> Self {
        let body = json!({"error": {"message": "rate limit reached", "code": "rate_limit_exceeded"}});
        let headers = retry_after.map(|value| ("retry-after", value.to_owned()));
        Self::Status(429, headers.into_iter().collect(), body.to_string().into_bytes())
    }

    /// A page of a proxy.
    pub(crate) fn html() -> Self {
        Self::Body("text/html", b"<!DOCTYPE html><html><body>Bad gateway</body></html>".to_vec())
    }

    /// A JSON body with status 200.
    pub(crate) fn json(body: &Value) -> Self {
        Self::Body("application/json", body.to_string().into_bytes())
    }

    /// A completion without a choice.
    pub(crate) fn empty_choices() -> Self {
        Self::json(&json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}))
    }

    /// A choice with this message and reason.
    pub(crate) fn choice(message: &Value, finish_reason: &str) -> Self {
        Self::json(&json!({"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
                           "usage": {"prompt_tokens": 10, "completion_tokens": 5}}))
    }

    /// A reply cut by `max_tokens`.
    pub(crate) fn length() -> Self {
        Self::json(&json!({"choices": [{"message": {"content": "I was about to"}, "finish_reason": "length"}],
                           "usage": {"prompt_tokens": 10, "completion_tokens": 300}}))
    }

    /// A reply cut off since the context is full: with fewer tokens than were asked for.
    pub(crate) fn context_full() -> Self {
        Self::json(&json!({"choices": [{"message": {"content": "I was about to"}, "finish_reason": "length"}],
                           "usage": {"prompt_tokens": 2000, "completion_tokens": 48}}))
    }

    /// The model declines.
    pub(crate) fn refusal() -> Self {
        Self::choice(&json!({"content": null, "refusal": "I can't help with that."}), "stop")
    }

    /// A tool call where text was asked for.
    pub(crate) fn tool_call() -> Self {
        let call = json!({"id": "1", "type": "function", "function": {"name": "search", "arguments": "{}"}});
        Self::choice(&json!({"content": null, "tool_calls": [call]}), "tool_calls")
    }

    /// Azure's filter stops the prompt.
    pub(crate) fn azure_filter(category: &str) -> Self {
        let result =
            json!({"hate": {"filtered": false, "severity": "safe"}, category: {"filtered": true, "detected": true}});
        let inner = json!({"code": "ResponsibleAIPolicyViolation", "content_filter_result": result});
        let error = json!({"message": "The response was filtered", "param": "prompt", "code": "content_filter",
                           "status": 400, "innererror": inner});
        Self::Status(400, Vec::new(), json!({"error": error}).to_string().into_bytes())
    }

    /// A filter stops the reply.
    pub(crate) fn filter_finish(category: &str) -> Self {
        Self::json(&json!({"choices": [{"message": {"content": "They"}, "finish_reason": "content_filter",
                                        "content_filter_results": {category: {"filtered": true, "severity": "high"}}}]}))
    }

    /// A completion cut amid its JSON.
    pub(crate) fn truncated_json() -> Self {
        Self::Body("application/json", br#"{"choices": [{"message": {"content": "I was"#.to_vec())
    }

    /// A completion whose text is not UTF-8.
    pub(crate) fn invalid_utf8() -> Self {
        Self::Body("application/json", b"{\"choices\": [{\"message\": {\"content\": \"\xff\xfe\xc3\"}}]}".to_vec())
    }

    /// JSON nested ten thousand levels deep, where the text should be.
    pub(crate) fn deep_json() -> Self {
        let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
        Self::Body(
            "application/json",
            format!(r#"{{"choices": [{{"message": {{"content": {open}{close}}}}}]}}"#).into(),
        )
    }
}

type Rule = Box<dyn Fn(&Call) -> Answer + Send + Sync>;

/// How an endpoint behaves.
pub(crate) struct Script {
    /// How long every plausible answer takes.
    pub(crate) latency: Duration,
    /// Whether `response_format: json_schema` is understood; else it is answered with 400.
    pub(crate) json_schema: bool,
    /// Whether `max_tokens` is refused, as reasoning models do.
    pub(crate) wants_max_completion_tokens: bool,
    /// The key without which nothing is answered.
    pub(crate) key: Option<String>,
    /// Its Batch API, if it has one.
    pub(crate) jobs: Option<Arc<Jobs>>,
    /// What to answer to which request.
    pub(crate) rule: Rule,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("latency", &self.latency).finish_non_exhaustive()
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            json_schema: true,
            wants_max_completion_tokens: false,
            key: None,
            jobs: None,
            rule: Box::new(|_| Answer::Plausible),
        }
    }
}

impl Script {
    /// Answers each request as `rule` says.
    pub(crate) fn answering(rule: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        Self { rule: Box::new(rule), ..Self::default() }
    }

    /// Is plausible, but for the requests that `odd` picks.
    pub(crate) fn but(
        odd: impl Fn(&Call) -> bool + Send + Sync + 'static,
        answer: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::answering(move |call| if odd(call) { answer(call) } else { Answer::Plausible })
    }

    /// Gives these answers to the first requests, in order of arrival, and plausible ones after them.
    pub(crate) fn opening_with(answers: Vec<Answer>) -> Self {
        Self::answering(move |call| answers.get(call.index).cloned().unwrap_or(Answer::Plausible))
    }

    /// The answer to `call`: what the endpoint does not take is refused before the rule is asked.
    pub(crate) fn answer(&self, call: &Call) -> Answer {
        if self.key.is_some() && self.key != call.key {
            return Answer::error(401, "invalid_api_key", "Incorrect API key provided");
        }
        if let Some(answer) = self.jobs.as_ref().and_then(|jobs| jobs.answer(call, self)) {
            return answer;
        }
        let route = call.path.split('?').next().unwrap_or_default();
        if !ROUTES.iter().any(|known| route.ends_with(known)) {
            return Answer::error(404, "not_found", "no such route");
        }
        if call.body.is_null() {
            return Answer::error(400, "invalid_json", "the body is no JSON");
        }
        if self.wants_max_completion_tokens && call.body.get("max_tokens").is_some() {
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
            return Answer::error(400, "unsupported_parameter", message);
        }
        let format = call.body.pointer("/response_format/type").and_then(Value::as_str);
        if !self.json_schema && format == Some("json_schema") {
            return Answer::error(400, "unsupported", "response_format of type json_schema is not supported");
        }
        match (self.rule)(call) {
            Answer::Plausible if call.screens() => Answer::json(&screening(call, |_, _| 0.0)),
            answer => answer,
        }
    }
}

/// What is served: chat, moderation as OpenAI's, Azure AI Content Safety.
const ROUTES: [&str; 3] = ["/chat/completions", "/v1/moderations", "/contentsafety/text:analyze"];

/// What a service that screens answers: `score` gives a category's score, 0 to 1, for a text.
pub(crate) fn screening(call: &Call, score: impl Fn(&str, &str) -> f64) -> Value {
    if let Some(text) = call.body.get("text").and_then(Value::as_str) {
        let severity = |category: &str| (score(category, text) * 7.0).round();
        let list = ["Hate", "SelfHarm", "Sexual", "Violence"]
            .map(|name| json!({"category": name, "severity": severity(&name.to_lowercase())}));
        return json!({"blocklistsMatch": [], "categoriesAnalysis": list});
    }
    let texts = call.body.get("input").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let results = texts.map(|text| {
        let scores: serde_json::Map<String, Value> = [
            "hate",
            "harassment",
            "sexual",
            "self-harm",
            "self-harm/intent",
            "violence",
            "violence/graphic",
            "illicit",
        ]
        .into_iter()
        .map(|name| (name.to_owned(), json!(score(name, text))))
        .collect();
        json!({"flagged": false, "categories": {}, "category_scores": scores})
    });
    json!({"id": "modr-1", "model": call.body.get("model"), "results": results.collect::<Vec<_>>()})
}

/// What a model might say to `call`: a pure function of the request's messages and form.
pub(crate) fn plausible(call: &Call) -> String {
    let form = call.body.get("response_format").map(Value::to_string).unwrap_or_default();
    let seed = format!("{form}\n{}", call.prompt());
    if let Some(schema) = call.schema() {
        return values::fitting(&schema, &seed).to_string();
    }
    let mut draw = Draw::new(4, &["text", &seed]);
    if let Some(tongue) = prose::tongues::asked_for(&seed) {
        return tongue.text("text", &mut draw);
    }
    if !form.is_empty() {
        return json!({"text": prose::utterance(&mut draw)}).to_string();
    }
    match choices(call.last_message()) {
        options if options.len() > 1 => draw.pick(&options).map(|o| (*o).to_owned()).unwrap_or_default(),
        _ => prose::utterance(&mut draw),
    }
}

/// The names of a bracketed list such as `[Ann, Bob]`, which is how people ask to choose one of them.
fn choices(text: &str) -> Vec<&str> {
    let inside = text.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(list, _)| list);
    let names = inside.unwrap_or_default().split(',').map(|name| name.trim().trim_matches(['\'', '"']));
    names.filter(|name| !name.is_empty() && name.len() < 60 && !name.contains('\n')).collect()
}

/// A completion with `text`, its usage counted from the texts alone.
pub(crate) fn completion(call: &Call, text: &str) -> Value {
    let prompt_tokens = call.prompt().len().div_ceil(4);
    // Half of a long prompt counts as cached, in blocks of 128, as prefix caches do.
    let cached = if prompt_tokens >= 1024 { prompt_tokens / 2 / 128 * 128 } else { 0 };
    let completion_tokens = text.len().div_ceil(4);
    json!({
        "id": format!("chatcmpl-{}", blake3::hash(call.raw.as_bytes()).to_hex().chars().take(16).collect::<String>()),
        "object": "chat.completion",
        "model": call.body.get("model"),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
                  "total_tokens": prompt_tokens + completion_tokens,
                  "prompt_tokens_details": {"cached_tokens": cached}},
    })
}
